"""Statements on the driver itself, and what ends them."""

import asyncio

import pytest
from sqlalchemy import text

from inbox.adapters.database.postgres.direct import Direct
from inbox.domain.errors import CommitUnknown, DatabaseTimeout
from postgres.own_engines import an_engine

_SLOW = text("select pg_sleep(60)")
_ONE = text("select 1 as one")


@pytest.mark.parametrize(("committing", "error"), [(True, CommitUnknown), (False, DatabaseTimeout)])
async def test_a_statement_ends_with_its_time_and_its_connection_with_it(
    database_url: str,
    committing,
    error: type[Exception],
) -> None:
    async with an_engine(database_url) as engine, asyncio.timeout(20):
        direct = Direct(engine)
        with pytest.raises(error):
            await direct.rows(_SLOW, {}, committing=committing, within=0.05)
        [row] = await direct.rows(_ONE, {}, within=10.0)
    assert row.one == 1


async def test_the_wait_for_a_connection_is_no_part_of_it(database_url: str) -> None:
    async with an_engine(database_url) as engine, asyncio.timeout(20):
        direct = Direct(engine)
        await direct.rows(_ONE, {})
        taken = await engine.raw_connection()
        waiting = asyncio.create_task(direct.rows(_ONE, {}, committing=True, within=1.0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.2):
                await asyncio.shield(waiting)
        taken.close()
        [row] = await waiting
    assert row.one == 1
