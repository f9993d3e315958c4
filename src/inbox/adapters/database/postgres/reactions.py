"""Reactions: of each person on each message the newest counts, and one that was taken back stays as an empty one.

The message may come later, or never. Who reacted is a contact, or the business; readers show reactions of the two
sides of a conversation only.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.contacts import Address
from inbox.domain.events import Event, ReactionChanged
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.inbound import Reaction
from inbox.kit.paging import format_time

BUSINESS: Final = "business"
"""The reactor of what was tapped on our side."""

# Ties are decided as Python compares texts, whatever the collation of the database.
_IS_NEWER: Final = """
(excluded.reacted_at, excluded.wamid collate "C") > (reactions.reacted_at, reactions.wamid collate "C")
"""

# A contact that reacts is locked, so that its conversations cannot become part of others meanwhile; what was tapped in
# the app holds nobody.
_HOLD: Final = text("""
select from unnest(cast(:accounts as uuid[]), cast(:targets as text[])) u(account_id, target)
join messages m on m.wa_message_id = u.target and (m.account_id = u.account_id or m.account_id is null)
order by m.id for key share of m
""")

_STORE: Final = text(f"""
insert into reactions (account_id, target_wamid, reactor, emoji, wamid, reacted_at)
select u.account_id, u.target, u.reactor, u.emoji, u.wamid, u.at
from unnest(cast(:accounts as uuid[]), cast(:targets as text[]), cast(:reactors as text[]), cast(:emojis as text[]),
            cast(:wamids as text[]), cast(:times as timestamptz[])) u(account_id, target, reactor, emoji, wamid, at)
order by u.account_id, u.target, u.reactor
on conflict (account_id, target_wamid, reactor) do update
set emoji = excluded.emoji, wamid = excluded.wamid, reacted_at = excluded.reacted_at
where {_IS_NEWER}
returning account_id, target_wamid, reactor
""")  # noqa: S608 - a constant of ours

# What WhatsApp took of us. Of several on one message the newest is meant.
_STORE_OURS: Final = text(f"""
insert into reactions (account_id, target_wamid, reactor, emoji, wamid, reacted_at)
select distinct on (m.account_id, m.content->>'wamid')
       m.account_id, m.content->>'wamid', 'business', m.content->>'emoji', coalesce(m.wa_message_id, m.id::text),
       m."timestamp"
from messages m
where m.id = any(cast(:ids as uuid[])) and m.content->>'type' in ('reaction', 'reaction_removal')
order by m.account_id, m.content->>'wamid', m."timestamp" desc, m.id desc
on conflict (account_id, target_wamid, reactor) do update
set emoji = excluded.emoji, wamid = excluded.wamid, reacted_at = excluded.reacted_at
where {_IS_NEWER}
returning account_id, target_wamid, reactor
""")  # noqa: S608 - a constant of ours

# WhatsApp took it, and said later that it failed. One that is not the newest any more is gone already.
_WITHDRAW: Final = text("""
delete from reactions r using messages m
where m.id = any(cast(:ids as uuid[])) and m.content->>'type' in ('reaction', 'reaction_removal')
  and r.account_id = m.account_id and r.target_wamid = m.content->>'wamid' and r.reactor = 'business'
  and r.wamid in (m.wa_message_id, m.id::text)
returning r.account_id, r.target_wamid, m.conversation_id
""")

# What the customer sees instead: the newest of ours before it that WhatsApp took and that did not fail. They are
# locked, because one of them may be failing at this moment.
_BEFORE: Final = text("""
with held as materialized (
  select u.account_id, u.target, m.id, m."timestamp"
  from unnest(cast(:accounts as uuid[]), cast(:conversations as uuid[]), cast(:targets as text[]))
    u(account_id, conversation_id, target)
  join messages m on m.conversation_id = u.conversation_id and m.account_id = u.account_id and m.direction = 'outbound'
    and m.message_type = 'reaction' and m.content->>'wamid' = u.target and m.status in ('sent', 'delivered', 'read')
  order by m.id for update of m
)
select distinct on (account_id, target) id from held order by account_id, target, "timestamp" desc, id desc
""")

_GONE: Final = text("""
select c.account_id, c.id as conversation_id, m.id, 'business' as reactor, null as emoji, now() as reacted_at
from unnest(cast(:accounts as uuid[]), cast(:targets as text[])) u(account_id, target)
join messages m on m.wa_message_id = u.target
join conversations c on c.id = m.conversation_id and c.account_id = u.account_id
where (m.account_id = c.account_id or m.account_id is null)
  and not exists (select from reactions r
                  where r.account_id = u.account_id and r.target_wamid = u.target and r.reactor = 'business')
