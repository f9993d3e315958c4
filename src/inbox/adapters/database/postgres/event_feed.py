"""Reading the event log without gaps.

Numbers are drawn before they are committed, so a reader who takes what is there skips what commits late. Who inserts
into the log holds a lock on the table before the first number is drawn and until the transaction is over and visible.
So: read the greatest number, *then* who holds that lock. When none of those is left, every number up to that one is
decided, and a statement that begins after that sees what was committed. Transactions that have not come to their
events yet, and those of other tables, hold nobody up, however long they take. Not the order of transaction ids, but
that of the numbers is what clients see: numbers of one conversation are drawn under its lock (`event_log.py`), in the
order of the commits.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.bubbles import bubble_of, bubbles
from inbox.adapters.database.postgres.conversations import LINES, line_of
from inbox.adapters.database.postgres.engine import autocommit, database_errors
from inbox.adapters.database.postgres.reading import AnyRow, Reader
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Reach, Subject
from inbox.domain.events import Event
from inbox.domain.feed import Interest
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.ports.feed import LogEnd, Logged, LogState, WantedConversation, WantedMessage
from inbox.ports.views import ConversationItem, MessageItem

# A sequence is read outside of any snapshot. The list of writers depends on the number, so it is made after it.
_SERVER_NAME: Final = """(select system_identifier from pg_control_system())::text || '/'
       || (select oid from pg_database where datname = current_database())::text || '/'
       || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"""
"""Changes when a standby takes over (the timeline), and when rows were restored into another server or database."""

_END: Final = text(f"""
select s.last, array(
         select l.virtualtransaction from pg_locks l
         where l.locktype = 'relation' and l.relation = cast('event_log' as regclass) and l.mode = 'RowExclusiveLock'
           and l.database = (select oid from pg_database where datname = current_database()) and s.last >= 0
       ) as writers,
       (select version from rights_version) as rights_version,
       (select generation from event_log_state) || '/' || {_SERVER_NAME} || '/' || pg_postmaster_start_time() as history
from (select case when is_called then last_value else 0 end as last from event_log_id_seq offset 0) s
""")  # noqa: S608 - of ours

_ROW: Final = f"""
select e.id, {shown("e.created_at")} as at, e.kind, (jsonb_build_object(
         'kind', e.kind, 'account_id', e.account_id, 'conversation_id', e.conversation_id) || e.body)::text as event
from event_log e"""  # noqa: S608 - of ours

_READ: Final = text(f"{_ROW} where e.id > :after and e.id <= :until order by e.id limit :limit")
_NEWEST: Final = text(f"{_ROW} where e.id <= :until order by e.id desc limit :limit")
_READ_WITHIN: Final = text(f"""{_ROW}
where e.id > :after and e.id <= :until
  and (e.account_id is null or (e.account_id = any(:accounts)) <> :everywhere)
  and (cast(:wanted_accounts as uuid[]) is null or e.account_id = any(:wanted_accounts))
  and (cast(:wanted_conversations as uuid[]) is null or e.conversation_id = any(:wanted_conversations))
order by e.id limit :limit
""")

_NEW_LINES: Final = text("""
select exists (
  select from event_log e where e.account_id = :account_id and e.id > :after and e.kind ~ '^(conversation|bot)[.]'
) or :after < (select floor from event_log_state)
""")
_NEW_MESSAGES: Final = text("""
select exists (
  select from event_log e
  where e.account_id = :account_id and e.id > :after and e.conversation_id = :conversation_id
) or :after < (select floor from event_log_state)
""")

_MESSAGES: Final = text(
    bubbles(
        """unnest(cast(:accounts as uuid[]), cast(:conversations as uuid[]), cast(:ids as uuid[]))
             w(account_id, conversation_id, id)
           join conversations c on c.id = w.conversation_id and c.account_id = w.account_id""",
        "m.id = w.id",
    )
)
_CONVERSATIONS: Final = text(f"""{LINES}
where (c.account_id, c.id) in (select * from unnest(cast(:accounts as uuid[]), cast(:ids as uuid[])))
""")  # noqa: S608 - a constant of ours

# The lock of the row makes one process begin a generation.
_SERVER: Final = text(f"select {_SERVER_NAME} as server")
_STATE: Final = text("select generation, floor from event_log_state")
_LOCK: Final = text("select generation, floor, server from event_log_state for update")
_EMPTY: Final = text("truncate event_log")
_BEGIN: Final = text("""
update event_log_state
set server = :server,
    generation = case when server = '' then generation else left(md5(gen_random_uuid()::text), 12) end,
    floor = (select case when is_called then last_value else 0 end from event_log_id_seq)
