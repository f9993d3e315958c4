"""Messages: the bubble, and for those that we send the row in the outbox and its lane."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import decisions, event_log, unseen
from inbox.adapters.database.postgres.old_rows import OLD_TEXT, readable
from inbox.domain import outgoing, pacing
from inbox.domain.content import Content, Media, message_type, preview
from inbox.domain.errors import ConversationNotFound, IdempotencyKeyReused
from inbox.domain.events import Cause, ConversationUpdated, Event, MessageCreated, kind_of
from inbox.domain.ids import AccountId, ConversationId, MessageId, UserId
from inbox.domain.messages import Author, Status
from inbox.domain.outbound import LEASE, Step
from inbox.domain.outgoing import Sendable
from inbox.domain.outgoing_files import Document, File
from inbox.domain.scheduling import MOST_WAITING
from inbox.domain.sending_errors import TooManyScheduled
from inbox.domain.signals import LogGrew, Signal
from inbox.kit import tracing
from inbox.ports.records import Closed, History, IdempotencyKey, NewMessage, Target, Unseen

# A part of a turn that is there already changes nothing.
_OWNER: Final = """
with owner as (
  select id, account_id,
         not exists (select from outbox where turn_id = cast(:turn_id as uuid) and part = cast(:part as int)) as is_new
  from conversations where id = :conversation_id and account_id = :account_id
)"""
# Whoever adds a message has locked its conversation before: `created_at` follows the order of commits, as the history
# needs it. `now()` would be the start of the transaction, before it waited for the lock. All of it is one statement:
# each one more would cost a send as much again.
_ADDED: Final = """, line as (
  update conversations c
  set updated_at = greatest(c.updated_at, cast(:at as timestamptz)), epoch = c.epoch + cast(:takes_over as int),
      bot_last_reply_at = greatest(c.bot_last_reply_at, case when :by_bot then cast(:at as timestamptz) end)
  from owner
  where c.id = owner.id and owner.is_new and cast(:is_line as boolean)
  returning c.id, c.account_id
), message as (
  insert into messages (id, account_id, conversation_id, direction, content_text, content, message_type, media_id,
                        media_mime_type, media_filename, author, author_id, client_id, status, "timestamp", failed_at,
                        error_code, error_message, reply_to_wamid, created_at)
  select cast(:id as uuid), account_id, id, 'outbound', cast(:content_text as text), cast(:content as jsonb),
         cast(:message_type as text), cast(:media_id as text), cast(:media_mime_type as text),
         cast(:media_filename as text), cast(:author as text), cast(:author_id as uuid), cast(:client_id as text),
         cast(:status as text), cast(:at as timestamptz), cast(:failed_at as timestamptz), cast(:error_code as int),
         cast(:error_message as text), cast(:reply_to_wamid as text), clock_timestamp()
  from owner where is_new
  returning id, account_id, conversation_id
)"""
# The rows come from `line`, so their ids are drawn while the conversation is held. Only for a transaction that holds
# the lane as well: its statement waits for nothing then (`event_log.py`).
TOLD: Final = """, told as (
  insert into event_log (account_id, conversation_id, kind, body)
  select line.account_id, line.id, e.kind, e.body
  from line cross join lateral (
    select 1 as n, cast(:event as text) as kind, cast(:event_body as jsonb) as body from work
    union all select 2, cast(:line_event as text), cast(:line_body as jsonb)
  ) e
  order by e.n
)"""
_DONE: Final = "select exists (select from owner) as is_stored, exists (select from work) as is_new"


# One statement, in the lock order of the house. The outbox row joins the lane, so its serial is drawn under the lane's
# lock: serials of a conversation follow the order of commits. A lane has the rank of the most urgent message that waits
# in it, and opens no sooner than the limit of its pair allows.
def queueing(claims: str = "false") -> str:
    """SQL that adds the message of `owner` and queues it.

    `claims` is SQL: whether whoever queues it also sends it. They hold the lane then, and it is idle: it becomes theirs
    as if they had claimed it.
    """
    return f"""{_ADDED}, lane as (
  insert into lanes (kind, key, account_id, priority, due, fence, attempts)
  select 'send', conversation_id::text, account_id, cast(:priority as smallint),
         now() + cast(:lease as interval) * mine.claims, mine.claims, mine.claims
  from message cross join (select ({claims})::int as claims) mine
  on conflict (kind, key) do update
  set ver = lanes.ver + 1,
      due = case when lanes.ver = lanes.done then greatest(excluded.due, lanes.pair_at) else lanes.due end,
      fence = lanes.fence + excluded.fence,
      attempts = lanes.attempts + excluded.attempts,
      priority = case when lanes.ver = lanes.done then excluded.priority
                 else least(lanes.priority, excluded.priority) end
  returning key, ver, fence, pair_refusals, {claims} as is_claimed, attempts = 0 and retries > 0 as is_postponed
), work as (
  insert into outbox (id, account_id, conversation_id, state, token, lease_until, expires_at, epoch, turn_id, part,
                      traceparent)
  select m.id, m.account_id, m.conversation_id, case when lane.is_claimed then 'claimed' else 'queued' end,
         case when lane.is_claimed then gen_random_uuid() end,
         case when lane.is_claimed then now() + cast(:lease as interval) end,
         cast(:expires_at as timestamptz), cast(:epoch as bigint), cast(:turn_id as uuid), cast(:part as int),
         cast(:traceparent as text)
  from message m join lane on lane.key = m.conversation_id::text
  on conflict (turn_id, part) do nothing
  returning id, token
)"""  # noqa: S608 - constants of ours


_IS_POSTPONED: Final = "(select is_postponed from lane) as is_postponed"

_QUEUE: Final = text(f"{_OWNER}{queueing()} {_DONE}, {_IS_POSTPONED}").bindparams(lease=LEASE)
_QUEUE_AND_TELL: Final = text(f"{_OWNER}{queueing()}{TOLD} {_DONE}, {_IS_POSTPONED}").bindparams(lease=LEASE)

# No lane knows of it before its time comes: `scheduled.py` does what is left out here.
_SCHEDULE: Final = text(f"""{_OWNER}{_ADDED}, work as (
  insert into outbox (id, account_id, conversation_id, state, expires_at, traceparent, send_at, priority)
  select id, account_id, conversation_id, 'scheduled', cast(:expires_at as timestamptz), cast(:traceparent as text),
         cast(:send_at as timestamptz), cast(:priority as smallint)
  from message
  returning id
)
{_DONE}""")  # noqa: S608 - constants of ours

_COUNT_SCHEDULED: Final = text("""
select count(*) from outbox
where conversation_id = :conversation_id and account_id = :account_id and state = 'scheduled'
""")

_ADD_FAILED: Final = text(f"""{_OWNER}{_ADDED}, work as (
  insert into outbox (id, account_id, conversation_id, state, reason, expires_at, epoch, turn_id, part)
  select id, account_id, conversation_id, 'failed', cast(:reason as text), cast(:expires_at as timestamptz),
         cast(:epoch as bigint), cast(:turn_id as uuid), cast(:part as int)
  from message
  on conflict (turn_id, part) do nothing
  returning id
)
{_DONE}""")  # noqa: S608 - constants of ours

_DROP: Final = text("delete from messages where id = :id and account_id = :account_id")

# The update that changes nothing returns the earlier row, and waits for a first request that is still running.
_REMEMBER: Final = text("""
insert into idempotency_keys (account_id, caller, call, key, request_hash, message_id)
values (:account_id, :caller, :call, :key, :request_hash, :message_id)
on conflict (caller, call, key) do update set key = excluded.key
returning message_id, request_hash
""")

# WhatsApp's clock ticks in seconds, ours in microseconds: within one second only the order of arrival tells who spoke
# last. The index finds the newest by time; some more are read, so that a late arrival has its place among them.
_HISTORY: Final = text(f"""
select newest.*, exists (select from api_keys k where k.id = newest.author_id) as by_program from (
  select m.id, m.direction <> 'outbound' as is_inbound, m.author, m.author_id, m.content_text, m.content,
         m."timestamp" as at, m.message_type, {OLD_TEXT} as is_old, m.created_at
  from messages m
  where m.conversation_id = (select id from conversations where id = :conversation_id and account_id = :account_id)
    and (m.account_id = :account_id or m.account_id is null)
    and m."timestamp" is not null
    and m.author is distinct from 'system'
    and m.content_text is distinct from '[status update]'
    and m.message_type is distinct from 'reaction'
    and not (m.direction = 'outbound' and m.status is not distinct from 'failed')
    and not (m.direction = 'outbound' and m.status is not distinct from 'pending'
             and exists (select from outbox o where o.id = m.id and o.state = 'scheduled'))
  order by m."timestamp" desc, m.id desc
  limit :limit + 20) newest
