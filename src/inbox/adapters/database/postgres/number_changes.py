"""A customer is reached at another number, or under another id: the contact goes along, with its thread.

What they gave up stays theirs for messages up to that time, so it does not matter whether the change or their messages
come first. Whoever gets the old number later is somebody else, with one exception: if they write before the change
arrives, and the contact was known under that number, that message is in the old owner's thread and stays there, because
nothing told the two apart. What they write afterwards is in a thread of their own.

An account with a secret of its own moves nobody whom others know (`own_secrets`): then the new number is somebody new.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import identities, identity_rows, own_secrets
from inbox.adapters.database.postgres.identities import People, Sighting
from inbox.adapters.database.postgres.identity_rows import is_of_secret
from inbox.domain.contacts import Address, IdentityKind, phone_key
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
  select cast(:portfolio as text), 'former_phone', cast(:value as text), cast(:contact as uuid),
         coalesce((select written from gone), cast(:written as text)),
         coalesce((select seen_at from gone), cast(:before as timestamptz)), cast(:at as timestamptz)
  on conflict (portfolio, kind, value) do update
  set contact_id = excluded.contact_id, valid_until = excluded.valid_until
  where contact_identities.valid_until < excluded.valid_until
  returning contact_id
)
update contacts set is_listed = is_listed where id = :contact
""")

# Nothing else to be shown under, or somebody else is: the next owner of the number must not find this contact.
_HIDE: Final = text("""
update contacts k set whatsapp_number = k.id::text
where k.id = :contact and not exists (
  select from contact_identities i
  where i.contact_id = k.id and i.kind in ('phone', 'bsuid') and k.whatsapp_number in (i.value, i.written)
)
""")


async def apply(connection: AsyncConnection, changes: Sequence[tuple[str, IdentityChange]]) -> list[People]:
    """`changes` come with the portfolio of their account. They are rare: one after the other, oldest first."""
    ordered = sorted(changes, key=lambda one: one[1].at)
    return [await _change(connection, portfolio, change) for portfolio, change in ordered if change.new.key]


async def _change(connection: AsyncConnection, portfolio: str, change: IdentityChange) -> People:
    gone = _given_up(change)
    sightings = [Sighting(portfolio=portfolio, address=change.new, at=change.at, is_listed=False, person="same")]
    if is_of_secret(portfolio) and not await _is_theirs(connection, portfolio, change):
        return await identities.resolve(connection, sightings)
    if (before := await _before(connection, change, gone)).key:
        sightings.append(msgspec.structs.replace(sightings[0], address=before, at=change.at - _A_SECOND))
    people = await identities.resolve(connection, sightings)
    contact = people.contacts[0]
    if gone is not None:
        values = {"value": gone, "written": change.old.wa_id, "contact": contact, "at": change.at}
        former = identity_rows.former_phone(portfolio, gone)
        await connection.execute(_GIVE_UP, {**values, "portfolio": former.portfolio, "before": change.at - _A_SECOND})
        await identity_rows.renumber(connection, [contact])
        await connection.execute(_HIDE, {"contact": contact})
        people.news.changed([contact])
    return people


async def _is_theirs(connection: AsyncConnection, portfolio: str, change: IdentityChange) -> bool:
    """True if nobody else knows whom the change is about: they have these two numbers only, and lose one of them."""
    keys = identity_rows.keys_of(portfolio, change.old) | identity_rows.keys_of(portfolio, change.new)
    phones = [key.value for key in keys if key.kind is IdentityKind.PHONE]
    former = [identity_rows.former_phone(portfolio, value) for value in phones]
    known = {row.contact_id for row in (await identity_rows.find(connection, [*keys, *former])).values()}
    return known == await own_secrets.theirs(connection, portfolio, known, phones=phones)


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
