"""Lanes: claims, leases and the statements that move them. Time is the database's.

`ver` counts enqueues, `done` is the last one that is finished, `due` is lease, back-off and timer in one, `fence` names
the claim, `attempts` counts claims from which no worker came back, `retries` orderly failures in a row. Rows are
locked in the order of (kind, key), always.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres.direct import Direct
from inbox.adapters.database.postgres.engine import autocommit, database_errors, repeated
from inbox.adapters.database.postgres.paces import CLAIM_SENDS
from inbox.domain.errors import LeaseLost
from inbox.domain.ids import AccountId
from inbox.domain.work import LEASE_SECONDS, Lane, WorkKind
from inbox.kit import tracing
from inbox.ports.views import Backlog

LEASE: Final = timedelta(seconds=LEASE_SECONDS)

# The most overdue lane decides: a suspect comes alone, an innocent one with its like. So a steady load starves neither.
# The planner must not see which kind it is, or it makes a plan of its own for each look; nor guess how many are taken.
_CLAIM: Final = text("""
with first as (
  select attempts > 0 as is_suspect from lanes
  where kind = (select cast(:kind as text)) and ver > done and parked is null and due <= now()
    and (retries = 0 or not (select cast(:untried as boolean)))
  order by due limit 1 for update skip locked
), taken as (
  select key, due as was_due from lanes
  where kind = (select cast(:kind as text)) and ver > done and parked is null and due <= now()
    and (retries = 0 or not (select cast(:untried as boolean)))
    and (attempts > 0) = (select is_suspect from first)
  order by due limit (select case when is_suspect then 1 else cast(:limit as int) end from first)
  for update skip locked
), claimed as (
  update lanes set due = now() + :lease, fence = fence + 1, attempts = attempts + 1
  where kind = (select cast(:kind as text)) and key = any(array(select key from taken))
  returning kind, key, ver, fence, attempts, retries, account_id, traceparent, pair_refusals
)
select claimed.* from claimed join taken using (key) order by was_due, key
""")

_MINE: Final = """
with mine as (
  select l.kind, l.key, u.ver
  from unnest(cast(:kinds as text[]), cast(:keys as text[]), cast(:vers as bigint[]), cast(:fences as bigint[]))
    u(kind, key, ver, fence)
  join lanes l on l.kind = u.kind and l.key = u.key and l.fence = u.fence and l.attempts > 0
  order by l.kind, l.key for update of l
)
"""
"""The lanes that are still ours: same fence, and neither finished nor given back since."""

_EXTEND: Final = text(f"""{_MINE}
update lanes set due = now() + :lease from mine where lanes.kind = mine.kind and lanes.key = mine.key
""")  # noqa: S608 - constants of ours

# An ingest lane with an open delivery stays open: a page that was too short loses nothing.
_FINISH_MINE: Final = """
update lanes
set done = case
      when lanes.kind = 'ingest' and exists (select from deliveries d where d.lane = lanes.key and d.state = 'open')
      then lanes.done else greatest(lanes.done, mine.ver) end,
    due = now(), attempts = 0, retries = 0
from mine where lanes.kind = mine.kind and lanes.key = mine.key
returning lanes.key
"""

_FINISH: Final = text(_MINE + _FINISH_MINE)

_LOCK: Final = text(f"{_MINE} select key from mine")  # noqa: S608 - constants of ours

_WAIT: Final = text("""
update lanes set due = now() + :after, attempts = 0, retries = retries + :failures
where kind = :kind and key = :key and fence = :fence and attempts > 0
""")

_BACKLOG: Final = text("""
select kind, count(*) as waiting,
       greatest(0, extract(epoch from now() - min(due) filter (where attempts = 0)))::float8 as oldest_seconds
from lanes where ver > done and parked is null group by kind order by kind
""")

_ENQUEUE: Final = text("""
insert into lanes (kind, key, account_id, due, traceparent)
values (:kind, :key, cast(:account_id as uuid), now() + :due_in, cast(:traceparent as text))
on conflict (kind, key) do update
set ver = lanes.ver + 1, traceparent = excluded.traceparent,
    due = case when lanes.ver = lanes.done then excluded.due else lanes.due end
""")

# Each enqueue puts the timer off, but never beyond the limit that the first one set. A back-off is never shortened.
ENQUEUE_TIMERS: Final = text("""
insert into lanes (kind, key, account_id, due, put_off_until, traceparent)
select cast(:kind as text), u.key, u.account_id, now() + :due_in, now() + :at_most, u.traceparent
from unnest(cast(:keys as text[]), cast(:account_ids as uuid[]), cast(:traces as text[]))
  u(key, account_id, traceparent)
order by u.key
on conflict (kind, key) do update
set ver = lanes.ver + 1, traceparent = excluded.traceparent,
    due = case
      when lanes.attempts > 0 then lanes.due
      when lanes.ver = lanes.done then excluded.due
      when lanes.due > now() then greatest(lanes.due, least(excluded.due, lanes.put_off_until))
      else lanes.due end,
    put_off_until = case when lanes.ver = lanes.done then excluded.put_off_until
                    else coalesce(lanes.put_off_until, excluded.put_off_until) end
