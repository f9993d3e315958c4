"""What became of messages of ours: the history of status webhooks, and what follows from it.

The history is a set: a repetition adds nothing. What the message and its row in the outbox show is computed from the
whole history of the message, so the order in which statuses arrive cannot matter. Before any call here contacts and
conversations must be locked already, if they are needed at all; here come messages, history, lanes, outbox, and once
more messages, if a reaction of ours that failed had replaced another one.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import reactions
from inbox.adapters.database.postgres.lanes import NUDGE
from inbox.domain.events import Event, MessageDoubled, StatusChanged
from inbox.domain.failure_texts import logged
from inbox.domain.graph_errors import OPEN_ENDED, sentence
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.inbound import InboundStatus
from inbox.domain.messages import FAILURES, FROM_META, RANK, Status
from inbox.domain.outbound import PUBLIC, OpId, State, Step, after
from inbox.domain.signals import MessageSettled, Signal, WorkWaiting
from inbox.domain.work import WorkKind
from inbox.kit.redaction import scrub

_log = structlog.stdlib.get_logger("inbox.statuses")

_ECHOES: Final = {
    Status.SENT: Step.ECHO_SENT,
    Status.DELIVERED: Step.ECHO_DELIVERED,
    Status.READ: Step.ECHO_READ,
    Status.FAILED: Step.ECHO_FAILED,
}
_MOVES: Final = [
    (state, seen, moved) for state in State for seen, echo in _ECHOES.items() if (moved := after(state, echo))
]
_WORDS: Final = {status.value: status for status in Status}
_MOST_ATTEMPTS: Final = 2**31 - 1
_OPEN: Final = frozenset({State.QUEUED, State.CLAIMED, State.WIRE, State.UNKNOWN})
_WAITED_FOR: Final = frozenset({State.WIRE, State.UNKNOWN})
_OVERRULED: Final = [State.EXPIRED, State.CANCELLED]
"""States that say `failed` only because nothing was known to be sent: any echo is better knowledge."""

# A status belongs to a message of the account whose number it names. The op id counts if we made that attempt; a tenant
# may write what it likes into the op id of its own sends, but never under the number of another one.
# `found` is materialized because a row that changed before it could be locked is looked at once more, and the rows of a
# union that PostgreSQL took into the query are not held fast for that: all of them come again, the first one counts,
# and one that does not fit makes the changed row disappear (measured with 18.6).
_FIND: Final = text("""
with s as (
  select u.*, a.id as account_id
  from unnest(cast(:numbers as text[]), cast(:wamids as text[]), cast(:op_ids as uuid[]), cast(:attempts as int[]))
    with ordinality u(phone_number_id, wamid, op_id, attempt, n)
  join whatsapp_accounts a on a.phone_number_id = u.phone_number_id
), found as materialized (
  select s.n, o.id, true as by_op
  from s join outbox o on o.id = s.op_id and o.account_id = s.account_id and s.attempt between 1 and o.attempt
  union all
  select s.n, m.id, false from s join messages m on m.wa_message_id = s.wamid and m.account_id = s.account_id
  where m.direction = 'outbound'
)
select f.n - 1 as place, f.by_op, m.id, m.account_id, m.conversation_id, m.wa_message_id, o.state, o.traceparent
from found f join messages m on m.id = f.id left join outbox o on o.id = m.id
order by m.id, f.n, f.by_op
for update of m
""")

_LEARN: Final = text("""
update messages m set wa_message_id = u.wamid
from unnest(cast(:ids as uuid[]), cast(:wamids as text[])) u(id, wamid)
where m.id = u.id and (m.wa_message_id is null) is true
  and not exists (select from messages other where other.wa_message_id = u.wamid and other.account_id = m.account_id)
""")

_KEEP: Final = text("""
insert into message_statuses (message_id, phone_number_id, wamid, op_id, status, occurred_at, error_code, error_title,
                              error_details, pricing, recipient)
select u.message_id, u.phone_number_id, u.wamid, u.op_id, u.status, u.occurred_at, u.error_code, u.error_title,
       u.error_details, u.pricing::jsonb, u.recipient
from unnest(cast(:message_ids as uuid[]), cast(:numbers as text[]), cast(:wamids as text[]), cast(:op_ids as text[]),
            cast(:statuses as text[]), cast(:times as timestamptz[]), cast(:codes as int[]), cast(:titles as text[]),
            cast(:details as text[]), cast(:pricings as text[]), cast(:recipients as text[]))
  with ordinality u(message_id, phone_number_id, wamid, op_id, status, occurred_at, error_code, error_title,
                    error_details, pricing, recipient, n)
