"""Any number of processes may migrate at once, by `inbox migrate` or by the command `alembic`."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from inbox.adapters.database.postgres.schema_session import KEY
from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable, SchemaRefused
from inbox.kit.sealing import Sealer
from inbox.main import migrating
from migrations.migration_database import catalog, differences, execute, rows, value

CHECKOUT = Path(__file__).parents[2]

UPGRADE = """
import sys
from inbox.kit.sealing import Sealer
from inbox.main.migrating import upgrade
print(upgrade(sys.argv[1], sealer=Sealer.from_setting(sys.argv[2])).after)
"""


def alembic(url: str, keys: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "INBOX_DATABASE_URL": url, "INBOX_ENCRYPTION_KEYS": keys}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "alembic", *arguments],
        check=False,
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_ten_processes_that_start_together_all_end_at_the_newest_revision(
    create: Callable[..., str], encryption_keys: str
) -> None:
    # Without script 010, so that the indexes are built: whoever waits must not be in the way of that.
    old_database = create("old_layout", "old_rows")
    command = [sys.executable, "-W", "error", "-c", UPGRADE, old_database, encryption_keys]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(10)
    ]
    answers = [process.communicate(timeout=100) for process in processes]
    assert [(process.returncode, *answer) for process, answer in zip(processes, answers, strict=True)] == [
        (0, f"{migrating.head()}\n", "")
    ] * 10
    assert value(old_database, "select count(*) from messages") == 6
    migrating.check(old_database)


def test_the_plain_command_upgrades_checks_and_goes_back(new_database: str, encryption_keys: str) -> None:
    for arguments in (["upgrade", "head"], ["check"], ["downgrade", "base"], ["upgrade", "head"], ["current"]):
        done = alembic(new_database, encryption_keys, *arguments)
        assert done.returncode == 0, done.stderr
    assert "caller_keys (head)" in done.stdout


def test_the_plain_command_adopts_an_old_database(old_database: str, encryption_keys: str) -> None:
    done = alembic(old_database, encryption_keys, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert "1 repeated role assignments removed" in done.stderr
    migrating.check(old_database)


def test_the_plain_command_takes_a_stamp(old_database: str, encryption_keys: str) -> None:
    for arguments in (["stamp", "baseline"], ["upgrade", "head"], ["check"]):
        done = alembic(old_database, encryption_keys, *arguments)
        assert done.returncode == 0, done.stderr


def test_the_plain_command_refuses_in_words(old_database: str, encryption_keys: str) -> None:
    execute(old_database, "drop table bot_profiles")
    before = catalog(old_database)
    done = alembic(old_database, encryption_keys, "upgrade", "head")
    assert done.returncode != 0
    assert "bot_profiles" in done.stdout
    assert "Traceback" not in done.stderr
    assert differences(catalog(old_database), before) == {}


def test_a_script_of_sql_is_refused_because_tokens_are_sealed(new_database: str, encryption_keys: str) -> None:
    done = alembic(new_database, encryption_keys, "upgrade", "head", "--sql")
    assert done.returncode != 0
    assert "tokens are sealed" in done.stdout


def test_who_waits_too_long_for_another_process_gives_up(new_database: str, sealer: Sealer) -> None:
    async def hold_and_try() -> None:
        holder = await asyncpg.connect(new_database.replace("+asyncpg", ""))
        try:
            await holder.execute("select pg_advisory_lock($1)", KEY)
            with pytest.raises(DatabaseTimeout, match="took over 1 s"):
                await asyncio.to_thread(migrating.upgrade, new_database, sealer=sealer, within=1.0)
        finally:
            await holder.close()

    asyncio.run(hold_and_try())
    assert rows(new_database, "select 1 from pg_tables where schemaname = 'public'") == []
    migrating.upgrade(new_database, sealer=sealer)


def test_a_table_in_use_ends_the_migration_with_the_remedy(old_database: str, sealer: Sealer) -> None:
    async def hold_and_try() -> None:
        reader = await asyncpg.connect(old_database.replace("+asyncpg", ""))
        try:
            await reader.execute("begin; lock table contacts in access share mode")
            with pytest.raises(DatabaseUnavailable, match="in use by another session"):
                await asyncio.to_thread(migrating.upgrade, old_database, sealer=sealer)
        finally:
            await reader.close()

    migrating.upgrade(old_database, revision="performance_indexes", sealer=sealer)
    asyncio.run(hold_and_try())
    assert migrating.upgrade(old_database, sealer=sealer).before == "performance_indexes"


def test_a_database_that_is_not_there_is_said_in_words(new_database: str, sealer: Sealer) -> None:
    with pytest.raises(DatabaseUnavailable, match='database "nowhere" does not exist'):
        migrating.upgrade(re.sub("migrations_[0-9a-f]+", "nowhere", new_database), sealer=sealer)


def test_a_server_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="The database cannot be used"):
        migrating.current(f"postgresql://postgres@/inbox?host={tmp_path}")


def test_a_text_that_is_no_url_is_said_without_repeating_it() -> None:
    with pytest.raises(SchemaRefused) as refused:
        migrating.current("secret words")
    assert "secret" not in str(refused.value)
