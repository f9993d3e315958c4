"""Keys are replaced while the service runs: everything ends under the newest, and nobody's change is undone."""

import asyncio
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, execute, until
from inbox.adapters.database.postgres.accounts import PostgresAccounts
from inbox.adapters.database.postgres.local_accounts import PostgresLocalAccounts
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.rotation import PLACES, Rotated, Rotation
from inbox.adapters.database.postgres.tables import metadata
from inbox.domain.accounts import AccountChange, NewAccount
from inbox.domain.errors import SecretUnreadable
from inbox.domain.ids import AccountId, uuid7
from inbox.kit.sealing import Sealer
from inbox.ports.local_accounts import SigningKey

OLD_KEY: Final = ("old", b"o" * 32)
NEW_KEY: Final = ("new", b"n" * 32)
OLD: Final = Sealer([OLD_KEY])
BOTH: Final = Sealer([NEW_KEY, OLD_KEY])
NEW: Final = Sealer([NEW_KEY])
CANARY: Final = "c4n4ry"


class Died(BaseException):
    """The process is gone."""


async def an_account(engine: AsyncEngine, number: int, sealer: Sealer = OLD) -> AccountId:
    account_id = AccountId(uuid7())
    new = NewAccount(
        name="Atelier",
        slug=f"atelier-{number}",
        phone_number=None,
        phone_number_id=f"10{number}",
        access_token=f"{CANARY}-access-{number}",
        verify_token=f"{CANARY}-verify-{number}",
        app_secret=f"{CANARY}-secret-{number}",
    )
    async with engine.begin() as connection:
        await PostgresAccounts(connection, sealer, []).add(account_id, new)
    return account_id


async def a_signing_key(engine: AsyncEngine, sealer: Sealer = OLD) -> UUID:
    key = SigningKey(kid=uuid7(), private_key_pem=f"{CANARY}-pem", public_jwk={"kty": "EC"}, state="current")
    async with engine.begin() as connection:
        await PostgresLocalAccounts(connection, sealer).add_signing_key(key)
    return key.kid


async def secrets_of(engine: AsyncEngine, account_id: AccountId, sealer: Sealer) -> list[str]:
    (row,) = await execute(engine, "select * from whatsapp_accounts where id = :id", id=account_id)
    return [
        sealer.open(getattr(row, f"{column}_sealed"), table="whatsapp_accounts", column=column, row_id=account_id)
        for column in ("access_token", "verify_token", "app_secret")
    ]


async def changed(engine: AsyncEngine, account_id: AccountId, change: AccountChange, sealer: Sealer) -> None:
    async with engine.begin() as connection:
        await PostgresAccounts(connection, sealer, []).change(account_id, change)


async def trail(engine: AsyncEngine) -> list[Any]:
    return await execute(engine, "select actor_kind, action, details from audit_entries")


def test_every_sealed_column_has_a_place() -> None:
    sealed = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name.endswith("_sealed")
    }
    assert sealed == {f"{place.table}.{place.column}_sealed" for place in PLACES}


async def test_everything_is_sealed_anew_and_the_old_key_is_not_needed_any_more(engine: AsyncEngine) -> None:
    ids = [await an_account(engine, number) for number in range(5)]
    kid = await a_signing_key(engine)
    done = await Rotation(engine, BOTH, batch=2).run()
    names = ["whatsapp_accounts.access_token", "whatsapp_accounts.verify_token", "whatsapp_accounts.app_secret"]
    assert done == Rotated(
        resealed={**dict.fromkeys(names, 5), "signing_keys.private_key": 1}, unreadable=(), is_complete=True
    )
    for number, account_id in enumerate(ids):
        found = await secrets_of(engine, account_id, NEW)
        assert found == [f"{CANARY}-{what}-{number}" for what in ("access", "verify", "secret")]
        assert await PostgresQueries(Reader(engine), NEW).account_by_verify_token(found[1]) == account_id
    async with engine.begin() as connection:
        (key,) = await PostgresLocalAccounts(connection, NEW).signing_keys()
    assert (key.kid, key.private_key_pem) == (kid, f"{CANARY}-pem")


