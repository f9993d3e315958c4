"""Contacts: people that any account may have written with."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.times import shown
from inbox.domain.contacts import ContactChange, digits_of
from inbox.domain.errors import ContactInUse, ContactNotFound
from inbox.domain.ids import ContactId
from inbox.ports.views import ContactItem

_CREATED: Final = "coalesce(created_at, timestamptz 'epoch')"
"""Rows of the existing system may lack the time: they count as the oldest."""

_COLUMNS: Final = f"id, whatsapp_number, display_name, {shown(_CREATED)} as created_at"
"""In the order of the fields of `ContactItem`."""

# Old rows may hold numbers as somebody typed them.
_MATCHES: Final = """(cast(:pattern as text) is null or display_name ilike :pattern
                      or translate(whatsapp_number, '+ .-()', '') like :digits)"""

# Two parts, so that each is read from the index, which has rows without a time on its other end.
CONTACTS: Final = text(f"""
select id, whatsapp_number, display_name, {shown("at")} as created_at
from (
  (select id, whatsapp_number, display_name, created_at as at from contacts
   where (created_at, id) < (:at, :id) and {_MATCHES}
   order by created_at desc, id desc limit :limit)
  union all
  (select id, whatsapp_number, display_name, timestamptz 'epoch' from contacts
   where created_at is null and (timestamptz 'epoch', id) < (:at, :id) and {_MATCHES}
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
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, contact_id: ContactId, number: str, display_name: str | None) -> ContactItem:
        """Raises `WhatsAppNumberTaken`."""
        values = {"id": contact_id, "number": number, "name": display_name}
        with database_errors():
            return ContactItem(*(await self._connection.execute(_ADD, values)).one())

    async def change(self, contact_id: ContactId, change: ContactChange) -> ContactItem:
        """Raises `ContactNotFound`, `WhatsAppNumberTaken`, and `ContactInUse` for another number."""
        number = change.number if isinstance(change.number, str) else None
        name = change.display_name if isinstance(change.display_name, str) else None
        if number is not None:
            await self._check_unused(contact_id, number)
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
        return ContactItem(*row)

    async def remove(self, contact_id: ContactId) -> None:
        """Raises `ContactNotFound`, and `ContactInUse` while conversations refer to the contact."""
        with database_errors():
            removed = (await self._connection.execute(_REMOVE, {"id": contact_id})).one_or_none()
        if removed is None:
            raise ContactNotFound

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
