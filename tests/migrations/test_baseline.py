"""The first revision makes what the old scripts made; the newest makes what the code describes."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from inbox.adapters.database.postgres import inbound_tables, tables, work_tables
from inbox.domain.errors import SchemaRefused
from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import catalog, differences, execute, rows, value


def test_a_created_baseline_is_what_the_old_scripts_made(create: Callable[..., str], sealer: Sealer) -> None:
    created, scripted = create(), create("old_layout")
    migrating.upgrade(created, revision="baseline", sealer=sealer)
    assert differences(catalog(created), catalog(scripted)) == {}


def test_an_adopted_database_gets_the_schema_of_a_created_one(
    create: Callable[..., str], old_database: str, sealer: Sealer
) -> None:
    created = create()
    migrating.upgrade(created, sealer=sealer)
    migrating.upgrade(old_database, sealer=sealer)
    assert differences(catalog(created), catalog(old_database)) == {}


@pytest.mark.parametrize("scripts", [(), ("old_layout", "old_indexes", "old_rows")], ids=["new", "adopted"])
def test_a_downgrade_to_the_baseline_leaves_the_old_layout(
    create: Callable[..., str], scripts: tuple[str, ...], sealer: Sealer
) -> None:
    database, scripted = create(*scripts), create("old_layout")
    migrating.upgrade(database, sealer=sealer)
    migrating.downgrade(database, "baseline", sealer=sealer)
    assert differences(catalog(database), catalog(scripted)) == {}


def test_the_newest_revision_is_what_the_metadata_describes(create: Callable[..., str], sealer: Sealer) -> None:
    migrated, described = create(), create()
    migrating.upgrade(migrated, sealer=sealer)
    _create_all(described)
    ours, theirs = catalog(migrated), catalog(described)
    for what in ("functions", "triggers", "row security"):
        del ours[what], theirs[what]
    assert differences(ours, theirs) == {}


def test_the_check_passes_on_a_created_and_on_an_adopted_database(
    new_database: str, old_database: str, sealer: Sealer
) -> None:
    for database in (new_database, old_database):
        migrating.upgrade(database, sealer=sealer)
        migrating.check(database)


def test_the_check_names_what_differs(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, sealer=sealer)
    execute(new_database, "drop index outbox_wire; alter table lanes alter column grp type varchar(9)")
    with pytest.raises(SchemaRefused) as refused:
        migrating.check(new_database)
    assert sorted(refused.value.differences) == ["add index outbox_wire", "modify type lanes.grp"]


def test_row_security_is_on_for_every_table(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, sealer=sealer)
    found = rows(new_database, "select tablename, rowsecurity from pg_tables where schemaname = 'public'")
    assert {row["tablename"] for row in found} == {"alembic_version", *tables.metadata.tables}
    assert [row["tablename"] for row in found if not row["rowsecurity"]] == []


def test_a_stranger_with_every_grant_reads_nothing(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    execute(old_database, "create role stranger_of_migrations; grant select on all tables in schema public to public")
    try:
        seen = f"set role stranger_of_migrations; {_assert_empty('messages')} {_assert_empty('whatsapp_accounts')}"
        execute(old_database, seen)
    finally:
        execute(old_database, "drop role stranger_of_migrations")


def test_seeds_are_those_of_the_contract(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, sealer=sealer)
    counts = rows(
        new_database,
        "select slug, count(permission_code) as rights from app_roles left join role_permissions on role_id = id "
        "group by slug order by slug",
    )
    assert counts == [
        {"slug": "admin", "rights": 10},
        {"slug": "manager", "rights": 5},
        {"slug": "viewer", "rights": 4},
    ]
    label = "select description from app_permissions where code = 'settings.manage'"
    assert value(new_database, label) == "Modifier les paramètres généraux de l\u2019application"
    assert value(new_database, "select count(*) from whatsapp_accounts") == 0


def test_an_upgrade_neither_overwrites_nor_brings_back_seeds(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, revision="baseline", sealer=sealer)
    execute(
        new_database,
        "delete from app_roles where slug = 'viewer'; update app_roles set name = 'Patron' where slug = 'admin'; "
        "update app_permissions set label = 'Lire' where code = 'messages.view'; "
        "delete from role_permissions where permission_code = 'messages.send'",
    )
    migrating.upgrade(new_database, sealer=sealer)
    migrating.upgrade(new_database, sealer=sealer)
    assert rows(new_database, "select slug, name from app_roles order by slug") == [
        {"slug": "admin", "name": "Patron"},
        {"slug": "manager", "name": "Manager"},
    ]
    assert value(new_database, "select label from app_permissions where code = 'messages.view'") == "Lire"
    assert value(new_database, "select count(*) from role_permissions where permission_code = 'messages.send'") == 0


def _assert_empty(table: str) -> str:
    return f"do $$ begin assert not exists (select from {table}), '{table} can be read'; end $$;"


def _create_all(url: str) -> None:
    assert work_tables.outbox.metadata is inbound_tables.reactions.metadata is tables.metadata

    async def run() -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)
        await engine.dispose()

    asyncio.run(run())
