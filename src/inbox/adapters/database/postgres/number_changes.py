"""A customer is reached at another number, or under another id: the contact goes along, with its thread.

What they gave up stays theirs for messages up to that time, so it does not matter whether the change or the messages
come first. Whoever gets the old number later is somebody else.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import identities, identity_rows
from inbox.adapters.database.postgres.identities import Sighting
from inbox.adapters.database.postgres.merging import Merged
from inbox.domain.contacts import Address, phone_key
from inbox.domain.inbound import IdentityChange

_A_SECOND: Final = timedelta(seconds=1)

# A number of which only later messages are known has another owner already.
_IS_ANOTHERS: Final = text("""
select exists (select from contact_identities where portfolio = '' and kind = 'phone' and value = :value
                 and seen_at > :at)
""")

_GIVE_UP: Final = text("""
with gone as (
  delete from contact_identities
  where portfolio = '' and kind = 'phone' and value = :value and contact_id = :contact returning written, seen_at
), given as (
  insert into contact_identities (portfolio, kind, value, contact_id, written, seen_at, valid_until)
  select '', 'former_phone', cast(:value as text), cast(:contact as uuid),
         coalesce((select written from gone), cast(:written as text)),
         coalesce((select seen_at from gone), cast(:before as timestamptz)), cast(:at as timestamptz)
  on conflict (portfolio, kind, value) do update
  set contact_id = excluded.contact_id, valid_until = excluded.valid_until
  where contact_identities.valid_until < excluded.valid_until
  returning contact_id
)
update contacts set is_listed = is_listed where id = :contact
""")


async def apply(connection: AsyncConnection, changes: Sequence[tuple[str, IdentityChange]]) -> list[Merged]:
    """`changes` come with the portfolio of their account. They are rare: one after the other, oldest first."""
    ordered = sorted(changes, key=lambda one: one[1].at)
    return [await _change(connection, portfolio, change) for portfolio, change in ordered if change.new.key]


async def _change(connection: AsyncConnection, portfolio: str, change: IdentityChange) -> Merged:
    gone = _given_up(change)
    sightings = [Sighting(portfolio=portfolio, address=change.new, at=change.at, is_listed=False, person="same")]
    if (before := await _before(connection, change, gone)).key:
        sightings.append(msgspec.structs.replace(sightings[0], address=before, at=change.at - _A_SECOND))
    people = await identities.resolve(connection, sightings)
    contact = people.contacts[0]
    if gone is not None:
        values = {"value": gone, "written": change.old.wa_id, "contact": contact, "at": change.at}
        await connection.execute(_GIVE_UP, {**values, "before": change.at - _A_SECOND})
        await identity_rows.renumber(connection, [contact])
    return people.merged


def _given_up(change: IdentityChange) -> str | None:
    """The key of the old number, if it is one and another than the new one."""
    if change.old.wa_id is None:
        return None
    old = phone_key(change.old.wa_id)
    return None if change.new.wa_id and phone_key(change.new.wa_id) == old else old


async def _before(connection: AsyncConnection, change: IdentityChange, gone: str | None) -> Address:
    """What the contact was known by, without the number if it is somebody else's by now."""
    if gone is None or not (await connection.execute(_IS_ANOTHERS, {"value": gone, "at": change.at})).scalar_one():
        return change.old
    return msgspec.structs.replace(change.old, wa_id=None)
