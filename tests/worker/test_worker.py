"""The loops, end to end: what comes in is answered, whatever happens beside it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from builders import a_queued_message, execute, until
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.domain.content import Text
from inbox.domain.errors import LeaseLost
from inbox.domain.outbound import State
from inbox.domain.work import Lane, WorkKind
from inbox.entrypoints.queue_gauges import QueueGauges
from inbox.services.outbound import Outbound
from services.file_scene import no_files
from services.rights_scene import forgetful
from services.scenes import customer_writes
from worker.house import QUICK, House, Silent, running

ANSWERED = "select 1 from outbox where state = 'accepted'"


@pytest.fixture
def house(database, engine, signals, clock) -> House:
    return House(database, engine, signals, clock)


async def queued(house: House, account, text: str) -> None:
    """A person's message in a conversation of its own."""
    conversation, _ = await house.a_talk(account, bot_enabled=False)
    await a_queued_message(house.engine, account.account_id, conversation, content=Text(body=text))


def accepted(count: int) -> str:
    return f"select 1 from outbox where state = 'accepted' having count(*) = {count}"  # noqa: S608 - a number


# --- from end to end --------------------------------------------------------------------------------------------------


async def test_a_customer_who_writes_is_answered(house: House, account) -> None:
    _, number = await house.a_talk(account)
    async with running(house.worker()):
        await house.customer_writes(account, number, "Avez-vous des cerises ?")
        await house.until(ANSWERED)
    (sent,) = house.sender.sent
    assert (sent.to.wa_id, sent.content) == (number, Text(body="Vous avez écrit : Avez-vous des cerises ?"))
    assert (house.done("ingest", "done"), house.done("turn", "answered")) == (1, 1)
    assert house.done("send", "accepted") == 1


async def test_looking_alone_is_enough(database, engine, clock, account) -> None:
    house = House(database, engine, Silent(), clock)
    _, number = await house.a_talk(account)
    async with running(house.worker()):
        await house.customer_writes(account, number, "Bonjour")
        await house.until(ANSWERED)
    assert len(house.sender.sent) == 1


async def test_hints_alone_are_fast(house: House, account) -> None:
    _, number = await house.a_talk(account)
    failpoints = Failpoints()
    watched = FaultyDatabase(house.database, failpoints)
    async with running(house.worker(msgspec.structs.replace(QUICK, poll=300.0), database=watched)):
        await house.until_true(lambda: failpoints.hits("work.claim:before") == len(WorkKind))
        await house.customer_writes(account, number, "Bonjour")
        await house.until(ANSWERED)


async def test_several_workers_answer_everybody_once(house: House, account) -> None:
    talks = [await house.a_talk(account) for _ in range(12)]
    async with running(house.worker(), house.worker(), house.worker()):
        await asyncio.gather(*(house.customer_writes(account, number, number) for _, number in talks))
        await house.until(accepted(12))
    assert house.sender.texts() == sorted(f"Vous avez écrit : {number}" for _, number in talks)
    assert await execute(house.engine, "select 1 from lanes where ver > done") == []


# --- nobody waits for a stranger --------------------------------------------------------------------------------------


async def test_a_send_that_hangs_holds_up_its_own_conversation_only(house: House, account) -> None:
    slow, _ = await house.a_talk(account, bot_enabled=False)
    for text in ("hangs", "behind it"):
        await a_queued_message(house.engine, account.account_id, slow, content=Text(body=text))
    house.sender.behind.add("hangs")
    _, number = await house.a_talk(account)
    async with running(house.worker()):
        await house.sender.holds.wait()
        await queued(house, account, "quick")
        await house.customer_writes(account, number, "Bonjour")
        await house.until(accepted(2))
        assert house.sender.texts() == ["Vous avez écrit : Bonjour", "quick"]
        assert (await house.states())["behind it"] == "queued"
        house.sender.let_go.set()
        await house.until(accepted(4))


