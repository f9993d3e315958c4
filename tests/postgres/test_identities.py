"""A customer has many names, and is one contact."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_contact, a_status, an_account, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address, ContactChange, CountryCode, whatsapp_number
from inbox.domain.errors import WhatsAppNumberTaken
from inbox.domain.ids import ContactId, uuid7
from postgres.identity_scene import (
    BSUID,
    OTHER_BSUID,
    OTHER_PHONE,
    PHONE,
    change,
    happens,
    identities_of,
    link,
    naming,
    one_by_one,
    people,
    said,
    threads,
    who,
)
from postgres.ingest_scene import SECOND, hear

HOUR = timedelta(hours=1)
FRANCE = CountryCode("33")


# --- spellings --------------------------------------------------------------------------------------------------------


def wide(written: str) -> str:
    return written.translate({ord("0") + digit: chr(0xFF10 + digit) for digit in range(10)})


def spaced(digits: str) -> str:
    return " ".join(digits[n : n + 2] for n in range(0, len(digits), 2))


def forms_of(n: int) -> list[tuple[list[str], list[str]]]:
    """For a person of each country: how WhatsApp may name them, and how people write that."""
    ten, eight = f"55{n:02d}123456", f"{n:02d}65432{n % 10}"
    pairs = [
        [f"55{11 + n}9{9}{eight[1:]}", f"55{11 + n}{9}{eight[1:]}"],
        [f"521{ten}", f"52{ten}"],
        [f"549{ten}", f"54{ten}"],
        [f"336{n:02d}123456"],
    ]
    return [
        (
            named,
            [
                written
                for digits in named
                for written in (f"+{digits}", f"00{digits}", digits, f"+{spaced(digits)}", wide(f"+{digits}"))
            ],
        )
        for named in pairs
    ]


async def test_a_person_is_one_contact_in_whatever_spelling_they_come(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    table = [person for n in range(5) for person in forms_of(n)]
    hidden = [f"FR.{n:020d}" for n in range(8)]
    spellings = [(form, True) for named, _ in table for form in named] + [(one, True) for one in hidden]
    spellings += [(form, False) for _, written in table for form in written]
    spellings += [(f"0{named[0][2:]}", False) for named, _ in table if named[0].startswith("33")]
    assert len(set(spellings)) >= 200

    await happens(database, *(said(account, Address.of(form)) for form, is_named in spellings if is_named))
    async with database.transaction(within=60) as tx:
        for form, is_named in spellings:
            if not is_named:
                to = Address(wa_id=whatsapp_number(form, FRANCE, path="to"))
                _, is_new = await tx.conversations.find_or_create(account.account_id, to, NOON)
                assert not is_new, form

    assert len(await people(engine)) == len(table) + len(hidden)
    assert len(await threads(engine)) == len(table) + len(hidden)


async def test_a_typed_number_becomes_the_one_that_whatsapp_writes_to(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async with database.transaction() as tx:
        await tx.contacts.add(ContactId(uuid7()), "5511987654321", "Bia")
        await tx.conversations.find_or_create(account.account_id, Address(wa_id="5511987654321"), NOON)

    await happens(database, said(account, who("551187654321")))

    [thread] = await threads(engine)
    assert (thread.number, thread.client_number, thread.unread_count) == ("551187654321", "551187654321", 1)
    [contact] = await people(engine)
    assert contact.display_name == "Bia"


async def test_a_number_that_somebody_else_is_shown_under_is_left_to_them(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async with database.transaction() as tx:
        await tx.contacts.add(ContactId(uuid7()), "5511987654321", None)
    await a_contact(engine, "551187654321")

    await happens(database, said(account, who("551187654321")))

    assert [row.whatsapp_number for row in await people(engine)] == ["551187654321", "5511987654321"]


# --- more names -------------------------------------------------------------------------------------------------------


async def test_a_customer_without_a_number_is_shown_under_their_id_until_the_number_is_known(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await happens(database, said(account, who(None, BSUID)))
    [thread] = await threads(engine)
    assert (thread.number, thread.client_number) == (BSUID, BSUID)

    await happens(database, said(account, who(PHONE, BSUID), at=NOON + SECOND))

    [thread] = await threads(engine)
    assert (thread.number, thread.client_number, thread.unread_count) == (PHONE, PHONE, 2)
    assert await identities_of(engine, PHONE) == {("phone", PHONE), ("bsuid", BSUID)}


async def test_a_parent_id_finds_the_contact_too(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(None, BSUID, parent="FR.ENT.1")),
        said(account, who(PHONE, OTHER_BSUID, parent="FR.ENT.1")),
    )
    assert len(await people(engine)) == 1


async def test_an_id_that_was_stored_before_the_portfolio_was_known_is_found(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await happens(database, said(account, who(None, BSUID)))
    await execute(engine, "update whatsapp_accounts set portfolio_id = 'p1'")
    await happens(database, said(account, who(None, BSUID), at=NOON + SECOND))
    [thread] = await threads(engine)
    assert thread.unread_count == 2


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_a_username_is_of_who_used_it_last_and_finds_nobody(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, order: tuple[int, ...]
) -> None:
    items = [
        said(account, who(None, BSUID, username="awa"), at=NOON),
        said(account, who(None, BSUID, username="awa.d"), at=NOON + SECOND),
        said(account, who(None, OTHER_BSUID, username="awa"), at=NOON + 2 * SECOND),
    ]
    await one_by_one(database, *(items[n] for n in order))
    assert [(row.whatsapp_number, row.username) for row in await people(engine)] == [
        (BSUID, "awa.d"),
        (OTHER_BSUID, "awa"),
    ]


async def test_a_username_stays_with_a_person_who_was_two_contacts(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(PHONE), at=NOON),
        said(account, who(None, BSUID, username="awa"), at=NOON + SECOND),
        link(account, who(PHONE, BSUID), at=NOON + HOUR),
    )
    assert [(row.whatsapp_number, row.username) for row in await people(engine)] == [(PHONE, "awa")]


async def test_who_is_only_linked_is_not_shown_until_they_write(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await happens(database, link(account, who(PHONE, BSUID), name="Awa"))
    [contact] = await people(engine)
    assert (contact.is_listed, contact.display_name) == (False, "Awa")
    assert await threads(engine) == []
    assert await database.queries.contacts(None, limit=10, before=None) == []

    await happens(database, said(account, who(None, BSUID)))

    [contact] = await people(engine)
    assert (contact.is_listed, contact.whatsapp_number) == (True, PHONE)
    assert len(await database.queries.contacts(None, limit=10, before=None)) == 1


async def test_a_person_may_add_who_was_only_linked(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await happens(database, link(account, who(PHONE, BSUID)))
    async with database.transaction() as tx:
        item = await tx.contacts.add(ContactId(uuid7()), PHONE, "Awa")
    [contact] = await people(engine)
    assert (contact.id, contact.is_listed, contact.display_name) == (item.id, True, "Awa")
    with pytest.raises(WhatsAppNumberTaken):
        async with database.transaction() as tx:
            await tx.contacts.add(ContactId(uuid7()), PHONE, None)


async def test_a_number_in_another_form_is_taken(database: PostgresDatabase) -> None:
    async with database.transaction() as tx:
        await tx.contacts.add(ContactId(uuid7()), "5215512345678", None)
        other = await tx.contacts.add(ContactId(uuid7()), PHONE, None)
    with pytest.raises(WhatsAppNumberTaken):
        async with database.transaction() as tx:
            await tx.contacts.add(ContactId(uuid7()), "525512345678", None)
    with pytest.raises(WhatsAppNumberTaken):
        async with database.transaction() as tx:
            await tx.contacts.change(ContactId(other.id), ContactChange(number="525512345678"))


async def test_a_corrected_number_finds_the_contact_and_the_wrong_one_does_not(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async with database.transaction() as tx:
        item = await tx.contacts.add(ContactId(uuid7()), PHONE, "Awa")
        await tx.contacts.change(ContactId(item.id), ContactChange(number=OTHER_PHONE))

    await happens(database, said(account, who(OTHER_PHONE)), said(account, who(PHONE)))

    assert {(row.whatsapp_number, row.display_name) for row in await people(engine)} == {
        (OTHER_PHONE, "Awa"),
        (PHONE, None),
    }


# --- names of the address book ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
async def test_the_last_name_counts_whoever_gave_it(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, order: tuple[int, ...]
) -> None:
    items: list[Any] = [
        said(account, who(PHONE), name="Awa", at=NOON),
        naming(account, who(PHONE), "Madame Diop", at=NOON + SECOND),
        naming(account, who(PHONE), None, at=NOON + 2 * SECOND),
    ]
    await one_by_one(database, *(items[n] for n in order[:2]))
    await happens(database, items[order[2]])
    [contact] = await people(engine)
    assert (contact.display_name, contact.is_listed) == (None, True)


async def test_the_address_book_makes_a_contact_without_a_thread_and_leaves_a_persons_name(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async with database.transaction() as tx:
        await tx.contacts.add(ContactId(uuid7()), PHONE, "Notre nom")
    await happens(database, naming(account, who(PHONE), "Awa"), naming(account, who(OTHER_PHONE), "Bo"))
    assert [(row.whatsapp_number, row.display_name, row.is_listed) for row in await people(engine)] == [
        (PHONE, "Notre nom", True),
        (OTHER_PHONE, "Bo", True),
    ]
    assert await threads(engine) == []


# --- another number ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0), (0, 1, 2, 1, 0)])
async def test_the_thread_goes_along_to_the_new_number_in_any_order(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, order: tuple[int, ...]
) -> None:
    items: list[Any] = [
        said(account, who(PHONE, BSUID), at=NOON),
        change(account, who(PHONE, BSUID), who(OTHER_PHONE, OTHER_BSUID), at=NOON + HOUR),
        said(account, who(OTHER_PHONE, OTHER_BSUID), at=NOON + 2 * HOUR),
    ]
    await one_by_one(database, *(items[n] for n in order))
    [thread] = await threads(engine)
    assert (thread.number, thread.client_number, thread.unread_count) == (OTHER_PHONE, OTHER_PHONE, 2)
    assert await identities_of(engine, OTHER_PHONE) == {
        ("phone", OTHER_PHONE),
        ("former_phone", PHONE),
        ("bsuid", BSUID),
        ("bsuid", OTHER_BSUID),
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0), (2, 1, 0), (1, 2, 0, 1)])
async def test_who_gets_the_old_number_later_is_somebody_else(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, order: tuple[int, ...]
) -> None:
    items: list[Any] = [
        said(account, who(PHONE), at=NOON, name="Awa"),
        change(account, who(PHONE), who(OTHER_PHONE), at=NOON + HOUR),
        said(account, who(PHONE), at=NOON + 900 * HOUR, name="Zoé"),
    ]
    await one_by_one(database, *(items[n] for n in order))
    assert [(row.whatsapp_number, row.display_name) for row in await people(engine)] == [
        (PHONE, "Zoé"),
        (OTHER_PHONE, "Awa"),
    ]
    assert {(row.client_number, row.unread_count) for row in await threads(engine)} == {(PHONE, 1), (OTHER_PHONE, 1)}


async def test_a_change_to_a_number_that_has_a_thread_makes_one_of_the_two(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(PHONE), at=NOON),
        said(account, who(OTHER_PHONE), at=NOON + SECOND),
        change(account, who(PHONE), who(OTHER_PHONE), at=NOON + HOUR),
    )
    [thread] = await threads(engine)
    assert (thread.number, thread.unread_count) == (OTHER_PHONE, 2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_changes_lead_to_the_last_number(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, order: tuple[int, ...]
) -> None:
    third = "33611112222"
    changes = [
        change(account, who(PHONE), who(OTHER_PHONE), at=NOON + HOUR),
        change(account, who(OTHER_PHONE), who(third), at=NOON + 2 * HOUR),
    ]
    await happens(database, said(account, who(PHONE), at=NOON))
    await one_by_one(database, *(changes[n] for n in order))
    [thread] = await threads(engine)
    assert thread.number == third


async def test_an_effect_of_an_unknown_number_is_set_aside(database: PostgresDatabase, engine: AsyncEngine) -> None:
    other = await an_account(engine)
    await execute(engine, "delete from whatsapp_accounts where id = :id", id=other.account_id)
    [delivery] = await execute(
        engine, "insert into deliveries (lane, body, sha256) values ('0', 'x', 'x') returning id"
    )
    await happens(database, link(other, who(PHONE, BSUID)), delivery=delivery.id)
    [item] = await execute(engine, "select reason from quarantined_items")
    assert item.reason == "unknown_number"
    assert await people(engine) == []


async def test_a_status_alone_makes_nobody(database: PostgresDatabase, engine: AsyncEngine, account: Channel) -> None:
    await hear(database, a_status(account.phone_number_id, "wamid.elsewhere", recipient=PHONE))
    assert await people(engine) == []
