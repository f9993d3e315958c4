"""The assistant's profile: who may see and write it, and that it counts at once."""

import asyncio

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.bot_profile import Behaviour, CustomField, Profile, TemplateConfig
from inbox.domain.errors import AccountNotFound, Invalid, PermissionDenied
from inbox.domain.ids import AccountId, uuid7
from inbox.ports.database import Database
from inbox.ports.views import BotProfileRow
from inbox.services import bot_profiles
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


class Catalogue:
    """What a vendor says of its models; of others it cannot say, or hangs."""

    def __init__(self, **known: bool | None) -> None:
        self.asked: list[str] = []
        self._known = known

    async def knows(self, model: str) -> bool | None:
        self.asked.append(model)
        if model not in self._known:
            await asyncio.Event().wait()
        return self._known[model]


async def test_a_model_that_the_vendor_does_not_have_is_refused_when_it_is_named(
    database: Database, ana: Actor, account: Channel, monkeypatch
) -> None:
    monkeypatch.setattr(bot_profiles, "_LOOK_UP_SECONDS", 0.05)
    vendor = Catalogue(good=True, unsure=None, wrong=False)
    service = BotProfiles(database, forgetful(database), vendor)

    async def told(model: str | None, **told: bool) -> str | None:
        profile = Profile(account_id=account.account_id, behaviour=Behaviour(model=model))
        return (await service.replace(ana, profile, **told)).behaviour.model

    assert [await told(name) for name in ("good", "good", None, "unsure", "hangs")] == [
        *("good", "good", None, "unsure", "hangs"),
    ]
    assert vendor.asked == ["good", "unsure", "hangs"]
    with pytest.raises(Invalid) as refused:
        await told("wrong")
    assert refused.value.errors[0]["path"] == "body.behaviour.model"
    assert (await service.of(account.account_id)).behaviour.model == "hangs"
    assert await told("wrong", keeps_behaviour=True) == "hangs"
