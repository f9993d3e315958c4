"""What an engine says of its pool and its statements, and what counting the queues costs."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from builders import execute
from inbox.adapters.database.postgres.engine import Limits, create_engine
from inbox.adapters.database.postgres.pool import connections
from inbox.kit.gauges import Connections
from inbox.kit.telemetry import Metrics
from inbox.main.observing import timed
from postgres.own_engines import an_engine


async def test_a_pool_shows_who_has_a_connection_and_who_waits(database_url):
    async with an_engine(database_url, pool_size=1) as engine:
        async with engine.connect() as held:
            await held.execute(text("select 1"))
            waiter = asyncio.create_task(engine.connect().start())
            async with asyncio.timeout(5):
                while connections(engine) != Connections(used=1, idle=0, waiting=1, most=1):
                    await asyncio.wait([waiter], timeout=0.001)
        second = await waiter
        assert connections(engine) == Connections(used=1, idle=0, waiting=0, most=1)
        await second.close()
        assert connections(engine) == Connections(used=0, idle=1, waiting=0, most=1)


async def test_who_gives_up_waiting_waits_no_longer(database_url):
    async with an_engine(database_url, Limits(acquire=0.05), pool_size=1) as engine, engine.connect():
        waiter = asyncio.create_task(engine.connect().start())
        await asyncio.wait([waiter])
        assert waiter.exception() is not None
        assert connections(engine).waiting == 0


async def test_each_statement_is_timed_also_one_that_fails(database_url, engine):
    seen: list[tuple[str, float]] = []
    own = create_engine(database_url, limits=Limits(statement=0.2), timed=lambda *one: seen.append(one))
    async with own.connect() as connection:
        seen.clear()  # the first connection asks the server who it is
        await connection.execute(text("select pg_sleep(0.05)"))
        with pytest.raises(DBAPIError):
            await connection.execute(text("select pg_sleep(5)"))
    await own.dispose()
    assert [statement for statement, _ in seen] == ["select pg_sleep(0.05)", "select pg_sleep(5)"]
    assert 0.05 <= seen[0][1] < 0.2 <= seen[1][1] < 4


async def test_a_slow_statement_is_counted_and_logged_without_its_values(capsys):
    metrics = Metrics()
    seen = timed(metrics, "main", slow=0.5)
    seen("select  1\n from x where number = $1", 0.4)
    assert "slow_statement" not in capsys.readouterr().out
    seen("select  1\n from x where number = $1", 0.6)
    line = capsys.readouterr().out
    assert "slow_statement" in line
    assert "select 1 from x where number = $1" in line
    value = metrics.registry.get_sample_value
    assert value("inbox_database_slow_statements_total", {"pool": "main"}) == 1
    assert value("inbox_database_statement_duration_seconds_count", {"pool": "main"}) == 2


async def test_statuses_of_messages_that_nobody_knows_are_counted(database, engine):
    await execute(
        engine,
        """insert into message_statuses (phone_number_id, wamid, status, occurred_at)
           select '1', 'wamid.' || n, 'sent', now() from generate_series(1, 7) n""",
    )
    assert await database.operations.parked_statuses() == 7