returning generation, floor
""")

_ISSUE: Final = text("""
with old as (
  select digest from event_tickets where expires_at < now() limit 100 for update skip locked
), removed as (
  delete from event_tickets using old where event_tickets.digest = old.digest
)
insert into event_tickets (digest, subject, expires_at)
values (:digest, cast(:subject as jsonb), now() + make_interval(secs => :seconds))
""")
_USE: Final = text(
    "delete from event_tickets where digest = :digest returning subject::text, expires_at > now() as is_good"
)

_encode: Final = msgspec.json.Encoder().encode
_EVENT: Final = msgspec.json.Decoder(Event)
_SUBJECT: Final = msgspec.json.Decoder(Subject)

_log = structlog.stdlib.get_logger("inbox.feed")


class PostgresEventLog:
    """Implements `EventLog`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._read = Reader(engine)

    async def state(self) -> LogState:
        row = (await self._read.rows(_STATE))[0]
        return LogState(generation=row.generation, floor=row.floor)

    async def begin(self) -> LogState:
        with database_errors():
            async with self._engine.begin() as connection:
                server = (await connection.execute(_SERVER)).scalar_one()
                state = (await connection.execute(_LOCK)).one()
                if state.server != server:
                    if state.server:
                        await connection.execute(_EMPTY)
                    state = (await connection.execute(_BEGIN, {"server": server})).one()
        return LogState(generation=state.generation, floor=state.floor)

    async def end(self) -> LogEnd:
        row = (await self._read.rows(_END))[0]
        return LogEnd(
            last=row.last, writers=frozenset(row.writers), rights_version=row.rights_version, history=row.history
        )

    async def read(self, after: int, until: int, limit: int) -> Sequence[Logged]:
        return [_logged(row) for row in await self._read.rows(_READ, after=after, until=until, limit=limit)]

    async def newest(self, until: int, limit: int) -> Sequence[Logged]:
        rows = await self._read.rows(_NEWEST, until=until, limit=limit)
        return [_logged(row) for row in reversed(rows)]

    async def read_within(
        self, reach: Reach, interest: Interest, after: int, until: int, limit: int
    ) -> Sequence[Logged]:
        rows = await self._read.rows(
            _READ_WITHIN,
            after=after,
            until=until,
            limit=limit,
            everywhere=reach.everywhere,
            accounts=list(reach.accounts),
            wanted_accounts=None if interest.accounts is None else sorted(interest.accounts),
            wanted_conversations=None if interest.conversations is None else sorted(interest.conversations),
        )
        return [_logged(row) for row in rows]

    async def has_new_lines(self, account_id: AccountId, after: int) -> bool:
        rows = await self._read.rows(_NEW_LINES, account_id=account_id, after=after)
        return bool(rows[0][0])

    async def has_new_messages(self, account_id: AccountId, conversation_id: ConversationId, after: int) -> bool:
        rows = await self._read.rows(_NEW_MESSAGES, account_id=account_id, conversation_id=conversation_id, after=after)
        return bool(rows[0][0])

    async def messages(self, wanted: Iterable[WantedMessage]) -> dict[MessageId, MessageItem]:
        pairs = sorted(set(wanted))
        accounts, conversations, ids = zip(*pairs, strict=True) if pairs else ((), (), ())
        values = {"accounts": list(accounts), "conversations": list(conversations), "ids": list(ids)}
        items = [bubble_of(row) for row in await self._read.rows(_MESSAGES, **values) if row.id is not None]
        return {MessageId(item.id): item for item in items}

    async def conversations(self, wanted: Iterable[WantedConversation]) -> dict[ConversationId, ConversationItem]:
        pairs = sorted(set(wanted))
        accounts, ids = zip(*pairs, strict=True) if pairs else ((), ())
        rows = await self._read.rows(_CONVERSATIONS, accounts=list(accounts), ids=list(ids))
        return {ConversationId(item.id): item for item in map(line_of, rows)}


def _logged(row: AnyRow) -> Logged:
    try:
        event = _EVENT.decode(row.event)
    except msgspec.ValidationError:
        # While one process after the other is replaced: whoever reads here would not understand it either.
        _log.warning("event_unknown", kind=row.kind)
        event = None
    return Logged(id=row.id, at=row.at, event=event)


class PostgresTickets:
    """Implements `Tickets`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = autocommit(engine)

    async def issue(self, digest: bytes, subject: Subject, seconds: float) -> None:
        values = {"digest": digest, "subject": _encode(subject).decode(), "seconds": seconds}
        with database_errors():
            async with self._engine.connect() as connection:
                await connection.execute(_ISSUE, values)

    async def use(self, digest: bytes) -> Subject | None:
        with database_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(_USE, {"digest": digest})).one_or_none()
        return _SUBJECT.decode(row.subject) if row is not None and row.is_good else None
