"""The list of running processes: who lives is in it, who is silent for ten seconds is not."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from builders import execute
from inbox.ports.cache import CacheStats
from inbox.ports.monitoring import CircuitState, Process, ProcessKind, ProcessReport

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REPORT = ProcessReport(
    circuits={
        "gemini": CircuitState(
            name="gemini_api",
            state="open",
            failure_count=5,
            success_count=0,
            last_failure_time=NOW,
            opened_at=NOW,
            rejected_count=3,
        )
    },
    cache=CacheStats(size=1, keys=["me:1"], families=[]),
)


def a_process() -> Process:
    return Process(id=uuid4(), kind=ProcessKind.WORKER, host="h", pid=1, version="1", started_at=NOW)


async def test_a_report_comes_back_as_it_was_given(database):
    process = a_process()
    await database.operations.report(process, ProcessReport())
    await database.operations.report(process, REPORT)
    (found,) = await database.operations.processes()
    assert (found.process, found.report) == (process, REPORT)


async def test_who_is_silent_counts_as_gone_and_is_swept_by_the_others_in_small_steps(engine, database):
    for _ in range(25):
        await database.operations.report(a_process(), REPORT)
    await execute(engine, "update processes set seen_at = now() - interval '11 s'")
    assert await database.operations.processes() == []
    alive = a_process()
    left = []
    for _ in range(3):
        await database.operations.report(alive, REPORT)
        left.append((await execute(engine, "select count(*) from processes"))[0].count)
    assert left == [6, 1, 1]
    assert [live.process for live in await database.operations.processes()] == [alive]


async def test_who_comes_back_after_a_long_pause_is_there_again(engine, database):
    process = a_process()
    await database.operations.report(process, REPORT)
    await execute(engine, "update processes set seen_at = now() - interval '1 h'")
    await database.operations.report(process, REPORT)
    assert [live.process for live in await database.operations.processes()] == [process]


async def test_many_may_report_and_sweep_at_once(engine, database):
    for _ in range(40):
        await database.operations.report(a_process(), REPORT)
    await execute(engine, "update processes set seen_at = now() - interval '11 s'")
    alive = [a_process() for _ in range(10)]
    await asyncio.gather(*(database.operations.report(process, REPORT) for process in alive for _ in range(3)))
    assert len(await database.operations.processes()) == 10
    assert (await execute(engine, "select count(*) from processes"))[0].count == 10


async def test_who_leaves_is_gone_at_once(database):
    process = a_process()
    await database.operations.report(process, REPORT)
    await database.operations.leave(process.id)
    await database.operations.leave(process.id)
    assert await database.operations.processes() == []


async def test_others_are_those_who_were_heard_of_and_are_not_oneself(engine, database):
    this, other = a_process(), a_process()
    assert not await database.operations.has_others(None)
    await database.operations.report(this, REPORT)
    assert not await database.operations.has_others(this.id)
    assert await database.operations.has_others(None)
    await database.operations.report(other, REPORT)
    assert await database.operations.has_others(this.id)
    await execute(engine, "update processes set seen_at = now() - interval '9 s' where id = :id", id=other.id)
    assert await database.operations.has_others(this.id)
    await execute(engine, "update processes set seen_at = now() - interval '11 s' where id = :id", id=other.id)
    assert not await database.operations.has_others(this.id)


@pytest.mark.parametrize("report", ['{"circuits": 7}', "[]", '"text"', '{"cache": {"size": "many"}}'])
async def test_the_report_of_another_version_is_empty_and_hides_nobody(engine, database, report):
    process = a_process()
    await database.operations.report(process, REPORT)
    await execute(engine, "update processes set report = cast(:report as jsonb)", report=report)
    (found,) = await database.operations.processes()
    assert (found.process, found.report) == (process, ProcessReport())
