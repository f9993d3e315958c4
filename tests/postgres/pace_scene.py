"""Numbers with messages that wait."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId
from inbox.domain.pacing import Priority
from inbox.domain.work import Lane, WorkKind

T0: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def lanes_of(
    engine: AsyncEngine, account: Channel, count: int, *, priority: Priority = Priority.PERSON, since: float = 60.0
) -> None:
    """`count` send lanes, the first of which waited for `since` seconds at `T0` and each other a little less."""
    await execute(
        engine,
        """insert into lanes (kind, key, account_id, priority, due)
           select 'send', gen_random_uuid()::text, :account, :priority,
                  cast(:now as timestamptz) - make_interval(secs => :since) + n * interval '1 ms'
           from generate_series(1, :count) n""",
        account=account.account_id,
        priority=priority,
        now=T0,
        since=since,
        count=count,
    )


async def set_rate(engine: AsyncEngine, account: Channel, ceiling: float) -> None:
    await execute(
        engine,
        "insert into number_paces (account_id, ceiling) values (:account, :ceiling)",
        account=account.account_id,
        ceiling=ceiling,
    )


async def claim(database: PostgresDatabase, limit: int, now: datetime = T0) -> list[Lane]:
    return await database.work.claim(WorkKind.SEND, limit, now=now)


def of(lanes: list[Lane], account: Channel) -> int:
    """How many are this account's."""
    return [lane.account_id for lane in lanes].count(AccountId(account.account_id))


async def priorities(engine: AsyncEngine, lanes: list[Lane]) -> list[Priority]:
    rows = await execute(engine, "select key, priority from lanes where key = any(:keys)", keys=[x.key for x in lanes])
    found = {row.key: row.priority for row in rows}
    return [Priority(found[lane.key]) for lane in lanes]