order by u.wamid, u.status, u.error_code, u.recipient, u.n
on conflict do nothing
returning wamid, status
""")

# Statuses that came before their message was known: they belong to it now.
_ADOPT: Final = text("""
update message_statuses s set message_id = m.id
from messages m join whatsapp_accounts a on a.id = m.account_id
where m.id = any(cast(:ids as uuid[])) and s.message_id is null and s.wamid = m.wa_message_id
  and s.phone_number_id = a.phone_number_id
returning m.id
""")

# Their messages are locked, so that none is looked at once more: `held` is a union that is not materialized.
_SHOW: Final = text("""
with word as (
  select * from unnest(cast(:words as text[]), cast(:shown as text[]), cast(:ranks as int[])) w(word, shown, rank)
), seen as (
  select s.message_id, max(w.rank) as rank,
         min(s.occurred_at) filter (where w.shown = 'sent') as sent_at,
         min(s.occurred_at) filter (where w.shown = 'delivered') as delivered_at,
         min(s.occurred_at) filter (where w.shown = 'read') as read_at,
         min(s.occurred_at) filter (where w.shown = 'failed') as failed_at
  from message_statuses s join word w on w.word = s.status
  where s.message_id = any(cast(:ids as uuid[]))
  group by s.message_id
), ranked as (
  select m.id, seen.*, case when seen.rank > coalesce(held.rank, -1) or o.state = any(cast(:overruled as text[]))
                            then (select shown from word where word.rank = seen.rank limit 1) else m.status end as shown
  from seen join messages m on m.id = seen.message_id
  left join outbox o on o.id = m.id
  left join (select distinct shown, rank from word union all select 'pending', 0) held on held.shown = m.status
), next as (
  select r.id, r.shown as status, r.sent_at, r.delivered_at, r.read_at, r.failed_at,
         case when r.shown = 'failed' then coalesce(why.error_code, m.error_code) end as error_code,
         case when r.shown = 'failed' then coalesce(why.error_message, m.error_message) end as error_message
  from ranked r join messages m on m.id = r.id
  left join lateral (
    select s.error_code,
           coalesce(f.said || case when f.is_open and s.error_details is not null
                              then ' (' || left(s.error_details, 300) || ')' else '' end,
                    cast(:rejected as text) || ' (' || left(case when s.error_details is distinct from s.error_title
                                                   then concat_ws(': ', s.error_title, s.error_details)
                                                   else s.error_title end, 300) || ')',
                    cast(:rejected as text)) as error_message
    from message_statuses s
    left join unnest(cast(:codes as int[]), cast(:sayings as text[]), cast(:opens as boolean[])) f(code, said, is_open)
      on f.code = s.error_code
    where s.message_id = r.id and s.status = 'failed' order by s.occurred_at, s.error_code, s.id limit 1
  ) why on r.failed_at is not null
)
update messages m
set status = n.status, sent_at = least(m.sent_at, n.sent_at), delivered_at = least(m.delivered_at, n.delivered_at),
    read_at = least(m.read_at, n.read_at), failed_at = least(m.failed_at, n.failed_at), error_code = n.error_code,
    error_message = n.error_message
from next n
where m.id = n.id
  and (m.status, m.sent_at, m.delivered_at, m.read_at, m.failed_at, m.error_code, m.error_message) is distinct from
      (n.status, least(m.sent_at, n.sent_at), least(m.delivered_at, n.delivered_at), least(m.read_at, n.read_at),
       least(m.failed_at, n.failed_at), n.error_code, n.error_message)
returning m.id, m.account_id, m.conversation_id, m.status, m.wa_message_id, m.error_code, m.message_type
""").bindparams(
    words=list(FROM_META),
    shown=[status.value for status in FROM_META.values()],
    ranks=[RANK[status] for status in FROM_META.values()],
    codes=list(FAILURES),
    sayings=list(FAILURES.values()),
    opens=[code in OPEN_ENDED for code in FAILURES],
    rejected=sentence(None, ""),
    overruled=[state.value for state in _OVERRULED],
)

_ECHO: Final = text("""
with word as (
  select * from unnest(cast(:words as text[]), cast(:shown as text[]), cast(:ranks as int[])) w(word, shown, rank)
), seen as (
  select distinct on (s.message_id) s.message_id, w.shown
  from message_statuses s join word w on w.word = s.status
  where s.message_id = any(cast(:ids as uuid[]))
  order by s.message_id, w.rank desc
), held as (
  select o.id, o.state from outbox o where o.id = any(cast(:ids as uuid[])) order by o.id for update
), next as (
  select h.id, h.state as was, coalesce(v.moved, h.state) as state, m.wa_message_id as wamid, m.account_id,
         m.conversation_id, m.status, m.error_code
  from held h join messages m on m.id = h.id left join seen on seen.message_id = h.id
  left join unnest(cast(:states as text[]), cast(:seens as text[]), cast(:moves as text[])) v(state, seen, moved)
    on v.state = h.state and v.seen = seen.shown
)
update outbox o
set state = n.state, wamid = coalesce(o.wamid, n.wamid),
    updated_at = case when o.state = n.state then o.updated_at else now() end,
    not_before = case when o.state = n.state then o.not_before end,
    lease_until = case when o.state = n.state then o.lease_until end,
    unknown_until = case when o.state = n.state then o.unknown_until end
