"""Contacts: people that any account may have written with."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import identity_rows, threads
from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.identity_rows import Naming
from inbox.adapters.database.postgres.times import shown
from inbox.domain.contacts import ContactChange, digits_of, phone_key
from inbox.domain.errors import ContactInUse, ContactNotFound, WhatsAppNumberTaken
from inbox.domain.events import ContactStep, ContactUpdated, Event
from inbox.domain.ids import ContactId
from inbox.ports.views import ContactItem, PreferenceItem

_CREATED: Final = "coalesce(created_at, timestamptz 'epoch')"
"""Rows of the existing system may lack the time: they count as the oldest."""

_PREFERENCES: Final = f"""(
  select json_agg(json_build_object('account_id', p.account_id, 'category', p.category, 'value', p.value,
                                    'changed_at', {shown("p.changed_at")}) order by p.account_id, p.category)::text
  from contact_preferences p where p.contact_id = %s.id
) as preferences"""  # noqa: S608 - of ours

_COLUMNS: Final = f"""id, whatsapp_number, display_name, {shown(_CREATED)} as created_at,
{_PREFERENCES % "contacts"}"""
"""In the order of the fields of `ContactItem`; `item_of` reads them."""

# Old rows may hold numbers as somebody typed them.
_MATCHES: Final = """(cast(:pattern as text) is null or display_name ilike :pattern
                      or username ilike :pattern
                      or translate(whatsapp_number, '+ .-()', '') like :digits)"""

# Two parts, so that each is read from the index, which has rows without a time on its other end.
CONTACTS: Final = text(f"""
select id, whatsapp_number, display_name, {shown("at")} as created_at, {_PREFERENCES % "found"}
from (
  (select id, whatsapp_number, display_name, created_at as at from contacts
   where (created_at, id) < (:at, :id) and is_listed and {_MATCHES}
   order by created_at desc, id desc limit :limit)
  union all
  (select id, whatsapp_number, display_name, timestamptz 'epoch' from contacts
   where created_at is null and is_listed and (timestamptz 'epoch', id) < (:at, :id) and {_MATCHES}
   order by created_at desc, id desc limit :limit)
) found
order by at desc, id desc
limit :limit
""")  # noqa: S608 - constants of ours

_ADD: Final = text(f"""
insert into contacts (id, whatsapp_number, display_name, is_named_by_person)
values (:id, :number, cast(:name as text), cast(:name as text) is not null)
returning {_COLUMNS}
""")  # noqa: S608 - column names of ours

# Somebody whom only statuses or preferences named so far.
_LIST: Final = text(f"""
update contacts
set is_listed = true, created_at = now(), whatsapp_number = coalesce(cast(:number as text), whatsapp_number),
    display_name = coalesce(cast(:name as text), display_name),
    is_named_by_person = cast(:name as text) is not null,
    name_at = case when cast(:name as text) is null then name_at end
where id = :id and not is_listed
returning {_COLUMNS}
""")  # noqa: S608 - column names of ours

_RETYPE: Final = text("""
update contact_identities set written = :number, seen_at = null
where portfolio = '' and kind = 'phone' and value = :value and contact_id = :id
""")
_FORGET: Final = text("delete from contact_identities where contact_id = :id and kind = 'phone' and value <> :value")

_LOCK: Final = text("select whatsapp_number from contacts where id = :id for update")
_IN_USE: Final = text("select exists (select from conversations where contact_id = :id)")

# Without a name of a person the next one of WhatsApp counts, whenever it was given: `name_at` is empty.
_CHANGE: Final = text(f"""
update contacts
set whatsapp_number = coalesce(cast(:number as text), whatsapp_number),
    display_name = case when :is_named then cast(:name as text) else display_name end,
    is_named_by_person = case when :is_named then cast(:name as text) is not null else is_named_by_person end,
    name_at = case when :is_named then null else name_at end
