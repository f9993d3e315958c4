"""What is set for calls to other services, and for the door, is what they get."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from builders import NOWHERE, SEALER
from inbox.adapters.database.postgres.engine import INTAKE, Limits, intake_limits
from inbox.domain.errors import CircuitOpen
from inbox.domain.upstream_errors import NothingSent, WhatsAppError, WhatsAppTimeout
from inbox.kit.breaker import Breakers
from inbox.kit.gauges import Gauges
from inbox.kit.resilience import Guard, Policy
from inbox.main.container import build
from inbox.main.runtime import Runtime
from inbox.main.settings import load
from inbox.main.upstreams import Upstreams, circuits
from inbox.main.vendors import Fakes
from inbox.services.intake import Intake

GIVEN = {
    "INBOX_OUTGOING_CONCURRENCY": "7",
    "INBOX_OUTGOING_WAITING": "9",
    "INBOX_OUTGOING_BACKOFF": "0.25",
    "INBOX_OUTGOING_BACKOFF_MAX": "3",
    "INBOX_OUTGOING_RETRY_AFTER_MAX": "4",
    "INBOX_MEDIA_OPENING_TIMEOUT": "20",
    "INBOX_MEDIA_ATTEMPT_TIMEOUT": "6",
    "INBOX_MEDIA_ATTEMPTS": "3",
}


def upstreams(environ: dict[str, str]) -> Upstreams:
    settings = load(environ)
    return Upstreams(settings, Breakers(circuits(settings)), lambda _: None, Gauges())


def test_the_defaults_are_those_of_a_policy():
    policy = upstreams({}).supabase_guard().policy
    assert policy == Policy(total=5.0, attempt=5.0, attempts=3)


def test_bounds_and_back_off_reach_every_guard():
    found = upstreams(GIVEN)
    policy = partial(Policy, attempts=3, concurrency=7, waiting=9, wait_initial=0.25, wait_max=3.0, retry_after_max=4.0)
    sends = found.whatsapp_guard().policy
    assert (sends.attempts, sends.waiting, sends.wait_max) == (1, 9, 3.0)
    assert found.media_guard().policy == policy(total=20, attempt=6)
    assert found.supabase_guard().policy == policy(total=5, attempt=5)
    assert found.receipts_guard().policy == policy(total=5, attempt=5, attempts=1)
    assert found.gemini_guard().policy.concurrency == 7


async def test_receipts_heed_the_circuit_of_sends_and_move_it_neither_way():
    settings = load({})
    breakers = Breakers(circuits(settings))
    found = Upstreams(settings, breakers, lambda _: None, Gauges())
    sends, receipts = found.whatsapp_guard(), found.receipts_guard()

    async def fails() -> None:
        raise WhatsAppError

    async def nothing_sent() -> None:
        raise NothingSent

    async def succeeds() -> None:
        pass

    async def called(guard: Guard, attempt: Callable[[], Awaitable[None]]) -> None:
        await guard.call(attempt, on_timeout=WhatsAppTimeout)

    for _ in range(3):
        with pytest.raises(WhatsAppError):
            await called(receipts, fails)
    assert breakers.inspect()["whatsapp"].state == "closed"
    for _ in range(3):
        await called(receipts, succeeds)
        with pytest.raises(NothingSent):
            await called(sends, nothing_sent)
    assert breakers.inspect()["whatsapp"].state == "open"
    with pytest.raises(CircuitOpen):
        await called(receipts, succeeds)


def test_an_overloaded_gemini_is_not_asked_again_at_once_whatever_is_set():
    assert upstreams(GIVEN).gemini_guard().policy.wait_initial == 0.5
    assert upstreams({"INBOX_OUTGOING_BACKOFF": "1"}).gemini_guard().policy.wait_initial == 1.0


def test_the_limits_of_the_intakes_connections_are_parts_of_its_time():
    assert intake_limits(3.0) == INTAKE
    assert intake_limits(6.0) == Limits(connect=2.0, acquire=1.0, statement=3.0, lock=2.0, idle_in_transaction=6.0)


async def test_the_time_for_webhooks_reaches_the_door(database_url: str):
    settings = load({"INBOX_INTAKE_TIMEOUT": "5", "INBOX_DATABASE_ALLOW_UNSAFE_DURABILITY": "true"})
    container = build(
        Runtime(settings=settings, database_url=database_url, sealer=SEALER, token_secrets=(b"t",), data_dir=NOWHERE),
        Fakes(),
    )
    try:
        assert (await container.get(Intake)).within == 5.0
    finally:
        await container.close()
