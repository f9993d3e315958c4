"""Contacts: written by people, and by WhatsApp where no person has spoken."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, NOON, a_client_number, a_contact, a_conversation, an_inbound_message, execute, until
from inbox.adapters.database.postgres.contacts import PostgresContacts
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address, ContactChange
from inbox.domain.errors import ContactInUse, ContactNotFound, WhatsAppNumberTaken
from inbox.domain.ids import ContactId, uuid7
from inbox.ports.views import ContactItem
from postgres.ingest_scene import SECOND, apply
from statement_counts import counting

NUMBER = "33600000001"


async def changed(engine: AsyncEngine, work: Callable[[PostgresContacts], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what the work gives
    async with engine.begin() as connection:
        return await work(PostgresContacts(connection, []))


async def added(engine: AsyncEngine, number: str = NUMBER, name: str | None = None) -> ContactItem:
    found = await changed(engine, lambda tx: tx.add(ContactId(uuid7()), number, name))
    assert isinstance(found, ContactItem)
    return found


async def change(engine: AsyncEngine, contact: Any, **values: Any) -> ContactItem:  # noqa: ANN401 - an id, fields of a change
    found = await changed(engine, lambda tx: tx.change(ContactId(contact), ContactChange(**values)))
    assert isinstance(found, ContactItem)
    return found


async def row_of(engine: AsyncEngine, number: str = NUMBER) -> Any:  # noqa: ANN401 - a row
    (row,) = await execute(engine, "select * from contacts where whatsapp_number = :number", number=number)
    return row


async def test_a_new_contact_has_a_time_and_the_name_that_a_person_gave(engine: AsyncEngine) -> None:
    item = await added(engine, name="Marc")
    row = await row_of(engine)
    assert (item.id, item.whatsapp_number, item.display_name) == (row.id, NUMBER, "Marc")
    assert item.created_at.endswith("Z")
    assert (row.is_named_by_person, row.name_at) == (True, None)


async def test_a_new_contact_without_a_name_waits_for_that_of_whatsapp(engine: AsyncEngine) -> None:
    assert (await added(engine)).display_name is None
    assert (await row_of(engine)).is_named_by_person is False


async def test_a_number_belongs_to_one_contact(engine: AsyncEngine) -> None:
    await added(engine)
    with pytest.raises(WhatsAppNumberTaken):
        await added(engine)
    other = await a_contact(engine)
    with pytest.raises(WhatsAppNumberTaken):
        await change(engine, other, number=NUMBER)
    assert len(await execute(engine, "select 1 from contacts")) == 2


async def test_only_what_is_named_changes(engine: AsyncEngine) -> None:
    item = await added(engine, name="Marc")
    assert await change(engine, item.id) == item
    renamed = await change(engine, item.id, display_name="Marc D.")
    assert renamed == msgspec.structs.replace(item, display_name="Marc D.")
    moved = await change(engine, item.id, number="33600000002")
    assert moved == msgspec.structs.replace(renamed, whatsapp_number="33600000002")
    assert (await row_of(engine, "33600000002")).is_named_by_person is True
    unnamed = await change(engine, item.id, display_name=None)
    assert unnamed == msgspec.structs.replace(moved, display_name=None)
    assert (await row_of(engine, "33600000002")).is_named_by_person is False


async def test_a_contact_that_is_not_there_is_not_found(engine: AsyncEngine) -> None:
    nobody = ContactId(uuid7())
    for values in ({}, {"display_name": "x"}, {"number": NUMBER}):
        with pytest.raises(ContactNotFound):
            await change(engine, nobody, **values)
    with pytest.raises(ContactNotFound):
        await changed(engine, lambda tx: tx.remove(nobody))


async def test_somebody_with_conversations_keeps_number_and_row(engine: AsyncEngine, account: Channel) -> None:
    await a_conversation(engine, account.account_id, client_number=NUMBER)
    before = await row_of(engine)
    with pytest.raises(ContactInUse):
        await change(engine, before.id, number="33600000002", display_name="Marc")
    with pytest.raises(ContactInUse):
        await changed(engine, lambda tx: tx.remove(ContactId(before.id)))
    assert await row_of(engine) == before
    same = await change(engine, before.id, number=NUMBER, display_name="Marc")
    assert (same.whatsapp_number, same.display_name) == (NUMBER, "Marc")


async def test_somebody_without_conversations_can_be_removed(engine: AsyncEngine) -> None:
    one, other = await added(engine), await added(engine, "33600000002")
    await changed(engine, lambda tx: tx.remove(ContactId(one.id)))
    assert [row.id for row in await execute(engine, "select id from contacts")] == [other.id]


async def test_a_conversation_that_begins_meanwhile_keeps_the_number(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    item = await added(engine)
    async with database.transaction() as tx:
        await tx.conversations.find_or_create(account.account_id, Address.of(NUMBER), NOON)
        attempt = asyncio.create_task(change(engine, item.id, number="33600000002"))
        await until(engine, LOCK_WAIT)
    with pytest.raises(ContactInUse):
        await attempt


async def test_a_change_costs_six_statements_and_a_name_two(engine: AsyncEngine) -> None:
    item = await added(engine)
    with counting(engine) as statements:
        await change(engine, item.id, display_name="Marc")
    assert len(statements) == 2
    with counting(engine) as statements:
        await change(engine, item.id, number=a_client_number())
    assert len(statements) == 6


# --- names ------------------------------------------------------------------------------------------------------------


def named(account: Channel, name: str, seconds: int) -> Any:  # noqa: ANN401 - a message
    return an_inbound_message(account.phone_number_id, sender=NUMBER, name=name, sent_at=NOON + seconds * SECOND)


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])))
@pytest.mark.parametrize("together", [True, False])
async def test_a_name_that_a_person_gave_stays_whatever_whatsapp_says(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    order: tuple[int, ...],
    together: bool,  # noqa: FBT001 - a case
) -> None:
    await added(engine, name="Madame Durand")
    messages = [named(account, f"Profile {second}", second) for second in order]
    for batch in [messages] if together else [[message] for message in messages]:
        await apply(database, *batch)
    row = await row_of(engine)
    assert (row.display_name, row.is_named_by_person, row.name_at) == ("Madame Durand", True, None)
    (conversation,) = await execute(engine, "select contact_id, unread_count from conversations")
    assert (conversation.contact_id, conversation.unread_count) == (row.id, 3)


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])))
async def test_without_a_persons_name_that_of_the_newest_message_counts_again(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, order: tuple[int, ...]
) -> None:
    await apply(database, named(account, "Before", 9))
    contact = (await row_of(engine)).id
    await change(engine, contact, display_name="Madame Durand")
    await apply(database, named(account, "Ignored", 10))
    assert (await row_of(engine)).display_name == "Madame Durand"
    await change(engine, contact, display_name=None)
    for second in order:
        await apply(database, named(account, f"Profile {second}", second))
    row = await row_of(engine)
    assert (row.display_name, row.is_named_by_person, row.name_at) == ("Profile 3", False, NOON + 3 * SECOND)