""")

# What a lane waited for has come, but for the limit of its pair. Lanes that somebody works on are left alone.
NUDGE: Final = text("""
with waiting as (
  select kind, key from lanes
  where kind = cast(:kind as text) and key = any(cast(:keys as text[])) and ver > done and attempts = 0 and due > now()
  order by kind, key for update
)
update lanes set due = greatest(now(), pair_at) from waiting
where lanes.kind = waiting.kind and lanes.key = waiting.key
""")


class PostgresWork:
    """Claims on lanes, each method one autocommitted statement."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = autocommit(engine)
        self._direct = Direct(engine)

    async def claim(
        self, kind: WorkKind, limit: int, *, untried: bool = False, now: datetime | None = None
    ) -> list[Lane]:
        """A suspect whose lease is over first has to become the most overdue lane; then it comes, alone.

        Among sends it comes at once. `now` is for the pace of sends.
        """
        values: dict[str, object] = {"limit": limit, "lease": LEASE, "untried": untried}
        is_send = kind is WorkKind.SEND
        statement = CLAIM_SENDS if is_send else _CLAIM
        values |= {"now": now} if is_send else {"kind": kind.value}
        rows = await self._direct.rows(statement, values)
        return [
            Lane(
                kind=kind,
                key=row.key,
                ver=row.ver,
                fence=row.fence,
                attempts=row.attempts,
                retries=row.retries,
                account_id=AccountId(row.account_id) if row.account_id else None,
                traceparent=row.traceparent,
                pair_refusals=row.pair_refusals,
            )
            for row in rows
        ]

    async def extend(self, lanes: Sequence[Lane]) -> None:
        await self._run(_EXTEND, lanes, lease=LEASE)

    async def finish(self, lanes: Sequence[Lane]) -> None:
        if await self._run(_FINISH, lanes) < len(lanes):
            raise LeaseLost

    async def retry(self, lane: Lane, after: timedelta) -> None:
        await self._wait(lane, after, failures=1)

    async def put_off(self, lane: Lane, after: timedelta) -> None:
        await self._wait(lane, after, failures=0)

    async def hurry(self, kind: WorkKind, keys: Sequence[str]) -> None:
        if keys:
            with database_errors():
                async with self._engine.connect() as connection:
                    await connection.execute(NUDGE, {"kind": kind.value, "keys": list(keys)})

    async def backlog(self) -> list[Backlog]:
        """Lanes that are being worked on count as waiting; the age is of those that nobody works on."""
        with database_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(_BACKLOG)).all()
        return [Backlog(kind=row.kind, waiting=row.waiting, oldest_seconds=row.oldest_seconds or 0.0) for row in rows]

    async def _wait(self, lane: Lane, after: timedelta, *, failures: int) -> None:
        with database_errors():
            async with self._engine.connect() as connection:
                values = {"kind": lane.kind.value, "key": lane.key, "fence": lane.fence, "after": after}
                await connection.execute(_WAIT, {**values, "failures": failures})

    async def _run(self, statement: TextClause, lanes: Sequence[Lane], **values: timedelta) -> int:
        """How many of `lanes` were still ours."""

        async def once() -> int:
            with database_errors():
                async with self._engine.connect() as connection:
                    return (await connection.execute(statement, {**_columns(lanes), **values})).rowcount

        return await repeated(once) if lanes else 0


class HeldLanes:
    """Lanes that a transaction finishes: checked and locked when named, marked as done just before the commit."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._lanes: list[Lane] = []

    async def lock(self, lanes: Sequence[Lane]) -> None:
        """Raises `LeaseLost` if one of them is not ours any more."""
        if lanes and len((await self._connection.execute(_LOCK, _columns(lanes))).all()) < len(lanes):
            raise LeaseLost
        self._lanes += lanes

    async def finish(self) -> None:
        """After the effects, so that an open delivery that is left over is seen."""
        if self._lanes:
            await self._connection.execute(_FINISH, _columns(self._lanes))


async def enqueue(
    connection: AsyncConnection, kind: WorkKind, key: str, *, account_id: AccountId | None, due_in: timedelta
) -> None:
    """One more thing to do in a lane. Neither a lease nor a back-off nor an earlier timer is touched."""
    values = {
        "kind": kind.value,
        "key": key,
        "account_id": account_id,
        "due_in": due_in,
        "traceparent": tracing.current(),
    }
    await connection.execute(_ENQUEUE, values)


def _columns(lanes: Sequence[Lane]) -> dict[str, list[str] | list[int]]:
    return {
        "kinds": [lane.kind.value for lane in lanes],
        "keys": [lane.key for lane in lanes],
        "vers": [lane.ver for lane in lanes],
        "fences": [lane.fence for lane in lanes],
    }
