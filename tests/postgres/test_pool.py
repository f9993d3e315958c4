"""Connections that stay at hand for single statements, and still belong to everybody."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import PoolProxiedConnection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.direct import Direct
from inbox.adapters.database.postgres.engine import autocommit
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
    async with asyncio.timeout(10), autocommit(engine).connect() as connection:  # a transaction would see one moment
        while (await connection.execute(_IS_THERE, {"pid": pid})).scalar_one():
            pass


def kept(engine: AsyncEngine) -> PoolProxiedConnection:
    connection = pool_of(engine).take_kept()
    assert connection is not None
    pool_of(engine).keep(connection)
    return connection


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
        slow = asyncio.create_task(direct.rows(text("select pg_sleep(1)"), {}))
        await asyncio.wait([slow], timeout=0.05)
        waiting = asyncio.create_task(engine.connect().start())
        while not connections(engine).waiting:
            await asyncio.wait([waiting], timeout=0.001)
        assert not slow.done()
        connection = await waiting
        assert connections(engine) == Connections(used=1, idle=0, waiting=0, most=1)
        await connection.close()
        await slow


async def test_a_connection_that_ended_meanwhile_is_replaced(database_url: str, engine: AsyncEngine) -> None:
    async with an_engine(database_url, pool_size=1) as own, asyncio.timeout(20):
        direct = Direct(own)
        pid = await backend(direct)
        driver: Any = kept(own).driver_connection
        ended = asyncio.Event()
        driver.add_termination_listener(lambda _: ended.set())
        async with engine.connect() as connection:
            await connection.execute(_END, {"pid": pid})
        await ended.wait()
        assert await backend(direct) != pid
        assert connections(own) == Connections(used=0, idle=1, waiting=0, most=1)


async def test_a_statement_that_failed_leaves_its_connection_for_the_next(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine:
        direct = Direct(engine)
        pid = await backend(direct)
        with pytest.raises(Unstorable):
            await direct.rows(_FAILS, {})
        assert await backend(direct) == pid


async def test_after_a_minute_the_connection_at_hand_is_taken_out_anew(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine:
        taken: list[object] = []
        event.listen(engine.sync_engine, "checkout", lambda *one: taken.append(one))
        direct = Direct(engine)
        for _ in range(3):
            await backend(direct)
        assert len(taken) == 1
        kept(engine).info[KEPT_UNTIL] = 0.0
        for _ in range(3):
            await backend(direct)
        assert len(taken) == 2


async def test_after_the_server_went_away_no_connection_of_before_is_used(database_url: str) -> None:
    async with an_engine(database_url, pool_size=2) as engine:
        direct = Direct(engine)
        async with engine.connect() as connection:
            ended = (await connection.execute(_BACKEND)).scalar_one()
            pid = await backend(direct)
            with pytest.raises(DBAPIError):
                await connection.execute(_END, {"pid": ended})
        assert pid != ended
        assert await backend(direct) not in {pid, ended}


async def test_a_statement_that_ends_after_its_engine_leaves_no_connection(
    database_url: str, engine: AsyncEngine
) -> None:
    async with an_engine(database_url, pool_size=1) as own, asyncio.timeout(20):
        direct = Direct(own)
        pid = await backend(direct)
        slow = asyncio.create_task(direct.rows(text("select pg_sleep(0.2)"), {}))
        await asyncio.wait([slow], timeout=0.05)
        await own.dispose()
        await slow
        await gone(engine, pid)
        assert await backend(direct) != pid


async def test_a_statement_whose_engine_ends_while_it_connects_leaves_no_connection(
    database_url: str, engine: AsyncEngine
) -> None:
    async with an_engine(database_url, pool_size=1) as own, asyncio.timeout(20):
        connecting = asyncio.create_task(backend(Direct(own)))
        await asyncio.wait([connecting], timeout=0)
        await own.dispose()
        await gone(engine, await connecting)
        assert connections(own) == Connections(used=0, idle=0, waiting=0, most=1)


async def test_a_statement_that_is_interrupted_after_its_engine_tells_just_that(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as own, asyncio.timeout(20):
        direct = Direct(own)
        await backend(direct)
        slow = asyncio.create_task(direct.rows(text("select pg_sleep(60)"), {}))
        await asyncio.wait([slow], timeout=0.05)
        await own.dispose()
        slow.cancel()
        await asyncio.wait([slow])
        assert slow.cancelled()


async def test_the_end_of_an_engine_is_that_of_the_connection_at_hand(database_url: str, engine: AsyncEngine) -> None:
    async with an_engine(database_url, pool_size=1) as own:
        pid = await backend(Direct(own))
    await gone(engine, pid)
