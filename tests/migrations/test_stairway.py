"""Every revision goes up, down and up again, from an empty and from an old database, and loses nothing."""

from collections.abc import Callable

import pytest
from alembic.script import ScriptDirectory

from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import Catalog, Rows, catalog, differences, rows, value

REVISIONS = (
    "baseline",
    "performance_indexes",
    "utc_times",
    "sealed_tokens",
    "durable_work",
    "closed_by_default",
    "team",
    "monitoring",
    "traces",
    "inbound",
    "pace",
    "templates",
    "uploads",
    "receipts",
    "scheduled",
    "tidy",
    "feed",
    "assignment",
    "knowledge",
    "assistant",
    "caller_keys",
)
OLD_TABLES = (
    "whatsapp_accounts",
    "contacts",
    "conversations",
    "messages",
    "app_permissions",
    "app_roles",
    "role_permissions",
    "app_users",
    "bot_profiles",
)


def test_the_revisions_are_one_line() -> None:
    scripts = ScriptDirectory.from_config(migrating._config())
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert migrating.head() == REVISIONS[-1]


@pytest.mark.parametrize("scripts", [(), ("old_layout", "old_rows")], ids=["new", "adopted"])
def test_each_step_can_be_taken_back_and_taken_again(
    create: Callable[..., str], scripts: tuple[str, ...], sealer: Sealer
) -> None:
    database = create(*scripts)
    below: Catalog | None = None
    for revision in REVISIONS:
        migrating.upgrade(database, revision=revision, sealer=sealer)
        above = catalog(database)
        migrating.downgrade(database, "-1", sealer=sealer)
        if below is not None:
            assert differences(catalog(database), below) == {}, f"{revision} leaves something behind"
        migrating.upgrade(database, revision=revision, sealer=sealer)
        assert differences(catalog(database), above) == {}, f"{revision} is not the same the second time"
        assert migrating.current(database) == revision
        below = above


def test_all_rows_survive_the_way_up_and_down(old_database: str, sealer: Sealer) -> None:
    before = _contents(old_database)
    migrating.upgrade(old_database, sealer=sealer)
    assert {table: len(found) for table, found in before.items()} == {
        table: value(old_database, f"select count(*) from {table}")  # noqa: S608 - a name from above
        for table in OLD_TABLES
    }
    migrating.downgrade(old_database, "baseline", sealer=sealer)
    after = _contents(old_database)
    filled: dict[tuple[str, str], dict[str, object]] = {
        ("whatsapp_accounts", "atelier"): {"is_active": False},
        ("conversations", "33600000002"): {
            "is_group": False,
            "is_favorite": False,
            "unread_count": 0,
            "status": "open",
            "bot_enabled": False,
        },
        ("app_users", "off@example.org"): {"is_active": False},
    }
    for table, expected in before.items():
        for row in expected:
            for (name, key), values in filled.items():
                if name == table and key in row.values():
                    row.update(values)
        assert [_known(row) for row in after[table]] == [_known(row) for row in expected], table
    filled_time = "select updated_at::text from conversations where client_number = '33600000002'"
    assert value(old_database, filled_time) == "2025-07-02 08:00:00"


def test_base_keeps_the_tables_of_a_database_with_data(old_database: str, sealer: Sealer) -> None:
    migrating.upgrade(old_database, sealer=sealer)
    migrating.downgrade(old_database, "base", sealer=sealer)
    assert migrating.current(old_database) is None
    assert value(old_database, "select count(*) from messages") == 6
    again = migrating.upgrade(old_database, sealer=sealer)
    assert again.adopted
    assert value(old_database, "select count(*) from messages") == 6


def test_base_leaves_nothing_of_an_empty_database(new_database: str, sealer: Sealer) -> None:
    migrating.upgrade(new_database, sealer=sealer)
    migrating.downgrade(new_database, "base", sealer=sealer)
    assert not any(catalog(new_database).values())


def test_an_upgrade_tells_what_it_did(new_database: str, sealer: Sealer) -> None:
    heard: list[str] = []
    done = migrating.upgrade(new_database, sealer=sealer, report=heard.append)
    assert done == migrating.Migrated(before=None, after=REVISIONS[-1], steps=REVISIONS, adopted=False)
    assert tuple(heard) == REVISIONS
    assert migrating.upgrade(new_database, sealer=None).steps == ()


def test_a_stamp_changes_nothing_else(old_database: str, sealer: Sealer) -> None:
    before = catalog(old_database)
    migrating.stamp(old_database, "baseline")
    assert differences(catalog(old_database), before) == {}
    assert migrating.upgrade(old_database, sealer=sealer).after == REVISIONS[-1]


def _contents(url: str) -> dict[str, Rows]:
    return {table: rows(url, f"select * from {table} order by 1, 2") for table in OLD_TABLES}  # noqa: S608


def _known(row: dict[str, object]) -> dict[str, object]:
    """Without the one value that is computed; with keys in one order."""
    return {
        name: row[name] for name in sorted(row) if (name, row.get("client_number")) != ("updated_at", "33600000002")
    }
