"""Webhooks become rows: a whole batch in about ten statements, in the lock order of the house.

Effects come from rows that were really inserted, so a repetition changes nothing; times only move forward, so the order
does not matter.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import statuses
from inbox.adapters.database.postgres.lanes import ENQUEUE_TIMERS
from inbox.adapters.database.postgres.statuses import NewStatus
from inbox.domain.bot import wakes_bot
from inbox.domain.content import Media, message_type, preview
from inbox.domain.conversations import WINDOW
from inbox.domain.events import Event, Signal, WorkWaiting
from inbox.domain.ids import AccountId, ConversationId, DeliveryId, uuid7
from inbox.domain.inbound import InboundMessage
from inbox.domain.work import WorkKind
from inbox.kit.paging import format_time
from inbox.ports.records import Applied, InboundBatch, Received, SetAside

UNKNOWN_NUMBER: Final = "unknown_number"

_ACCOUNTS: Final = text("""
select phone_number_id, id from whatsapp_accounts where phone_number_id = any(cast(:numbers as text[]))
""")

_KNOWN: Final = text("select wa_message_id from messages where wa_message_id = any(cast(:wamids as text[]))")

_CONTACTS: Final = text("""
insert into contacts (id, whatsapp_number, display_name, name_at)
select u.id, u.number, u.name, u.name_at
from unnest(cast(:ids as uuid[]), cast(:numbers as text[]), cast(:names as text[]), cast(:times as timestamptz[]))
  u(id, number, name, name_at)
order by u.number
on conflict (whatsapp_number) do update set display_name = excluded.display_name, name_at = excluded.name_at
where excluded.name_at is not null and not contacts.is_named_by_person
  and (contacts.name_at is null
       or (excluded.name_at, excluded.display_name) > (contacts.name_at, coalesce(contacts.display_name, '')))
""")

_CONVERSATIONS: Final = text("""
insert into conversations (id, contact_id, account_id, client_number, updated_at)
select u.id, c.id, u.account_id, u.number, u.newest
from unnest(cast(:ids as uuid[]), cast(:accounts as uuid[]), cast(:numbers as text[]), cast(:newest as timestamptz[]))
  u(id, account_id, number, newest)
join contacts c on c.whatsapp_number = u.number
order by u.account_id, u.number
on conflict (account_id, client_number) do nothing
""")

_LOCK: Final = text("""
select c.id, c.account_id, c.client_number
from unnest(cast(:accounts as uuid[]), cast(:numbers as text[])) u(account_id, number)
join conversations c on c.account_id = u.account_id and c.client_number = u.number
order by c.account_id, c.client_number for no key update of c
""")

# The conversations are locked: `created_at` of their messages follows the order of commits. `now()` would be the start
# of the transaction, before it waited for the lock.
_MESSAGES: Final = text("""
insert into messages (id, account_id, conversation_id, direction, author, status, wa_message_id, "timestamp", content,
                      content_text, message_type, media_id, media_mime_type, media_filename, reply_to_wamid, created_at)
select u.id, u.account_id, u.conversation_id, 'inbound', 'contact', 'received', u.wamid, u.sent_at, u.content::jsonb,
       u.content_text, u.message_type, u.media_id, u.mime_type, u.filename, u.reply_to, statement_timestamp()
from unnest(cast(:ids as uuid[]), cast(:accounts as uuid[]), cast(:conversations as uuid[]), cast(:wamids as text[]),
            cast(:times as timestamptz[]), cast(:contents as text[]), cast(:texts as text[]), cast(:types as text[]),
            cast(:media_ids as text[]), cast(:mime_types as text[]), cast(:filenames as text[]),
            cast(:replies as text[]))
  u(id, account_id, conversation_id, wamid, sent_at, content, content_text, message_type, media_id, mime_type, filename,
    reply_to)
order by u.wamid
on conflict do nothing
returning id
""")

_COUNT: Final = text("""
update conversations c
set unread_count = c.unread_count + u.n, updated_at = greatest(c.updated_at, u.newest), status = 'open',
    contact_id = coalesce(c.contact_id, k.id), last_inbound_at = greatest(c.last_inbound_at, u.newest),
    window_expires_at = greatest(c.window_expires_at, u.newest + :window)
from unnest(cast(:ids as uuid[]), cast(:counts as int[]), cast(:newest as timestamptz[])) u(id, n, newest),
     contacts k
where c.id = u.id and k.whatsapp_number = c.client_number
returning c.id, c.account_id, c.unread_count, c.updated_at, c.window_expires_at, c.bot_enabled
""").bindparams(window=WINDOW)

_QUARANTINE: Final = text("""
insert into quarantined_items (delivery_id, position, reason, raw)
select u.delivery_id, u.position, u.reason, u.raw
from unnest(cast(:deliveries as bigint[]), cast(:positions as int[]), cast(:reasons as text[]), cast(:raws as bytea[]))
  u(delivery_id, position, reason, raw)
