"""API keys and the audit trail in the database: found by digest, ended at once, never rewritten."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError

from builders import an_account, execute
from inbox.domain.access import Actor, ActorKind, Grant, Permission, Subject
from inbox.domain.audit import Action, AuditEntry
from inbox.domain.errors import AccountNotFound, ApiKeyNotFound
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.ports.records import NewApiKey
from inbox.ports.team import LiveKey
from statement_counts import counting

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VIEW = Grant(code=Permission.CONVERSATIONS_VIEW, account_id=None)


def a_new_key(*grants: Grant, **changes) -> NewApiKey:
    key_id = uuid7()
    new = NewApiKey(
        id=key_id,
        name="Shop",
        digest=key_id.bytes * 2,
        hint="wai_Ab3d",
        grants=grants or (VIEW,),
        created_by=UserId(uuid7()),
        created_at=NOW,
        expires_at=None,
    )
    return msgspec.structs.replace(new, **changes)


async def added(database, *grants: Grant, **changes) -> NewApiKey:
    new = a_new_key(*grants, **changes)
    async with database.transaction() as tx:
        await tx.change_rights()
        await tx.api_keys.add(new)
    return new


async def revoked(database, key_id: UUID, now: datetime = NOW) -> str:
    async with database.transaction() as tx:
        await tx.change_rights()
        return await tx.api_keys.revoke(key_id, now)


async def actor_of(database, key_id: UUID) -> Actor | None:
    return await database.team.actor(Subject(user_id=UserId(key_id), kind=ActorKind.API_KEY))


async def last_use(engine, new: NewApiKey) -> datetime | None:
    (row,) = await execute(engine, "select last_used_at from api_keys where id = :id", id=new.id)
    return row.last_used_at


# --- keys


async def test_a_key_is_shown_as_it_was_made_and_without_its_digest(database, engine):
    account = (await an_account(engine)).account_id
    grants = (Grant(code=Permission.MESSAGES_SEND, account_id=account), VIEW)
    new = await added(database, *grants, expires_at=NOW + timedelta(days=1))
    (item,) = await database.team.api_keys()
    assert (item.id, item.name, item.hint, item.created_by) == (new.id, "Shop", "wai_Ab3d", new.created_by)
    assert [(grant.permission_code, grant.account_id) for grant in item.permissions] == [
        ("conversations.view", None),
        ("messages.send", account),
    ]
    assert (item.created_at, item.expires_at) == ("2026-11-21T12:00:00.000000Z", "2026-11-22T12:00:00.000000Z")
    assert (item.revoked_at, item.last_used_at) == (None, None)
    assert new.digest not in msgspec.json.encode(item)


async def test_keys_are_listed_newest_first_with_the_revoked_ones(database):
    old, middle, new = [await added(database, created_at=NOW + timedelta(seconds=n)) for n in range(3)]
    await revoked(database, middle.id)
    items = await database.team.api_keys()
    assert [item.id for item in items] == [new.id, middle.id, old.id]
    assert [item.revoked_at for item in items] == [None, "2026-11-21T12:00:00.000000Z", None]


async def test_equal_grants_collapse(database):
    await added(database, VIEW, VIEW)
    (item,) = await database.team.api_keys()
    assert len(item.permissions) == 1


async def test_a_grant_at_an_unknown_account_is_refused_and_leaves_no_key(database):
    with pytest.raises(AccountNotFound):
        await added(database, Grant(code=Permission.MESSAGES_VIEW, account_id=AccountId(uuid7())))
    assert await database.team.api_keys() == []


async def test_a_key_is_found_by_its_digest_only(database):
    new = await added(database)
    assert await database.team.api_key(new.digest, NOW) == LiveKey(id=new.id, expires_at=None)
    assert await database.team.api_key(new.digest[:-1] + b"\0", NOW) is None
    assert await database.team.api_key(b"", NOW) is None


async def test_a_key_ends_at_its_end_and_not_before(database):
    new = await added(database, expires_at=NOW)
    assert await database.team.api_key(new.digest, NOW - timedelta(microseconds=1)) == LiveKey(
        id=new.id, expires_at=NOW
    )
    assert await database.team.api_key(new.digest, NOW) is None


async def test_a_revoked_key_is_not_found_and_the_first_end_stays(database):
    new = await added(database)
    assert await revoked(database, new.id) == "Shop"
    assert await database.team.api_key(new.digest, NOW) is None
    assert await revoked(database, new.id, NOW + timedelta(hours=1)) == "Shop"
    (item,) = await database.team.api_keys()
    assert item.revoked_at == "2026-11-21T12:00:00.000000Z"


async def test_an_unknown_key_cannot_be_revoked(database):
    with pytest.raises(ApiKeyNotFound):
        await revoked(database, uuid7())


async def test_the_last_use_is_noted_once_a_minute_with_the_one_statement_that_looks(database, engine):
    new = await added(database)
    with counting(engine) as seen:
        for second in (0, 1, 59, 60, 61):
            await database.team.api_key(new.digest, NOW + timedelta(seconds=second))
    assert len(seen) == 5
    assert await last_use(engine, new) == NOW + timedelta(seconds=60)


async def test_a_refused_use_is_not_noted(database, engine):
    new = await added(database)
    await revoked(database, new.id)
    await database.team.api_key(new.digest, NOW)
    assert await last_use(engine, new) is None


async def test_whoever_holds_the_row_holds_up_no_request(database):
    new = await added(database)
    async with database.transaction() as tx:
        await tx.api_keys.revoke(new.id, NOW)
        # Until the commit the key is good, and its request does not wait for that.
        assert await asyncio.wait_for(_in_another_context(database, new), 2) is not None


def _in_another_context(database, new: NewApiKey) -> asyncio.Task[LiveKey | None]:
    return asyncio.create_task(database.team.api_key(new.digest, NOW))


async def test_a_key_acts_with_its_own_grants_and_no_others(database, engine):
    account = (await an_account(engine)).account_id
    new = await added(database, Grant(code=Permission.MESSAGES_VIEW, account_id=account))
    await added(database, VIEW)
    actor = await actor_of(database, new.id)
    assert actor is not None
    assert (actor.kind, actor.user_id, actor.email, actor.is_active) == (ActorKind.API_KEY, new.id, None, True)
    assert actor.grants == new.grants


async def test_a_key_that_was_revoked_or_is_over_is_not_active(database):
    ended = await added(database)
    await revoked(database, ended.id)
    over = await added(database, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    for new in (ended, over):
        actor = await actor_of(database, new.id)
        assert actor is not None
        assert not actor.is_active


async def test_a_key_is_no_person_and_a_person_no_key(database):
    new = await added(database)
    assert await database.team.actor(Subject(user_id=UserId(new.id))) is None
    assert await actor_of(database, uuid7()) is None


async def test_a_key_sees_itself_by_its_name(database, engine):
    account = (await an_account(engine)).account_id
    new = await added(database, VIEW, Grant(code=Permission.MESSAGES_VIEW, account_id=account))
    actor = await actor_of(database, new.id)
    assert actor is not None
    me = await database.team.me(actor)
    assert (me.id, me.email, me.profile.display_name, me.roles, me.overrides) == (new.id, None, "Shop", [], [])
    assert me.permissions.everywhere == ["conversations.view"]
    assert me.permissions.accounts == {str(account): ["messages.view"]}


# --- the audit trail


async def written(database, *actions: Action) -> None:
    async with database.transaction() as tx:
        await tx.audit(*(AuditEntry(action=action, target="t", details={"n": n}) for n, action in enumerate(actions)))


async def test_the_trail_is_read_newest_first(database):
    for action in (Action.ROLE_CREATED, Action.ROLE_CHANGED, Action.SIGNED_IN):
        await written(database, action)
    items = await database.team.audit(limit=10, before=None, action=None)
    assert [item.action for item in items] == ["sign_in.succeeded", "role.changed", "role.created"]
    assert (items[0].actor_kind, items[0].target, items[0].details) == ("system", "t", {"n": 0})


async def test_lines_of_one_transaction_are_paged_without_gap_or_repetition(database):
    await written(database, *[Action.ROLE_CHANGED] * 7)
    seen, before = [], None
    while page := await database.team.audit(limit=2, before=before, action=None):
        seen += [item.details["n"] for item in page]
        before = (datetime.fromisoformat(page[-1].at), page[-1].id)
    assert seen == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("action", "found"),
    [
        ("role.created", ["role.created"]),
        ("role", ["role.deleted", "role.created"]),
        ("member", ["member.roles_assigned"]),
        ("rol", []),
        ("role.", []),
        ("%", []),
        ("role_created", []),
    ],
)
async def test_one_word_or_all_before_its_dot_are_kept(database, action, found):
    await written(database, Action.ROLE_CREATED, Action.ROLES_ASSIGNED, Action.ROLE_DELETED)
    items = await database.team.audit(limit=10, before=None, action=action)
    assert [item.action for item in items] == found


@pytest.mark.parametrize(
    "statement", ["update audit_entries set target = 'x'", "delete from audit_entries", "truncate audit_entries"]
)
async def test_a_line_cannot_be_changed_or_deleted_by_the_owner_of_the_table(database, engine, statement):
    await written(database, Action.ROLE_CREATED)
    with pytest.raises(DBAPIError, match="never changed"):
        await execute(engine, statement)
    (item,) = await database.team.audit(limit=10, before=None, action=None)
    assert item.target == "t"
