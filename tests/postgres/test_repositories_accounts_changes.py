"""Accounts that are changed and taken away, while others look, write and sign."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from builders import LOCK_WAIT, SEALER, a_conversation, an_account, execute, until
from inbox.adapters.database.postgres.accounts import PostgresAccounts
from inbox.adapters.database.postgres.conversations import PostgresConversations
from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.access import Permission
from inbox.domain.accounts import AccountChange, NewAccount
from inbox.domain.contacts import Address
from inbox.domain.errors import AccountNotFound, InboxError, PhoneNumberIdTaken, SecretUnreadable, SlugTaken
from inbox.domain.ids import AccountId, ConversationId, uuid7
from member_builders import a_role, a_user, give_override, give_role

PLAIN = "name, slug, phone_number, phone_number_id, waba_id, is_active, paused_at"
SECRETS = "access_token_sealed, verify_token_sealed, verify_token_digest, app_secret_sealed"
EVERYTHING = AccountChange(
    name="Nouveau",
    slug="nouveau",
    phone_number="+33 1",
    phone_number_id="42",
    waba_id="7",
    access_token="EAA-newer",
    verify_token="newer-verify",
    app_secret="newer-secret",
    is_active=False,
)


@asynccontextmanager
async def accounts(engine: AsyncEngine) -> AsyncIterator[PostgresAccounts]:
    with database_errors():
        async with engine.begin() as connection:
            yield PostgresAccounts(connection, SEALER, [])


async def changed(engine: AsyncEngine, account_id: AccountId, change: AccountChange) -> None:
    async with accounts(engine) as repository:
        await repository.lock(account_id)
        await repository.change(account_id, change)


async def removed(engine: AsyncEngine, account_id: AccountId) -> bool:
    async with accounts(engine) as repository:
        await repository.lock(account_id)
        return await repository.remove(account_id)


async def added(engine: AsyncEngine, *, slug: str = "atelier", app_secret: str | None = "the-secret") -> AccountId:
    account_id = AccountId(uuid7())
    new = NewAccount(
        name="Atelier",
        slug=slug,
        phone_number=None,
        phone_number_id=f"id-{slug}",
        access_token="EAA",
        verify_token="verify",
        app_secret=app_secret,
    )
    async with accounts(engine) as repository:
        await repository.add(account_id, new)
    return account_id


async def row_of(engine: AsyncEngine, account_id: AccountId, columns: str = f"{PLAIN}, {SECRETS}") -> tuple[Any, ...]:
    (row,) = await execute(engine, f"select {columns} from whatsapp_accounts where id = :id", id=account_id)  # noqa: S608
    return tuple(row)


def opened(row: Row[Any], column: str) -> str:
    sealed = getattr(row, f"{column}_sealed")
    return SEALER.open(sealed, table="whatsapp_accounts", column=column, row_id=row.id)


# --- the secret of the app --------------------------------------------------------------------------------------------


async def test_app_secrets_are_sealed_and_those_of_all_accounts_are_given(engine: AsyncEngine) -> None:
    await added(engine, slug="a", app_secret="one")
    second = await added(engine, slug="b", app_secret="two")
    await added(engine, slug="c", app_secret=None)
    await changed(engine, second, AccountChange(is_active=False))
    queries = PostgresQueries(Reader(engine), SEALER)
    await execute(engine, "update whatsapp_accounts set waba_id = '800111' where id = :id", id=second)
    assert [(own.secret, own.waba_id) for own in await queries.app_secrets()] == [(b"one", None), (b"two", "800111")]
    stored = await execute(
        engine, "select app_secret_sealed from whatsapp_accounts where app_secret_sealed is not null"
    )
    assert [row for row in stored if b"one" in row[0] or b"two" in row[0]] == []
    await execute(engine, "update whatsapp_accounts set app_secret_sealed = 'x' where id = :id", id=second)
    with pytest.raises(SecretUnreadable):
        await queries.app_secrets()


# --- changing ---------------------------------------------------------------------------------------------------------


async def test_what_is_named_is_written_and_sealed(engine: AsyncEngine) -> None:
    account_id = await added(engine)
    await changed(engine, account_id, EVERYTHING)
    (row,) = await execute(engine, "select * from whatsapp_accounts")
    for name in ("name", "slug", "phone_number", "phone_number_id", "waba_id", "is_active"):
        assert getattr(row, name) == getattr(EVERYTHING, name)
    for name in ("access_token", "verify_token", "app_secret"):
        assert opened(row, name) == getattr(EVERYTHING, name)
    queries = PostgresQueries(Reader(engine), SEALER)
    assert await queries.account_by_verify_token("newer-verify") == account_id
    assert await queries.account_by_verify_token("verify") is None


@pytest.mark.parametrize("name", EVERYTHING.__struct_fields__)
async def test_what_is_not_named_stays(engine: AsyncEngine, name: str) -> None:
    account_id, other = await added(engine), await added(engine, slug="other")
    before, untouched = await row_of(engine, account_id), await row_of(engine, other)
    await changed(engine, account_id, AccountChange(**{name: getattr(EVERYTHING, name)}))
    after = await row_of(engine, account_id)
    columns = f"{PLAIN}, {SECRETS}".split(", ")
    moved = {column for column, old, new in zip(columns, before, after, strict=True) if old != new}
    assert moved == {column for column in columns if column.startswith(f"{name}_sealed") or column == name} | (
        {"verify_token_digest"} if name == "verify_token" else set()
    )
    assert await row_of(engine, other) == untouched


async def test_values_that_may_be_absent_can_be_taken_away(engine: AsyncEngine) -> None:
    account_id = await added(engine)
    await changed(engine, account_id, EVERYTHING)
    await changed(engine, account_id, AccountChange(phone_number=None, waba_id=None, app_secret=None))
    assert await row_of(engine, account_id, "phone_number, waba_id, app_secret_sealed") == (None, None, None)


@pytest.mark.parametrize(
    ("change", "is_paused"), [(AccountChange(access_token="new"), False), (AccountChange(name="new"), True)]
)
async def test_a_new_access_token_ends_a_pause_and_nothing_else_does(engine: AsyncEngine, change, is_paused) -> None:
    account_id = (await an_account(engine, is_paused=True)).account_id
    await execute(engine, "update whatsapp_accounts set paused_reason = 'token'")
    await changed(engine, account_id, change)
    assert [value is not None for value in await row_of(engine, account_id, "paused_at, paused_reason")] == [
        is_paused,
        is_paused,
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (AccountChange(slug="taken"), SlugTaken),
        (AccountChange(phone_number_id="id-taken"), PhoneNumberIdTaken),
    ],
)
async def test_what_another_account_has_is_taken(
    engine: AsyncEngine, change: AccountChange, error: type[InboxError]
) -> None:
    account_id = await added(engine)
    await changed(engine, await added(engine, slug="taken"), AccountChange(is_active=False))
    with pytest.raises(error):
        await changed(engine, account_id, change)


async def test_an_unknown_account_is_neither_locked_nor_changed(engine: AsyncEngine) -> None:
    unknown = AccountId(uuid7())
    async with accounts(engine) as repository:
        with pytest.raises(AccountNotFound):
            await repository.lock(unknown)
        with pytest.raises(AccountNotFound):
            await repository.change(unknown, EVERYTHING)


async def test_a_lock_gives_the_account(engine: AsyncEngine) -> None:
    account_id = await added(engine)
    async with accounts(engine) as repository:
        assert await repository.lock(account_id) == await repository.get(account_id)


def test_a_change_never_shows_what_it_writes() -> None:
    assert "newer" not in repr(EVERYTHING)
    assert "access_token" in repr(EVERYTHING)
    assert repr(msgspec.structs.replace(AccountChange(), name="x")) == "AccountChange(name)"


# --- removing ---------------------------------------------------------------------------------------------------------


async def test_an_account_without_conversations_goes_with_all_that_hangs_on_it(engine: AsyncEngine) -> None:
    account_id, other = await added(engine), await added(engine, slug="other")
    await hang_on(engine, account_id)
    await hang_on(engine, other)
    assert await removed(engine, account_id) is True
    for table in ("bot_profiles", "app_user_roles", "app_user_overrides", "api_key_grants"):
        rows = await execute(engine, f"select account_id from {table}")  # noqa: S608
        assert {row.account_id for row in rows} == {other, None} - ({None} if table == "bot_profiles" else set()), table
    assert await execute(engine, "select id from whatsapp_accounts") == [(other,)]


async def test_an_account_with_a_conversation_stays_as_it_is(engine: AsyncEngine) -> None:
    account_id = await added(engine)
    await hang_on(engine, account_id)
    await a_conversation(engine, account_id)
    before = await row_of(engine, account_id)
    assert await removed(engine, account_id) is False
    assert await row_of(engine, account_id) == before
    for table in ("bot_profiles", "app_user_roles", "app_user_overrides", "api_key_grants"):
        assert await execute(engine, f"select 1 from {table} where account_id = :id", id=account_id), table  # noqa: S608


async def test_messages_that_lie_outside_of_conversations_keep_their_account_too(engine: AsyncEngine) -> None:
    account_id = await added(engine)
    await execute(
        engine, "insert into messages (direction, account_id) values ('inbound', :account)", account=account_id
    )
    assert await removed(engine, account_id) is False


async def test_a_conversation_that_begins_first_keeps_the_account(engine: AsyncEngine) -> None:
    account_id = await added(engine)
    async with engine.begin() as connection:
        await begin_conversation(connection, account_id)
        removing = asyncio.create_task(removed(engine, account_id))
        await until(engine, LOCK_WAIT)
    assert await removing is False
    assert len(await execute(engine, "select 1 from whatsapp_accounts")) == 1


async def test_a_conversation_that_begins_meanwhile_finds_no_account(engine: AsyncEngine) -> None:
    account_id = await added(engine)

    async def begin() -> None:
        with database_errors():
            async with engine.begin() as connection:
                await begin_conversation(connection, account_id)

    async with accounts(engine) as repository:
        await repository.lock(account_id)
        assert await repository.remove(account_id) is True
        beginning = asyncio.create_task(begin())
        await until(engine, LOCK_WAIT)
    with pytest.raises(AccountNotFound):
        await beginning
    assert await execute(engine, "select 1 from conversations") == []


async def begin_conversation(connection: AsyncConnection, account_id: AccountId) -> ConversationId:
    repository = PostgresConversations(connection, [])
    found, _ = await repository.find_or_create(account_id, Address.of("33612345678"), datetime.now(UTC))
    return found


async def hang_on(engine: AsyncEngine, account_id: AccountId) -> None:
    """A profile, and a role, an override and a program, each for this account and for all."""
    await execute(engine, "insert into bot_profiles (account_id) values (:id)", id=account_id)
    user, role = await a_user(engine), await a_role(engine, Permission.MESSAGES_VIEW)
    key: UUID = uuid7()
    await execute(
        engine,
        "insert into api_keys (id, name, digest, hint) values (:id, 'k', :digest, 'h')",
        id=key,
        digest=key.bytes,
    )
    for scope in (account_id, None):
        await give_role(engine, user, role, scope)
        await give_override(engine, user, Permission.MESSAGES_SEND, scope, is_allowed=True)
        await execute(
            engine,
            """insert into api_key_grants (id, api_key_id, permission_code, account_id)
               values (:id, :key, 'messages.view', :account)""",
            id=uuid7(),
            key=key,
            account=scope,
        )