async def test_a_second_run_finds_nothing_to_do(engine: AsyncEngine) -> None:
    account_id = await an_account(engine, 1)
    await Rotation(engine, BOTH).run()
    (before,) = await execute(engine, "select * from whatsapp_accounts where id = :id", id=account_id)
    done = await Rotation(engine, BOTH).run()
    assert (set(done.resealed.values()), done.is_complete) == ({0}, True)
    assert await execute(engine, "select * from whatsapp_accounts where id = :id", id=account_id) == [before]


async def test_the_trail_tells_counts_and_the_name_of_the_key(engine: AsyncEngine) -> None:
    await an_account(engine, 1)
    await Rotation(engine, BOTH).run()
    ((kind, action, details),) = await trail(engine)
    assert (kind, action) == ("system", "keys.rotated")
    assert '"key": "new"' in details
    assert '"whatsapp_accounts.access_token": 1' in details
    assert CANARY not in details


async def test_absent_secrets_stay_absent(engine: AsyncEngine) -> None:
    account_id = await an_account(engine, 1)
    await changed(engine, account_id, AccountChange(app_secret=None), OLD)
    await Rotation(engine, BOTH).run()
    rows = await execute(engine, "select 1 from whatsapp_accounts where app_secret_sealed is null")
    assert len(rows) == 1


async def test_a_rotation_that_was_interrupted_is_finished_by_the_next(engine: AsyncEngine) -> None:
    ids = [await an_account(engine, number) for number in range(3)]

    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "_sealed = $" in statement:
            seen.append(statement)
            if len(seen) == 4:
                raise Died

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    with pytest.raises(Died):
        await Rotation(engine, BOTH).run()
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    assert await trail(engine) == []
    done = await Rotation(engine, BOTH).run()
    assert sum(done.resealed.values()) == 6
    for account_id in ids:
        assert len(await secrets_of(engine, account_id, NEW)) == 3


# --- while others write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", [BOTH, Sealer([OLD_KEY, NEW_KEY])], ids=["new first", "old first"])
async def test_a_token_that_somebody_sets_meanwhile_is_not_overwritten_by_the_older_one(
    engine: AsyncEngine, writer: Sealer
) -> None:
    account_id = await an_account(engine, 1)
    change = AccountChange(access_token="EAA-newer", verify_token="verify-newer")
    async with engine.connect() as connection:
        await PostgresAccounts(connection, writer, []).change(account_id, change)
        rotating = asyncio.create_task(Rotation(engine, BOTH).run())
        await until(engine, LOCK_WAIT)
        await connection.commit()
    done = await rotating
    assert done.is_complete
    assert await secrets_of(engine, account_id, NEW) == ["EAA-newer", "verify-newer", f"{CANARY}-secret-1"]
    assert await PostgresQueries(Reader(engine), NEW).account_by_verify_token("verify-newer") == account_id


async def test_an_account_that_is_deleted_meanwhile_is_no_obstacle(engine: AsyncEngine) -> None:
    account_id = await an_account(engine, 1)
    await an_account(engine, 2)
    async with engine.connect() as connection:
        repository = PostgresAccounts(connection, OLD, [])
        await repository.lock(account_id)
        assert await repository.remove(account_id)
        rotating = asyncio.create_task(Rotation(engine, BOTH).run())
        await until(engine, LOCK_WAIT)
        await connection.commit()
    done = await rotating
    assert (done.is_complete, done.resealed["whatsapp_accounts.access_token"]) == (True, 1)


async def test_a_process_that_goes_on_sealing_with_the_old_key_is_noticed(engine: AsyncEngine) -> None:
    account_id = await an_account(engine, 1)
    stubborn = OLD.seal("t", table="whatsapp_accounts", column="access_token", row_id=account_id)
    await execute(
        engine,
        "create function seal_again() returns trigger language plpgsql as "
        f"$$ begin new.access_token_sealed = '\\x{stubborn.hex()}'::bytea; return new; end $$",
    )
    await execute(
        engine,
        "create trigger seal_again before update on whatsapp_accounts for each row execute function seal_again()",
    )
    try:
        done = await Rotation(engine, BOTH).run()
    finally:
        await execute(engine, "drop function seal_again cascade")
    assert (done.is_complete, done.unreadable) == (False, ())
    assert await trail(engine) == []


