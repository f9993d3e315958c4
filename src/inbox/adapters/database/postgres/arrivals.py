"""Messages of a batch and the conversations they belong to.

A wamid is stored once; a content of a higher rank takes the place of a lower one and counts for nothing new. Times move
forward, or back to the earliest, so the order of arrival does not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.lanes import ENQUEUE_TIMERS
from inbox.adapters.database.postgres.windows import REFUSED_AT
from inbox.domain.content import Call, Media, message_type, opens_window, preview, rank
from inbox.domain.conversations import WINDOW
from inbox.domain.inbound import InboundMessage, Source, Surroundings
from inbox.domain.messages import FROM_META, Status
from inbox.domain.work import WorkKind
from inbox.ports.records import Received

MEDIA_LIVES: Final = timedelta(days=7)
"""How long WhatsApp knows the media id of a webhook."""

_KNOWN: Final = text("""
select m.wa_message_id, a.phone_number_id, m.content_rank, m."timestamp"
from messages m join whatsapp_accounts a on a.id = m.account_id
where m.wa_message_id = any(cast(:wamids as text[]))
""")

# The conversations are locked: `created_at` of their messages follows the order of commits. `now()` would be the start
# of the transaction, before it waited for the lock. What is from the past was there before.
_MESSAGES: Final = text("""
insert into messages (id, account_id, conversation_id, direction, author, status, wa_message_id, "timestamp", content,
                      content_text, message_type, media_id, media_mime_type, media_filename, reply_to_wamid, context,
                      content_rank, sent_at, created_at)
select u.id, u.account_id, u.conversation_id, case when u.status = 'received' then 'inbound' else 'outbound' end,
       case when u.status = 'received' then 'contact' else 'phone' end, u.status, u.wamid, u.at, u.content::jsonb,
       u.content_text, u.message_type, u.media_id, u.mime_type, u.filename, u.reply_to, u.context::jsonb, u.rank,
       case when u.status not in ('received', 'failed') then u.at end,
       case when u.id = any(cast(:past as uuid[])) then least(statement_timestamp(), u.at)
            else statement_timestamp() end
from unnest(cast(:ids as uuid[]), cast(:accounts as uuid[]), cast(:conversations as uuid[]),
            cast(:statuses as text[]), cast(:wamids as text[]),
            cast(:times as timestamptz[]), cast(:contents as text[]), cast(:texts as text[]), cast(:types as text[]),
            cast(:media_ids as text[]), cast(:mime_types as text[]), cast(:filenames as text[]),
            cast(:replies as text[]), cast(:contexts as text[]), cast(:ranks as smallint[]))
  u(id, account_id, conversation_id, status, wamid, at, content, content_text, message_type,
    media_id, mime_type, filename, reply_to, context, rank)
order by u.wamid
on conflict do nothing
returning id
""")

# An amendment of the placeholder is applied anew to the real content. What was queued here is nobody else's to change.
_REPLACE: Final = text("""
with u as (
  select * from unnest(cast(:ids as uuid[]), cast(:accounts as uuid[]), cast(:wamids as text[]),
                       cast(:times as timestamptz[]), cast(:contents as text[]), cast(:texts as text[]),
                       cast(:types as text[]), cast(:media_ids as text[]), cast(:mime_types as text[]),
                       cast(:filenames as text[]), cast(:replies as text[]), cast(:contexts as text[]),
                       cast(:ranks as smallint[]))
    n(id, account_id, wamid, at, content, content_text, message_type, media_id, mime_type, filename, reply_to, context,
      rank)
), held as (
  select m.id as stored, u.rank > m.content_rank as is_better, u.*
  from u join messages m on m.wa_message_id = u.wamid and m.account_id = u.account_id
  where (u.rank > m.content_rank or u.at < m."timestamp" or (u.context is not null and m.context is null)
         or (u.reply_to is not null and m.reply_to_wamid is null))
    and (m.author is null or m.author in ('contact', 'phone'))
  order by m.id for update of m
), completed as (
  update messages m
  set "timestamp" = least(m."timestamp", h.at), context = coalesce(m.context, h.context::jsonb),
      reply_to_wamid = coalesce(m.reply_to_wamid, h.reply_to)
  from held h where m.id = h.stored and not h.is_better
  returning h.id, m.id as stored
), replaced as (
  update messages m
  set content = h.content::jsonb, content_text = h.content_text, message_type = h.message_type, media_id = h.media_id,
      media_mime_type = h.mime_type, media_filename = h.filename, content_rank = h.rank,
      reply_to_wamid = coalesce(h.reply_to, m.reply_to_wamid), context = coalesce(h.context::jsonb, m.context),
      "timestamp" = least(m."timestamp", h.at), original_content = null, amended_at = null, revoked_at = null
  from held h where m.id = h.stored and h.is_better
  returning h.id, m.id as stored
)
select id, stored, true as is_better from replaced union all select id, stored, false from completed
""")

# Whoever wrote before WhatsApp said that the window is closed did not open it.
_COUNT: Final = text(f"""
update conversations c
set unread_count = c.unread_count + u.unread, updated_at = greatest(c.updated_at, u.newest), status = 'open',
    last_inbound_at = greatest(c.last_inbound_at, u.news), epoch = c.epoch + u.echoes,
    window_expires_at = case
      when c.window_expires_at is not null then greatest(c.window_expires_at, u.opened + :window)
      when u.opened > coalesce({REFUSED_AT}, '-infinity') then u.opened + :window end
