"""What waits while WhatsApp or the model is out of reach, how long, and what makes it go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from builders import a_conversation, a_queued_message, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain import bot as rules
from inbox.domain.errors import CircuitOpen
from inbox.domain.outbound import State
from inbox.domain.upstream_errors import AccountProblem, NothingSent, TryLater
from inbox.domain.work import WorkKind
from inbox.ports.events import Wanted
from services.bot_scene import Scene, ago
from services.delivery_scene import MINUTE, SECOND, Special, deliver, due_in
from services.scenes import claimed, is_done, lose_lease

OPEN = CircuitOpen("gemini", retry_after=60)

# --- turns ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    return await Scene(database, engine, account, clock).begin()


async def due(scene: Scene) -> timedelta:
    (row,) = await execute(scene.engine, "select due - now() as due_in from lanes where kind = 'turn' and ver > done")
    wait: timedelta = row.due_in
    return wait


async def test_a_turn_that_meets_an_open_circuit_waits_and_nobody_is_told(scene: Scene) -> None:
    scene.assistant.then(OPEN)
    assert await scene.turn_after("Bonjour") == "waits"
    assert (await scene.row()).handed_over_at is None
    assert (await scene.said(), await scene.turns()) == ([], [("open", None)])
    assert 28 * SECOND < await due(scene) <= 30 * SECOND
    assert await execute(scene.engine, "select 1 from lanes where kind = 'turn' and retries = 0"), "nothing has failed"


async def test_when_the_model_may_be_there_again_the_turn_goes_on_at_once(scene: Scene) -> None:
    bot = scene.bot()
    scene.assistant.then(OPEN)
    await scene.customer_writes("Bonjour")
    assert await bot.work(await scene.lane()) == "waits"
    assert await is_done(scene.database, WorkKind.TURN)
    await bot.resume(1)
    assert await bot.work(await scene.lane()) == "answered"
    assert await scene.said() == ["Vous avez écrit : Bonjour"]


async def test_a_customer_waits_half_a_minute_at_most_then_a_person_goes_on(scene: Scene) -> None:
    scene.assistant.then(OPEN, OPEN)
    assert await scene.turn_after("Bonjour") == "waits"
    scene.clock.forward(seconds=31)
    await lose_lease(scene.engine)
    assert await scene.turn() == "handed_over"
    row = await scene.row()
    assert (row.bot_enabled, row.handover_reason) == (True, "model_unavailable")
    assert (await scene.said(), await scene.turns()) == ([rules.FALLBACK], [("handed_over", "circuit_open")])


async def test_a_customer_who_goes_on_writing_waits_no_longer_for_the_model(scene: Scene) -> None:
    scene.assistant.then(OPEN, OPEN, OPEN)
    assert await scene.turn_after("Bonjour") == "waits"
    scene.clock.forward(seconds=20)
    await lose_lease(scene.engine)
    assert await scene.turn_after("Vous êtes là ?") == "waits"
    assert await due(scene) <= 10 * SECOND
    assert await scene.turns() == [("dropped", "overtaken"), ("open", None)]
    scene.clock.forward(seconds=11)
    await lose_lease(scene.engine)
    assert await scene.turn_after("Allô ?") == "handed_over"
    assert await scene.said() == [rules.FALLBACK]
    assert [state for state, _ in await scene.turns()] == ["dropped", "dropped", "handed_over"]


async def test_what_waited_too_long_for_the_model_is_for_a_person_whatever_follows(scene: Scene) -> None:
    scene.assistant.then(OPEN)
    assert await scene.turn_after("Bonjour") == "waits"
    scene.clock.forward(seconds=121)
    await lose_lease(scene.engine)
    assert await scene.turn_after("Vous êtes là ?") == "handed_over"
    assert (await scene.turns())[-1] == ("handed_over", "too_old")
    assert await scene.turn_after("Allô ?") == "answered"


async def test_a_message_that_is_old_already_does_not_wait_for_the_model(scene: Scene) -> None:
    scene.assistant.then(OPEN)
    await scene.customer_writes("Bonjour", at=ago(seconds=40))
    assert await scene.turn() == "handed_over"


async def test_as_many_turns_go_on_as_there_is_room_for_the_oldest_first(
    database, engine, account, clock, scene: Scene
) -> None:
    second = await Scene(database, engine, account, clock).begin()
    scene.assistant.then(OPEN, OPEN)
    bot = scene.bot()
    for customer in (scene, second):
        await customer.customer_writes("Bonjour")
        assert await bot.work(await claimed(database, WorkKind.TURN)) == "waits"
    await bot.resume(1)
    assert [lane.key for lane in await database.work.claim(WorkKind.TURN, 5)] == [str(scene.conversation)]
    await bot.resume(None)
    assert [lane.key for lane in await database.work.claim(WorkKind.TURN, 5)] == [str(second.conversation)]


# --- sends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [NothingSent("refused"), TryLater("service", graph_code=2)])
async def test_what_an_outage_put_off_goes_on_when_whatsapp_may_be_there_again(
    engine, database, make, sender, message, error
) -> None:
    await execute(engine, "update outbox set attempt = 8")
    await execute(engine, "update lanes set retries = 8")
    outbound = make()
    sender.fail_next(error)
    assert await deliver(outbound, database) is State.QUEUED
    assert await due_in(engine) > 2 * SECOND
    await outbound.resume(None)
    assert await deliver(outbound, database) is State.ACCEPTED
    assert len(sender.sent) == 1


@pytest.mark.parametrize(
    "error",
    [TryLater("pair", retry_after=9), TryLater("service", retry_after=9), AccountProblem("token")],
    ids=["a throttle", "a time that WhatsApp named", "a bad token"],
)
async def test_what_waits_for_something_else_goes_on_waiting(engine, database, make, sender, message, error) -> None:
    outbound = make()
    sender.fail_next(error)
    await deliver(outbound, database)
    await outbound.resume(None)
    assert await due_in(engine) > 8 * SECOND


async def test_what_somebody_works_on_is_left_alone(engine, database, make, sender, message) -> None:
    outbound = make()
    sender.fail_next(NothingSent("refused"))
    await deliver(outbound, database)
    await lose_lease(engine)
    await claimed(database, WorkKind.SEND)
    await outbound.resume(None)
    assert await is_done(database, WorkKind.SEND)


# --- the answer to who sent -------------------------------------------------------------------------------------------


class Deaf(MemoryEvents):
    """A bus that nothing comes out of."""

    @asynccontextmanager
    async def subscribe(self, wanted: Wanted | None = None) -> AsyncIterator[AsyncIterator[Any]]:
        async def nothing() -> AsyncIterator[Any]:
            await asyncio.Event().wait()
            yield None

        yield nothing()


@pytest.mark.parametrize(
    "error", [CircuitOpen("whatsapp", retry_after=20), TryLater("app", retry_after=120), AccountProblem("no token")]
)
@pytest.mark.parametrize("bus", [None, Deaf()], ids=["told by the bus", "found by looking"])
async def test_who_waits_for_a_send_hears_at_once_that_it_was_given_back(
    database, make, account, message, error, bus
) -> None:
    """The one who waits and the one who sends share nothing but the database and the bus: two processes."""
    web, worker = make(), make(Special(before=error))
    if bus is not None:
        web._events = bus  # deaf
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(web.outcome(account.account_id, message, within=3600))
        assert await deliver(worker, database) is State.QUEUED
        outcome = await waiting
    assert (outcome.state, outcome.is_postponed) == ("queued", True)


async def test_a_message_behind_one_that_was_given_back_is_not_waited_for(
    engine, database, make, account, conversation, message
) -> None:
    await deliver(make(Special(before=CircuitOpen("whatsapp", retry_after=20))), database)
    follower = await a_queued_message(engine, account.account_id, conversation)
    async with asyncio.timeout(10):
        assert (await make().outcome(account.account_id, follower, within=3600)).state == "queued"


async def test_a_message_that_somebody_tries_again_is_waited_for(
    engine, database, make, sender, account, message
) -> None:
    await deliver(make(Special(before=NothingSent("refused"))), database)
    await lose_lease(engine)
    taken = await database.outbox.take_heads([await claimed(database, WorkKind.SEND)])
    assert not (await database.queries.outcome(account.account_id, message)).is_postponed
    await make().deliver(taken[0].head, taken[0].lane)
    assert (await make().outcome(account.account_id, message, within=3600)).state == "accepted"


async def test_a_paused_account_is_not_waited_for(engine, database, make, account, message) -> None:
    await execute(engine, "update whatsapp_accounts set paused_at = now()")
    assert await deliver(make(), database) is State.QUEUED
    assert 59 * SECOND < await due_in(engine) <= MINUTE
    async with asyncio.timeout(10):
        assert (await make().outcome(account.account_id, message, within=3600)).state == "queued"


async def test_a_number_that_rests_is_not_waited_for_and_one_that_only_takes_turns_is(
    engine, database, make, account, message
) -> None:
    for seconds, is_postponed in ((1.3, False), (3.9, True)):
        await execute(
            engine,
            """insert into number_paces (account_id, free_at) values (:id, now() + make_interval(secs => :seconds))
               on conflict (account_id) do update set free_at = excluded.free_at""",
            seconds=seconds,
            id=account.account_id,
        )
        assert (await database.queries.outcome(account.account_id, message)).is_postponed == is_postponed
    async with asyncio.timeout(10):
        assert (await make().outcome(account.account_id, message, within=3600)).state == "queued"


async def test_another_conversation_is_none_of_its_business(engine, database, make, account, message) -> None:
    await deliver(make(Special(before=CircuitOpen("whatsapp", retry_after=20))), database)
    other = await a_queued_message(engine, account.account_id, await a_conversation(engine, account.account_id))
    assert not (await database.queries.outcome(account.account_id, other)).is_postponed
