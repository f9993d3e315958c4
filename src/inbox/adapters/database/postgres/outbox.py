"""Messages on their way out: heads, the fence before the wire, what came of it, and what was left behind."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres import event_log, paces, statuses, undelivered, windows
from inbox.adapters.database.postgres.absences import Absences
from inbox.adapters.database.postgres.engine import autocommit, database_errors, repeated
from inbox.adapters.database.postgres.outbox_fences import Fences
from inbox.adapters.database.postgres.outbox_heads import Heads
from inbox.adapters.database.postgres.outbox_outcomes import Outcomes
from inbox.adapters.database.postgres.outbox_posting import Posting
from inbox.adapters.database.postgres.scheduled import Scheduled
from inbox.adapters.database.postgres.times import timed
from inbox.domain.errors import InboxError
from inbox.domain.events import MessageCreated
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.outbound import REAP_AFTER, UNCONFIRMED_AFTER, State, Step, after
from inbox.domain.signals import MessageSettled, WorkWaiting
from inbox.domain.work import Lane, WorkKind
from inbox.kit.sealing import Sealer
from inbox.ports.events import Events
from inbox.ports.records import HeadTaken, IdempotencyKey, NewMessage, Posted, Settlement

_GIVEN_BACK: Final = [state.value for state in State if after(state, Step.NOTHING_SENT) is State.QUEUED]

_RELEASE: Final = text("""
with lane as (
  update lanes set due = now() + :wait, attempts = 0, retries = retries + 1
  where kind = 'send' and key = :key and fence = :fence and attempts > 0 returning key
)
update outbox
set state = 'queued', token = null, lease_until = null, updated_at = now(),
    attempt = attempt - case when state = 'wire' then 1 else 0 end
where id = :id and token = :token and state = any(cast(:given_back as text[])) and (select count(*) from lane) >= 0
returning id, account_id, conversation_id
""").bindparams(given_back=_GIVEN_BACK)

# The service that they waited for is there again. Lanes that somebody works on are left alone.
_HURRY: Final = text("""
with waiting as (
  select key from lanes
  where kind = 'send' and key = any(cast(:keys as text[])) and ver > done and attempts = 0
  order by key for update
), hurried as (
  update lanes set due = greatest(least(due, now()), pair_at)
  from waiting where lanes.kind = 'send' and lanes.key = waiting.key
  returning lanes.key
), held as (
  select id from outbox
  where state = 'queued' and not_before is not null and conversation_id in (select key::uuid from hurried)
  order by id for update
)
update outbox set not_before = null from held where outbox.id = held.id
""")

_REAP: Final = timed("""
with wire as (
  select id from outbox where state = 'wire' and wire_at <= :time - :reap_after
  limit :most for update skip locked
), unknown as (
  select id from outbox where state = 'unknown' and unknown_until <= :time
  limit :most for update skip locked
), claimed as (
  select id from outbox where state = 'claimed' and lease_until <= :time
  limit :most for update skip locked
), late as materialized (
  select id, 'unknown' as state from wire union all select id, 'unconfirmed' from unknown
  union all select id, 'queued' from claimed
)
update outbox o
set state = late.state, updated_at = now(), lease_until = null,
    unknown_until = case when late.state = 'unknown' then :time + :unconfirmed_after end,
    reason = case when late.state = 'unknown' then null else o.reason end,
    token = case when late.state = 'queued' then null else o.token end
from late where o.id = late.id
returning o.id, o.account_id, o.conversation_id, o.state
""").bindparams(reap_after=REAP_AFTER, unconfirmed_after=UNCONFIRMED_AFTER, most=500)

# A status can be parked by one transaction while another teaches its wamid: neither sees the other. This net does.
# A number that another program uses as well parks all of that one's: only the newest are looked at each time.
_ORPHANS: Final = text("""
with parked as materialized (
  select wamid, phone_number_id from message_statuses
  where message_id is null and received_at > now() - interval '10 minutes'
  order by received_at desc limit 5000
)
select m.id from parked s
join messages m on m.wa_message_id = s.wamid
join whatsapp_accounts a on a.id = m.account_id and a.phone_number_id = s.phone_number_id
order by m.id limit 100 for update of m
""")

_BOT_ON_WIRE: Final = text("""
select exists (
  select from outbox
  where account_id = :account_id and conversation_id = :id and state = 'wire' and epoch is not null
    and wire_at > now() - cast(:within as interval))
