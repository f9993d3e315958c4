"""Contacts: the address book of the whole installation."""

from collections.abc import Sequence
from typing import Final

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.contacts import ContactChange, CountryCode, name_of, whatsapp_number
from inbox.domain.ids import ContactId, uuid7
from inbox.ports.database import Database
from inbox.ports.queries import Before
from inbox.ports.views import ContactItem

READING: Final = (Permission.CONTACTS_VIEW,)
WRITING: Final = (Permission.CONTACTS_VIEW, Permission.MESSAGES_SEND)

_NUMBER: Final = "body.whatsapp_number"


class Contacts:
    """Contacts belong to all accounts, so rights on them are global ones.

    Reading needs `contacts.view`. The contract has no code for writing: whoever may see all contacts and send from
    every account may also write them, because a new contact is the beginning of a message. Viewers hold
    `contacts.view` alone and stay readers. Every method raises `PermissionDenied`.
    """

    def __init__(self, database: Database, country: CountryCode) -> None:
        """`country` is that of numbers which people write without one."""
        self._database = database
        self._country = country

    async def list_of(
        self, actor: Actor, *, search: str | None, limit: int, before: Before | None
    ) -> Sequence[ContactItem]:
        """Newest first. `search` is part of a name, or of a number whatever its separators."""
        actor.require_everywhere(*READING)
        return await self._database.queries.contacts(search, limit=limit, before=before)

    async def add(self, actor: Actor, number: str, display_name: str | None) -> ContactItem:
        """`number` as people write it. Raises `Invalid` for what is none, `WhatsAppNumberTaken`."""
        actor.require_everywhere(*WRITING)
        digits = whatsapp_number(number, self._country, path=_NUMBER)
        async with self._database.transaction() as tx:
            return await tx.contacts.add(ContactId(uuid7()), digits, name_of(display_name))

    async def change(self, actor: Actor, contact_id: ContactId, change: ContactChange) -> ContactItem:
        """Writes what `change` names; its number is as people write it. A name that is taken away is WhatsApp's again.

        Raises `ContactNotFound`, `Invalid`, `WhatsAppNumberTaken`, and `ContactInUse` for another number of somebody
        with conversations.
        """
        actor.require_everywhere(*WRITING)
        number, name = change.number, change.display_name
        if isinstance(number, str):
            number = whatsapp_number(number, self._country, path=_NUMBER)
        if name is not msgspec.UNSET:
            name = name_of(name)
        async with self._database.transaction() as tx:
            return await tx.contacts.change(contact_id, ContactChange(number=number, display_name=name))

    async def remove(self, actor: Actor, contact_id: ContactId) -> None:
        """Raises `ContactNotFound`, and `ContactInUse` for somebody with conversations."""
        actor.require_everywhere(*WRITING)
        async with self._database.transaction() as tx:
            await tx.contacts.remove(contact_id)
