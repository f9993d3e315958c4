"""The assistant's profile: who may see and write it, and that it counts at once."""

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.bot_profile import CustomField, Profile, TemplateConfig
from inbox.domain.errors import AccountNotFound, PermissionDenied
from inbox.domain.ids import AccountId, uuid7
from inbox.ports.database import Database
from inbox.ports.views import BotProfileRow
from inbox.services.bot_profiles import BotProfiles
from member_builders import a_user
from services.rights_scene import forgetful


async def somebody(engine: AsyncEngine, account_id: AccountId | None, *codes: Permission) -> Actor:
    grants = tuple(Grant(code=code, account_id=account_id) for code in codes)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants)


@pytest.fixture
async def ana(engine: AsyncEngine, account: Channel) -> Actor:
    return await somebody(engine, account.account_id, Permission.SETTINGS_MANAGE)


@pytest.fixture
def service(database: Database) -> BotProfiles:
    return BotProfiles(database, forgetful(database))


async def test_without_a_stored_profile_an_empty_one_is_shown(
    service: BotProfiles, ana: Actor, account: Channel
) -> None:
    assert await service.get(ana, account.account_id) == BotProfileRow(
        account_id=account.account_id,
        business_name="",
        description="",
        address="",
        hours="",
        knowledge_base="",
        custom_fields=[],
        template_config=TemplateConfig(),
    )


async def test_a_profile_is_replaced_as_a_whole_and_read_by_the_next_turn(
    engine: AsyncEngine, database: Database, service: BotProfiles, ana: Actor, account: Channel
) -> None:
    first = Profile(
        account_id=account.account_id, hours="9h-18h", custom_fields=[CustomField(id="1", label="a", value="b")]
    )
    second = Profile(account_id=account.account_id, address="Lyon")
    for profile in (first, second):
        row = await service.replace(ana, profile)
        assert row == await service.get(ana, account.account_id)
        assert await service.of(account.account_id) == profile
    assert (row.hours, row.address, row.custom_fields) == (None, "Lyon", [])
    assert len(await execute(engine, "select 1 from bot_profiles")) == 1


async def test_rights_on_a_profile_are_those_of_its_account(
    engine: AsyncEngine, service: BotProfiles, account: Channel
) -> None:
    reader = await somebody(engine, account.account_id, Permission.MESSAGES_VIEW)
    stranger = await somebody(engine, (await an_account(engine)).account_id, *Permission)
    everywhere = await somebody(engine, None, *Permission)
    profile = Profile(account_id=account.account_id)
    for actor, error in ((reader, PermissionDenied), (stranger, AccountNotFound)):
        with pytest.raises(error):
            await service.get(actor, account.account_id)
        with pytest.raises(error):
            await service.replace(actor, profile)
    missing = AccountId(uuid7())
    with pytest.raises(AccountNotFound):
        await service.get(everywhere, missing)
    with pytest.raises(AccountNotFound):
        await service.replace(everywhere, msgspec.structs.replace(profile, account_id=missing))
    assert await execute(engine, "select 1 from bot_profiles") == []
