"""Two contacts turn out to be one person: one of them stays, with the threads of both.

In the lock order of the house: `merge` deals with contacts, conversations and messages, `finish` at the end of the
transaction with lanes and the work rows. A conversation that vanishes is locked from the beginning, so that whoever
wants it waits and then does not find it. What is on its way out stays so: its row in the outbox only moves.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import effects, windows
from inbox.domain.events import Cause, ConversationMerged, Event
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.signals import Signal, WorkWaiting
from inbox.domain.work import WorkKind

# The name of a person wins, then the later one.
_JOIN: Final = text("""
update contacts w
set display_name = case when n.is_better then l.display_name else w.display_name end,
    name_at = case when n.is_better then l.name_at else w.name_at end,
    is_named_by_person = w.is_named_by_person or l.is_named_by_person,
    created_at = case when l.is_listed and w.is_listed then least(w.created_at, l.created_at)
                      when l.is_listed then l.created_at else w.created_at end,
    is_listed = w.is_listed or l.is_listed
from contacts l, lateral (
  select not k.is_named_by_person
         and (l.is_named_by_person
              or (coalesce(l.name_at, '-infinity'), coalesce(l.display_name, ''))
                 > (coalesce(k.name_at, '-infinity'), coalesce(k.display_name, ''))) as is_better
  from contacts k where k.id = :winner
) n
where w.id = :winner and l.id = :loser
""")

_PREFERENCES: Final = text("""
insert into contact_preferences (account_id, contact_id, category, value, detail, changed_at)
select account_id, cast(:winner as uuid), category, value, detail, changed_at
from contact_preferences where contact_id = :loser order by account_id, category
on conflict (account_id, contact_id, category) do update
set value = excluded.value, detail = excluded.detail, changed_at = excluded.changed_at
where (excluded.changed_at, excluded.value collate "C", coalesce(excluded.detail, '') collate "C")
      > (contact_preferences.changed_at, contact_preferences.value collate "C",
         coalesce(contact_preferences.detail, '') collate "C")
""")

_CONVERSATIONS: Final = text("""
select id, account_id, contact_id, created_at from conversations
where contact_id = any(cast(:contacts as uuid[])) order by id for update
""")

_FOLD: Final = text("""
update conversations s
set unread_count = s.unread_count + v.unread_count, updated_at = greatest(s.updated_at, v.updated_at),
    last_inbound_at = greatest(s.last_inbound_at, v.last_inbound_at),
    window_expires_at = greatest(s.window_expires_at, v.window_expires_at),
    bot_last_reply_at = greatest(s.bot_last_reply_at, v.bot_last_reply_at),
    bot_enabled = s.bot_enabled and v.bot_enabled,
    bot_suggests = (s.bot_enabled or s.bot_suggests) and (v.bot_enabled or v.bot_suggests)
                   and not (s.bot_enabled and v.bot_enabled),
    is_favorite = s.is_favorite or v.is_favorite,
    epoch = greatest(s.epoch, v.epoch) + 1, created_at = least(s.created_at, v.created_at),
    handover_reason = case when v.handed_over_at > coalesce(s.handed_over_at, '-infinity')
                      then v.handover_reason else s.handover_reason end,
    handed_over_at = greatest(s.handed_over_at, v.handed_over_at),
    assignee_id = coalesce(s.assignee_id, v.assignee_id),
    assigned_at = case when s.assignee_id is null then v.assigned_at else s.assigned_at end