from next n
where o.id = n.id and (o.state <> n.state or (o.wamid is null and n.wamid is not null))
returning o.id, n.was, o.state, n.account_id, n.conversation_id, n.status, n.wamid as wa_message_id, n.error_code
""").bindparams(
    words=list(FROM_META),
    shown=[status.value for status in FROM_META.values()],
    ranks=[RANK[status] for status in FROM_META.values()],
    states=[state.value for state, _, _ in _MOVES],
    seens=[seen.value for _, seen, _ in _MOVES],
    moves=[moved.value for _, _, moved in _MOVES],
)


class NewStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A status that was news, in Meta's word. `traceparent` is that of the message it speaks about."""

    word: str
    is_parked: bool
    traceparent: str | None


class Heard(msgspec.Struct, kw_only=True):
    """What statuses changed: which were new, and whom to tell."""

    new: list[NewStatus] = []
    events: list[Event] = []
    signals: list[Signal] = []


class _Target(NamedTuple):
    """The message a status speaks about, as it was when it was locked; a row of `_FIND` after its place."""

    by_op: bool
    id: UUID
    account_id: UUID
    conversation_id: ConversationId | None
    wamid: str | None
    state: str | None
    traceparent: str | None

    def is_other(self, status: InboundStatus) -> bool:
        """True if WhatsApp took this message twice: two wamids. It must never happen, so it must never go unseen."""
        return self.by_op and self.wamid is not None and self.wamid != status.wamid


async def hear(connection: AsyncConnection, statuses: Sequence[InboundStatus], ops: Sequence[OpId | None]) -> Heard:
    """Keeps `statuses` and moves what they speak about. Those of messages that nobody knows yet are parked.

    `ops` are their op ids, as far as they are ours.
    """
    if not statuses:
        return Heard()
    targets = await _find(connection, statuses, ops)
    pairs = [(target, status) for target, status in zip(targets, statuses, strict=True) if target]
    learned: dict[UUID, str] = {}
    for target, status in pairs:
        if target.by_op and target.wamid is None:
            learned.setdefault(target.id, status.wamid)
    if learned:
        await connection.execute(_LEARN, {"ids": list(learned), "wamids": list(learned.values())})
    rows = (await connection.execute(_KEEP, _rows(statuses, targets))).all()
    kept = {(row.wamid, row.status) for row in rows}
    _log_failures(pairs, kept)
    new = {target.id for target, status in pairs if (status.wamid, status.status) in kept}
    waiting = learned.keys() | ({target.id for target, _ in pairs} - new)
    touched = new | learned.keys() | (await adopt(connection, waiting) if waiting else set())
    held = {str(t.conversation_id) for t, _ in pairs if t.id in touched and t.state in _WAITED_FOR}
    events, signals = await show(connection, touched, lanes=sorted(held))
    doubles: list[Event] = [_doubled(t, s) for t, s in pairs if t.is_other(s) and (s.wamid, s.status) in kept]
    news = _news(zip(targets, statuses, strict=True), rows)
    return Heard(new=news, events=events + doubles, signals=signals)


def _log_failures(pairs: Iterable[tuple[_Target, InboundStatus]], kept: Collection[tuple[str, str]]) -> None:
    for target, status in pairs:
        if status.status == Status.FAILED and (status.wamid, status.status) in kept:
            said = logged("whatsapp_rejected", status.error_code)
            _log.warning("message_failed", message_id=str(target.id), graph_code=status.error_code, said=said)


def _news(pairs: Iterable[tuple[_Target | None, InboundStatus]], kept: Iterable[Row[Any]]) -> list[NewStatus]:
    """One for each row that was kept; which message a status speaks about does not depend on its repetitions."""
    targets = {(status.wamid, status.status): target for target, status in pairs}
    return [
        NewStatus(
            word=row.status,
            is_parked=(target := targets[row.wamid, row.status]) is None,
            traceparent=target.traceparent if target else None,
        )
        for row in kept
    ]


