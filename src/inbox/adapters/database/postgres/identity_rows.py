"""Rows of `contact_identities`: what a contact is known by.

`seen_at` is WhatsApp's time of the first item that named the identity, empty while only a person typed it; for a
username it is the time of the last one. Whoever takes an identity away from a contact holds its lock and also changes
or deletes its row: so an unchanged version of the row says that the identities are still its own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.contacts import Address, IdentityKind, phone_key

EVERYWHERE: Final = ""
"""The portfolio of phone numbers, and of accounts whose portfolio nobody named."""
OF_SECRET: Final = "secret "  # noqa: S105 - the beginning of a name
"""How the portfolio begins of accounts with an app secret of their own (`own_secrets`)."""

_FIND: Final = text("""
select i.portfolio, i.kind, i.value, i.contact_id, i.written, i.seen_at, i.valid_until, c.xmin::text as version,
       c.is_listed
from contact_identities i left join contacts c on c.id = i.contact_id
where i.portfolio = '' and i.kind in ('phone', 'former_phone') and i.value = any(cast(:phones as text[]))
union all
select i.portfolio, i.kind, i.value, i.contact_id, i.written, i.seen_at, i.valid_until, c.xmin::text, c.is_listed
from unnest(cast(:portfolios as text[]), cast(:kinds as text[]), cast(:values as text[])) u(portfolio, kind, value)
join contact_identities i on i.portfolio = u.portfolio and i.kind = u.kind and i.value = u.value
left join contacts c on c.id = i.contact_id
""")

_CLAIM: Final = text("""
insert into contact_identities (portfolio, kind, value, contact_id, written, seen_at)
select u.portfolio, u.kind, u.value, u.contact_id, u.written, u.seen_at
from unnest(cast(:portfolios as text[]), cast(:kinds as text[]), cast(:values as text[]), cast(:contacts as uuid[]),
            cast(:written as text[]), cast(:times as timestamptz[]))
  u(portfolio, kind, value, contact_id, written, seen_at)
order by u.portfolio, u.kind, u.value
on conflict do nothing
returning value
""")

_HAND_OVER: Final = text("""
update contact_identities i set contact_id = u.winner
from unnest(cast(:losers as uuid[]), cast(:winners as uuid[])) u(loser, winner)
where i.contact_id = u.loser
""")

# The earliest item says how a number is written, whichever comes first.
_SEEN: Final = text("""
update contact_identities i
set seen_at = u.at,
    written = case when i.seen_at = u.at then least(i.written, u.written) else u.written end
from unnest(cast(:portfolios as text[]), cast(:kinds as text[]), cast(:values as text[]), cast(:written as text[]),
            cast(:times as timestamptz[]))
  u(portfolio, kind, value, written, at)
where i.portfolio = u.portfolio and i.kind = u.kind and i.value = u.value
  and (i.seen_at is null or i.seen_at > u.at or (i.seen_at = u.at and i.written > u.written))
""")

# A username moves to whoever used it last.
_USERNAMES: Final = text("""
with named as (
  select * from unnest(cast(:portfolios as text[]), cast(:values as text[]), cast(:contacts as uuid[]),
                       cast(:times as timestamptz[])) u(portfolio, value, contact_id, seen_at)
), before as (
  select i.contact_id
  from named u join contact_identities i on i.portfolio = u.portfolio and i.kind = 'username' and i.value = u.value
  where i.contact_id <> u.contact_id
), moved as (
  insert into contact_identities (portfolio, kind, value, contact_id, seen_at)
  select portfolio, 'username', value, contact_id, seen_at from named order by portfolio, value
  on conflict (portfolio, kind, value) do update set contact_id = excluded.contact_id, seen_at = excluded.seen_at
  where excluded.seen_at > contact_identities.seen_at
  returning contact_id
)
select contact_id from moved union select contact_id from before
""")

# What was said under a secret of an account's own is shown only if nothing else was.
_SHOW_USERNAMES: Final = text(f"""
update contacts c set username = n.username
from (
  select k.id, (select i.value from contact_identities i where i.contact_id = k.id and i.kind = 'username'
                order by starts_with(i.portfolio, '{OF_SECRET}'), i.seen_at desc, i.value limit 1) as username
  from contacts k where k.id = any(cast(:ids as uuid[]))
) n
where c.id = n.id and c.username is distinct from n.username
""")  # noqa: S608 - a constant of ours

_RENUMBER: Final = text("""
with best as (
  select distinct on (i.contact_id) i.contact_id, coalesce(i.written, i.value) as number
  from contact_identities i
  where i.contact_id = any(cast(:ids as uuid[])) and i.kind in ('phone', 'bsuid')
  order by i.contact_id, i.kind = 'phone' desc, i.seen_at desc nulls last, i.value desc, i.portfolio
)
update contacts c set whatsapp_number = b.number
from best b
where c.id = b.contact_id and c.whatsapp_number <> b.number
  and not exists (select from contacts other where other.whatsapp_number = b.number)
returning c.id, c.whatsapp_number
""")

# Old rows may hold two conversations of one contact with one account: the older one has the number.
_FOLLOW: Final = text("""
update conversations c set client_number = k.whatsapp_number
from contacts k
where k.id = any(cast(:ids as uuid[])) and c.contact_id = k.id and c.client_number <> k.whatsapp_number
  and not exists (select from conversations other
                  where other.account_id = c.account_id and other.client_number = k.whatsapp_number)
  and not exists (select from conversations other
                  where other.account_id = c.account_id and other.contact_id = c.contact_id and other.id < c.id)
