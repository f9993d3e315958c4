"""Contacts: readers read, writers write, and numbers are kept in one form."""

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_contact, execute
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.contacts import ContactChange, CountryCode
from inbox.domain.errors import Invalid, PermissionDenied, WhatsAppNumberTaken
from inbox.domain.ids import AccountId, ContactId
from inbox.ports.database import Database
from inbox.services.contacts import Contacts
from member_builders import a_user

VIEW, SEND = Permission.CONTACTS_VIEW, Permission.MESSAGES_SEND


async def somebody(engine: AsyncEngine, *grants: tuple[Permission, AccountId | None]) -> Actor:
    held = tuple(Grant(code=code, account_id=account) for code, account in grants)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=held)


@pytest.fixture
async def writer(engine: AsyncEngine) -> Actor:
    return await somebody(engine, (VIEW, None), (SEND, None))


@pytest.fixture
def service(database: Database) -> Contacts:
    return Contacts(database, CountryCode("33"))


async def test_viewers_read_and_change_nothing(engine: AsyncEngine, service: Contacts) -> None:
    viewer, contact = await somebody(engine, (VIEW, None)), ContactId(await a_contact(engine, "33612345678"))
    listed = await service.list_of(viewer, search=None, limit=10, before=None)
    assert [item.id for item in listed] == [contact]
    with pytest.raises(PermissionDenied):
        await service.add(viewer, "0612345679", None)
    with pytest.raises(PermissionDenied):
        await service.change(viewer, contact, ContactChange(display_name="Marc"))
    with pytest.raises(PermissionDenied):
        await service.remove(viewer, contact)
    rows = await execute(engine, "select id, display_name from contacts")
    assert [tuple(row) for row in rows] == [(contact, None)]


async def test_rights_at_one_account_are_none_on_contacts(
    engine: AsyncEngine, service: Contacts, account: Channel
) -> None:
    scoped = await somebody(engine, (VIEW, account.account_id), (SEND, account.account_id))
    half = await somebody(engine, (VIEW, None), (SEND, account.account_id))
    sender = await somebody(engine, (SEND, None))
    for actor in (scoped, sender):
        with pytest.raises(PermissionDenied):
            await service.list_of(actor, search=None, limit=10, before=None)
    for actor in (scoped, half, sender):
        with pytest.raises(PermissionDenied):
            await service.add(actor, "0612345679", None)


async def test_numbers_and_names_are_kept_in_one_form(service: Contacts, writer: Actor) -> None:
    item = await service.add(writer, "06 12 34 56 78", "  Marc D. ")
    assert (item.whatsapp_number, item.display_name) == ("33612345678", "Marc D.")
    with pytest.raises(WhatsAppNumberTaken):
        await service.add(writer, "+33 (0)6 12 34 56 78", None)
    moved = await service.change(writer, ContactId(item.id), ContactChange(number="06 12 34 56 79"))
    assert moved == msgspec.structs.replace(item, whatsapp_number="33612345679")
    unnamed = await service.change(writer, ContactId(item.id), ContactChange(display_name="  "))
    assert unnamed == msgspec.structs.replace(moved, display_name=None)


@pytest.mark.parametrize("written", ["", "Marc", "06"])
async def test_what_is_no_number_is_refused(service: Contacts, writer: Actor, written: str) -> None:
    with pytest.raises(Invalid) as refused:
        await service.add(writer, written, None)
    assert refused.value.errors[0]["path"] == "body.whatsapp_number"
