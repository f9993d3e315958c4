"""Accounts: sealed tokens, taken names, and the account of the environment."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, a_number, an_account, execute
from inbox.adapters.database.postgres.accounts import PostgresAccounts
from inbox.adapters.database.postgres.members import CHANGE_RIGHTS
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.accounts import Account, Channel, NewAccount
from inbox.domain.errors import AccountNotFound, InboxError, PhoneNumberIdTaken, SecretUnreadable, SlugTaken
from inbox.domain.ids import AccountId, uuid7


def a_new_account(**changes: str | None) -> NewAccount:
    number = a_number()
    return msgspec.structs.replace(
        NewAccount(
            name="Atelier Lyon",
            slug=f"atelier-{number}",
            phone_number="+33 4 65 71 00 01",
            phone_number_id=f"1098{number:06d}",
            access_token="EAAG-invented",
            verify_token="choose-a-long-one",
            waba_id="2000",
        ),
        **changes,
    )


async def added(engine: AsyncEngine, new: NewAccount) -> AccountId:
    account_id = AccountId(uuid7())
    async with engine.begin() as connection:
        await PostgresAccounts(connection, SEALER, []).add(account_id, new)
    return account_id


async def put_default(engine: AsyncEngine, new: NewAccount) -> AccountId:
    """As the start does it: one at a time."""
    async with engine.begin() as connection:
        await connection.execute(CHANGE_RIGHTS)
        return await PostgresAccounts(connection, SEALER, []).put_default(AccountId(uuid7()), new)


async def channel_of(engine: AsyncEngine, account_id: AccountId) -> Channel:
    async with engine.connect() as connection:
        return await PostgresAccounts(connection, SEALER, []).channel(account_id)


async def account_of(engine: AsyncEngine, account_id: AccountId) -> Account | None:
    async with engine.connect() as connection:
        return await PostgresAccounts(connection, SEALER, []).get(account_id)


async def test_an_account_comes_back_and_its_channel_has_the_token(engine: AsyncEngine) -> None:
    new = a_new_account()
    account_id = await added(engine, new)
    assert await account_of(engine, account_id) == Account(
        id=account_id,
        name=new.name,
        slug=new.slug,
        phone_number=new.phone_number,
        phone_number_id=new.phone_number_id,
        is_active=True,
        read_receipts=True,
        typing_indicators=True,
    )
    assert await channel_of(engine, account_id) == Channel(
        account_id=account_id, phone_number_id=new.phone_number_id, access_token="EAAG-invented", waba_id="2000"
    )


async def test_no_token_is_stored_in_clear(engine: AsyncEngine) -> None:
    account_id = await added(engine, a_new_account())
    (row,) = await execute(engine, "select * from whatsapp_accounts where id = :id", id=account_id)
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert b"EAAG-invented" not in stored
    assert b"choose-a-long-one" not in stored
    assert row.access_token_sealed is not None
    assert row.verify_token_digest == SEALER.digest("choose-a-long-one", "verify_token")
    opened = SEALER.open(row.verify_token_sealed, table="whatsapp_accounts", column="verify_token", row_id=account_id)
    assert opened == "choose-a-long-one"


async def test_a_token_that_was_moved_to_another_account_does_not_open(engine: AsyncEngine) -> None:
    first, second = await added(engine, a_new_account()), await added(engine, a_new_account())
    await execute(
        engine,
        """update whatsapp_accounts set access_token_sealed =
           (select access_token_sealed from whatsapp_accounts where id = :first) where id = :second""",
        first=first,
        second=second,
    )
    with pytest.raises(SecretUnreadable):
        await channel_of(engine, second)


async def test_an_empty_token_is_none_and_its_channel_cannot_be_used(engine: AsyncEngine) -> None:
    account_id = await added(engine, a_new_account(access_token="", verify_token=""))
    channel = await channel_of(engine, account_id)
    assert channel.access_token is None
    assert not channel.is_usable
    (row,) = await execute(engine, "select verify_token_sealed, verify_token_digest from whatsapp_accounts")
    assert tuple(row) == (None, None)


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize(("same", "error"), [("slug", SlugTaken), ("phone_number_id", PhoneNumberIdTaken)])
async def test_what_another_account_has_is_taken_also_when_that_one_is_not_active(
    engine: AsyncEngine,
    same: str,
    error: type[InboxError],
    is_active: bool,  # noqa: FBT001 - a case
) -> None:
    new = a_new_account()
    await added(engine, new)
    await execute(engine, "update whatsapp_accounts set is_active = :is_active", is_active=is_active)
    with pytest.raises(error):
        await added(engine, a_new_account(**{same: getattr(new, same)}))


async def test_an_unknown_account_has_no_channel(engine: AsyncEngine) -> None:
    unknown = AccountId(uuid7())
    assert await account_of(engine, unknown) is None
    with pytest.raises(AccountNotFound):
        await channel_of(engine, unknown)


async def test_the_account_of_the_environment_is_made_once_and_then_overwritten(engine: AsyncEngine) -> None:
    new = a_new_account(slug="default-env-account", name="Compte par défaut")
    first = await put_default(engine, new)
    await execute(engine, "update whatsapp_accounts set name = 'Renommé', paused_at = now(), paused_reason = 'token'")
    changed = msgspec.structs.replace(
        new, access_token="newer", verify_token="other", phone_number_id="42", phone_number=None, waba_id=None
    )
    assert await put_default(engine, changed) == first
    account = await account_of(engine, first)
    assert account is not None
    assert (account.name, account.phone_number_id, account.phone_number) == ("Renommé", "42", new.phone_number)
    assert (account.paused_at, account.paused_reason) == (None, None)
    channel = await channel_of(engine, first)
    assert (channel.access_token, channel.waba_id) == ("newer", "2000")
    queries = PostgresQueries(Reader(engine), SEALER)
    assert await queries.account_by_verify_token("other") == first
    assert await queries.account_by_verify_token("choose-a-long-one") is None


async def test_starting_processes_make_one_account_of_the_environment(engine: AsyncEngine) -> None:
    new = a_new_account(slug="default-env-account")
    made: Sequence[AccountId] = await asyncio.gather(*(put_default(engine, new) for _ in range(6)))
    assert len(set(made)) == 1
    assert (await channel_of(engine, made[0])).access_token == "EAAG-invented"


async def test_the_account_of_the_environment_cannot_take_the_number_of_another(engine: AsyncEngine) -> None:
    taken = (await an_account(engine)).phone_number_id
    with pytest.raises(PhoneNumberIdTaken):
        await put_default(engine, a_new_account(phone_number_id=taken))
    mine = a_new_account(slug="default-env-account")
    await put_default(engine, mine)
    with pytest.raises(PhoneNumberIdTaken):
        await put_default(engine, msgspec.structs.replace(mine, phone_number_id=taken))