async def test_all_keys_open_and_find_while_some_values_are_old_and_some_are_new(engine: AsyncEngine) -> None:
    first, second = await an_account(engine, 1), await an_account(engine, 2, BOTH)
    for sealer in (BOTH, Sealer([OLD_KEY, NEW_KEY])):
        queries = PostgresQueries(Reader(engine), sealer)
        assert await queries.account_by_verify_token(f"{CANARY}-verify-1") == first
        assert await queries.account_by_verify_token(f"{CANARY}-verify-2") == second
        assert len(await queries.app_secrets()) == 2


# --- what does not open -----------------------------------------------------------------------------------------------


async def test_what_does_not_open_is_named_by_its_place_and_the_rest_is_sealed_anew(engine: AsyncEngine) -> None:
    lost = await an_account(engine, 1, Sealer([("lost", b"l" * 32)]))
    kept = await an_account(engine, 2)
    before = await execute(engine, "select * from whatsapp_accounts where id = :id", id=lost)
    done = await Rotation(engine, BOTH).run()
    assert not done.is_complete
    assert [str(lost) in line and "'lost'" in line for line in done.unreadable] == [True] * 3
    assert {line.partition(" row ")[0] for line in done.unreadable} == {"whatsapp_accounts"}
    assert CANARY not in "".join(done.unreadable)
    assert await execute(engine, "select * from whatsapp_accounts where id = :id", id=lost) == before
    assert len(await secrets_of(engine, kept, NEW)) == 3
    assert await trail(engine) == []


async def test_a_value_under_the_newest_key_that_does_not_open_is_named_too(engine: AsyncEngine) -> None:
    account_id = await an_account(engine, 1, NEW)
    await execute(engine, "update whatsapp_accounts set app_secret_sealed = access_token_sealed")
    done = await Rotation(engine, BOTH).run()
    assert len(done.unreadable) == 1
    assert f"row {account_id}" in done.unreadable[0]
    assert "app_secret" in done.unreadable[0]


# --- nothing in clear -------------------------------------------------------------------------------------------------


async def test_no_column_of_any_table_holds_a_secret_in_clear(engine: AsyncEngine) -> None:
    account_id = await an_account(engine, 1)
    await a_signing_key(engine)
    assert await holding(engine, CANARY) == []
    await Rotation(engine, BOTH).run()
    assert await holding(engine, CANARY) == []
    await execute(engine, "update whatsapp_accounts set name = :name", name=f"x{CANARY}x")
    await execute(engine, "update whatsapp_accounts set verify_token_digest = :raw", raw=f"x{CANARY}x".encode())
    assert await holding(engine, CANARY) == ["whatsapp_accounts.name", "whatsapp_accounts.verify_token_digest"]
    with pytest.raises(SecretUnreadable):
        await secrets_of(engine, account_id, OLD)


async def holding(engine: AsyncEngine, canary: str) -> list[str]:
    """The columns in which `canary` occurs, as a search of a dump would find it."""
    columns = await execute(
        engine,
        """select c.table_name, c.column_name, c.data_type from information_schema.columns c
           join information_schema.tables t using (table_schema, table_name)
           where c.table_schema = 'public' and t.table_type = 'BASE TABLE' order by 1, 2""",
    )
    found = []
    for table, column, kind in columns:
        shown = f'"{column}"' if kind == "bytea" else f"convert_to(\"{column}\"::text, 'UTF8')"
        query = f"select 1 from {table} where position(cast(:canary as bytea) in {shown}) > 0 limit 1"  # noqa: S608
        if await execute(engine, query, canary=canary.encode()):
            found.append(f"{table}.{column}")
    assert len(columns) > 100
    return found