from unnest(cast(:ids as uuid[]), cast(:unread as int[]), cast(:echoes as int[]), cast(:newest as timestamptz[]),
            cast(:news as timestamptz[]), cast(:opened as timestamptz[]))
  u(id, unread, echoes, newest, news, opened)
join conversations was on was.id = u.id
where c.id = u.id
returning c.id, c.account_id, c.bot_enabled or c.bot_suggests as has_bot,
          (c.unread_count, c.updated_at, c.status, c.window_expires_at)
          is distinct from (was.unread_count, was.updated_at, was.status, was.window_expires_at) as is_moved
""").bindparams(window=WINDOW)  # noqa: S608 - constants of ours

_FILES: Final = text("""
insert into media_files (message_id, account_id, media_id, expected_sha256, expires_at)
select * from unnest(cast(:ids as uuid[]), cast(:accounts as uuid[]), cast(:media_ids as text[]),
                     cast(:digests as text[]), cast(:times as timestamptz[])) u(id, account_id, media_id, digest, at)
order by u.id
on conflict do nothing
""")

_PAST: Final = {**FROM_META, "error": Status.FAILED}


_LIVE: Final = frozenset({Source.CUSTOMER, Source.PHONE})


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may say something new: the best of its wamid in the batch, with the times of all of them."""

    received: Received
    message: InboundMessage
    account_id: UUID
    portfolio: str
    earliest: datetime
    latest: datetime
    others: tuple[InboundMessage, ...] = ()

    @property
    def surroundings(self) -> Surroundings:
        """Those of the best content, else of another one."""
        if not self.others:
            return self.message.surroundings
        said = (one.surroundings for one in (self.message, *self.others))
        return next((one for one in said if one != _BARE), _BARE)

    @property
    def reply_to(self) -> str | None:
        if not self.others:
            return self.message.reply_to_wamid
        said = (one.reply_to_wamid for one in (self.message, *self.others))
        return next((one for one in said if one), None)

    @property
    def opened_at(self) -> datetime | None:
        """When this news opened the customer service window. A call did so when it began."""
        content = self.message.content
        if not opens_window(content):
            return None
        return self.latest - timedelta(seconds=content.seconds or 0) if isinstance(content, Call) else self.latest


class Fresh(msgspec.Struct, kw_only=True):
    """What an arrival left: the id of the stored message, in the conversation `owner`.

    If neither is true it added to a message that stays what it is.
    """

    arrival: Arrival
    owner: UUID
    stored: UUID
    is_new: bool
    is_better: bool = False


class Thread(msgspec.Struct, kw_only=True):
    """What arrivals change in a conversation."""

    newest: datetime
    unread: int = 0
    echoes: int = 0
    news: datetime | None = None
    opened: datetime | None = None


async def unknown(
    connection: AsyncConnection, messages: Sequence[Received], accounts: Mapping[str, tuple[UUID, str]]
) -> list[Arrival]:
    """Those of `messages` that may change something. Of two with one wamid the higher rank counts, then the first."""
    best: dict[tuple[str, str], Arrival] = {}
    for received in messages:
        message = received.message
        if message.phone_number_id in accounts:
            key = (message.wamid, message.phone_number_id)
            known = best.get(key)
            best[key] = _joined(known, received) if known else _arrival(received, *accounts[message.phone_number_id])
    if not best:
        return []
    rows = (await connection.execute(_KNOWN, {"wamids": list({wamid for wamid, _ in best})})).all()
    for row in rows:
        key = (row.wa_message_id, row.phone_number_id)
        arrival = best.get(key)
        if arrival is None or row.content_rank != rank(arrival.message.content):
            continue
        if row.timestamp == arrival.earliest == arrival.latest:
            del best[key]
    return list(best.values())


def _arrival(received: Received, account_id: UUID, portfolio: str) -> Arrival:
    message = received.message
    at = message.sent_at
    return Arrival(
        received=received, message=message, account_id=account_id, portfolio=portfolio, earliest=at, latest=at
    )


def _joined(known: Arrival, received: Received) -> Arrival:
    better, worse = known.received, received
    if rank(worse.message.content) > rank(better.message.content):
        better, worse = worse, better
    return msgspec.structs.replace(
        known,
        received=better,
        message=better.message,
        earliest=min(known.earliest, received.message.sent_at),
        latest=max(known.latest, received.message.sent_at),
        others=(*known.others, worse.message),
    )


