"""Limits on attempts to sign in, counted in the database for all processes together."""

import hmac
from datetime import datetime, timedelta
from typing import Final

import msgspec

from inbox.kit.client_address import origin_of
from inbox.ports.identity import Client
from inbox.ports.local_accounts import LocalAccounts

KEPT_FOR: Final = timedelta(days=1)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts in a window of `window` seconds, successful ones included.

    Windows follow each other, so that twice as many may fall around a border. `email` bounds a search for one person's
    password from many addresses, `address` one that tries many people.
    """

    window: int = 300
    pair: int = 10
    email: int = 100
    address: int = 50


class Attempts:
    """Counts under keyed digests: who tried to sign in from where cannot be read from the table."""

    def __init__(self, secret: bytes, limits: Limits) -> None:
        self._key = hmac.digest(secret, b"sign-in attempts", "sha256")
        self._limits = limits

    async def count(self, accounts: LocalAccounts, email: str, client: Client, now: datetime) -> float | None:
        """Counts one attempt. Seconds until the next window if it is one too many, else None."""
        limits = self._limits
        origin = origin_of(client.address)
        window_start, left = self._window(now)
        # Everybody locks the row of an address first. A flood from one address stops there and makes no more rows.
        is_allowed = await self._of_address(accounts, origin, window_start) <= limits.address
        if is_allowed:
            of_pair = await accounts.count_attempt(self._digest("pair", origin, email), window_start)
            of_email = await accounts.count_attempt(self._digest("email", email), window_start)
            is_allowed = of_pair <= limits.pair and of_email <= limits.email
        return None if is_allowed else left

    async def count_address(self, accounts: LocalAccounts, client: Client, now: datetime) -> float | None:
        """Like `count`, for an attempt that names nobody."""
        window_start, left = self._window(now)
        tried = await self._of_address(accounts, origin_of(client.address), window_start)
        return None if tried <= self._limits.address else left

    async def count_stranger(self, accounts: LocalAccounts, client: Client, now: datetime) -> None:
        """Notes a failure of somebody who has no account. It limits nothing: see `LocalSignIn`."""
        window_start, _ = self._window(now)
        await accounts.count_attempt(self._digest("stranger", origin_of(client.address)), window_start)

    async def _of_address(self, accounts: LocalAccounts, origin: str, window_start: datetime) -> int:
        """Counts. The first attempt of a window also removes what nobody needs any more.

        So a flood from many addresses clears up after itself.
        """
        tried = await accounts.count_attempt(self._digest("address", origin), window_start)
        if tried == 1:
            await accounts.forget_attempts(window_start - KEPT_FOR)
        return tried

    def _window(self, now: datetime) -> tuple[datetime, float]:
        """When the window of `now` began, and the seconds until the next one."""
        elapsed = int(now.timestamp()) % self._limits.window
        return now.replace(microsecond=0) - timedelta(seconds=elapsed), float(self._limits.window - elapsed)

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256")
