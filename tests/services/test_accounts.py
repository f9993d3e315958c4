"""Accounts are connected, changed and taken away, by those who may, with a line about each."""

from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, execute
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import AccountChange, NewAccount
from inbox.domain.errors import AccountNotFound, InboxError, PermissionDenied, PhoneNumberIdTaken, SlugTaken
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.ports.database import Database
from inbox.ports.views import AccountItem
from inbox.services.accounts import Accounts
from inbox.services.rights import Rights
from statement_counts import counting

NEW = NewAccount(
    name="Atelier",
    slug="atelier",
    phone_number=None,
    phone_number_id="1098",
    access_token="EAA-canary",
    verify_token="verify-canary",
)


def an_actor(*codes: Permission, account_id: AccountId | None = None) -> Actor:
    grants = tuple(Grant(code=code, account_id=account_id) for code in codes)
    return Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=grants)


MANAGER = an_actor(Permission.ACCOUNTS_MANAGE)


@pytest.fixture
def cache(signals: MemoryEvents) -> MemoryCache:
    return MemoryCache(signals)


@pytest.fixture
def accounts(database: Database, cache: MemoryCache) -> Accounts:
    return Accounts(database, Rights(database, cache))


async def trail(engine: AsyncEngine) -> list[tuple[str, Any]]:
    rows = await execute(engine, "select * from audit_entries order by id")
    for row in rows:
        assert (row.actor_kind, row.actor_id) == ("person", MANAGER.user_id)
        assert row.target == str(row.account_id)
        assert "canary" not in row.details
    return [(row.action, msgspec.json.decode(row.details)) for row in rows]


async def forget_trail(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        # The audit trail refuses to be deleted: this switch lets triggers rest.
        for statement in (
            "set session_replication_role = replica",
            "delete from audit_entries",
            "reset session_replication_role",
        ):
            await raw.execute(statement)


async def version(engine: AsyncEngine) -> int:
    (row,) = await execute(engine, "select version from rights_version")
    return int(row.version)


async def is_forgotten(cache: MemoryCache) -> bool:
    """Whether what was remembered before under the tag of rights is asked for anew."""
    loads = []

    async def load() -> int:
        loads.append(1)
        return 1

    await cache.fetch("probe", load, tags=["rights"], ttl=60)
    return bool(loads)


@pytest.mark.parametrize(
    "actor",
    [
        an_actor(),
        an_actor(*(code for code in Permission if code is not Permission.ACCOUNTS_MANAGE)),
        an_actor(Permission.ACCOUNTS_MANAGE, account_id=AccountId(uuid7())),
    ],
    ids=["nobody", "everything else", "for one account"],
)
async def test_who_does_not_manage_accounts_everywhere_reads_and_writes_nothing(
    accounts: Accounts, engine: AsyncEngine, actor: Actor
) -> None:
    calls = (
        lambda: accounts.create(actor, NEW),
        lambda: accounts.change(actor, AccountId(uuid7()), AccountChange(name="x")),
        lambda: accounts.delete(actor, AccountId(uuid7())),
    )
    with counting(engine) as seen:
        for call in calls:
            with pytest.raises(PermissionDenied):
                await call()
    assert seen == []


async def test_a_new_account_is_shown_without_its_tokens_and_told_of(
    accounts: Accounts, engine: AsyncEngine, database: Database, cache: MemoryCache
) -> None:
    before = await version(engine)
    assert await is_forgotten(cache)
    item = await accounts.create(MANAGER, msgspec.structs.replace(NEW, app_secret="secret-canary"))
    assert item == AccountItem(item.id, "Atelier", "atelier", None, "1098", read_receipts=True, typing_indicators=True)
    everywhere = an_actor(Permission.ACCOUNTS_VIEW).reach(Permission.ACCOUNTS_VIEW)
    assert await database.queries.accounts(everywhere) == [item]
    assert await trail(engine) == [
        ("account.created", {"slug": "atelier"}),
        ("account.token_changed", {"changed": ["access_token", "verify_token", "app_secret"]}),
    ]
    assert await version(engine) == before + 1
    assert await is_forgotten(cache)


@pytest.mark.parametrize(("same", "error"), [("slug", SlugTaken), ("phone_number_id", PhoneNumberIdTaken)])
async def test_what_is_taken_leaves_nothing_behind(
    accounts: Accounts, engine: AsyncEngine, same: str, error: type[InboxError]
) -> None:
    await accounts.create(MANAGER, NEW)
    await forget_trail(engine)
    other = msgspec.structs.replace(NEW, slug="other", phone_number_id="1099")
    before = await version(engine)
    with pytest.raises(error):
        await accounts.create(MANAGER, msgspec.structs.replace(other, **{same: getattr(NEW, same)}))
    created = await accounts.create(MANAGER, other)
    await forget_trail(engine)
    with pytest.raises(error):
        await accounts.change(MANAGER, AccountId(created.id), AccountChange(**{same: getattr(NEW, same)}))
    assert await trail(engine) == []
    assert await version(engine) == before + 1


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            AccountChange(name="Neu", slug="neu", phone_number="1"),
            [("account.changed", {"changed": ["name", "slug", "phone_number"]})],
        ),
        (
            AccountChange(access_token="t-canary"),
            [("account.token_changed", {"changed": ["access_token"]})],
        ),
        (
            AccountChange(waba_id="7", app_secret=None),
            [("account.changed", {"changed": ["waba_id"]}), ("account.token_changed", {"changed": ["app_secret"]})],
        ),
        (AccountChange(is_active=False), [("account.deactivated", {"slug": "atelier"})]),
        (AccountChange(is_active=True), [("account.changed", {"changed": ["is_active"]})]),
        (AccountChange(read_receipts=False), [("account.changed", {"changed": ["read_receipts"]})]),
    ],
    ids=["plain", "token", "both", "deactivated", "activated", "switch"],
)
async def test_a_change_is_told_of_by_what_was_written(
    accounts: Accounts, engine: AsyncEngine, cache: MemoryCache, change: AccountChange, lines: list[Any]
) -> None:
    account_id = AccountId((await accounts.create(MANAGER, NEW)).id)
    await forget_trail(engine)
    before = await version(engine)
    await is_forgotten(cache)
    item = await accounts.change(MANAGER, account_id, change)
    plain = {name: getattr(change, name) for name in ("name", "slug", "phone_number", "read_receipts")}
    named = {name: value for name, value in plain.items() if value is not msgspec.UNSET}
    assert item == msgspec.structs.replace(
        AccountItem(account_id, "Atelier", "atelier", None, "1098", read_receipts=True, typing_indicators=True), **named
    )
    assert await trail(engine) == lines
    assert await version(engine) == before + 1
    assert await is_forgotten(cache)