returning k.id, k.whatsapp_number
""")


_KINDS: Final = {kind.value: kind for kind in IdentityKind}


class Key(NamedTuple):
    """What identifies a contact. `portfolio` is empty for phone numbers."""

    portfolio: str
    kind: IdentityKind
    value: str


class Naming(NamedTuple):
    """When a key was first seen, and how WhatsApp wrote it; no time for what a person typed."""

    at: datetime | None
    written: str | None


def phone(wa_id: str) -> Key:
    return Key(EVERYWHERE, IdentityKind.PHONE, phone_key(wa_id))


def former_phone(portfolio: str, wa_id: str) -> Key:
    """A number that was given up; who heard it under a secret of an account's own keeps it to themselves."""
    return Key(portfolio if is_of_secret(portfolio) else EVERYWHERE, IdentityKind.FORMER_PHONE, phone_key(wa_id))


def is_of_secret(portfolio: str) -> bool:
    return portfolio.startswith(OF_SECRET)


def keys_of(portfolio: str, address: Address) -> dict[Key, str | None]:
    """The keys that find a contact, with the form they were written in. A username finds nobody: it can be given away.

    A number that was given up is asked for by `find` beside the number itself. A parent id joins several ids, so it
    is not taken from accounts with a secret of their own.
    """
    keys: dict[Key, str | None] = {}
    if address.wa_id:
        keys[phone(address.wa_id)] = address.wa_id
    if address.bsuid:
        keys[Key(portfolio, IdentityKind.BSUID, address.bsuid)] = None
    if address.parent_bsuid and not is_of_secret(portfolio):
        keys[Key(portfolio, IdentityKind.PARENT_BSUID, address.parent_bsuid)] = None
    return keys or {Key(EVERYWHERE, IdentityKind.PHONE, ""): ""}


def asked(named: Iterable[tuple[str, Address]]) -> set[Key]:
    """The keys of addresses, each with the portfolio of who named it; for a secret also what it says was given up."""
    keys: set[Key] = set()
    for portfolio, address in named:
        keys.update(keys_of(portfolio, address))
        if is_of_secret(portfolio) and address.wa_id:
            keys.add(former_phone(portfolio, address.wa_id))
    return keys


async def find(connection: AsyncConnection, keys: Collection[Key]) -> dict[Key, Row[Any]]:
    """Those of `keys` that are known, and the numbers among them that were given up.

    A key of a portfolio is also looked for among the accounts that have none yet.
    """
    phones = [key.value for key in keys if key.kind is IdentityKind.PHONE]
    ids = [key for key in keys if key.kind is not IdentityKind.PHONE]
    portfolios, kinds, values = _columns({*ids, *(key._replace(portfolio=EVERYWHERE) for key in ids)})
    scope = {"portfolios": portfolios, "kinds": kinds, "values": values, "phones": phones}
    rows = (await connection.execute(_FIND, scope)).all()
    found = {Key(row.portfolio, _KINDS[row.kind], row.value): row for row in rows}
    for key in ids:
        if key not in found and (row := found.get(key._replace(portfolio=EVERYWHERE))):
            found[key] = row
    return found


async def claim(connection: AsyncConnection, claims: Mapping[Key, tuple[UUID, Naming]]) -> bool:
    """Gives keys to contacts, which may follow later in the transaction. False if somebody else was faster with one."""
    portfolios, kinds, values = _columns(claims)
    columns = {
        "portfolios": portfolios,
        "kinds": kinds,
        "values": values,
        "contacts": [contact for contact, _ in claims.values()],
        "written": [naming.written for _, naming in claims.values()],
        "times": [naming.at for _, naming in claims.values()],
    }
    return len((await connection.execute(_CLAIM, columns)).all()) == len(claims)


async def hand_over(connection: AsyncConnection, winners: Mapping[UUID, UUID]) -> None:
    """All identities of each key of `winners` go to its value."""
    await connection.execute(_HAND_OVER, {"losers": list(winners), "winners": list(winners.values())})


async def see(connection: AsyncConnection, seen: Mapping[Key, Naming]) -> None:
    portfolios, kinds, values = _columns(seen)
    columns = {
        "portfolios": portfolios,
        "kinds": kinds,
        "values": values,
        "written": [naming.written for naming in seen.values()],
        "times": [naming.at for naming in seen.values()],
    }
    await connection.execute(_SEEN, columns)


async def use_usernames(connection: AsyncConnection, used: Mapping[tuple[str, str], tuple[datetime, UUID]]) -> None:
    """`used` says of (portfolio, username) when it was last used, and by whom."""
    columns = {
        "portfolios": [portfolio for portfolio, _ in used],
        "values": [value for _, value in used],
        "contacts": [contact for _, contact in used.values()],
        "times": [at for at, _ in used.values()],
    }
    touched = list((await connection.execute(_USERNAMES, columns)).scalars())
    if touched:
        await show_usernames(connection, touched)


async def show_usernames(connection: AsyncConnection, contacts: Iterable[UUID]) -> None:
    await connection.execute(_SHOW_USERNAMES, {"ids": sorted(contacts)})


async def renumber(connection: AsyncConnection, contacts: Iterable[UUID]) -> dict[UUID, str]:
    """Shows contacts and their threads under the newest number, else the newest BSUID; returns those that changed."""
    ids = sorted(contacts)
    rows = (await connection.execute(_RENUMBER, {"ids": ids})).all()
    followed = (await connection.execute(_FOLLOW, {"ids": ids})).all()
    return {row.id: row.whatsapp_number for row in [*rows, *followed]}


def _columns(keys: Iterable[Key]) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    rows = [(key.portfolio, key.kind.value, key.value) for key in keys]
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
