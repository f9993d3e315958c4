"""Whoever gets hold of a role of the database beside its owner, say through a data API, reads no row of any table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from builders import execute
from inbox.adapters.database.postgres import inbound_tables, team_tables, work_tables  # noqa: F401 - complete the metadata
from inbox.adapters.database.postgres.tables import metadata

TABLES: Final = frozenset({"alembic_version", *metadata.tables})

# A row in every table, whatever its rules: they are dropped before, and all of it is rolled back.
FILL: Final = """
do $$ declare found record; begin
  for found in select conrelid::regclass as tab, conname as name from pg_constraint
               where connamespace = 'public'::regnamespace and contype in ('f', 'c', 'u', 'p') loop
    execute format('alter table %s drop constraint if exists %I cascade', found.tab, found.name);
  end loop;
  for found in select a.attrelid::regclass as tab, a.attname as name from pg_attribute a
               join pg_class c on c.oid = a.attrelid
               where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
                 and a.attnotnull and a.attidentity = '' and not a.attisdropped loop
    execute format('alter table %s alter column %I drop not null', found.tab, found.name);
  end loop;
  for found in select oid::regclass as tab from pg_class
               where relnamespace = 'public'::regnamespace and relkind = 'r' loop
    execute format('insert into %s default values', found.tab);
  end loop;
end $$
"""


@asynccontextmanager
async def a_stranger(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection with rows in all tables, and a role that may do everything with them that grants can give."""
    async with engine.connect() as connection:
        await connection.execute(text(FILL))
        await connection.execute(text("create role anon_of_a_test nologin"))
        await connection.execute(text("grant all on all tables in schema public to anon_of_a_test"))
        yield connection
        await connection.rollback()


async def count(connection: AsyncConnection, table: str) -> int:
    return int((await connection.execute(text(f"select count(*) from {table}"))).scalar_one())  # noqa: S608


async def test_every_table_is_closed_and_no_policy_opens_one(engine: AsyncEngine) -> None:
    rows = await execute(engine, "select tablename, rowsecurity from pg_tables where schemaname = 'public'")
    assert {row.tablename for row in rows} == TABLES
    assert [row.tablename for row in rows if not row.rowsecurity] == []
    assert await execute(engine, "select tablename, policyname from pg_policies where schemaname = 'public'") == []


async def test_a_stranger_with_every_grant_reads_and_changes_nothing(engine: AsyncEngine) -> None:
    async with a_stranger(engine) as connection:
        owned = {table: await count(connection, table) for table in TABLES}
        assert [table for table, rows in owned.items() if rows == 0] == []
        await connection.execute(text("set local role anon_of_a_test"))
        for table in TABLES:
            assert await count(connection, table) == 0, table
            deleted = await connection.execute(text(f"delete from {table}"))  # noqa: S608 - of our schema
            assert deleted.rowcount == 0, table


async def test_a_table_that_is_left_open_would_be_noticed(engine: AsyncEngine) -> None:
    async with a_stranger(engine) as connection:
        await connection.execute(text("alter table contacts disable row level security"))
        await connection.execute(text("set local role anon_of_a_test"))
        assert await count(connection, "contacts") == 1