async def test_no_more_is_sent_at_once_than_allowed(house: House, account) -> None:
    texts = {f"{n}" for n in range(5)}
    house.sender.behind |= texts
    for text in texts:
        await queued(house, account, text)
    _, number = await house.a_talk(account)
    async with running(house.worker(msgspec.structs.replace(QUICK, sends=2))):
        await house.customer_writes(account, number, "Bonjour")
        await house.until("select 1 from bot_turns where state = 'answered'")
        await house.until("select 1 from outbox where state = 'wire' having count(*) = 2")
        assert len(house.sender.held) == 2
        house.sender.let_go.set()
        await house.until(accepted(6))


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_a_stop_lets_the_send_on_the_wire_end_and_begins_no_other(house: House, account) -> None:
    house.sender.behind.add("on the wire")
    await queued(house, account, "on the wire")
    worker = house.worker(msgspec.structs.replace(QUICK, sends=1))
    async with running(worker) as (run,):
        await house.sender.holds.wait()
        await queued(house, account, "too late")
        worker.stop()
        assert not run.done()
        house.sender.let_go.set()
        await run
    assert await house.states() == {"on the wire": "accepted", "too late": "queued"}


@pytest.mark.parametrize(("side", "state"), [("behind", "unknown"), ("before", "queued")])
async def test_what_does_not_end_in_time_is_written_down_before_the_worker_is_gone(
    house: House, account, side: str, state: str
) -> None:
    getattr(house.sender, side).add("hangs")
    await queued(house, account, "hangs")
    worker = house.worker(msgspec.structs.replace(QUICK, sends=1, drain=0.01))
    async with running(worker) as (run,):
        await house.sender.holds.wait()
        worker.stop()
        await run
        assert await house.states() == {"hangs": state}


async def test_a_worker_that_is_cancelled_leaves_no_send_behind(house: House, account) -> None:
    house.sender.behind.add("hangs")
    await queued(house, account, "hangs")
    before = asyncio.all_tasks()
    async with running(house.worker()) as (run,):
        await house.sender.holds.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await house.states() == {"hangs": "unknown"}
        assert asyncio.all_tasks() == before


async def test_a_stop_leaves_nothing_in_doubt(house: House, account) -> None:
    for n in range(20):
        await queued(house, account, f"{n}")
    worker = house.worker(msgspec.structs.replace(QUICK, sends=3))
    async with running(worker) as (run,):
        await house.until(ANSWERED)
        worker.stop()
        await run
    states = await house.states()
    assert set(states.values()) <= {"accepted", "queued"}
    assert len(house.sender.sent) == sum(state == "accepted" for state in states.values())


# --- failures ---------------------------------------------------------------------------------------------------------


async def test_a_bug_in_one_send_stops_neither_the_others_nor_the_loop(house: House, account) -> None:
    house.sender.bugs.add("broken")
    for text in ("broken", "good"):
        await queued(house, account, text)
    async with running(house.worker()):
        await house.until(accepted(1))
        await house.until("select 1 from lanes where attempts = 1 and due > now()")
        await queued(house, account, "later")
        await house.until(accepted(2))
        await house.until_done("send", "bug", 1)
        house.sender.bugs.clear()
        await house.time_passes()
        await house.until(accepted(3))
    assert house.sender.texts() == ["broken", "good", "later"]


async def test_a_row_that_nobody_can_read_stops_neither_the_others_nor_the_loop(house: House, account) -> None:
    for text in ("broken", "good"):
        await queued(house, account, text)
    await execute(
        house.engine, """update messages set content = '{"type": "of tomorrow"}' where content_text = 'broken'"""
    )
    async with running(house.worker()):
        await house.until("select 1 from outbox where state = 'claimed' having count(*) = 2")
        await house.time_passes()
        await house.until(accepted(1))
        await queued(house, account, "later")
        await house.until(accepted(2))
    assert house.sender.texts() == ["good", "later"]


