"""Passwords: what a check costs, how many run at a time, what may be set."""

import asyncio
import threading

import argon2
import pytest

from inbox.adapters.identity.passwords import Passwords, check_strength
from inbox.domain.errors import Overloaded, SignInRefused


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


class Counting(Passwords):
    """Counts checks, and how many of them ran at the same time."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self.checked: list[str] = []
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()

    def _matches(self, stored: str, password: str) -> bool:
        with self._lock:
            self.checked.append(stored)
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            return super()._matches(stored, password)
        finally:
            with self._lock:
                self._running -= 1


async def test_a_password_matches_its_hash_and_no_other(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse battery")
    assert await passwords.verify(stored, "correct horse battery")
    assert not await passwords.verify(stored, "correct horse batterx")
    assert not await passwords.verify(stored, "")


async def test_the_hash_is_argon2id_with_19_mib_two_passes_and_one_lane(passwords: Passwords) -> None:
    parameters = argon2.extract_parameters(await passwords.hash("x"))
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)


async def test_without_a_stored_hash_the_same_work_is_done_and_nothing_is_right() -> None:
    passwords = Counting()
    assert not await passwords.verify(None, "anything")
    stored = await passwords.hash("anything")
    await passwords.verify(stored, "wrong")
    dummy, real = (argon2.extract_parameters(text) for text in passwords.checked)
    assert dummy == real


async def test_the_password_of_the_dummy_opens_nothing() -> None:
    passwords = Passwords()
    passwords._dummy = await passwords.hash("guessed")
    assert not await passwords.verify(None, "guessed")


async def test_two_checks_run_at_a_time() -> None:
    passwords = Counting()
    await asyncio.gather(*(passwords.verify(None, str(n)) for n in range(12)))
    assert len(passwords.checked) == 12
    assert passwords.most <= 2


async def test_who_finds_a_full_queue_is_told_to_come_back() -> None:
    passwords = Counting(waiting=3)
    answers = await asyncio.gather(*(passwords.verify(None, str(n)) for n in range(20)), return_exceptions=True)
    assert sum(isinstance(answer, Overloaded) for answer in answers) >= 10
    assert len(passwords.checked) == sum(answer is False for answer in answers)
    assert not await passwords.verify(None, "later")


async def test_a_hash_of_weaker_parameters_is_outdated(passwords: Passwords) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
    assert passwords.is_outdated(weak)
    assert not passwords.is_outdated(await passwords.hash("x"))


@pytest.mark.parametrize(
    ("password", "status", "code"),
    [("1234567", 422, "weak_password"), ("", 422, "weak_password"), ("é" * 37, 400, "validation_failed")],
)
def test_a_password_that_is_too_short_or_too_long_cannot_be_set(password: str, status: int, code: str) -> None:
    with pytest.raises(SignInRefused) as refused:
        check_strength(password)
    assert (refused.value.status, refused.value.error_code) == (status, code)


def test_72_bytes_and_8_characters_are_enough() -> None:
    check_strength("é" * 36)
    check_strength("12345678")
