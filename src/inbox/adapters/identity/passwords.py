"""Passwords: argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane), about 20 ms each."""

import asyncio
import secrets
from typing import Final

import argon2

from inbox.domain.errors import Overloaded, SignInRefused

MIN_CHARACTERS: Final = 8
MAX_BYTES: Final = 72
"""GoTrue's limit when a password is set."""

_SLOTS: Final = 2
_WAITING: Final = 64
_WAIT_SECONDS: Final = 5.0


def check_strength(password: str) -> None:
    """Raises `SignInRefused` for a password that may not be set."""
    if len(password.encode()) > MAX_BYTES:
        raise SignInRefused(400, "validation_failed", f"Password cannot be longer than {MAX_BYTES} bytes")
    if len(password) < MIN_CHARACTERS:
        message = f"Password should be at least {MIN_CHARACTERS} characters."
        raise SignInRefused(422, "weak_password", message, reasons=("length",))


class Passwords:
    """Hashes and checks in worker threads, two at a time: more would starve the event loop and eat memory."""

    def __init__(self, *, waiting: int = _WAITING) -> None:
        """`waiting` callers may queue. Takes the time of one hash, for the dummy."""
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._dummy = self._hasher.hash(secrets.token_urlsafe())
        self._slots = asyncio.Semaphore(_SLOTS)
        self._waiting = waiting
        self._queued = 0

    async def hash(self, password: str) -> str:
        """The encoded hash to store. Raises `Overloaded`."""
        await self._enter()
        try:
            return await asyncio.to_thread(self._hasher.hash, password)
        finally:
            self._slots.release()

    async def verify(self, stored: str | None, password: str) -> bool:
        """True if `password` made the hash `stored`. None is never right, and costs as much. Raises `Overloaded`."""
        await self._enter()
        try:
            is_right = await asyncio.to_thread(self._matches, stored or self._dummy, password)
        finally:
            self._slots.release()
        return is_right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """True if `stored` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except argon2.exceptions.VerifyMismatchError:
            return False

    async def _enter(self) -> None:
        if self._queued >= self._waiting:
            raise Overloaded("Too many password checks are waiting.")
        self._queued += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise Overloaded("A password check waited too long.") from None
        finally:
            self._queued -= 1
