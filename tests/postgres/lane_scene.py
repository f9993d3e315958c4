"""Lanes as the tests want them: enqueued, due, or with their leases over."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.work import Lane, WorkKind

TURN = WorkKind.TURN


async def enqueue(
    database: PostgresDatabase, *keys: str, kind: WorkKind = TURN, due_in: timedelta = timedelta()
) -> None:
    for key in keys:
        async with database.transaction() as tx:
            await tx.enqueue(kind, key, account_id=None, due_in=due_in)


async def lease_over(engine: AsyncEngine, *keys: str) -> None:
    """Time passes: the leases of these lanes end, the first one first."""
    for number, key in enumerate(keys):
        await execute(
            engine,
            "update lanes set due = now() - interval '1 h' + make_interval(secs => :number) where key = :key",
            number=number,
            key=key,
        )


async def all_due(engine: AsyncEngine) -> None:
    await execute(engine, "update lanes set due = now() - interval '1 s'")


def keys(lanes: Sequence[Lane]) -> list[str]:
    return [lane.key for lane in lanes]
