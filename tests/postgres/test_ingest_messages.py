"""What a batch of inbound messages changes, and that a second time changes nothing."""

import base64
import os
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, a_delivery, a_message, an_account, an_inbound_message, execute, received
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.content import Choice, Content, Media, MediaKind, Other, Text
from inbox.domain.errors import Unstorable
from inbox.domain.events import kind_of
from inbox.domain.ids import DeliveryId
from inbox.domain.inbound import InboundMessage, Unknown
from inbox.ports.records import Applied, SetAside
from postgres.ingest_scene import SECOND, apply, rows
from statement_counts import counting


async def test_a_first_message_makes_contact_conversation_and_message(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    message = an_inbound_message(
        account.phone_number_id,
        sender="33612345678",
        name="Awa",
        content=Text(body="Ouvert ?"),
        reply_to_wamid="wamid.q",
    )
    item = received(message)

    applied = await apply(database, item)

    assert applied == Applied(new_messages=1, new_statuses=0, unrouted=0)
    [contact] = await rows(engine, "contacts")
    assert (contact["whatsapp_number"], contact["display_name"], contact["name_at"]) == ("33612345678", "Awa", NOON)
    [conversation] = await rows(engine, "conversations")
    assert conversation["contact_id"] == contact["id"]
    assert conversation["account_id"] == account.account_id
    assert (conversation["client_number"], conversation["status"], conversation["unread_count"]) == (
        "33612345678",
        "open",
        1,
    )
    assert conversation["updated_at"] == conversation["last_inbound_at"] == NOON
    assert conversation["window_expires_at"] == NOON + timedelta(hours=24)
    [stored] = await rows(engine, "messages")
    assert stored["id"] == item.id
    assert stored["account_id"] == account.account_id
    assert stored["conversation_id"] == conversation["id"]
    assert (stored["direction"], stored["author"], stored["status"]) == ("inbound", "contact", "received")
    assert (stored["wa_message_id"], stored["timestamp"], stored["reply_to_wamid"]) == (message.wamid, NOON, "wamid.q")
    assert (stored["content_text"], stored["message_type"]) == ("Ouvert ?", "text")
    assert msgspec.json.decode(stored["content"], type=Content) == message.content


@pytest.mark.parametrize(
    ("content", "preview", "kind", "media"),
    [
        (Choice(kind="interactive", title="Oui", payload="yes"), "Oui", "interactive", (None, None, None)),
        (
            Media(kind=MediaKind.IMAGE, media_id="1", mime_type="image/jpeg", sha256="abc="),
            "[image]",
            "image",
            ("1", "image/jpeg", "abc="),
        ),
        (
            Media(kind=MediaKind.DOCUMENT, media_id="2", mime_type="application/pdf", filename="a.pdf", sha256="abc="),
            "[document]",
            "document",
            ("2", "application/pdf", "a.pdf"),
        ),
        (Other(kind="location", text="[location] Dakar"), "[location] Dakar", "location", (None, None, None)),
    ],
)
async def test_each_kind_of_content_fills_the_columns_of_the_contract(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    content: Content,
    preview: str,
    kind: str,
    media: tuple[str | None, str | None, str | None],
) -> None:
    await apply(database, an_inbound_message(account.phone_number_id, content=content))

    [stored] = await rows(engine, "messages")
    assert (stored["content_text"], stored["message_type"]) == (preview, kind)
    assert (stored["media_id"], stored["media_mime_type"], stored["media_filename"]) == media
    assert msgspec.json.decode(stored["content"], type=Content) == content


async def test_a_batch_that_is_applied_twice_changes_nothing_the_second_time(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    conversation = await a_conversation(engine, account.account_id, client_number="33600000001", bot_enabled=True)
    batch = [
        received(an_inbound_message(account.phone_number_id, sender="33600000001", name="Awa")),
        received(an_inbound_message(account.phone_number_id, sender="33600000001", sent_at=NOON + SECOND)),
        received(an_inbound_message(account.phone_number_id, name="Bo")),
    ]
    tables = ("contacts", "conversations", "messages", "event_log", "lanes")

    first = await apply(database, *batch)
    before = {table: await rows(engine, table, order="1, 2") for table in tables}
    second = await apply(database, *(msgspec.structs.replace(item, id=received(item.message).id) for item in batch))

    assert (first.new_messages, second.new_messages) == (3, 0)
    assert {table: await rows(engine, table, order="1, 2") for table in tables} == before
    [row] = await execute(engine, "select unread_count from conversations where id = :id", id=conversation)
    assert row.unread_count == 2


async def test_the_same_message_twice_in_a_batch_counts_once_and_the_first_wins(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    first = received(an_inbound_message(account.phone_number_id, wamid="wamid.A", sender="33600000001"))
    again = received(first.message, position=1)

    applied = await apply(database, first, again)

    assert applied.new_messages == 1
    assert [row["id"] for row in await rows(engine, "messages")] == [first.id]
    assert [row["unread_count"] for row in await rows(engine, "conversations")] == [1]


async def test_times_only_move_forward_whatever_the_order_of_arrival(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    def at(seconds: int) -> InboundMessage:
        return an_inbound_message(account.phone_number_id, sender="33600000001", sent_at=NOON + seconds * SECOND)

    await apply(database, at(10))
    await apply(database, at(5), at(2))

    [conversation] = await rows(engine, "conversations")
    assert conversation["updated_at"] == conversation["last_inbound_at"] == NOON + 10 * SECOND
    assert conversation["window_expires_at"] == NOON + 10 * SECOND + timedelta(hours=24)
    assert conversation["unread_count"] == 3


async def test_the_name_of_a_contact_is_that_of_the_newest_message_that_has_one(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    def named(name: str | None, seconds: int) -> InboundMessage:
        return an_inbound_message(
            account.phone_number_id, sender="33600000001", name=name, sent_at=NOON + seconds * SECOND
        )

    await apply(database, named("Old", 1), named("New", 5), named(None, 9))
    await apply(database, named("Late", 3))

    [contact] = await rows(engine, "contacts")
    assert (contact["display_name"], contact["name_at"]) == ("New", NOON + 5 * SECOND)


async def test_a_name_that_an_old_row_has_is_kept_when_a_message_brings_none(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await a_conversation(engine, account.account_id, client_number="33600000001", display_name="Awa")

    await apply(database, an_inbound_message(account.phone_number_id, sender="33600000001"))
    assert [row["display_name"] for row in await rows(engine, "contacts")] == ["Awa"]

    await apply(database, an_inbound_message(account.phone_number_id, sender="33600000001", name="Awa D."))
    assert [row["display_name"] for row in await rows(engine, "contacts")] == ["Awa D."]


async def test_one_customer_of_two_accounts_is_one_contact_with_two_conversations(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    other = await an_account(engine)

    await apply(
        database,
        an_inbound_message(account.phone_number_id, sender="33600000001"),
        an_inbound_message(other.phone_number_id, sender="33600000001"),
    )

    assert len(await rows(engine, "contacts")) == 1
    owners = {row["account_id"] for row in await rows(engine, "conversations")}
    assert owners == {account.account_id, other.account_id}
    messages = await execute(
        engine,
        "select m.account_id, c.account_id as owner from messages m join conversations c on c.id = conversation_id",
    )
    assert all(row.account_id == row.owner for row in messages)


async def test_a_conversation_without_contact_gets_one(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    conversation = await a_conversation(engine, account.account_id, client_number="33600000001")
    await execute(engine, "update conversations set contact_id = null, status = 'closed'")

    await apply(database, an_inbound_message(account.phone_number_id, sender="33600000001"))

    [row] = await rows(engine, "conversations")
    assert row["id"] == conversation
    assert row["contact_id"] is not None
    assert row["status"] == "open"


async def test_an_inactive_account_still_receives(database: PostgresDatabase, engine: AsyncEngine) -> None:
    asleep = await an_account(engine, is_active=False)
    applied = await apply(database, an_inbound_message(asleep.phone_number_id))
    assert applied.new_messages == 1


async def test_a_message_for_an_unknown_number_is_set_aside_and_its_neighbours_are_applied(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    delivery = await a_delivery(engine)
    lost = received(an_inbound_message("999", wamid="wamid.lost"), delivery, position=0)
    kept = received(an_inbound_message(account.phone_number_id), delivery, position=1)

    applied = await apply(database, lost, kept, done=[delivery])
    again = await apply(database, lost, kept, done=[delivery])

    assert applied == Applied(new_messages=1, new_statuses=0, unrouted=1)
    assert again == Applied(new_messages=0, new_statuses=0, unrouted=0)
    [item] = await rows(engine, "quarantined_items")
    assert (item["delivery_id"], item["position"], item["reason"]) == (delivery, 0, "unknown_number")
    assert msgspec.json.decode(item["raw"], type=InboundMessage) == lost.message
    assert [row["state"] for row in await rows(engine, "deliveries")] == ["done"]


async def test_items_that_nobody_reads_are_kept_with_their_reason(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    delivery = await a_delivery(engine)
    aside = SetAside(delivery_id=delivery, position=3, item=Unknown(reason="reaction", raw=b"\xff{"))

    for _ in range(2):
        await apply(database, set_aside=[aside], done=[delivery])

    [item] = await rows(engine, "quarantined_items")
    assert (item["position"], item["reason"], item["raw"]) == (3, "reaction", b"\xff{")


async def test_deliveries_are_closed_with_what_became_of_them(database: PostgresDatabase, engine: AsyncEngine) -> None:
    read, broken, untouched = [await a_delivery(engine) for _ in range(3)]

    await apply(database, done=[read], undecodable=[(broken, "not_json")])

    found = {row["id"]: (row["state"], row["reason"], row["done_at"]) for row in await rows(engine, "deliveries")}
    assert found[read][:2] == ("done", None)
    assert found[read][2] is not None
    assert found[broken][:2] == ("quarantined", "not_json")
    assert found[untouched] == ("open", None, None)


async def test_what_was_set_aside_before_is_not_called_done_later(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    delivery = await a_delivery(engine)
    await apply(database, undecodable=[(delivery, "not_json")])
    await apply(database, done=[delivery])
    assert [row["state"] for row in await rows(engine, "deliveries")] == ["quarantined"]


async def test_each_new_message_and_each_touched_conversation_is_an_event(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    known = await a_message(
        engine, account.account_id, await a_conversation(engine, account.account_id), wamid="wamid.known"
    )
    one = received(an_inbound_message(account.phone_number_id, sender="33600000001"))
    two = received(an_inbound_message(account.phone_number_id, sender="33600000001"))
    repeated = received(an_inbound_message(account.phone_number_id, wamid="wamid.known"))

    await apply(database, one, two, repeated)

    events = await the_log(engine)
    [conversation] = await execute(
        engine, "select id, contact_id from conversations where client_number = '33600000001'"
    )
    assert sorted(kind_of(event) for event in events) == [
        *("contact.updated", "conversation.created", "conversation.updated", "message.created", "message.created")
    ]
    assert {event.account_id for event in events} == {account.account_id, None}
    assert {event.conversation_id for event in events} == {conversation.id, None}
    assert [one.contact_id for one in await the_log(engine, "contact.updated")] == [conversation.contact_id]
    created = await the_log(engine, "message.created")
    assert [(event.message_id, event.author, event.status) for event in created] == [
        (one.id, "contact", "received"),
        (two.id, "contact", "received"),
    ]
    assert known not in {event.message_id for event in created}


@pytest.mark.parametrize(
    "spoilt",
    [{"content": Text(body="a\x00b")}, {"wamid": "wamid." + base64.b85encode(os.urandom(9000)).decode()}],
    ids=["no text of PostgreSQL", "too large for an index"],
)
async def test_a_value_that_the_database_refuses_fails_the_batch_and_leaves_no_trace(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, spoilt: dict[str, Any]
) -> None:
    good = an_inbound_message(account.phone_number_id)
    bad = an_inbound_message(account.phone_number_id, **spoilt)

    with pytest.raises(Unstorable):
        await apply(database, good, bad)

    assert await rows(engine, "messages") == []
    assert await rows(engine, "contacts") == []


# --- cost -------------------------------------------------------------------------------------------------------------


async def test_the_number_of_statements_does_not_grow_with_the_batch(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async def cost(size: int) -> int:
        deliveries = [await a_delivery(engine) for _ in range(size)]
        batch = [
            received(an_inbound_message(account.phone_number_id, name="Awa"), DeliveryId(delivery))
            for delivery in deliveries
        ]
        with counting(engine) as statements:
            await apply(database, *batch, done=deliveries)
        return len(statements)

    await cost(1)  # the account is marked as alive, once in ten seconds
    assert await cost(1) == await cost(60) <= 12