order by u.delivery_id, u.position
on conflict (delivery_id, position) do nothing
returning reason
""")

_CLOSE: Final = text("""
with closed as (
  select d.id, u.reason
  from unnest(cast(:ids as bigint[]), cast(:reasons as text[])) u(id, reason) join deliveries d on d.id = u.id
  where d.state = 'open' order by d.id for update of d
)
update deliveries d
set state = case when c.reason is null then 'done' else 'quarantined' end, reason = c.reason, done_at = now()
from closed c where d.id = c.id
returning d.state, d.traceparent, extract(epoch from clock_timestamp() - d.received_at)::float8 as lag
""")


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch changed, and whom to tell. `set_aside` are new items that cannot be applied."""

    applied: Applied
    heard: Sequence[NewStatus]
    set_aside: int
    events: list[Event]
    signals: list[Signal]


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was dealt with, `lag` seconds after it came. `state` is `done` or `quarantined`."""

    state: str
    lag: float
    traceparent: str | None


class Ingested(msgspec.Struct, kw_only=True):
    """What a transaction did with deliveries, to be counted after its commit. Only news, never repetitions."""

    messages: int = 0
    unrouted: int = 0
    set_aside: int = 0
    statuses: list[NewStatus] = []
    deliveries: list[Closed] = []

    def add(self, done: Effects) -> None:
        self.messages += done.applied.new_messages
        self.unrouted += done.applied.unrouted
        self.set_aside += done.set_aside
        self.statuses += done.heard


class DeliveryOutcomes:
    """Deliveries that a transaction has dealt with, to be marked after their lanes are locked, never before.

    Intake holds a lane while it waits for a delivery with the same bytes; the other order would deadlock with it.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._reasons: dict[DeliveryId, str | None] = {}
        self.closed: list[Closed] = []

    def add(self, batch: InboundBatch) -> None:
        self._reasons |= dict.fromkeys(batch.done)
        self._reasons |= dict(batch.undecodable)

    async def write(self) -> None:
        if self._reasons:
            values = {"ids": list(self._reasons), "reasons": list(self._reasons.values())}
            rows = (await self._connection.execute(_CLOSE, values)).all()
            self.closed += [Closed(state=row.state, lag=max(0.0, row.lag), traceparent=row.traceparent) for row in rows]


