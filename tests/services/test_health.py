"""Which of the others answer: in parallel, within two seconds, and never more often than every two."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable
from inbox.domain.upstream_errors import ModelFailed, WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.services.health import DATABASE, Check, Dependency, Health

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Ticks:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Asked:
    """A dependency that counts, and answers or raises what it was told."""

    def __init__(self, answer: bool | Exception = True) -> None:  # noqa: FBT001, FBT002
        self.answer = answer
        self.times = 0

    async def __call__(self) -> bool:
        self.times += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def hangs():
    await asyncio.Event().wait()
    return True


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def make(ticks):
    def make(database=None, within=2.0, **others):
        checks = [Check(name=DATABASE, probe=database or Asked())]
        checks += [Check(name=name, probe=probe, unset=UNSET.get(name)) for name, probe in others.items()]
        return Health(checks, lambda: NOW, within=within, ticks=ticks)

    return make


UNSET = {"gemini": "GEMINI_API_KEY not set"}


async def test_all_answer(make):
    report = await make(whatsapp=Asked()).report()
    assert (report.status, report.checked_at) == ("ok", NOW)
    assert {name: found.status for name, found in report.dependencies.items()} == {DATABASE: "ok", "whatsapp": "ok"}
    assert all(found.latency_ms >= 0 for found in report.dependencies.values())


@pytest.mark.parametrize(
    ("error", "status", "word", "has_latency"),
    [
        (WhatsAppTimeout("secret words"), "timeout", "timeout", False),
        (WhatsAppUnavailable("secret words"), "error", "whatsapp_unavailable", False),
        (WhatsAppError("secret words"), "error", "whatsapp_api_error", True),
        (ModelFailed("secret words"), "error", "model_failed", True),
    ],
)
async def test_one_that_fails_degrades_the_whole_and_only_the_kind_is_told(make, error, status, word, has_latency):
    report = await make(whatsapp=Asked(error)).report()
    found = report.dependencies["whatsapp"]
    assert report.status == "degraded"
    assert (found.status, found.error, found.latency_ms is not msgspec.UNSET) == (status, word, has_latency)


@pytest.mark.parametrize(("error", "status"), [(DatabaseUnavailable(), "error"), (DatabaseTimeout(), "timeout")])
async def test_without_the_database_all_is_error(make, error, status):
    report = await make(Asked(error)).report()
    assert report.status == "error"
    assert report.dependencies[DATABASE].status == status


async def test_what_is_not_set_up_is_said_or_left_out_and_harms_nothing(make):
    report = await make(gemini=Asked(answer=False), identity=Asked(answer=False)).report()
    assert report.status == "ok"
    assert report.dependencies["gemini"] == Dependency(status="not_configured", error="GEMINI_API_KEY not set")
    assert "identity" not in report.dependencies


async def test_those_that_hang_are_left_at_the_same_deadline(make):
    health = make(within=0.1, whatsapp=hangs, gemini=hangs)
    async with asyncio.timeout(10):
        report = await health.report()
    assert report.dependencies["whatsapp"] == Dependency(status="timeout", error="timeout")
    assert report.dependencies["gemini"].status == "timeout"
    assert report.dependencies[DATABASE].status == "ok"
    await health.aclose()


async def test_one_that_does_not_even_give_up_in_time_keeps_nobody_waiting(make):
    goes = asyncio.Event()

    async def stubborn():
        try:
            return await hangs()
        finally:
            await goes.wait()

    health = make(within=0.05, whatsapp=stubborn)
    async with asyncio.timeout(10):
        assert (await health.report()).status == "degraded"
    goes.set()
    await health.aclose()


async def test_many_who_ask_at_once_ask_each_dependency_once(make):
    database, whatsapp = Asked(), Asked()
    health = make(database, whatsapp=whatsapp)
    await asyncio.gather(*(health.report() for _ in range(200)))
    assert (database.times, whatsapp.times) == (1, 1)


async def test_an_answer_is_good_for_two_seconds(make, ticks):
    whatsapp = Asked()
    health = make(whatsapp=whatsapp)
    await health.report()
    ticks.at += 1.9
    await health.report()
    assert whatsapp.times == 1
    whatsapp.answer = WhatsAppError()
    ticks.at += 0.2
    assert (await health.report()).status == "degraded"
    assert whatsapp.times == 2


async def test_who_leaves_does_not_end_the_round_for_the_others(make):
    goes = asyncio.Event()

    async def slow():
        await goes.wait()
        return True

    health = make(whatsapp=slow)
    first, second = asyncio.create_task(health.report()), asyncio.create_task(health.report())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    goes.set()
    assert (await second).status == "ok"


async def test_a_bug_in_a_check_is_raised_anew_each_time(make):
    health = make(whatsapp=Asked(ZeroDivisionError("a bug")))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await health.report()
