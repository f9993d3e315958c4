"""Who may make a key, and what a key can never get."""

from datetime import timedelta
from uuid import UUID

import pytest

from builders import an_account
from inbox.adapters.cache.memory import MemoryCache
from inbox.domain.access import GLOBAL_ONLY, Actor, ActorKind, Grant, Permission
from inbox.domain.api_keys import NEVER_GRANTED, PREFIX, digest_of, is_well_formed
from inbox.domain.errors import ApiKeyNotFound, Invalid, PermissionDenied
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.services.api_keys import ApiKeys
from inbox.services.rights import Rights
from services.team_scene import a_holder

GRANTABLE = sorted(set(Permission) - NEVER_GRANTED)
VIEW, SEND = Permission.CONVERSATIONS_VIEW, Permission.MESSAGES_SEND


def given(code: str, account: AccountId | None = None, *, is_allowed: bool = True) -> Grant:
    return Grant(code=code, account_id=account, is_allowed=is_allowed)


MANAGE = given(Permission.ROLES_MANAGE)


async def an_actor(engine, *grants: Grant) -> Actor:
    return await a_holder(engine, MANAGE, *grants)


@pytest.fixture
def rights(database, signals) -> Rights:
    return Rights(database, MemoryCache(signals))


@pytest.fixture
def keys(database, rights, clock) -> ApiKeys:
    return ApiKeys(database, rights, clock)


@pytest.fixture
async def shop(engine) -> AccountId:
    return (await an_account(engine)).account_id


async def made(keys: ApiKeys, actor: Actor, *grants: Grant, expires_at=None) -> str:
    _, key = await keys.create(actor, "Shop", grants or (given(VIEW),), expires_at)
    return key


async def trail(database) -> list[tuple[str, UUID | None, str | None]]:
    items = await database.team.audit(limit=100, before=None, action="api_key")
    return [(item.action, item.actor_id, item.target) for item in items]


async def test_a_key_is_random_and_only_its_digest_is_stored(keys, database, clock, engine):
    actor = await an_actor(engine, given(VIEW))
    first, second = await made(keys, actor), await made(keys, actor)
    assert first != second
    for key in (first, second):
        assert key.startswith(PREFIX)
        assert (len(key), is_well_formed(key)) == (47, True)
        assert await database.team.api_key(digest_of(key), clock()) is not None
    items = await keys.all(actor)
    assert [item.hint for item in items] == [second[:8], first[:8]]
    assert first not in repr(items)


async def test_making_and_ending_a_key_is_in_the_trail_without_its_secret(keys, database, engine):
    actor = await an_actor(engine, given(VIEW))
    item, key = await keys.create(actor, "Shop", [given(VIEW)], None)
    await keys.revoke(actor, item.id)
    target = str(item.id)
    assert await trail(database) == [
        ("api_key.revoked", actor.user_id, target),
        ("api_key.created", actor.user_id, target),
    ]
    lines = repr(await database.team.audit(limit=10, before=None, action=None))
    assert key not in lines
    assert key[8:] not in lines


async def test_every_change_of_keys_is_a_change_of_rights(keys, database, engine):
    actor = await an_actor(engine, given(VIEW))
    before = await database.team.rights_version()
    item, _ = await keys.create(actor, "Shop", [given(VIEW)], None)
    between = await database.team.rights_version()
    await keys.revoke(actor, item.id)
    assert before < between < await database.team.rights_version()


async def test_only_who_manages_roles_may_handle_keys(keys):
    nobody = Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=(given(VIEW),))
    for call in (keys.all(nobody), keys.create(nobody, "x", [given(VIEW)], None), keys.revoke(nobody, uuid7())):
        with pytest.raises(PermissionDenied):
            await call


async def test_a_program_handles_no_keys_whatever_it_holds(keys):
    grants = (MANAGE, given(VIEW))
    program = Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=grants, kind=ActorKind.API_KEY)
    for call in (keys.all(program), keys.create(program, "x", [given(VIEW)], None), keys.revoke(program, uuid7())):
        with pytest.raises(PermissionDenied):
            await call


@pytest.mark.parametrize("code", sorted(NEVER_GRANTED))
async def test_rights_over_people_are_never_given_to_a_program(keys, code, engine):
    with pytest.raises(Invalid):
        await made(keys, await an_actor(engine, given(code)), given(code))


@pytest.mark.parametrize("code", GRANTABLE)
async def test_a_key_gets_what_its_maker_holds_and_nothing_else(keys, code, engine):
    await made(keys, await an_actor(engine, given(code)), given(code))
    with pytest.raises(PermissionDenied):
        await made(keys, await an_actor(engine), given(code))


@pytest.mark.parametrize("code", sorted(set(GRANTABLE) - GLOBAL_ONLY))
async def test_who_holds_a_right_at_one_account_gives_it_there_only(keys, engine, shop, code):
    other = (await an_account(engine)).account_id
    actor = await an_actor(engine, given(code, shop))
    await made(keys, actor, given(code, shop))
    for wider in (given(code), given(code, other), given(code, AccountId(uuid7()))):
        with pytest.raises(PermissionDenied):
            await made(keys, actor, wider)


async def test_who_is_denied_one_account_gives_no_right_for_all_of_them(keys, shop, engine):
    actor = await an_actor(engine, given(VIEW), given(VIEW, shop, is_allowed=False))
    with pytest.raises(PermissionDenied):
        await made(keys, actor, given(VIEW))


async def test_one_grant_too_many_gives_none(keys, engine):
    actor = await an_actor(engine, given(VIEW))
    with pytest.raises(PermissionDenied):
        await made(keys, actor, given(VIEW), given(SEND))
    assert await keys.all(actor) == []


@pytest.mark.parametrize("code", sorted(GLOBAL_ONLY - NEVER_GRANTED))
async def test_a_right_that_is_global_only_is_not_given_at_one_account(keys, shop, code, engine):
    with pytest.raises(Invalid):
        await made(keys, await an_actor(engine, given(code)), given(code, shop))


async def test_an_account_that_is_hidden_from_the_maker_looks_like_one_that_does_not_exist(keys, shop, engine):
    hidden = [given(code, shop, is_allowed=False) for code in Permission]
    actor = await an_actor(engine, given(VIEW), *hidden)
    said = []
    for account in (shop, AccountId(uuid7())):
        with pytest.raises(Invalid) as caught:
            await made(keys, actor, given(VIEW, account))
        said.append(caught.value.errors)
    assert said[0] == said[1]


async def test_an_unknown_right_is_refused(keys, engine):
    with pytest.raises(Invalid):
        await made(keys, await an_actor(engine), given("contacts.fly"))


async def test_the_end_of_a_key_lies_in_the_future(keys, clock, engine):
    actor = await an_actor(engine, given(VIEW))
    await made(keys, actor, expires_at=clock() + timedelta(minutes=1))
    with pytest.raises(Invalid):
        await made(keys, actor, expires_at=clock() - timedelta(seconds=1))


async def test_an_unknown_key_cannot_be_ended(keys, database, engine):
    with pytest.raises(ApiKeyNotFound):
        await keys.revoke(await an_actor(engine), uuid7())
    assert await trail(database) == []