order by created_at desc, id desc
limit :limit
""")  # noqa: S608 - a constant of ours

# Reactions of ours have no bubble: nothing can be said about them.
_TARGET: Final = text("""
select m.wa_message_id as wamid, m."timestamp" as at
from messages m join conversations c on c.id = m.conversation_id
where (m.id = cast(:id as uuid) or m.wa_message_id = cast(:wamid as text)) and c.id = :conversation_id
  and c.account_id = :account_id and (m.account_id = c.account_id or m.account_id is null)
  and m.wa_message_id is not null and m."timestamp" is not null and m.message_type is distinct from 'reaction'
limit 1
""")

_SAID: Final = text("""
select content::text from messages where id = :id and account_id = :account_id and direction = 'outbound'
""")

_SENDABLE: Final[msgspec.json.Decoder[Content | Sendable]] = msgspec.json.Decoder(Content | Sendable)
_CONTENT: Final[msgspec.json.Decoder[Content]] = msgspec.json.Decoder(Content)


class PostgresMessages:
    def __init__(
        self,
        connection: AsyncConnection,
        events: list[Event],
        wake: Callable[[Signal], None] = lambda _: None,
        ready: AbstractSet[ConversationId] = frozenset(),
    ) -> None:
        """`events` are those that the transaction records; `wake` is told of those that a statement here wrote itself.

        `ready` are the conversations that the transaction holds with their lanes.
        """
        self._connection = connection
        self._events = events
        self._wake = wake
        self._ready = ready

    async def queue(self, new: NewMessage, created: MessageCreated | None = None) -> bool:
        values = queued(new, created)
        if new.send_at is not None:
            await self._schedule(new, {**values, "send_at": new.send_at})
            return False
        is_told = created is not None and new.conversation_id in self._ready
        row = await self._store(_QUEUE_AND_TELL if is_told else _QUEUE, new, values)
        if is_told:
            self._wake(LogGrew())
        else:
            self._tell(created, is_new=row.is_new)
        return not row.is_postponed

    async def add_failed(
        self,
        new: NewMessage,
        created: MessageCreated | None = None,
        *,
        reason: str,
        error_code: int | None,
        error_message: str,
    ) -> None:
        values = {
            **_values(new, created),
            "status": Status.FAILED.value,
            "failed_at": new.at,
            "error_code": error_code,
            "error_message": error_message,
            "reason": reason,
            "takes_over": 0,
        }
        row = await self._store(_ADD_FAILED, new, values)
        self._tell(created, is_new=row.is_new)

    async def remember(self, key: IdempotencyKey, message_id: MessageId) -> MessageId | None:
        values = {**msgspec.structs.asdict(key), "message_id": message_id}
        row = (await self._connection.execute(_REMEMBER, values)).one()
        if row.message_id == message_id:
            return None
        if row.request_hash != key.request_hash:
            raise IdempotencyKeyReused
        return MessageId(row.message_id)

    async def target(
        self, account_id: AccountId, conversation_id: ConversationId, named: MessageId | str
    ) -> Target | None:
        wamid = named if isinstance(named, str) else None
        message_id = None if isinstance(named, str) else named
        scope = {"account_id": account_id, "conversation_id": conversation_id, "id": message_id, "wamid": wamid}
        row = (await self._connection.execute(_TARGET, scope)).one_or_none()
        return None if row is None else Target(wamid=row.wamid, at=row.at)

    async def unseen(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        last_seen: MessageId | None,
        *,
        by: UserId | None,
        limit: int,
    ) -> Unseen | None:
        return await unseen.read(self._connection, account_id, conversation_id, last_seen, by=by, limit=limit)

    async def content(self, account_id: AccountId, message_id: MessageId) -> Content | Sendable | None:
        scope = {"id": message_id, "account_id": account_id}
        stored: str | None = (await self._connection.execute(_SAID, scope)).scalar_one_or_none()
        return None if stored is None else _SENDABLE.decode(stored)

    async def decide(
        self, account_id: AccountId, message_id: MessageId, step: Step, expires_at: datetime | None = None
    ) -> Event | None:
        return await decisions.decide(self._connection, account_id, message_id, step, expires_at)

    async def close(self, account_id: AccountId, message_id: MessageId, step: Step) -> Closed | None:
        return await decisions.close(self._connection, account_id, message_id, step)

    async def history(self, account_id: AccountId, conversation_id: ConversationId, limit: int) -> list[History]:
        scope = {"account_id": account_id, "conversation_id": conversation_id, "limit": limit}
        rows = (await self._connection.execute(_HISTORY, scope)).all()
        return [
            History(
                id=row.id,
                is_inbound=row.is_inbound,
                author=row.author,
                content_text=readable(row.message_type, row.content_text) if row.is_old else row.content_text,
                content=_content(row.content),
                at=row.at,
                by_program=row.by_program,
            )
            for row in reversed(rows)
        ]

    async def _schedule(self, new: NewMessage, values: dict[str, Any]) -> None:
        scope = {"account_id": new.account_id, "conversation_id": new.conversation_id}
        if (await self._connection.execute(_COUNT_SCHEDULED, scope)).scalar_one() >= MOST_WAITING:
            raise TooManyScheduled
        await self._store(_SCHEDULE, new, values)

    async def _store(self, statement: TextClause, new: NewMessage, values: dict[str, Any]) -> Row[Any]:
        row = (await self._connection.execute(statement, values)).one()
        if not row.is_stored:
            raise ConversationNotFound
        if not row.is_new:
            # Without the conversation's lock only the unique index knows that this part of the turn is there already.
            await self._connection.execute(_DROP, {"id": new.id, "account_id": new.account_id})
        return row

    def _tell(self, created: MessageCreated | None, *, is_new: bool) -> None:
        """Leaves the events to the end of the transaction."""
        if created is not None and is_new:
            self._events += [created, _moved(created)]


def _moved(line: NewMessage | MessageCreated) -> ConversationUpdated:
    return ConversationUpdated(account_id=line.account_id, conversation_id=line.conversation_id, cause=Cause.MESSAGE)


def remembered(key: IdempotencyKey | None) -> dict[str, Any]:
    """What the statement is given that remembers the key itself."""
    if key is None:
        return dict.fromkeys(("caller", "call", "key", "request_hash"))
    return {"caller": key.caller, "call": key.call, "key": key.key, "request_hash": key.request_hash}


def queued(new: NewMessage, created: MessageCreated | None) -> dict[str, Any]:
    """What the statements are given that queue a message."""
    return {
        **_values(new, created),
        "status": Status.PENDING.value,
        "failed_at": None,
        "error_code": None,
        "error_message": None,
        "traceparent": tracing.current(),
        "priority": pacing.priority(new.author, by_program=new.by_program).value,
        "takes_over": int(created is not None and new.author is Author.HUMAN and not new.by_program),
    }


def _values(new: NewMessage, created: MessageCreated | None) -> dict[str, Any]:
    content = new.content
    file = content if isinstance(content, File | Media) else None
    moved = _moved(new)
    return {
        "id": new.id,
        "account_id": new.account_id,
        "conversation_id": new.conversation_id,
        "content_text": new.text or (outgoing.preview(content) if isinstance(content, Sendable) else preview(content)),
        "content": msgspec.json.encode(content).decode(),
        "message_type": outgoing.message_type(content) if isinstance(content, Sendable) else message_type(content),
        "media_id": file and file.media_id,
        "media_mime_type": content.mime_type if isinstance(content, Media) else None,
        "media_filename": content.filename if isinstance(content, Document | Media) else None,
        "reply_to_wamid": new.reply_to_wamid,
        "author": new.author.value,
        "author_id": new.author_id,
        "client_id": new.client_id,
        "at": new.at,
        "expires_at": new.expires_at,
        "epoch": new.epoch,
        "turn_id": new.turn_id,
        "part": new.part,
        "is_line": created is not None,
        "by_bot": new.author is Author.BOT,
        "event": created and kind_of(created),
        "event_body": created and event_log.body(created),
        "line_event": kind_of(moved),
        "line_body": event_log.body(moved),
    }


def _content(stored: str | None) -> Content | None:
    """None for rows of the existing system, for what only we send, and for kinds that only a newer version knows."""
    if stored is None:
        return None
    try:
        return _CONTENT.decode(stored)
    except msgspec.ValidationError:
        return None
