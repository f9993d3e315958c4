"""A message is claimed as it is stored, if the worker of this process has a hand free to send it."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, execute
from inbox.adapters.database.failpoints import Action, Failpoints, Rule
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.content import Text
from inbox.domain.ids import ConversationId
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.records import Claimed
from inbox.services.hands import Hands
from inbox.services.outbound import Outbound
from member_builders import a_user
from services.conftest import Clock
from services.file_scene import no_files
from services.rights_scene import forgetful
from services.scenes import claimed

HELLO = Text(body="Bonjour")


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    """Something was sent in it before."""
    talk = await a_conversation(
        engine, account.account_id, window_expires_at=datetime.now(UTC) + timedelta(hours=20), bot_enabled=True
    )
    await execute(engine, "insert into number_paces (account_id) values (:id)", id=account.account_id)
    await execute(
        engine,
        "insert into lanes (kind, key, account_id, ver, done) values ('send', :key, :id, 1, 1)",
        key=str(talk),
        id=account.account_id,
    )
    return talk


@pytest.fixture
async def ana(engine: AsyncEngine, account: Channel) -> Actor:
    grant = Grant(code=Permission.MESSAGES_SEND, account_id=account.account_id)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=(grant,))


@pytest.fixture
def outbound(database: Database, signals: Events, clock: Clock) -> Outbound:
    return over(database, signals, clock)


def over(database: Database, signals: Events, clock: Clock) -> Outbound:
    return Outbound(database, forgetful(database), FakeSender(), signals, clock, no_files(database, clock))


async def states(engine: AsyncEngine) -> list[str]:
    return [row.state for row in await execute(engine, "select state from outbox")]


def test_no_more_hands_are_held_than_are_free() -> None:
    hands = Hands()
    with hands.held() as without_a_worker, hands.lent(lambda: 2, lambda _: None):
        with hands.held() as first, hands.held() as second, hands.held() as third:
            pass
        with hands.held() as again:
            pass
    with hands.held() as afterwards:
        pass
    assert (without_a_worker, first, second, third, again, afterwards) == (False, True, True, False, True, False)


async def test_what_is_stored_is_begun_at_once(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    begun: list[Claimed] = []
    with outbound.hands.lent(lambda: 1, begun.append):
        accepted = await outbound.accept(ana, conversation, HELLO, key=None)
    assert [(one.head.id, one.head.content, one.lane.key) for one in begun] == [
        (accepted.message_id, HELLO, str(conversation))
    ]
    assert (accepted.is_prompt, await states(engine)) == (True, ["claimed"])


async def test_without_a_free_hand_it_waits_for_any_worker(
    engine: AsyncEngine, database: Database, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    begun: list[Claimed] = []
    with outbound.hands.lent(lambda: 0, begun.append):
        await outbound.accept(ana, conversation, HELLO, key=None)
    assert (begun, await states(engine)) == ([], ["queued"])
    assert (await claimed(database, WorkKind.SEND)).key == str(conversation)


async def test_the_hand_is_free_again_when_nothing_was_stored(
    outbound: Outbound, ana: Actor, account: Channel, engine: AsyncEngine
) -> None:
    begun: list[Claimed] = []
    closed = await a_conversation(engine, account.account_id)
    with outbound.hands.lent(lambda: 1, begun.append):
        await outbound.accept(ana, closed, HELLO, key=None)
        with outbound.hands.held() as is_held:
            assert is_held
    assert begun == []


async def test_what_is_stored_while_the_worker_stops_is_left_to_another_one(
    engine: AsyncEngine, database: Database, signals: Events, clock: Clock, ana: Actor, conversation: ConversationId
) -> None:
    begun: list[Claimed] = []
    with ExitStack() as worker:
        stops = Failpoints([Rule(point="outbox.post:after", action=Action.KILL)], kill=worker.close)
        outbound = over(FaultyDatabase(database, stops), signals, clock)
        worker.enter_context(outbound.hands.lent(lambda: 1, begun.append))
        async with signals.subscribe(lambda signal: signal == WorkWaiting(WorkKind.SEND)) as wakes:
            await outbound.accept(ana, conversation, HELLO, key=None)
            async with asyncio.timeout(10):
                await anext(wakes)
    assert (begun, await states(engine)) == ([], ["queued"])
    lane = await claimed(database, WorkKind.SEND)
    assert (lane.key, lane.fence) == (str(conversation), 2)  # it was claimed once before