""")


class PostgresOutbox:
    """Fences and outcomes of one moment share a commit."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer, events: Events) -> None:
        self._engine = engine
        self._autocommit = autocommit(engine)
        self._events = events
        self._posting = Posting(engine, sealer, events)
        self._heads = Heads(engine, sealer, events)
        self._fences = Fences(engine)
        self._outcomes = Outcomes(engine, events)
        self._scheduled = Scheduled(engine, events)
        self._absences: Absences | None = None

    @asynccontextmanager
    async def running(self, *, auto_resend: bool = False) -> AsyncIterator[None]:
        """Messages can be sent inside; at the end the outcomes that wait are written.

        `auto_resend` lets `reap` send once more, on the proof of `domain.absence`, what nobody confirmed.
        """
        self._absences = Absences(self._engine, self._events) if auto_resend else None
        async with self._outcomes.running(), self._fences.running():
            yield

    async def post(
        self,
        new: NewMessage,
        created: MessageCreated,
        key: IdempotencyKey | None = None,
        *,
        claims: bool = False,
    ) -> Posted | None:
        return await self._posting.post(new, created, key, claims=claims)

    async def take_heads(self, lanes: Sequence[Lane], now: datetime | None = None) -> list[HeadTaken]:
        return await self._heads.take(lanes, now)

    async def to_wire(self, message_id: MessageId, token: UUID) -> int | None:
        """Raises `CommitUnknown` if nobody knows whether the row is on the wire: then nothing may be sent either."""
        return await self._fences.passed(message_id, token)

    async def settle(self, settlement: Settlement, lane: Lane) -> None:
        await self._outcomes.write(settlement, lane)

    async def release(self, message_id: MessageId, token: UUID, lane: Lane, wait: timedelta) -> None:
        values = {"id": message_id, "token": token, "key": lane.key, "fence": lane.fence, "wait": wait}

        async def once() -> None:
            with database_errors():
                async with self._engine.begin() as connection:
                    given_back = (await connection.execute(_RELEASE, values)).all()
                    told = [statuses.moved_on(row, State.QUEUED) for row in given_back]
                    signals = await event_log.record(connection, told)
            self._events.publish(*signals)

        await repeated(once)
        self._events.publish(MessageSettled(message_id) if wait else WorkWaiting(WorkKind.SEND))

    async def rest(self, account_id: AccountId, rest: timedelta) -> None:
        with database_errors():
            async with self._engine.begin() as connection:
                await paces.rest(connection, {account_id: rest})

    async def hurry(self, keys: Sequence[str]) -> None:
        if keys:
            with database_errors():
                async with self._autocommit.connect() as connection:
                    await connection.execute(_HURRY, {"keys": list(keys)})

    async def reap(self, now: datetime | None = None) -> int:
        """Also finds statuses that were parked in the moment in which their wamid became known."""
        steps = [self._reap, self._heads.expire, self._adopt_orphans, self._scheduled.queue_due]
        if self._absences:
            steps.append(self._absences.look)
        moved, failed = 0, None
        for step in steps:
            try:
                moved += await step(now)
            except InboxError as error:
                failed = error  # one that takes too long each time keeps no other from its work
        if failed is not None:
            raise failed
        return moved

    async def _reap(self, now: datetime | None) -> int:
        with database_errors():
            async with self._engine.begin() as connection:
                moved = (await connection.execute(_REAP, {"now": now})).all()
                told = [statuses.moved_on(row, State(row.state)) for row in moved]
                signals = await event_log.record(connection, told)
        self._events.publish(*signals)
        return len(moved)

    async def is_bot_on_wire(self, account_id: AccountId, conversation_id: ConversationId, within: timedelta) -> bool:
        with database_errors():
            async with self._autocommit.connect() as connection:
                values = {"account_id": account_id, "id": conversation_id, "within": within}
                return bool((await connection.execute(_BOT_ON_WIRE, values)).scalar_one())

    async def _adopt_orphans(self, _: datetime | None) -> int:
        """Nothing that a worker would have to look at."""
        await repeated(self._adopt)
        return 0

    async def _adopt(self) -> None:
        with database_errors():
            async with self._engine.begin() as connection:
                ids = set((await connection.execute(_ORPHANS)).scalars())
                events, _ = await statuses.show(connection, await statuses.adopt(connection, ids)) if ids else ([], [])
                woken = await undelivered.enqueue(connection, events)
                signals = await event_log.record(connection, events)
            self._events.publish(*woken, *signals)
            self._events.publish(*await windows.close_apart(self._engine, events))
