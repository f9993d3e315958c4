"""What was received is what is stored: applied, set aside, parked, too old, waiting; or it is missing, and named."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import a_body, a_message, a_status
from builders import a_delivery, a_quarantined_delivery, an_account, execute
from inbox.domain.access import Actor, Permission
from inbox.domain.errors import PermissionDenied
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.services.reconciliation import Reconciled, Reconciliation, Tally
from payloads.outcomes import examples
from services.conftest import Clock
from services.ingest_scene import Codec, deliver, ingest, texts
from services.scenes import claimed, is_done
from services.team_scene import somebody

DAY = timedelta(days=1)


@pytest.fixture
async def actor(engine: AsyncEngine) -> Actor:
    return await somebody(engine, Permission.SETTINGS_MANAGE)


@pytest.fixture
def reconciliation(database: Database, codec: Codec, clock: Clock) -> Reconciliation:
    return Reconciliation(database, codec, clock, statuses_kept=7 * DAY)


async def today(reconciliation: Reconciliation, actor: Actor) -> Reconciled:
    now = datetime.now(UTC)
    return await reconciliation.reconcile(actor, now - DAY, now + DAY)


async def work(database: Database) -> None:
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])


def numbers_of(body: Any) -> set[str]:  # noqa: ANN401 - any JSON
    if isinstance(body, dict):
        own = {body["phone_number_id"]} if isinstance(body.get("phone_number_id"), str) else set()
        return own.union(*(numbers_of(value) for value in body.values()))
    return set().union(*(numbers_of(value) for value in body)) if isinstance(body, list) else set()


@pytest.fixture
async def everything(database: Database, engine: AsyncEngine) -> list[Any]:
    """All that WhatsApp is known to deliver, each kind of it applied."""
    bodies = list(examples().values())
    for number in sorted(numbers_of(bodies)):
        await an_account(engine, phone_number_id=number)
    await deliver(engine, *dict.fromkeys(json.dumps(body).encode() for body in bodies))
    while not await is_done(database, WorkKind.INGEST):
        await execute(engine, "update lanes set due = now(), attempts = 0")
        await work(database)
    return bodies


async def test_of_all_kinds_of_webhooks_nothing_is_missing(
    everything: list[Any], reconciliation: Reconciliation, actor: Actor, codec: Codec
) -> None:
    found = await today(reconciliation, actor)
    assert (found.items.missing, found.missing, found.next) == (0, [], None)
    bodies = dict.fromkeys(json.dumps(body).encode() for body in everything)
    assert found.deliveries == len(bodies)
    assert found.items.received == sum(len(codec.decode(body, datetime.now(UTC))) for body in bodies)
    parts = (found.items.applied, found.items.quarantined, found.items.parked)
    assert all(parts)
    assert sum(parts) == found.items.received


@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        ("messages", "InboundMessage"),
        ("message_statuses", "InboundStatus"),
        ("reactions", "Reaction"),
        ("message_amendments", "Amendment"),
        ("contact_preferences", "Preference"),
        ("account_notices", "AccountNotice"),
        ("contact_identities", "IdentityChange"),
        ("quarantined_items", "Unknown"),
    ],
)
async def test_rows_that_were_lost_are_found_out(
    everything: list[Any], engine: AsyncEngine, reconciliation: Reconciliation, actor: Actor, lost: str, kind: str
) -> None:
    await execute(engine, f"delete from {lost}")  # noqa: S608 - a table of ours
    found = await today(reconciliation, actor)
    assert found.items.missing >= len(found.missing) > 0
    assert kind in {one.kind for one in found.missing}
    assert found.items.received == sum(
        getattr(found.items, name) for name in Tally.__struct_fields__ if name != "received"
    )


async def test_one_lost_message_is_named(
    database: Database, engine: AsyncEngine, number: str, reconciliation: Reconciliation, actor: Actor
) -> None:
    await deliver(engine, texts(number, "un", "deux", "trois"))
    await work(database)
    await execute(engine, "delete from messages where content_text = 'deux'")
    (delivery,) = await execute(engine, "select id from deliveries")
    found = await today(reconciliation, actor)
    assert found.items == Tally(received=3, applied=2, missing=1)
    assert [(one.delivery_id, one.position) for one in found.missing] == [(delivery.id, 1)]


async def test_a_message_of_another_number_with_the_same_wamid_is_no_substitute(
    database: Database, engine: AsyncEngine, number: str, reconciliation: Reconciliation, actor: Actor
) -> None:
    other = (await an_account(engine)).phone_number_id
    await deliver(engine, texts(number, "un"), texts(other, "un"))
    await work(database)
    await execute(
        engine,
        "delete from messages where account_id = (select id from whatsapp_accounts where phone_number_id = :n)",
        n=other,
    )
    assert (await today(reconciliation, actor)).items == Tally(received=2, applied=1, missing=1)


async def test_each_item_counts_by_what_became_of_it(
    database: Database, engine: AsyncEngine, number: str, reconciliation: Reconciliation, actor: Actor
) -> None:
    strange = texts("10677000009", "rien")
    await deliver(engine, a_body(a_message(), statuses=[a_status()], number=number), strange, b"{}", b"no json")
    await work(database)
    await a_quarantined_delivery(engine, "worker_died")
    await a_delivery(engine, texts(number, "later"))
    found = await today(reconciliation, actor)
    (states,) = await execute(
        engine, "select count(*) filter (where state = 'quarantined') as quarantined from deliveries"
    )
    assert states.quarantined >= 2
    assert (found.items.applied, found.items.parked, found.items.waiting, found.items.missing) == (1, 1, 1, 0)
    assert found.items.quarantined >= 2
    assert found.deliveries == 6


async def test_a_parked_status_that_is_too_old_is_expired_and_not_missing(
    database: Database, engine: AsyncEngine, number: str, reconciliation: Reconciliation, actor: Actor, clock: Clock
) -> None:
    await deliver(engine, a_body(statuses=[a_status()], number=number))
    await work(database)
    assert (await today(reconciliation, actor)).items == Tally(received=1, parked=1)
    await execute(engine, "delete from message_statuses")
    assert (await today(reconciliation, actor)).items == Tally(received=1, missing=1)
    clock.forward(days=8)
    assert (await today(reconciliation, actor)).items == Tally(received=1, expired=1)


async def test_what_postgresql_refuses_to_look_for_does_not_hide_its_neighbours(
    database: Database, engine: AsyncEngine, number: str, reconciliation: Reconciliation, actor: Actor
) -> None:
    refused = a_message(id="wamid.\0", text={"body": "x"})
    await deliver(engine, a_body(a_message(id="wamid.a"), refused, a_message(id="wamid.b"), number=number))
    await work(database)
    await execute(engine, "delete from quarantined_items")
    found = await today(reconciliation, actor)
    assert (found.items.applied, found.items.missing) == (2, 1)


async def test_a_range_holds_what_was_received_in_it(
    engine: AsyncEngine, reconciliation: Reconciliation, actor: Actor
) -> None:
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    for hour in range(48):
        await a_quarantined_delivery(engine)
        await execute(
            engine,
            "update deliveries set received_at = :at where id = (select max(id) from deliveries)",
            at=begin + timedelta(hours=hour),
        )
    found = await reconciliation.reconcile(actor, begin + timedelta(hours=10), begin + timedelta(hours=20))
    assert (found.deliveries, found.next) == (10, None)
    assert (await reconciliation.reconcile(actor, begin - DAY, begin)).deliveries == 0
    assert (await reconciliation.reconcile(actor, begin + 3 * DAY, begin + 4 * DAY)).deliveries == 0


async def test_a_range_is_read_in_parts_that_lose_and_repeat_nothing(
    database: Database, engine: AsyncEngine, number: str, reconciliation: Reconciliation, actor: Actor
) -> None:
    await deliver(engine, *(texts(number, f"{n}a", f"{n}b") for n in range(7)))
    await work(database)
    now = datetime.now(UTC)
    sizes, whole, after = [], Tally(), None
    while True:
        part = await reconciliation.reconcile(actor, now - DAY, now + DAY, after=after, limit=3)
        sizes.append(part.items.received)
        whole.add(part.items)
        after = part.next
        if after is None:
            break
    assert max(sizes) == 4
    assert whole == Tally(received=14, applied=14)


async def test_an_empty_archive_has_nothing_missing(
    engine: AsyncEngine, reconciliation: Reconciliation, actor: Actor
) -> None:
    assert await today(reconciliation, actor) == Reconciled()


async def test_a_right_for_one_account_is_not_enough_to_compare(
    engine: AsyncEngine, reconciliation: Reconciliation
) -> None:
    nearly = await somebody(engine, *(code for code in Permission if code is not Permission.SETTINGS_MANAGE))
    with pytest.raises(PermissionDenied):
        await today(reconciliation, nearly)