from conversations v
where s.id = :heir and v.id = :id
""")

# Number and contact are free for the conversation that stays.
_EMPTY: Final = text("""
update conversations c set client_number = c.id::text, contact_id = null where c.id = any(cast(:ids as uuid[]))
""")

_REASSIGN: Final = text("""
update conversations c set contact_id = u.winner
from unnest(cast(:losers as uuid[]), cast(:winners as uuid[])) u(loser, winner) where c.contact_id = u.loser
""")

_REMOVE: Final = text("delete from contacts where id = any(cast(:losers as uuid[]))")

_MESSAGES: Final = text("""
with moved as (
  select m.id, u.heir from unnest(cast(:ids as uuid[]), cast(:heirs as uuid[])) u(id, heir)
  join messages m on m.conversation_id = u.id order by m.id for update of m
)
update messages m set conversation_id = moved.heir from moved where m.id = moved.id
""")

_LOCK_LANES: Final = text("""
select from lanes where kind in ('send', 'turn') and key = any(cast(:keys as text[])) order by kind, key for update
""")

# Whatever waited in the lanes of the one that vanishes waits in those of the other. A lease is left alone.
_LANES: Final = text("""
insert into lanes (kind, key, account_id, traceparent)
select l.kind, u.heir::text, l.account_id, l.traceparent
from unnest(cast(:ids as uuid[]), cast(:heirs as uuid[])) u(id, heir) join lanes l on l.key = u.id::text
where l.kind in ('send', 'turn') and l.ver > l.done
order by l.kind, u.heir, u.id
on conflict (kind, key) do update
set ver = lanes.ver + 1, due = case when lanes.attempts > 0 then lanes.due else least(lanes.due, excluded.due) end
""")

# A lane in the hands of a worker finds nothing the next time and is finished.
_DROP_LANES: Final = text("""
delete from lanes where kind in ('send', 'turn') and key = any(cast(:keys as text[])) and attempts = 0
""")

_OUTBOX: Final = text("""
with moved as (
  select o.id, u.heir from unnest(cast(:ids as uuid[]), cast(:heirs as uuid[])) u(id, heir)
  join outbox o on o.conversation_id = u.id order by o.id for update of o
)
update outbox o set conversation_id = moved.heir from moved where o.id = moved.id
""")

_TURNS: Final = text("""
update bot_turns t set conversation_id = u.heir
from unnest(cast(:ids as uuid[]), cast(:heirs as uuid[])) u(id, heir) where t.conversation_id = u.id
""")

_VANISH: Final = text("delete from conversations where id = any(cast(:ids as uuid[]))")


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """Who became whom: contacts; and conversations, whose rows stay empty until `finish`, with their accounts."""

    contacts: dict[UUID, UUID] = {}
    conversations: dict[UUID, UUID] = {}
    accounts: dict[UUID, UUID] = {}

    @property
    def threads(self) -> set[UUID]:
        """The conversations that took in others."""
        return set(self.conversations.values())


async def merge(connection: AsyncConnection, winners: Mapping[UUID, UUID]) -> Merged:
    """Each contact that is a key of `winners` becomes part of its value. All of them are locked."""
    if not winners:
        return Merged()
    for loser, winner in sorted(winners.items()):
        await connection.execute(_JOIN, {"loser": loser, "winner": winner})
        await connection.execute(_PREFERENCES, {"loser": loser, "winner": winner})
        await effects.follow(connection, loser, winner)
    people = sorted(winners.keys() | set(winners.values()))
    rows = (await connection.execute(_CONVERSATIONS, {"contacts": people})).all()
    into = _vanishing(rows, winners)
    for one, other in into.items():
        await connection.execute(_FOLD, {"id": one, "heir": other})
    if into:
        await connection.execute(_EMPTY, {"ids": list(into)})
    columns = {"losers": list(winners), "winners": list(winners.values())}
    await connection.execute(_REASSIGN, columns)
    await connection.execute(_REMOVE, {"losers": list(winners)})
    if into:
        await connection.execute(_MESSAGES, {"ids": list(into), "heirs": list(into.values())})
    await effects.settle(connection, set(winners.values()))
    accounts = {row.id: row.account_id for row in rows if row.id in into}
    return Merged(contacts=dict(winners), conversations=into, accounts=accounts)


async def finish(
    connection: AsyncConnection, merged: Merged, heirs: Collection[UUID]
) -> tuple[list[Event], list[Signal]]:
    """Moves the work of conversations that vanish, and ends them. Only turn lanes and events may be locked afterwards.

    `heirs` are those of the conversations that took in others which are there still.
    """
    into = merged.conversations
    if not into:
        return [], []
    columns = {"ids": list(into), "heirs": list(into.values())}
    gone = [str(one) for one in into]
    await connection.execute(_LOCK_LANES, {"keys": gone + [str(other) for other in into.values()]})
    for one, other in into.items():  # two that vanish into one would meet in one statement
        await connection.execute(_LANES, {"ids": [one], "heirs": [other]})
    await connection.execute(_DROP_LANES, {"keys": gone})
    for statement in (_OUTBOX, _TURNS):
        await connection.execute(statement, columns)
    await connection.execute(_VANISH, {"ids": list(into)})
    events: list[Event] = [
        ConversationMerged(
            account_id=AccountId(merged.accounts[one]), conversation_id=ConversationId(one), into=ConversationId(other)
        )
        for one, other in into.items()
    ]
    owners = {other: merged.accounts[one] for one, other in into.items() if other in heirs}
    events += [windows.updated(account, heir, Cause.THREAD) for heir, account in owners.items()]
    return events, [WorkWaiting(WorkKind.SEND), WorkWaiting(WorkKind.TURN)]


def _vanishing(rows: Sequence[Row[Any]], winners: Mapping[UUID, UUID]) -> dict[UUID, UUID]:
    """Which conversation becomes part of which: with each account one stays, that of the contact who stays if any."""
    threads: dict[tuple[UUID, UUID], list[Row[Any]]] = {}
    for row in rows:
        threads.setdefault((row.account_id, winners.get(row.contact_id, row.contact_id)), []).append(row)
    into: dict[UUID, UUID] = {}
    for (_, winner), together in threads.items():
        kept = min(together, key=lambda row: (row.contact_id != winner, row.created_at, row.id))
        into |= {row.id: kept.id for row in together if row.id != kept.id and row.contact_id != winner}
    return into