async def store(connection: AsyncConnection, arrivals: Sequence[Arrival], owners: Sequence[UUID]) -> list[Fresh]:
    """What was new, or added to what was stored, in the order of arrival. `owners` are the conversations."""
    columns = _columns(arrivals)
    past = [arrival.received.id for arrival in arrivals if arrival.message.source not in _LIVE]
    values = {
        **columns,
        "conversations": list(owners),
        "statuses": [status_of(arrival.message).value for arrival in arrivals],
        "past": past,
    }
    new = set((await connection.execute(_MESSAGES, values)).scalars())
    replaced: dict[UUID, Row[Any]] = {}
    if len(new) < len(arrivals):
        rest = [arrival for arrival in arrivals if arrival.received.id not in new]
        rows = (await connection.execute(_REPLACE, _columns(rest))).all()
        replaced = {row.id: row for row in rows}
    fresh = []
    for arrival, owner in zip(arrivals, owners, strict=True):
        own = arrival.received.id
        if own in new:
            fresh.append(Fresh(arrival=arrival, owner=owner, stored=own, is_new=True))
        elif (row := replaced.get(own)) is not None:
            one = Fresh(arrival=arrival, owner=owner, stored=row.stored, is_new=False, is_better=row.is_better)
            fresh.append(one)
    return fresh


async def count(
    connection: AsyncConnection, arrivals: Sequence[Arrival], owners: Sequence[UUID], fresh: Sequence[Fresh]
) -> Sequence[Row[Any]]:
    """The rows of the conversations after their arrivals were counted; of `fresh` those count that are new."""
    threads: dict[UUID, Thread] = {}
    for arrival, owner in zip(arrivals, owners, strict=True):
        thread = threads.get(owner)
        if thread is None:
            thread = threads[owner] = Thread(newest=arrival.latest)
        thread.newest = max(thread.newest, arrival.latest)
        if arrival.message.source.is_news:
            thread.news = _latest(thread.news, arrival.latest)
            thread.opened = _latest(thread.opened, arrival.opened_at)
    for one in fresh:
        if one.is_new:
            source = one.arrival.message.source
            threads[one.owner].unread += source.is_news
            threads[one.owner].echoes += source is Source.PHONE
    values = {
        "ids": list(threads),
        "unread": [thread.unread for thread in threads.values()],
        "echoes": [thread.echoes for thread in threads.values()],
        "newest": [thread.newest for thread in threads.values()],
        "news": [thread.news for thread in threads.values()],
        "opened": [thread.opened for thread in threads.values()],
    }
    return (await connection.execute(_COUNT, values)).all()


async def fetch_files(connection: AsyncConnection, fresh: Iterable[Fresh], now: datetime) -> bool:
    """Each new file is a row and a lane of its own. True if there are any."""
    files = [(one, one.arrival.message.content) for one in fresh]
    wanted = [(one, content) for one, content in files if isinstance(content, Media) and content.media_id]
    if not wanted:
        return False
    wanted.sort(key=lambda file: str(file[0].stored))
    accounts = [one.arrival.account_id for one, _ in wanted]
    values = {
        "ids": [one.stored for one, _ in wanted],
        "accounts": accounts,
        "media_ids": [content.media_id for _, content in wanted],
        "digests": [content.sha256 for _, content in wanted],
        "times": [_expires(one.arrival.message, now) for one, _ in wanted],
    }
    await connection.execute(_FILES, values)
    lanes = {
        "kind": WorkKind.MEDIA.value,
        "keys": [str(one.stored) for one, _ in wanted],
        "account_ids": accounts,
        "traces": [one.arrival.received.traceparent for one, _ in wanted],
        "due_in": timedelta(),
        "at_most": timedelta(),
    }
    await connection.execute(ENQUEUE_TIMERS, lanes)
    return True


def _columns(arrivals: Sequence[Arrival]) -> dict[str, list[Any]]:
    said = [(arrival.message, arrival.message.content) for arrival in arrivals]
    media = [content if isinstance(content, Media) else None for _, content in said]
    return {
        "ids": [arrival.received.id for arrival in arrivals],
        "accounts": [arrival.account_id for arrival in arrivals],
        "wamids": [message.wamid for message, _ in said],
        "times": [arrival.earliest for arrival in arrivals],
        "contents": [_encode(content).decode() for _, content in said],
        "texts": [preview(content) for _, content in said],
        "types": [message_type(content) for _, content in said],
        "media_ids": [file and file.media_id for file in media],
        "mime_types": [file and file.mime_type for file in media],
        "filenames": [file and (file.filename or file.sha256) for file in media],
        "replies": [arrival.reply_to for arrival in arrivals],
        "contexts": [_context(arrival.surroundings) for arrival in arrivals],
        "ranks": [rank(content) for _, content in said],
    }


def _context(surroundings: Surroundings) -> str | None:
    return None if surroundings == _BARE else _encode(surroundings).decode()


def status_of(message: InboundMessage) -> Status:
    """Meta's word counts for what the business wrote in the past; `sent` if it is none of ours."""
    if message.source.is_inbound:
        return Status.RECEIVED
    return _PAST.get((message.status or "").lower(), Status.SENT)


def _expires(message: InboundMessage, now: datetime) -> datetime:
    return (message.sent_at if message.source in _LIVE else now) + MEDIA_LIVES


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other


_BARE: Final = Surroundings()
_encode: Final = msgspec.json.Encoder().encode
