"""Deliveries that operators look after: replayed they count once, and what fails again is set aside again."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import CUSTOMER, a_body, a_status
from builders import a_conversation, a_delivery, a_quarantined_delivery, an_account, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import PermissionDenied
from inbox.domain.ids import DeliveryId
from inbox.domain.upstream_errors import DeliveryNotFound, DeliveryNotSetAside
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.ports.deliveries import Selection, Which
from inbox.services.deliveries import Deliveries
from services.ingest_scene import deliver, heard, ingest, set_aside, states, texts
from services.scenes import claimed, is_done
from services.team_scene import somebody, trail

STRANGE = "10677000001"
"""A number that no account has yet."""
ASIDE = Selection(which=Which.SET_ASIDE)


@pytest.fixture
async def actor(engine: AsyncEngine) -> Actor:
    return await somebody(engine, Permission.SETTINGS_MANAGE)


@pytest.fixture
def deliveries(database: Database) -> Deliveries:
    return Deliveries(database)


async def work(database: Database) -> None:
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])


async def ids(engine: AsyncEngine) -> list[DeliveryId]:
    return [DeliveryId(row.id) for row in await execute(engine, "select id from deliveries order by id")]


async def unread(engine: AsyncEngine) -> int:
    return sum(row.unread_count for row in await execute(engine, "select unread_count from conversations"))


async def test_a_number_that_is_connected_later_gets_its_messages_exactly_once(
    database: Database, engine: AsyncEngine, deliveries: Deliveries, actor: Actor
) -> None:
    await deliver(engine, texts(STRANGE, "un", "deux"))
    await work(database)
    assert (await heard(engine), await set_aside(engine)) == ([], [(0, "unknown_number"), (1, "unknown_number")])
    await an_account(engine, phone_number_id=STRANGE)
    reason = Selection(which=Which.SET_ASIDE, reason="unknown_number")
    assert (await deliveries.replay_all(actor, reason)).replayed == 1
    await work(database)
    assert (await heard(engine), await set_aside(engine), await unread(engine)) == (["deux", "un"], [], 2)
    assert (await deliveries.replay_all(actor, reason)).replayed == 0


async def test_what_is_done_can_be_replayed_and_counts_nothing_twice(
    database: Database, engine: AsyncEngine, account: Channel, deliveries: Deliveries, actor: Actor
) -> None:
    await a_conversation(engine, account.account_id, client_number=CUSTOMER, bot_enabled=True)
    await deliver(engine, texts(account.phone_number_id, "un"))
    await work(database)
    turns = "select ver from lanes where kind = 'turn'"
    before = (await unread(engine), [row.ver for row in await execute(engine, turns)])
    (delivery,) = await ids(engine)
    assert await deliveries.replay(actor, delivery) == 1
    assert await states(engine) == [("open", None)]
    await work(database)
    assert (await heard(engine), await states(engine)) == (["un"], [("done", None)])
    assert (await unread(engine), [row.ver for row in await execute(engine, turns)]) == before
    assert [row.replays for row in await execute(engine, "select replays from deliveries")] == [1]


async def test_what_fails_again_is_set_aside_again(
    database: Database, engine: AsyncEngine, number: str, deliveries: Deliveries, actor: Actor
) -> None:
    poison = a_status("failed", id="wamid.poison", errors=[{"code": 2**40, "title": "Odd"}])
    await deliver(engine, a_body(statuses=[poison], number=number))
    await work(database)
    first = (await set_aside(engine), await states(engine))
    assert first[0] == [(0, "unstorable")]
    (delivery,) = await ids(engine)
    await deliveries.replay(actor, delivery)
    assert await set_aside(engine) == []
    await work(database)
    assert (await set_aside(engine), await states(engine)) == first
    assert [row.id for row in await deliveries.listed(actor, ASIDE, limit=10)] == [delivery]


async def test_a_delivery_that_killed_workers_gets_new_tries(
    database: Database, engine: AsyncEngine, number: str, deliveries: Deliveries, actor: Actor
) -> None:
    await deliver(engine, texts(number, "un"))
    await work(database)
    (delivery,) = await ids(engine)
    await execute(engine, "update deliveries set state = 'quarantined', reason = 'worker_died', tries = 5")
    await deliveries.replay(actor, delivery)
    assert [row.tries for row in await execute(engine, "select tries from deliveries")] == [0]


async def test_replaying_wakes_the_worker_and_says_who_did_it(
    database: Database, engine: AsyncEngine, deliveries: Deliveries, actor: Actor, signals: MemoryEvents
) -> None:
    delivery = await a_quarantined_delivery(engine)
    async with signals.subscribe() as heard_of:
        await deliveries.replay(actor, delivery)
        assert (await anext(aiter(heard_of))).kind is WorkKind.INGEST  # type: ignore[union-attr]
    assert not await is_done(database, WorkKind.INGEST)
    assert await trail(engine) == [("delivery.replayed", actor.user_id, str(delivery), "{}")]


async def test_an_open_delivery_is_not_opened_again(engine: AsyncEngine, deliveries: Deliveries, actor: Actor) -> None:
    delivery = await a_delivery(engine)
    assert await deliveries.replay(actor, delivery) == 0
    assert [row.replays for row in await execute(engine, "select replays from deliveries")] == [0]


async def test_many_are_replayed_in_parts_and_each_part_says_where_to_go_on(
    engine: AsyncEngine, deliveries: Deliveries, actor: Actor
) -> None:
    made = [await a_quarantined_delivery(engine) for _ in range(5)]
    first = await deliveries.replay_all(actor, ASIDE, limit=3)
    assert (first.replayed, first.next) == (3, made[2])
    second = await deliveries.replay_all(actor, ASIDE, limit=3, before=first.next)
    assert (second.replayed, second.next) == (2, None)
    assert await states(engine) == [("open", None)] * 5


async def test_a_replay_is_for_one_reason_only(engine: AsyncEngine, deliveries: Deliveries, actor: Actor) -> None:
    await a_quarantined_delivery(engine, "one")
    await a_quarantined_delivery(engine, "other")
    await deliveries.replay_all(actor, Selection(which=Which.QUARANTINED, reason="one"))
    assert await states(engine) == [("open", None), ("quarantined", "other")]


async def test_what_is_discarded_waits_for_nobody_and_can_still_be_replayed(
    database: Database, engine: AsyncEngine, deliveries: Deliveries, actor: Actor
) -> None:
    delivery = await a_quarantined_delivery(engine)
    assert (await database.operations.deliveries()).quarantined == 1
    await deliveries.discard(actor, delivery)
    assert await states(engine) == [("quarantined", "discarded")]
    assert await deliveries.listed(actor, ASIDE, limit=10) == []
    assert (await database.operations.deliveries()).quarantined == 0
    assert await trail(engine) == [("delivery.discarded", actor.user_id, str(delivery), "{}")]
    with pytest.raises(DeliveryNotSetAside):
        await deliveries.discard(actor, delivery)
    assert await deliveries.replay(actor, delivery) == 1


async def test_the_items_of_a_done_delivery_are_discarded_with_it(
    database: Database, engine: AsyncEngine, deliveries: Deliveries, actor: Actor
) -> None:
    await deliver(engine, texts(STRANGE, "un"))
    await work(database)
    (delivery,) = await ids(engine)
    assert (await database.operations.deliveries()).quarantined_items == 1
    await deliveries.discard(actor, delivery)
    assert await states(engine) == [("done", "discarded")]
    assert await deliveries.listed(actor, ASIDE, limit=10) == []
    assert (await database.operations.deliveries()).quarantined_items == 0


@pytest.mark.parametrize("state", ["open", "done"])
async def test_where_nothing_was_set_aside_nothing_is_discarded(
    engine: AsyncEngine, deliveries: Deliveries, actor: Actor, state: str
) -> None:
    delivery = await a_delivery(engine)
    await execute(engine, "update deliveries set state = :state", state=state)
    with pytest.raises(DeliveryNotSetAside):
        await deliveries.discard(actor, delivery)
    assert await states(engine) == [(state, None)]


async def test_what_nobody_delivered_is_missing(deliveries: Deliveries, actor: Actor) -> None:
    for act in (deliveries.inspect, deliveries.replay, deliveries.discard):
        with pytest.raises(DeliveryNotFound):
            await act(actor, DeliveryId(1))


async def test_a_right_for_one_account_is_not_enough(
    engine: AsyncEngine, deliveries: Deliveries, account: Channel
) -> None:
    delivery = await a_quarantined_delivery(engine)
    nearly = await somebody(engine, *(code for code in Permission if code is not Permission.SETTINGS_MANAGE))
    for act in (deliveries.inspect, deliveries.replay, deliveries.discard):
        with pytest.raises(PermissionDenied):
            await act(nearly, delivery)
    with pytest.raises(PermissionDenied):
        await deliveries.listed(nearly, ASIDE, limit=1)
    with pytest.raises(PermissionDenied):
        await deliveries.replay_all(nearly, ASIDE)
    assert await states(engine) == [("quarantined", "unreadable")]


async def test_the_list_is_newest_first_and_goes_on_behind_a_delivery(
    database: Database, engine: AsyncEngine, deliveries: Deliveries, actor: Actor
) -> None:
    await deliver(engine, texts(STRANGE, "un"))
    await work(database)
    (partly,) = await ids(engine)
    whole, gone, unrouted = [await a_quarantined_delivery(engine, "odd") for _ in range(3)]
    await execute(engine, "update deliveries set state = 'unrouted' where id = :id", id=unrouted)
    done, fresh = [await a_delivery(engine) for _ in range(2)]
    await execute(engine, "update deliveries set state = 'done' where id = :id", id=done)
    await deliveries.discard(actor, gone)

    async def found(which: Which | None, reason: str | None = None, before: DeliveryId | None = None) -> list[int]:
        selection = Selection(which=which, reason=reason)
        return [row.id for row in await deliveries.listed(actor, selection, limit=10, before=before)]

    assert await found(Which.SET_ASIDE) == [unrouted, whole, partly]
    assert await found(Which.SET_ASIDE, before=unrouted) == [whole, partly]
    assert await found(Which.SET_ASIDE, "unknown_number") == [partly]
    assert await found(Which.SET_ASIDE, "odd") == [unrouted, whole]
    assert await found(Which.QUARANTINED) == [gone, whole]
    assert await found(Which.QUARANTINED, "discarded") == [gone]
    assert await found(Which.UNROUTED) == [unrouted]
    assert await found(Which.DONE) == [done, partly]
    assert await found(Which.OPEN) == [fresh]
    assert await found(None) == [fresh, done, unrouted, gone, whole, partly]
