"""How long keys are believed, and how often the provider is asked."""

import asyncio
from collections.abc import Mapping

import jwt
import pytest

from identity.forging import Forger
from identity.test_tokens import ISSUER, NOW
from inbox.adapters.identity.keys import KeyRing
from inbox.adapters.identity.tokens import read_keys
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import IdentityTimeout, IdentityUnreachable


class Provider:
    """Publishes keys, counts how often it is asked, may fail and may hang."""

    def __init__(self, *kids: str) -> None:
        self.keys = published(*kids)
        self.asked = 0
        self.outage: InboxError | None = None
        self.answering = asyncio.Event()
        self.answering.set()
        self.now = 1000.0
        self.ring = KeyRing(self.fetch, ticks=lambda: self.now)

    async def fetch(self) -> Mapping[str, jwt.PyJWK]:
        self.asked += 1
        await self.answering.wait()
        if self.outage is not None:
            raise self.outage
        return self.keys

    async def settle(self) -> None:
        """Lets a question in the background end."""
        for _ in range(5):
            await asyncio.sleep(0)


def published(*kids: str) -> dict[str, jwt.PyJWK]:
    return read_keys([{**Forger(ISSUER, NOW).jwk(), "kid": kid} for kid in kids])


async def test_a_key_is_asked_for_once_and_used_for_five_minutes() -> None:
    provider = Provider("a")
    for _ in range(100):
        assert await provider.ring.find("a") is provider.keys["a"]
    provider.now += 299
    await provider.ring.find("a")
    await provider.settle()
    assert provider.asked == 1


async def test_after_five_minutes_the_set_is_replaced_in_the_background() -> None:
    provider = Provider("a")
    old = await provider.ring.find("a")
    provider.keys = published("a")
    provider.now += 300
    assert await provider.ring.find("a") is old
    await provider.settle()
    assert await provider.ring.find("a") is provider.keys["a"]
    assert provider.asked == 2


async def test_after_ten_minutes_nobody_uses_the_old_set_while_a_new_one_can_be_had() -> None:
    provider = Provider("revoked")
    await provider.ring.find("revoked")
    provider.keys = published("new")
    provider.now += 600
    assert await provider.ring.find("revoked") is None
    assert await provider.ring.find("new") is provider.keys["new"]


async def test_a_revoked_key_is_gone_with_the_next_set() -> None:
    provider = Provider("a", "b")
    await provider.ring.find("a")
    provider.keys = published("b")
    provider.now += 300
    await provider.ring.find("b")
    await provider.settle()
    assert await provider.ring.find("a") is None


async def test_a_rotated_key_is_found_with_one_more_question() -> None:
    provider = Provider("old")
    await provider.ring.find("old")
    provider.keys = published("old", "new")
    provider.now += 10
    assert await provider.ring.find("new") is provider.keys["new"]
    assert provider.asked == 2


async def test_a_thousand_unknown_keys_cause_one_question_in_ten_seconds() -> None:
    provider = Provider("a")
    await provider.ring.find("a")
    provider.now += 10
    found = await asyncio.gather(*(provider.ring.find(f"unknown-{n}") for n in range(1000)))
    assert set(found) == {None}
    assert provider.asked == 2
    provider.now += 9.9
    assert await provider.ring.find("unknown") is None
    assert provider.asked == 2
    provider.now += 0.2
    assert await provider.ring.find("unknown") is None
    assert provider.asked == 3


async def test_many_who_wait_at_the_start_ask_once() -> None:
    provider = Provider("a")
    found = await asyncio.gather(*(provider.ring.find("a") for _ in range(100)))
    assert set(found) == {provider.keys["a"]}
    assert provider.asked == 1


async def test_known_keys_are_good_for_an_hour_of_outage_and_then_the_failure_is_told() -> None:
    provider = Provider("a")
    await provider.ring.find("a")
    provider.outage = IdentityUnreachable("down")
    provider.now += 3599
    assert await provider.ring.find("a") is provider.keys["a"]
    provider.now += 2
    with pytest.raises(IdentityUnreachable):
        await provider.ring.find("a")


async def test_in_an_outage_an_unknown_key_is_not_called_unknown() -> None:
    provider = Provider("a")
    await provider.ring.find("a")
    provider.outage = IdentityTimeout("slow")
    provider.now += 10
    for _ in range(3):
        with pytest.raises(IdentityTimeout, match="slow"):
            await provider.ring.find("unknown")
    assert provider.asked == 2


async def test_who_holds_a_key_does_not_wait_for_a_provider_that_hangs() -> None:
    provider = Provider("a")
    await provider.ring.find("a")
    provider.outage = IdentityTimeout("slow")
    provider.now += 400
    await provider.ring.find("a")
    await provider.settle()
    provider.answering.clear()
    for _ in range(10):
        provider.now += 100
        assert await asyncio.wait_for(provider.ring.find("a"), 1) is provider.keys["a"]
    provider.answering.set()
    await provider.settle()


async def test_the_first_failure_is_told_and_the_provider_asked_again_a_second_later() -> None:
    provider = Provider("a")
    provider.outage = IdentityUnreachable("down")
    for _ in range(50):
        with pytest.raises(IdentityUnreachable):
            await provider.ring.find("a")
    assert provider.asked == 1
    provider.outage = None
    provider.now += 1
    assert await provider.ring.find("a") is provider.keys["a"]


async def test_a_failure_is_told_with_a_new_error_each_time() -> None:
    provider = Provider("a")
    provider.outage = IdentityUnreachable("down")
    met: list[InboxError] = []
    for _ in range(3):
        with pytest.raises(IdentityUnreachable) as raised:
            await provider.ring.find("a")
        met.append(raised.value)
    assert len({id(error) for error in met}) == 3


async def test_one_who_gives_up_does_not_end_the_question_for_the_others() -> None:
    provider = Provider("a")
    provider.answering.clear()
    impatient = asyncio.create_task(provider.ring.find("a"))
    patient = asyncio.create_task(provider.ring.find("a"))
    await provider.settle()
    impatient.cancel()
    await provider.settle()
    provider.answering.set()
    assert await patient is provider.keys["a"]
    assert provider.asked == 1


async def test_an_empty_set_replaces_the_old_one() -> None:
    provider = Provider("a")
    await provider.ring.find("a")
    provider.keys = {}
    provider.now += 600
    assert await provider.ring.find("a") is None
    assert provider.ring.is_empty


async def test_closing_ends_a_question_under_way() -> None:
    provider = Provider("a")
    provider.answering.clear()
    waiting = asyncio.create_task(provider.ring.find("a"))
    await provider.settle()
    await provider.ring.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_after_a_change_of_ours_the_next_unknown_key_asks_at_once() -> None:
    provider = Provider("old")
    await provider.ring.find("old")
    provider.keys = published("old", "new")
    assert await provider.ring.find("new") is None
    provider.ring.expect_change()
    assert await provider.ring.find("new") is provider.keys["new"]