async def test_a_bug_in_one_turn_is_tried_again_and_then_given_to_a_person(house: House, account) -> None:
    class Broken:
        async def complete(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - never
            raise ZeroDivisionError("a bug in the adapter of a model")

    house.assistant = Broken()  # type: ignore[assignment]
    _, number = await house.a_talk(account)
    async with running(house.worker()):
        await house.customer_writes(account, number, "Bonjour")
        for attempts in range(1, 5):
            await house.until(f"select 1 from lanes where kind = 'turn' and attempts = {attempts} and due > now()")  # noqa: S608
            await house.until_done("turn", "bug", attempts)
            await house.time_passes()
        await house.until(ANSWERED)
    (row,) = await execute(house.engine, "select bot_enabled, handover_reason from conversations")
    assert (row.bot_enabled, row.handover_reason) == (True, "model_unavailable")


async def test_after_many_failures_of_the_database_a_turn_is_still_looked_at_every_few_seconds(
    house: House, account
) -> None:
    _, number = await house.a_talk(account)
    await customer_writes(house.database, account, number, "Bonjour")
    await execute(house.engine, "update lanes set retries = 20 where kind = 'turn'")
    flaky = FaultyDatabase(house.database, Failpoints.parse("commit.open_turn:before=raise@1"))
    async with running(house.worker(database=flaky)):
        await until(house.engine, "select 1 from lanes where kind = 'turn' and retries = 21")
        assert await execute(house.engine, "select 1 from lanes where kind = 'turn' and due < now() + interval '5 s'")


class Odd:
    """A database with bugs of its own: each method of `work` that is named fails once."""

    def __init__(self, inner: Any, *names: str) -> None:  # noqa: ANN401 - any database
        self.deliveries, self.queries, self.outbox = inner.deliveries, inner.queries, inner.outbox
        self.team, self.operations = inner.team, inner.operations
        self.archive, self.retention = inner.archive, inner.retention
        self.bot, self.knowledge = inner.bot, inner.knowledge
        self.event_log, self.tickets = inner.event_log, inner.tickets
        self.transaction = inner.transaction
        self.work = self
        self.failed: list[str] = []
        self._inner = inner.work
        self._left = list(names)

    def _fail(self, name: str) -> None:
        if name in self._left:
            self._left.remove(name)
            self.failed.append(name)
            raise ZeroDivisionError(name)

    async def claim(
        self, kind: WorkKind, limit: int, *, untried: bool = False, now: datetime | None = None
    ) -> list[Lane]:
        self._fail("claim")
        found: list[Lane] = await self._inner.claim(kind, limit, untried=untried, now=now)
        return found

    async def extend(self, lanes: Sequence[Lane]) -> None:
        self._fail("extend")
        await self._inner.extend(lanes)

    async def finish(self, lanes: Sequence[Lane]) -> None:
        await self._inner.finish(lanes)

    async def retry(self, lane: Lane, after: timedelta) -> None:
        self._fail("retry")
        await self._inner.retry(lane, after)

    async def put_off(self, lane: Lane, after: timedelta) -> None:
        await self._inner.put_off(lane, after)


async def test_a_bug_anywhere_in_the_worker_does_not_end_it(house: House, account) -> None:
    odd = Odd(house.database, "claim", "claim", "extend", "retry")
    flaky = FaultyDatabase(odd, Failpoints.parse("deliveries.read:before=raise@1"))  # type: ignore[arg-type]
    _, number = await house.a_talk(account)
    house.sender.behind.add("Vous avez écrit : Bonjour")
    async with running(house.worker(msgspec.structs.replace(QUICK, heartbeat=0.01), database=flaky)):
        await house.customer_writes(account, number, "Bonjour")
        await house.until("select 1 from lanes where kind = 'ingest' and attempts = 1")
        await house.until_true(lambda: "retry" in odd.failed)
        await house.time_passes()
        await house.sender.holds.wait()
        await house.until_true(lambda: "extend" in odd.failed)
        house.sender.let_go.set()
        await house.until(ANSWERED)
    assert sorted(odd.failed) == ["claim", "claim", "extend", "retry"]


async def test_a_moment_without_a_database_is_over_when_it_is_over(house: House, account) -> None:
    points = (
        "work.claim:before=raise@1,work.claim:before=raise@2,deliveries.read:before=raise@1,commit.apply:before=raise@1,"
        "tx.open_turn:before=raise@1,commit.close_turn:before=raise@1,outbox.take_heads:before=raise@1,"
        "outbox.to_wire:before=raise@1,outbox.settle:before=raise@1,outbox.reap:before=raise@1"
    )
    failpoints = Failpoints.parse(points)
    _, number = await house.a_talk(account)
    async with running(house.worker(database=FaultyDatabase(house.database, failpoints))):
        await house.customer_writes(account, number, "Bonjour")
        await house.until(ANSWERED)
    assert all(failpoints.hits(point.partition("=")[0]) > 1 for point in points.split(","))
    assert len(house.sender.sent) == 1
    assert len(await execute(house.engine, "select 1 from messages")) == 2


async def test_whoever_lost_a_lease_lets_it_go(house: House, account) -> None:
    class Late(Outbound):
        async def deliver(self, outgoing: Any, lane: Any) -> State:  # noqa: ANN401 - the port's
            if outgoing.content == Text(body="lost"):
                raise LeaseLost
            return await super().deliver(outgoing, lane)

    await queued(house, account, "lost")
    files = no_files(house.database, house.clock)
    outbound = Late(house.database, forgetful(house.database), house.sender, house.signals, house.clock, files)
    async with running(house.worker(outbound=outbound)):
        await queued(house, account, "kept")
        await house.until(accepted(1))
        await house.until("select 1 from lanes where attempts = 1")
        await house.until_done("send", "lease_lost", 1)
    assert house.sender.texts() == ["kept"]


# --- keepers ----------------------------------------------------------------------------------------------------------


async def test_a_long_send_keeps_its_lease(house: House, account) -> None:
    house.sender.before.add("long")
    await queued(house, account, "long")
    async with running(house.worker(msgspec.structs.replace(QUICK, heartbeat=0.01))):
        await house.sender.holds.wait()
        await execute(house.engine, "update lanes set due = now() + interval '1 s'")
        await house.until("select 1 from lanes where due > now() + interval '20 s'")
        assert await house.database.work.claim(WorkKind.SEND, 10) == []
        house.sender.let_go.set()
        await house.until(ANSWERED)
    assert house.sender.held == ["long"]


async def test_what_dead_workers_left_is_ended_and_what_waits_behind_goes_on(house: House, account) -> None:
    conversation, _ = await house.a_talk(account, bot_enabled=False)
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    for text, state, at in (("left", State.WIRE, long_ago), ("behind", State.QUEUED, None)):
        await a_queued_message(
            house.engine, account.account_id, conversation, content=Text(body=text), state=state, wire_at=at
        )
    async with running(house.worker()):
        await house.until("select 1 from outbox where state = 'unknown'")
        await execute(house.engine, "update outbox set updated_at = now() - interval '20 s' where state = 'unknown'")
        await house.until(ANSWERED)
    assert await house.states() == {"left": "unknown", "behind": "accepted"}
    assert house.sender.texts() == ["behind"]


async def test_the_age_of_a_queue_is_zero_again_when_it_is_empty(house: House, account) -> None:
    def age() -> float | None:
        return house.metrics.registry.get_sample_value("inbox_queue_age_seconds", {"kind": "send"})

    await queued(house, account, "old")
    await execute(house.engine, "update lanes set due = now() - interval '1 hour'")
    gauges = QueueGauges(house.database, house.metrics)
    await gauges.read()
    assert (age() or 0) > 3_500
    await execute(house.engine, "update lanes set done = ver")
    await gauges.read()
    assert age() == 0


async def test_a_worker_that_was_stopped_before_it_began_does_nothing(house: House, account) -> None:
    await queued(house, account, "never")
    worker = house.worker()
    worker.stop()
    async with asyncio.timeout(5):
        await worker.run()
    assert await house.states() == {"never": "queued"}
    assert len(house.sender.sent) == 0