class _Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may be new, with the account that its number belongs to."""

    received: Received
    account_id: UUID

    @property
    def message(self) -> InboundMessage:
        return self.received.message

    @property
    def owner(self) -> tuple[UUID, str]:
        return (self.account_id, self.message.sender.key)


async def apply(connection: AsyncConnection, batch: InboundBatch, outcomes: DeliveryOutcomes) -> Effects:
    """Applies `batch` and leaves to `outcomes` what has to be written at the end of the transaction."""
    arrivals, unrouted = await _route(connection, batch.messages)
    events: list[Event] = []
    signals: list[Signal] = []
    timers: list[Row[Any]] = []
    new = 0
    if arrivals:
        owners = await _conversations(connection, arrivals)
        fresh = await _insert(connection, arrivals, owners)
        new = len(fresh)
        counted = await _count(connection, fresh, owners)
        events += [_created(arrival, owners[arrival.owner]) for arrival in fresh] + [_updated(row) for row in counted]
        awake = {owners[a.owner] for a in fresh if wakes_bot(a.message.content)}
        timers = sorted((row for row in counted if row.bot_enabled and row.id in awake), key=lambda row: str(row.id))
    heard = await statuses.hear(connection, batch.statuses)
    if timers:
        traces = {owners[arrival.owner]: arrival.received.traceparent for arrival in fresh}
        await _enqueue_turns(connection, timers, traces, batch.quiet_for)
        signals.append(WorkWaiting(WorkKind.TURN))
    kept = await _quarantine(connection, batch.set_aside, unrouted)
    strangers = kept.count(UNKNOWN_NUMBER)
    outcomes.add(batch)
    return Effects(
        applied=Applied(new_messages=new, new_statuses=len(heard.new), unrouted=strangers),
        heard=heard.new,
        set_aside=len(kept) - strangers,
        events=events + heard.events,
        signals=signals + heard.signals,
    )


async def _route(connection: AsyncConnection, messages: Sequence[Received]) -> tuple[list[_Arrival], list[Received]]:
    """Messages that are new as far as one can see, and those of numbers that nobody has. An inactive account counts."""
    if not messages:
        return [], []
    first: dict[str, Received] = {}
    for received in messages:
        first.setdefault(received.message.wamid, received)
    known = set((await connection.execute(_KNOWN, {"wamids": list(first)})).scalars())
    numbers = list({received.message.phone_number_id for received in first.values()})
    found = (await connection.execute(_ACCOUNTS, {"numbers": numbers})).all()
    accounts: dict[str, UUID] = {row.phone_number_id: row.id for row in found}
    arrivals = [
        _Arrival(received=received, account_id=accounts[received.message.phone_number_id])
        for wamid, received in first.items()
        if wamid not in known and received.message.phone_number_id in accounts
    ]
    return arrivals, [received for received in messages if received.message.phone_number_id not in accounts]


async def _conversations(connection: AsyncConnection, arrivals: Sequence[_Arrival]) -> dict[tuple[UUID, str], UUID]:
    """The conversation of each (account, customer), made where there is none, locked."""
    names: dict[str, tuple[datetime, str] | None] = {}
    newest: dict[tuple[UUID, str], datetime] = {}
    for arrival in arrivals:
        message, number = arrival.message, arrival.message.sender.key
        named = (message.sent_at, message.profile_name) if message.profile_name else None
        known = names.get(number)
        names[number] = max(known, named) if known and named else known or named
        newest[arrival.owner] = max(newest.get(arrival.owner, message.sent_at), message.sent_at)
    contacts = {
        "ids": [uuid7() for _ in names],
        "numbers": list(names),
        "names": [named and named[1] for named in names.values()],
        "times": [named and named[0] for named in names.values()],
    }
    await connection.execute(_CONTACTS, contacts)
    scope = {"accounts": [account for account, _ in newest], "numbers": [number for _, number in newest]}
    made = {**scope, "ids": [uuid7() for _ in newest], "newest": list(newest.values())}
    await connection.execute(_CONVERSATIONS, made)
    rows = (await connection.execute(_LOCK, scope)).all()
    return {(row.account_id, row.client_number): row.id for row in rows}


async def _insert(
    connection: AsyncConnection, arrivals: Sequence[_Arrival], owners: dict[tuple[UUID, str], UUID]
) -> list[_Arrival]:
    """The arrivals that were new, in the order of their arrival."""
    said = [(arrival.message, arrival.message.content) for arrival in arrivals]
    media = [content if isinstance(content, Media) else None for _, content in said]
    values = {
        "ids": [arrival.received.id for arrival in arrivals],
        "accounts": [arrival.account_id for arrival in arrivals],
        "conversations": [owners[arrival.owner] for arrival in arrivals],
        "wamids": [message.wamid for message, _ in said],
        "times": [message.sent_at for message, _ in said],
        "contents": [_encode(content).decode() for _, content in said],
        "texts": [preview(content) for _, content in said],
        "types": [message_type(content) for _, content in said],
        "media_ids": [file and file.media_id for file in media],
        "mime_types": [file and file.mime_type for file in media],
        "filenames": [file and (file.filename or file.sha256) for file in media],
        "replies": [message.reply_to_wamid for message, _ in said],
    }
    new = set((await connection.execute(_MESSAGES, values)).scalars())
    return [arrival for arrival in arrivals if arrival.received.id in new]


async def _count(
    connection: AsyncConnection, fresh: Sequence[_Arrival], owners: dict[tuple[UUID, str], UUID]
) -> Sequence[Row[Any]]:
    """The rows of the conversations after their new messages were counted."""
    counts: dict[UUID, int] = {}
    newest: dict[UUID, datetime] = {}
    for arrival in fresh:
        owner, at = owners[arrival.owner], arrival.message.sent_at
        counts[owner] = counts.get(owner, 0) + 1
        newest[owner] = max(newest.get(owner, at), at)
    if not counts:
        return []
    values = {"ids": list(counts), "counts": list(counts.values()), "newest": list(newest.values())}
    return (await connection.execute(_COUNT, values)).all()


async def _enqueue_turns(
    connection: AsyncConnection, rows: Sequence[Row[Any]], traces: dict[UUID, str | None], due_in: timedelta
) -> None:
    values = {
        "kind": WorkKind.TURN.value,
        "keys": [str(row.id) for row in rows],
        "account_ids": [row.account_id for row in rows],
        "traces": [traces[row.id] for row in rows],
        "due_in": due_in,
    }
    await connection.execute(ENQUEUE_TIMERS, values)


async def _quarantine(
    connection: AsyncConnection, set_aside: Sequence[SetAside], unrouted: Sequence[Received]
) -> list[str]:
    """The reasons of the items that are there for the first time. Unknown numbers' are kept in our own encoding."""
    items = [(aside.delivery_id, aside.position, aside.item.reason, aside.item.raw) for aside in set_aside]
    items += [(r.delivery_id, r.position, UNKNOWN_NUMBER, _encode(r.message)) for r in unrouted]
    if not items:
        return []
    deliveries, positions, reasons, raws = map(list, zip(*items, strict=True))
    values = {"deliveries": deliveries, "positions": positions, "reasons": reasons, "raws": raws}
    return list((await connection.execute(_QUARANTINE, values)).scalars())


def _created(arrival: _Arrival, conversation_id: UUID) -> Event:
    message = arrival.message
    return Event(
        account_id=AccountId(arrival.account_id),
        conversation_id=ConversationId(conversation_id),
        kind="message.created",
        body={
            "id": str(arrival.received.id),
            "direction": "inbound",
            "message_type": message_type(message.content),
            "timestamp": format_time(message.sent_at),
        },
    )


def _updated(row: Row[Any]) -> Event:
    return Event(
        account_id=AccountId(row.account_id),
        conversation_id=ConversationId(row.id),
        kind="conversation.updated",
        body={
            "unread_count": row.unread_count,
            "updated_at": format_time(row.updated_at),
            "window_expires_at": format_time(row.window_expires_at),
        },
    )


_encode: Final = msgspec.json.Encoder().encode