order by m.id
""")

_SHOWN: Final = text("""
select c.account_id, c.id as conversation_id, m.id, r.reactor, r.emoji, r.reacted_at
from unnest(cast(:accounts as uuid[]), cast(:targets as text[]), cast(:reactors as text[]))
  u(account_id, target, reactor)
join reactions r on r.account_id = u.account_id and r.target_wamid = u.target and r.reactor = u.reactor
join messages m on m.wa_message_id = u.target
join conversations c on c.id = m.conversation_id and c.account_id = u.account_id
where (m.account_id = c.account_id or m.account_id is null) and u.reactor in ('business', c.contact_id::text)
order by m.id, r.reactor
""")

_FOLLOW: Final = text(f"""
with gone as (
  delete from reactions where reactor = cast(:loser as text)
  returning account_id, target_wamid, emoji, wamid, reacted_at
)
insert into reactions (account_id, target_wamid, reactor, emoji, wamid, reacted_at)
select account_id, target_wamid, cast(:winner as text), emoji, wamid, reacted_at
from gone order by account_id, target_wamid
on conflict (account_id, target_wamid, reactor) do update
set emoji = excluded.emoji, wamid = excluded.wamid, reacted_at = excluded.reacted_at
where {_IS_NEWER}
""")  # noqa: S608 - a constant of ours


async def apply(
    connection: AsyncConnection,
    reactions: Sequence[Reaction],
    accounts: Mapping[str, UUID],
    contacts: Mapping[tuple[str, Address, datetime], UUID],
) -> list[Event]:
    """Stores `reactions`; tells those that changed something on a message that is there."""
    newest: dict[tuple[UUID, str, str], Reaction] = {}
    for reaction in reactions:
        number, who = reaction.phone_number_id, reaction.customer
        reactor = BUSINESS if who is None else str(contacts[number, who, reaction.at])
        key = (accounts[number], reaction.target, reactor)
        known = newest.get(key)
        if known is None or (reaction.at, reaction.wamid) > (known.at, known.wamid):
            newest[key] = reaction
    if not newest:
        return []
    if tapped := [(account, target) for account, target, reactor in newest if reactor == BUSINESS]:
        accounts_of, targets = zip(*tapped, strict=True)
        await connection.execute(_HOLD, {"accounts": list(accounts_of), "targets": list(targets)})
    columns = {
        "accounts": [account for account, _, _ in newest],
        "targets": [target for _, target, _ in newest],
        "reactors": [reactor for _, _, reactor in newest],
        "emojis": [reaction.emoji for reaction in newest.values()],
        "wamids": [reaction.wamid for reaction in newest.values()],
        "times": [reaction.at for reaction in newest.values()],
    }
    return await _changed(connection, _STORE, columns)


async def taken(connection: AsyncConnection, message_ids: Collection[UUID]) -> list[Event]:
    """Shows the reactions of ours that these messages are: WhatsApp took them. The messages are locked."""
    return await _changed(connection, _STORE_OURS, {"ids": list(message_ids)}) if message_ids else []


async def withdrawn(connection: AsyncConnection, message_ids: Collection[UUID]) -> list[Event]:
    """Shows the reactions of ours that these messages are no longer: they failed. The messages are locked.

    One that was tapped in the WhatsApp Business app before is not known any more.
    """
    if not message_ids:
        return []
    gone = (await connection.execute(_WITHDRAW, {"ids": list(message_ids)})).all()
    if not gone:
        return []
    scope = {"accounts": [row.account_id for row in gone], "targets": [row.target_wamid for row in gone]}
    talks = {"conversations": [row.conversation_id for row in gone]}
    before = (await connection.execute(_BEFORE, scope | talks)).scalars().all()
    events = await taken(connection, before)
    return events + [_told(row) for row in (await connection.execute(_GONE, scope)).all()]


async def _changed(connection: AsyncConnection, statement: TextClause, values: Mapping[str, Any]) -> list[Event]:
    changed = (await connection.execute(statement, values)).all()
    if not changed:
        return []
    scope = {
        "accounts": [row.account_id for row in changed],
        "targets": [row.target_wamid for row in changed],
        "reactors": [row.reactor for row in changed],
    }
    return [_told(row) for row in (await connection.execute(_SHOWN, scope)).all()]


async def follow(connection: AsyncConnection, loser: UUID, winner: UUID) -> None:
    """The reactions of a contact that becomes part of another one. Both are locked."""
    await connection.execute(_FOLLOW, {"loser": str(loser), "winner": str(winner)})


def _told(row: Row[Any]) -> ReactionChanged:
    return ReactionChanged(
        account_id=AccountId(row.account_id),
        conversation_id=ConversationId(row.conversation_id),
        message_id=MessageId(row.id),
        emoji=row.emoji,
        sender="business" if row.reactor == BUSINESS else "contact",
        at=format_time(row.reacted_at),
    )