where id = :id
returning {_COLUMNS}
""")  # noqa: S608 - column names of ours

_REMOVE: Final = text("delete from contacts where id = :id returning id")


class PostgresContacts:
    def __init__(self, connection: AsyncConnection, events: list[Event]) -> None:
        """`events` are those that the transaction records."""
        self._connection = connection
        self._events = events

    async def add(self, contact_id: ContactId, number: str, display_name: str | None) -> ContactItem:
        """Raises `WhatsAppNumberTaken`."""
        values = {"id": contact_id, "number": number, "name": display_name}
        with database_errors():
            owner = await self._claim(contact_id, number)
            if owner == contact_id:
                self._tell(contact_id, ContactStep.CREATED)
                return item_of((await self._connection.execute(_ADD, values)).one())
            listed = {"id": owner, "number": None, "name": display_name}
            row = (await self._connection.execute(_LIST, listed)).one_or_none()
        if row is None:
            raise WhatsAppNumberTaken
        self._tell(row.id, ContactStep.CREATED)
        self._events += await threads.renamed(self._connection, {row.id})
        return item_of(row)

    async def change(self, contact_id: ContactId, change: ContactChange) -> ContactItem:
        """Raises `ContactNotFound`, `WhatsAppNumberTaken`, and `ContactInUse` for another number."""
        number = change.number if isinstance(change.number, str) else None
        name = change.display_name if isinstance(change.display_name, str) else None
        if number is not None:
            with database_errors():
                await self._renumber(contact_id, number)
        values = {
            "id": contact_id,
            "number": number,
            "is_named": isinstance(change.display_name, str | None),
            "name": name,
        }
        with database_errors():
            row = (await self._connection.execute(_CHANGE, values)).one_or_none()
        if row is None:
            raise ContactNotFound
        self._tell(row.id, ContactStep.CHANGED)
        if values["is_named"]:  # another number than before has nobody with conversations
            self._events += await threads.renamed(self._connection, {row.id})
        return item_of(row)

    async def remove(self, contact_id: ContactId) -> None:
        """Raises `ContactNotFound`, and `ContactInUse` while conversations refer to the contact."""
        with database_errors():
            removed = (await self._connection.execute(_REMOVE, {"id": contact_id})).one_or_none()
        if removed is None:
            raise ContactNotFound
        self._tell(contact_id, ContactStep.DELETED)

    def _tell(self, contact_id: UUID, step: ContactStep) -> None:
        self._events.append(ContactUpdated(contact_id=ContactId(contact_id), change=step))

    async def _claim(self, contact_id: UUID, number: str) -> UUID:
        """Whose the number is: that of `contact_id` if nobody had it."""
        key = identity_rows.phone(number)
        while not await identity_rows.claim(self._connection, {key: (contact_id, Naming(None, number))}):
            if (known := (await identity_rows.find(self._connection, [key])).get(key)) is not None:
                return UUID(str(known.contact_id))
        return contact_id

    async def _renumber(self, contact_id: ContactId, number: str) -> None:
        """The number is claimed first: whoever makes a contact of it waits, or is waited for."""
        owner = await self._claim(contact_id, number)
        await self._check_unused(contact_id, number)
        if owner != contact_id:
            raise WhatsAppNumberTaken
        values = {"id": contact_id, "value": phone_key(number), "number": number}
        await self._connection.execute(_RETYPE, values)
        await self._connection.execute(_FORGET, values)

    async def _check_unused(self, contact_id: ContactId, number: str) -> None:
        """Conversations are found by the number: it stays while there are any. No new one begins meanwhile."""
        stored = (await self._connection.execute(_LOCK, {"id": contact_id})).scalar_one_or_none()
        if stored not in (None, number) and (await self._connection.execute(_IN_USE, {"id": contact_id})).scalar_one():
            raise ContactInUse


def matching(search: str | None) -> dict[str, str | None]:
    """The values of `CONTACTS` that say what to look for; None is everybody."""
    if search is None:
        return {"pattern": None, "digits": None}
    escaped = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    digits = digits_of(search)
    return {"pattern": f"%{escaped}%", "digits": None if digits is None else f"%{digits}%"}


def item_of(row: Sequence[Any]) -> ContactItem:
    """From a row of `CONTACTS` or of a change."""
    *columns, preferences = row
    return ContactItem(*(*columns, [] if preferences is None else _READ.decode(preferences)))


_READ: Final = msgspec.json.Decoder(list[PreferenceItem])