async def adopt(connection: AsyncConnection, message_ids: Iterable[UUID]) -> set[UUID]:
    """Gives locked messages the parked statuses of their wamid; returns those that had some."""
    return set((await connection.execute(_ADOPT, {"ids": sorted(message_ids)})).scalars())


async def show(
    connection: AsyncConnection, message_ids: Iterable[UUID], *, lanes: Sequence[str] = ()
) -> tuple[list[Event], list[Signal]]:
    """Brings locked messages and their rows in the outbox up to their history.

    `lanes` are send lanes that waited for it: they become due.
    """
    ids = sorted(message_ids)
    if not ids:
        return [], []
    shown = (await connection.execute(_SHOW, {"ids": ids})).all()
    nudged = (await connection.execute(NUDGE, {"kind": WorkKind.SEND.value, "keys": lanes})).rowcount if lanes else 0
    moved = {row.id: row for row in (await connection.execute(_ECHO, {"ids": ids})).all()}
    events: list[Event] = [changed(row, moved[row.id].state if row.id in moved else None) for row in shown]
    seen_before = moved.keys() - {row.id for row in shown}
    events += [changed(moved[one], moved[one].state) for one in sorted(seen_before)]
    tapped = {row.id: row.status for row in shown if row.message_type == "reaction"}
    events += await reactions.taken(connection, [one for one, seen in tapped.items() if seen != Status.FAILED])
    events += await reactions.withdrawn(connection, [one for one, seen in tapped.items() if seen == Status.FAILED])
    signals: list[Signal] = [MessageSettled(MessageId(row.id)) for row in moved.values() if row.was in _OPEN]
    return events, signals + ([WorkWaiting(WorkKind.SEND)] if nudged else [])


async def _find(
    connection: AsyncConnection, statuses: Sequence[InboundStatus], ops: Sequence[OpId | None]
) -> list[_Target | None]:
    """For each status its message, locked: by op id, else by wamid."""
    values = {
        "numbers": [status.phone_number_id for status in statuses],
        "wamids": [status.wamid for status in statuses],
        "op_ids": [op.message_id if op else None for op in ops],
        "attempts": [op.attempt if op and op.attempt <= _MOST_ATTEMPTS else None for op in ops],
    }
    found: list[_Target | None] = [None] * len(statuses)
    for place, *fields in (await connection.execute(_FIND, values)).all():
        target = _Target._make(fields)
        if found[place] is None or target.by_op:
            found[place] = target
    return found


def _rows(statuses: Sequence[InboundStatus], targets: Sequence[_Target | None]) -> dict[str, list[Any]]:
    return {
        "message_ids": [target.id if target else None for target in targets],
        "numbers": [status.phone_number_id for status in statuses],
        "wamids": [status.wamid for status in statuses],
        "op_ids": [status.op_id for status in statuses],
        "statuses": [status.status for status in statuses],
        "times": [status.occurred_at for status in statuses],
        "codes": [status.error_code for status in statuses],
        "titles": [status.error_title and scrub(status.error_title) for status in statuses],
        "details": [status.error_details and scrub(status.error_details) for status in statuses],
        "pricings": [bytes(status.pricing).decode() if status.pricing else None for status in statuses],
        "recipients": [status.recipient for status in statuses],
    }


def changed(row: Row[Any], state: str | None, *, reason: str | None = None) -> StatusChanged:
    """What everybody who looks at the message is told. `state` is the inner one, if it moved; `reason` why it failed.

    Rows of the existing system may have any word as status.
    """
    return StatusChanged(
        account_id=AccountId(row.account_id),
        conversation_id=row.conversation_id and ConversationId(row.conversation_id),
        message_id=MessageId(row.id),
        status=_WORDS.get(row.status, Status.SENT),
        wa_message_id=row.wa_message_id,
        delivery_state=None if state is None else State(state),
        error_code=row.error_code,
        reason=reason,
    )


def moved_on(row: Row[Any], state: State, *, timestamp: str | None = None) -> StatusChanged:
    """The same for a message of which only the inner state moved: it is shown as pending, before and after."""
    return StatusChanged(
        account_id=AccountId(row.account_id),
        conversation_id=ConversationId(row.conversation_id),
        message_id=MessageId(row.id),
        status=PUBLIC[state],
        delivery_state=state,
        timestamp=timestamp,
    )


def _doubled(target: _Target, status: InboundStatus) -> MessageDoubled:
    return MessageDoubled(
        account_id=AccountId(target.account_id),
        conversation_id=target.conversation_id,
        message_id=MessageId(target.id),
        wa_message_id=target.wamid,
        other_wa_message_id=status.wamid,
    )
