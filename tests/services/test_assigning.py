"""A conversation has at most one person who looks after it, and who gets it takes it over from the assistant."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import Invalid
from inbox.domain.ids import ConversationId, UserId, uuid7
from inbox.domain.messages import Author
from inbox.ports.database import Database
from member_builders import a_role, a_user, give_role
from services.bot_scene import Scene, thinking
from services.conftest import Clock
from services.scenes import Thinking, conversation_row, events_of
from services.test_conversations import Watched, conversations, on_wire, somebody


@pytest.fixture
async def conversation(conversation: ConversationId, engine: AsyncEngine) -> ConversationId:
    await execute(engine, "update conversations set epoch = 5, bot_enabled = true")
    return conversation


@pytest.fixture
async def ana(engine: AsyncEngine, account: Channel) -> Actor:
    return await somebody(engine, account.account_id, Permission.MESSAGES_SEND)


async def a_reader(engine: AsyncEngine, account: Channel, *, is_active: bool = True) -> UserId:
    user = await a_user(engine, is_active=is_active)
    await give_role(engine, user, await a_role(engine, Permission.MESSAGES_VIEW), account.account_id)
    return user


async def test_who_gets_it_is_shown_and_told_and_takes_it_over(
    engine: AsyncEngine, database: Database, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    bea = await a_reader(engine, account)
    row = await conversations(database).assign(ana, conversation, bea)
    assert (row.id, row.assignee_id, row.bot_enabled) == (conversation, bea, True)
    stored = await conversation_row(engine, conversation)
    assert (stored.assignee_id, stored.epoch) == (bea, 6)
    assert stored.assigned_at is not None
    (told,) = await events_of(engine, "conversation.assigned")
    assert (told["assignee_id"], told["by"]["id"]) == (str(bea), str(ana.user_id))


async def test_given_again_to_the_same_person_nothing_changes_and_the_bytes_of_the_bot_are_waited_for_again(
    engine: AsyncEngine, database: Database, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    bea = await a_reader(engine, account)
    first = await conversations(database).assign(ana, conversation, bea)
    before = await conversation_row(engine, conversation)
    watched = Watched(database)
    assert await conversations(watched).assign(ana, conversation, bea) == first
    assert (await conversation_row(engine, conversation), watched.looks) == (before, 1)
    assert len(await events_of(engine, "conversation.assigned")) == 1


async def test_taken_away_it_is_nobodys_and_the_assistant_is_not_disturbed(
    engine: AsyncEngine, database: Database, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    service, watched = conversations(database), Watched(database)
    await service.assign(ana, conversation, None)
    assert await events_of(engine, "conversation.assigned") == []
    await service.assign(ana, conversation, await a_reader(engine, account))
    row = await conversations(watched).assign(ana, conversation, None)
    stored = await conversation_row(engine, conversation)
    assert (row.assignee_id, stored.assigned_at, stored.epoch, watched.looks) == (None, None, 6, 0)
    assert [event["assignee_id"] for event in await events_of(engine, "conversation.assigned")][1:] == [None]


async def test_of_two_people_who_take_it_at_once_one_has_it_and_both_are_told(
    engine: AsyncEngine, database: Database, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    both = [await a_reader(engine, account), await a_reader(engine, account)]
    await asyncio.gather(*(conversations(database).assign(ana, conversation, one) for one in both))
    stored = await conversation_row(engine, conversation)
    told = [event["assignee_id"] for event in await events_of(engine, "conversation.assigned")]
    assert (sorted(told), told[-1]) == (sorted(map(str, both)), str(stored.assignee_id))
    assert stored.epoch == 7


async def test_who_cannot_look_after_it_gets_one_answer_whoever_it_is(
    engine: AsyncEngine, database: Database, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    found = set()
    for nobody in (
        UserId(uuid7()),
        await a_user(engine),
        await a_reader(engine, account, is_active=False),
        await a_reader(engine, await an_account(engine)),
        ana.user_id,
    ):
        with pytest.raises(Invalid) as caught:
            await conversations(database).assign(ana, conversation, nobody)
        found.add(str(caught.value.errors))
    assert len(found) == 1
    assert "body.user_id" in found.pop()
    assert (await conversation_row(engine, conversation)).assignee_id is None


async def test_who_loses_the_account_keeps_what_they_have_until_somebody_else_gets_it(
    engine: AsyncEngine, database: Database, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    bea, cem = await a_reader(engine, account), await a_reader(engine, account)
    await conversations(database).assign(ana, conversation, bea)
    await execute(engine, "delete from app_users where user_id = :id", id=bea)
    assert (await conversation_row(engine, conversation)).assignee_id == bea
    assert (await conversations(database).assign(ana, conversation, cem)).assignee_id == cem


# --- the assistant ----------------------------------------------------------------------------------------------------


async def test_given_to_somebody_meanwhile_the_answer_of_the_assistant_is_dropped(
    engine: AsyncEngine, database: Database, account: Channel, clock: Clock, ana: Actor
) -> None:
    scene = await Scene(database, engine, account, clock).begin()
    scene.assistant = Thinking()
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    await conversations(database).assign(ana, scene.conversation, await a_reader(engine, account))
    scene.assistant.answers.set()
    assert await turn == "dropped"
    assert (await scene.said(), await scene.turns()) == ([], [("dropped", "overtaken")])


async def test_whoever_gets_it_waits_for_an_answer_of_the_bot_on_the_wire(
    engine: AsyncEngine, database: Database, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    bea = await a_reader(engine, account)
    await on_wire(engine, account, conversation, Author.BOT, seconds=0)
    watched = Watched(database)
    given = asyncio.create_task(conversations(watched).assign(ana, conversation, bea))
    await watched.looked.wait()
    assert not given.done()
    await execute(engine, "update outbox set state = 'accepted'")
    assert (await given).assignee_id == bea
