"""The conversations that a batch concerns: made where there is none, and locked before messages are."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import windows
from inbox.adapters.database.postgres.arrivals import Arrival
from inbox.domain.events import SERVICE, Cause, ConversationCreated, Event
from inbox.domain.ids import AccountId, ConversationId, uuid7

Pair: TypeAlias = tuple[UUID, UUID]
"""Account and contact."""

_LOCK: Final = text("""
select c.id, c.account_id, c.contact_id, c.client_number
from unnest(cast(:accounts as uuid[]), cast(:contacts as uuid[])) u(account_id, contact_id)
join conversations c on c.contact_id = u.contact_id and c.account_id = u.account_id
order by c.id for no key update of c
""")

# Lists show the name of a contact: whoever tells of another one holds all its conversations, of whatever account.
_LOCK_MORE: Final = text("""
with wanted as materialized (
  select o.id
  from unnest(cast(:accounts as uuid[]), cast(:contacts as uuid[])) u(account_id, contact_id)
  join conversations o on o.contact_id = u.contact_id and o.account_id = u.account_id
  union all select o.id from conversations o where o.contact_id = any(cast(:more as uuid[]))
)
select c.id, c.account_id, c.contact_id, c.client_number
from conversations c where c.id in (select id from wanted)
order by c.id for no key update of c
""")

_HOLD: Final = text("""
select id, account_id from conversations where contact_id = any(cast(:contacts as uuid[])) order by id for no key update
""")

# Old rows may have no contact: they get theirs. The assistant looks after what customers begin, if its account says so.
_MAKE: Final = text("""
insert into conversations (id, contact_id, account_id, client_number, updated_at, bot_enabled)
select u.id, u.contact_id, u.account_id, u.number, u.newest, u.is_begun and coalesce(a.bot_auto_on, false)
from unnest(cast(:ids as uuid[]), cast(:contacts as uuid[]), cast(:accounts as uuid[]), cast(:numbers as text[]),
            cast(:newest as timestamptz[]), cast(:begun as boolean[]))
  u(id, contact_id, account_id, number, newest, is_begun)
join whatsapp_accounts a on a.id = u.account_id
order by u.account_id, u.number
on conflict (account_id, client_number)
do update set contact_id = coalesce(conversations.contact_id, excluded.contact_id)
returning id, account_id, client_number
""")


class Threads(msgspec.Struct, kw_only=True):
    """Locked conversations: that of each arrival in `owners`; those that were there by whose they are."""

    owners: list[UUID] = []
    held: dict[Pair, list[UUID]] = {}
    events: list[Event] = []

    def told(self, pairs: AbstractSet[Pair], cause: Cause) -> list[Event]:
        return [
            windows.updated(pair[0], held, cause) for pair, ids in self.held.items() if pair in pairs for held in ids
        ]


async def lock(
    connection: AsyncConnection,
    arrivals: Sequence[Arrival],
    contacts: Sequence[UUID],
    numbers: Mapping[UUID, str],
    *,
    renamed: AbstractSet[UUID],
    others: AbstractSet[UUID],
) -> Threads:
    """The conversation of each arrival with its contact, and all those of the contacts `renamed` and `others`.

    `renamed` are contacts that lists show otherwise than before.
    """
    newest: dict[Pair, datetime] = {}
    for arrival, contact in zip(arrivals, contacts, strict=True):
        pair = (arrival.account_id, contact)
        newest[pair] = max(newest.get(pair, arrival.latest), arrival.latest)
    threads = Threads()
    found = await _found(connection, threads, newest, numbers, renamed | others)
    threads.events += threads.told({pair for pair in threads.held if pair[1] in renamed}, Cause.CONTACT)
    missing = {pair: at for pair, at in newest.items() if pair not in found}
    if missing:
        begun = {
            (one.account_id, contact)
            for one, contact in zip(arrivals, contacts, strict=True)
            if one.message.source.is_news
        }
        found |= await _made(connection, threads, missing, numbers, begun)
    threads.owners = [found[arrival.account_id, contact] for arrival, contact in zip(arrivals, contacts, strict=True)]
    return threads


async def renamed(connection: AsyncConnection, contacts: AbstractSet[UUID]) -> list[Event]:
    """Tells all conversations of `contacts`, which lists show otherwise than before; they are locked. So are those."""
    if not contacts:
        return []
    rows = (await connection.execute(_HOLD, {"contacts": list(contacts)})).all()
    return [windows.updated(row.account_id, row.id, Cause.CONTACT) for row in rows]


async def _found(
    connection: AsyncConnection,
    threads: Threads,
    wanted: Mapping[Pair, datetime],
    numbers: Mapping[UUID, str],
    more: AbstractSet[UUID],
) -> dict[Pair, UUID]:
    """Of two conversations of one contact, which old rows may have, the one with its number counts."""
    found: dict[Pair, UUID] = {}
    if not wanted and not more:
        return found
    scope = {"accounts": [account for account, _ in wanted], "contacts": [contact for _, contact in wanted]}
    statement, values = (_LOCK_MORE, {**scope, "more": list(more)}) if more else (_LOCK, scope)
    for row in (await connection.execute(statement, values)).all():
        pair = (row.account_id, row.contact_id)
        threads.held.setdefault(pair, []).append(row.id)
        if pair not in found or row.client_number == numbers.get(row.contact_id):
            found[pair] = row.id
    return found


async def _made(
    connection: AsyncConnection,
    threads: Threads,
    missing: Mapping[Pair, datetime],
    numbers: Mapping[UUID, str],
    begun: AbstractSet[Pair],
) -> dict[Pair, UUID]:
    """Conversations for `missing`; customers began those in `begun`."""
    new = [uuid7() for _ in missing]
    columns = {
        "ids": new,
        "contacts": [contact for _, contact in missing],
        "accounts": [account for account, _ in missing],
        "numbers": [numbers[contact] for _, contact in missing],
        "newest": list(missing.values()),
        "begun": [pair in begun for pair in missing],
    }
    rows = (await connection.execute(_MAKE, columns)).all()
    made = {(row.account_id, row.client_number): row.id for row in rows}
    for (account, _), one in made.items():
        threads.events.append(_created(account, one) if one in new else windows.updated(account, one, Cause.CONTACT))
    return {pair: made[pair[0], numbers[pair[1]]] for pair in missing}


def _created(account_id: UUID, conversation_id: UUID) -> ConversationCreated:
    return ConversationCreated(
        account_id=AccountId(account_id), conversation_id=ConversationId(conversation_id), by=SERVICE
    )
