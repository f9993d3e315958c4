"""Connections that stay at hand for single statements, and still belong to everybody."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.direct import Direct
from inbox.adapters.database.postgres.pool import KEPT_UNTIL, connections, pool_of
from inbox.domain.errors import Unstorable
from inbox.kit.gauges import Connections
from postgres.own_engines import an_engine

_BACKEND = text("select pg_backend_pid() as pid")
_END = text("select pg_terminate_backend(:pid)")
_IS_THERE = text("select count(*) as n from pg_stat_activity where pid = :pid")
_FAILS = text("select 1 / 0")


async def backend(direct: Direct) -> int:
    [row] = await direct.rows(_BACKEND, {})
    pid: int = row.pid
    return pid


async def gone(engine: AsyncEngine, pid: int) -> None:
    async with asyncio.timeout(10), engine.connect() as connection:
        while (await connection.execute(_IS_THERE, {"pid": pid})).scalar_one():
            pass


async def test_single_statements_one_after_the_other_use_one_connection(database_url: str) -> None:
    async with an_engine(database_url, pool_size=3) as engine:
        direct = Direct(engine)
        assert len({await backend(direct) for _ in range(5)}) == 1
        assert connections(engine) == Connections(used=0, idle=1, waiting=0, most=3)


async def test_who_finds_no_other_connection_gets_the_one_at_hand(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine, asyncio.timeout(10):
        direct = Direct(engine)
        pid = await backend(direct)
        async with engine.begin() as connection:
            assert (await connection.execute(_BACKEND)).scalar_one() == pid
            assert connections(engine) == Connections(used=1, idle=0, waiting=0, most=1)
        assert await backend(direct) == pid


async def test_no_statement_takes_the_connection_that_somebody_waits_for(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine, asyncio.timeout(10):
        direct = Direct(engine)
        slow = asyncio.create_task(direct.rows(text("select pg_sleep(0.2)"), {}))
        await asyncio.wait([slow], timeout=0.05)
        async with engine.connect() as connection:  # waits for the end of the slow one
            await connection.execute(_BACKEND)
            assert connections(engine).used == 1
        await slow


async def test_a_connection_that_ended_meanwhile_is_replaced(database_url: str, engine: AsyncEngine) -> None:
    async with an_engine(database_url, pool_size=1) as own, asyncio.timeout(20):
        direct = Direct(own)
        pid = await backend(direct)
        async with engine.connect() as connection:
            await connection.execute(_END, {"pid": pid})
        await gone(engine, pid)
        assert await backend(direct) != pid
        assert connections(own) == Connections(used=0, idle=1, waiting=0, most=1)


async def test_a_statement_that_failed_leaves_its_connection_for_the_next(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine:
        direct = Direct(engine)
        pid = await backend(direct)
        with pytest.raises(Unstorable):
            await direct.rows(_FAILS, {})
        assert await backend(direct) == pid


async def test_each_minute_the_pool_looks_at_the_connection_itself(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine:
        direct = Direct(engine)
        await backend(direct)
        kept = pool_of(engine).take_kept()
        assert kept is not None
        kept.info[KEPT_UNTIL] = 0.0
        pool_of(engine).keep(kept)
        assert pool_of(engine).take_kept() is None
        assert connections(engine) == Connections(used=0, idle=1, waiting=0, most=1)
        await backend(direct)
        again = pool_of(engine).take_kept()
        assert again is not None
        pool_of(engine).keep(again)


async def test_the_end_of_an_engine_is_that_of_the_connection_at_hand(database_url: str, engine: AsyncEngine) -> None:
    async with an_engine(database_url, pool_size=1) as own:
        pid = await backend(Direct(own))
    await gone(engine, pid)
