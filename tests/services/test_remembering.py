"""What is remembered of accounts, profiles and conversations: never older than the answer to the write that changed it.

Two processes are two services with a cache each on one database, which no signal of the other one reaches.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, execute
from database_fixtures import RecordedSignals
from inbox.adapters.cache.memory import MemoryCache
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import AccountChange, Channel, NewAccount
from inbox.domain.bot_profile import Profile
from inbox.domain.errors import (
    AccountNotFound,
    CommitUnknown,
    ConversationNotFound,
    DatabaseTimeout,
    DatabaseUnavailable,
    PhoneNumberIdTaken,
)
from inbox.domain.ids import AccountId, ConversationId, UserId, uuid7
from inbox.domain.signals import CacheStale
from inbox.kit.boundaries import forbid_open_transaction
from inbox.ports.database import Database
from inbox.ports.monitoring import Process, ProcessKind, ProcessReport
from inbox.ports.team import RIGHTS_SECONDS
from inbox.services.accounts import Accounts
from inbox.services.bot_profiles import BotProfiles
from inbox.services.rights import RIGHTS_TAG, Rights
from services.rights_scene import Counted, Seconds, remembering, sure
from statement_counts import counting


class Blind:
    """The database for a process whose looks for changes fail as soon as `is_blind`: it must not learn by itself."""

    def __init__(self, inner: Database) -> None:
        self.is_blind = False
        self.queries, self.operations, self.transaction = inner.queries, inner.operations, inner.transaction
        self.team = self
        self._inner = inner

    async def rights_version(self) -> int:
        if self.is_blind:
            raise DatabaseTimeout
        return await self._inner.team.rights_version()


class Silent:
    """A database that does not say whether other processes live."""

    def __init__(self, inner: Database) -> None:
        self.queries, self.team, self.transaction = inner.queries, inner.team, inner.transaction
        self.operations = self

    async def has_others(self, process_id: UUID | None) -> bool:
        raise DatabaseUnavailable


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def bus() -> RecordedSignals:
    return RecordedSignals()


@pytest.fixture
async def here(database: Database, clock: Seconds, bus: RecordedSignals) -> AsyncIterator[Rights]:
    async with remembering(database, MemoryCache(bus), clock) as rights:
        yield rights


@pytest.fixture
def manager() -> Actor:
    codes = Permission.SETTINGS_MANAGE, Permission.ACCOUNTS_MANAGE
    grants = tuple(Grant(code=code, account_id=None) for code in codes)
    return Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=grants)


async def lives(database: Database, process_id: UUID) -> None:
    """Another process reports."""
    this = Process(id=process_id, kind=ProcessKind.WORKER, host="h", pid=1, version="1", started_at=datetime.now(UTC))
    await database.operations.report(this, ProcessReport())


async def cost(work: Callable[[], Awaitable[object]]) -> int:
    with counting() as statements:
        await work()
    return len(statements)


# --- one read and one write of each kind ------------------------------------------------------------------------------

Read = Callable[[Rights, Any, AccountId], Awaitable[object]]
Write = Callable[[Rights, Database, Actor, AccountId, str], Awaitable[object]]


async def hours(rights: Rights, database: Any, account: AccountId) -> object:  # noqa: ANN401 - or a double
    return (await BotProfiles(database, rights).of(account)).hours


async def write_hours(rights: Rights, database: Database, actor: Actor, account: AccountId, value: str) -> None:
    row = await BotProfiles(database, rights).replace(actor, Profile(account_id=account, hours=value))
    assert row.hours == value


async def token(rights: Rights, _database: Any, account: AccountId) -> object:  # noqa: ANN401 - or a double
    return (await rights.channel(account)).access_token


async def write_token(rights: Rights, database: Database, actor: Actor, account: AccountId, value: str) -> None:
    await Accounts(database, rights).change(actor, account, AccountChange(access_token=value))


async def is_there(rights: Rights, _database: Any, account: AccountId) -> object:  # noqa: ANN401 - or a double
    try:
        await rights.require_account(account)
    except AccountNotFound:
        return "gone"
    return "there"


async def remove(rights: Rights, database: Database, actor: Actor, account: AccountId, value: str) -> None:
    if value == "gone":
        await Accounts(database, rights).delete(actor, account)


each_kind = pytest.mark.parametrize(
    ("read", "write", "before", "after"),
    [
        pytest.param(hours, write_hours, "9h-18h", "10h-19h", id="profile"),
        pytest.param(token, write_token, "EAA one", "EAA two", id="token"),
        pytest.param(is_there, remove, "there", "gone", id="account"),
    ],
)


@each_kind
async def test_what_was_read_costs_nothing_until_it_is_written_and_is_new_then(
    here: Rights, database: Database, account: Channel, manager: Actor, read: Read, write: Write, before, after
) -> None:
    account_id = account.account_id
    await write(here, database, manager, account_id, before)
    assert await read(here, database, account_id) == before
    with counting() as statements:
        assert await read(here, database, account_id) == before
    assert statements == []
    await write(here, database, manager, account_id, after)
    assert await read(here, database, account_id) == after


@each_kind
async def test_when_a_write_is_answered_the_other_process_knows_it_although_every_signal_and_every_look_is_lost(
    database: Database, account: Channel, manager: Actor, clock: Seconds, read: Read, write: Write, before, after
) -> None:
    blind, account_id, seen_meanwhile = Blind(database), account.account_id, []

    async def waits(seconds: float) -> None:
        seen_meanwhile.append(await read(there, blind, account_id))
        await clock.sleep(seconds)

    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(remembering(blind, MemoryCache(RecordedSignals()), clock))
        writer = Rights(database, MemoryCache(RecordedSignals()), Counted(), clock=clock, sleep=waits)
        here = await stack.enter_async_context(sure(writer))
        await write(here, database, manager, account_id, before)
        assert await read(there, blind, account_id) == before
        await lives(database, uuid4())
        blind.is_blind = True
        await write(here, database, manager, account_id, after)
        assert await read(there, blind, account_id) == after
        assert await read(here, database, account_id) == after
    assert seen_meanwhile == [before]  # else the wait was for nothing
    assert clock.slept == [RIGHTS_SECONDS]


async def test_whoever_is_alone_does_not_wait(
    engine: AsyncEngine, database: Database, account: Channel, manager: Actor, clock: Seconds
) -> None:
    this, gone = Counted(), uuid4()
    await lives(database, this.id)
    await lives(database, gone)
    await execute(engine, "update processes set seen_at = now() - interval '11 seconds' where id = :id", id=gone)
    rights = Rights(database, MemoryCache(RecordedSignals()), this, clock=clock, sleep=clock.sleep)
    await write_hours(rights, database, manager, account.account_id, "9h")
    assert clock.slept == []


async def test_a_process_of_which_nobody_knows_waits_for_all_others_and_remembers_nothing(
    database: Database, account: Channel, manager: Actor, clock: Seconds
) -> None:
    await lives(database, uuid4())
    rights = Rights(database, MemoryCache(RecordedSignals()), clock=clock, sleep=clock.sleep)
    await write_hours(rights, database, manager, account.account_id, "9h")
    assert clock.slept == [RIGHTS_SECONDS]
    async with rights.watching():
        assert [await cost(lambda: rights.channel(account.account_id)) for _ in range(3)] == [1, 1, 1]


async def test_while_nobody_can_say_whether_others_live_one_waits(
    database: Database, account: Channel, manager: Actor, clock: Seconds, bus: RecordedSignals
) -> None:
    rights = Rights(Silent(database), MemoryCache(bus), Counted(), clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]
    await write_hours(rights, database, manager, account.account_id, "9h")
    assert clock.slept == [RIGHTS_SECONDS]
    assert bus.published == [CacheStale((RIGHTS_TAG,))]


async def test_the_time_that_has_passed_since_the_commit_is_not_waited_for_again(
    database: Database, clock: Seconds
) -> None:
    class Late(Silent):
        async def has_others(self, process_id: UUID | None) -> bool:
            clock.now += 0.75
            return True

    rights = Rights(Late(database), MemoryCache(RecordedSignals()), clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]
    await rights.changed()
    assert clock.slept == [RIGHTS_SECONDS - 0.75]


async def test_no_transaction_is_open_while_one_waits(
    database: Database, account: Channel, manager: Actor, clock: Seconds
) -> None:
    async def sleep(seconds: float) -> None:
        forbid_open_transaction()
        async with database.transaction() as tx:
            await tx.change_rights()  # nobody else holds it either
        await clock.sleep(seconds)

    await lives(database, uuid4())
    rights = Rights(database, MemoryCache(RecordedSignals()), clock=clock, sleep=sleep)
    for read, write, value in ((hours, write_hours, "9h"), (token, write_token, "EAA two"), (is_there, remove, "gone")):
        await write(rights, database, manager, account.account_id, value)
        assert await read(rights, database, account.account_id) == value
    assert len(clock.slept) == 3


async def test_what_was_refused_makes_nobody_wait_and_nothing_forgotten(
    here: Rights, database: Database, account: Channel, manager: Actor, clock: Seconds, bus: RecordedSignals
) -> None:
    new = NewAccount(
        name="n",
        slug="s",
        phone_number=None,
        phone_number_id=account.phone_number_id,
        access_token="t",
        verify_token="v",
    )
    await lives(database, uuid4())
    with pytest.raises(AccountNotFound):
        await Accounts(database, here).change(manager, AccountId(uuid7()), AccountChange(name="x"))
    with pytest.raises(PhoneNumberIdTaken):
        await Accounts(database, here).create(manager, new)
    assert (bus.published, clock.slept) == ([], [])


async def test_a_client_that_left_takes_nothing_with_it(
    database: Database, account: Channel, manager: Actor, clock: Seconds, bus: RecordedSignals
) -> None:
    is_waiting = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        is_waiting.set()
        await asyncio.Event().wait()

    await lives(database, uuid4())
    async with sure(Rights(database, MemoryCache(bus), Counted(), clock=clock, sleep=sleep)) as rights:
        assert await token(rights, database, account.account_id) == account.access_token
        task = asyncio.create_task(write_token(rights, database, manager, account.account_id, "EAA two"))
        async with asyncio.timeout(10):
            await is_waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await token(rights, database, account.account_id) == "EAA two"
    assert bus.published == [CacheStale((RIGHTS_TAG,))]


@pytest.mark.parametrize("error", [asyncio.CancelledError, CommitUnknown])
async def test_a_write_that_may_have_been_made_is_forgotten_as_if_it_was(
    here: Rights, account: Channel, bus: RecordedSignals, clock: Seconds, error: type[BaseException]
) -> None:
    await here.channel(account.account_id)
    with pytest.raises(error):
        async with here.changing():
            raise error
    assert bus.published == [CacheStale((RIGHTS_TAG,))]
    assert await cost(lambda: here.channel(account.account_id)) == 1
    assert clock.slept == []


# --- what is remembered -----------------------------------------------------------------------------------------------


async def test_many_who_ask_at_once_make_one_load(here: Rights, database: Database, account: Channel) -> None:
    with counting() as statements:
        await asyncio.gather(*(here.channel(account.account_id) for _ in range(200)))
    assert len(statements) == 1


async def test_what_is_not_there_is_looked_for_again(here: Rights, database: Database, manager: Actor) -> None:
    account, conversation = AccountId(uuid7()), ConversationId(uuid7())
    for _ in range(2):
        for read in (here.channel(account), here.require_account(account), BotProfiles(database, here).of(account)):
            with counting() as statements, pytest.raises(AccountNotFound):
                await read
            assert statements != []
        with counting() as statements, pytest.raises(ConversationNotFound):
            await here.account_of(manager, conversation)
        assert len(statements) == 1


async def test_an_account_of_which_no_profile_is_stored_is_remembered_as_such(
    here: Rights, database: Database, account: Channel, manager: Actor
) -> None:
    profiles = BotProfiles(database, here)
    empty = await profiles.get(manager, account.account_id)
    with counting() as statements:
        assert await profiles.get(manager, account.account_id) == empty
    assert statements == []
    assert (await profiles.replace(manager, Profile(account_id=account.account_id, hours="9h"))).hours == "9h"


async def test_a_conversation_that_is_remembered_is_as_foreign_to_a_stranger_as_one_that_is_missing(
    engine: AsyncEngine, here: Rights, account: Channel, manager: Actor
) -> None:
    conversation = await a_conversation(engine, account.account_id)
    assert await here.account_of(manager, conversation) == account.account_id
    assert await cost(lambda: here.account_of(manager, conversation)) == 0
    stranger = Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=())
    costs = []
    for asked in (conversation, ConversationId(uuid7()), conversation):
        with counting() as statements, pytest.raises(ConversationNotFound):
            await here.account_of(stranger, asked)
        costs.append(list(statements))
    assert costs[0] == costs[1] == costs[2]
    assert len(costs[0]) == 1


async def test_keys_name_their_family_and_what_they_are_about_and_live_as_long_as_agreed(
    engine: AsyncEngine, database: Database, account: Channel, manager: Actor, clock: Seconds
) -> None:
    cache = MemoryCache(RecordedSignals(), clock=clock)
    conversation = await a_conversation(engine, account.account_id)
    async with remembering(database, cache, clock) as rights:
        await rights.channel(account.account_id)
        await rights.account_of(manager, conversation)
        await BotProfiles(database, rights).of(account.account_id)

        def known() -> list[str]:
            return [key.partition("@")[0] for key in cache.stats().keys]

        profile = f"bot_profile:{account.account_id}"
        assert known() == [f"account:{account.account_id}", profile, f"conversation:{conversation}"]
        assert "EAA" not in str(cache.stats())
        clock.now += timedelta(minutes=1).total_seconds()
        assert known() == [profile]
        clock.now += timedelta(minutes=4).total_seconds()
        assert known() == []