async def test_a_change_of_nothing_shows_the_account_and_leaves_no_trace(
    accounts: Accounts, engine: AsyncEngine
) -> None:
    item = await accounts.create(MANAGER, NEW)
    await forget_trail(engine)
    before = await version(engine)
    assert await accounts.change(MANAGER, AccountId(item.id), AccountChange()) == item
    assert (await trail(engine), await version(engine)) == ([], before)


async def test_a_missing_account_is_neither_changed_nor_deleted(accounts: Accounts, engine: AsyncEngine) -> None:
    missing, before = AccountId(uuid7()), await version(engine)
    for change in (AccountChange(), AccountChange(name="x")):
        with pytest.raises(AccountNotFound):
            await accounts.change(MANAGER, missing, change)
    with pytest.raises(AccountNotFound):
        await accounts.delete(MANAGER, missing)
    assert (await trail(engine), await version(engine)) == ([], before)


async def test_an_account_without_conversations_is_removed(
    accounts: Accounts, engine: AsyncEngine, cache: MemoryCache
) -> None:
    account_id = AccountId((await accounts.create(MANAGER, NEW)).id)
    await forget_trail(engine)
    before = await version(engine)
    await is_forgotten(cache)
    await accounts.delete(MANAGER, account_id)
    assert await execute(engine, "select id from whatsapp_accounts") == []
    assert await trail(engine) == [("account.deleted", {"slug": "atelier"})]
    assert await version(engine) == before + 1
    assert await is_forgotten(cache)
    with pytest.raises(AccountNotFound):
        await accounts.delete(MANAGER, account_id)


async def test_an_account_with_conversations_is_deactivated_and_keeps_its_data(
    accounts: Accounts, engine: AsyncEngine, database: Database
) -> None:
    account_id = AccountId((await accounts.create(MANAGER, NEW)).id)
    conversation = await a_conversation(engine, account_id)
    await forget_trail(engine)
    await accounts.delete(MANAGER, account_id)
    await accounts.delete(MANAGER, account_id)
    assert await database.queries.active_account_ids() == []
    assert await database.queries.conversation(account_id, conversation) is not None
    assert await trail(engine) == [("account.deactivated", {"slug": "atelier"})]
    await accounts.change(MANAGER, account_id, AccountChange(is_active=True))
    assert await database.queries.active_account_ids() == [account_id]
