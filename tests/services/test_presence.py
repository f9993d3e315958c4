"""What colleagues are told of each other, and what is no news to them."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account
from database_fixtures import RecordedSignals
from inbox.adapters.cache.memory import MemoryCache
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.ids import ConversationId
from inbox.domain.presence import Presence
from inbox.domain.signals import ColleagueSeen
from inbox.ports.database import Database
from inbox.services.presence import Colleagues
from inbox.services.rights import Rights
from member_builders import a_user
from services.rights_scene import Seconds


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def bus() -> RecordedSignals:
    return RecordedSignals()


@pytest.fixture
def colleagues(database: Database, bus: RecordedSignals, clock: Seconds) -> Colleagues:
    return Colleagues(Rights(database, MemoryCache(RecordedSignals())), bus, clock=clock)


@pytest.fixture
async def ada(engine: AsyncEngine) -> Actor:
    grants = (Grant(code=Permission.MESSAGES_VIEW, account_id=None),)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants)


@pytest.fixture
async def talk(engine: AsyncEngine) -> ConversationId:
    return await a_conversation(engine, (await an_account(engine)).account_id)


def told(bus: RecordedSignals) -> list[Presence]:
    return [signal.state for signal in bus.published if isinstance(signal, ColleagueSeen)]


async def test_the_same_is_not_told_again_within_two_seconds(
    engine: AsyncEngine, colleagues: Colleagues, bus: RecordedSignals, clock: Seconds, ada: Actor, talk: ConversationId
) -> None:
    other = await a_conversation(engine, (await an_account(engine)).account_id)
    for _ in range(3):
        await colleagues.tell(ada, talk, Presence.TYPING)
    await colleagues.tell(ada, other, Presence.TYPING)
    await colleagues.tell(ada, talk, Presence.VIEWING)
    clock.now += 1.9
    await colleagues.tell(ada, talk, Presence.VIEWING)
    assert told(bus) == [Presence.TYPING, Presence.TYPING, Presence.VIEWING]
    clock.now += 0.1
    await colleagues.tell(ada, talk, Presence.VIEWING)
    assert told(bus)[3:] == [Presence.VIEWING]


async def test_somebody_has_left_with_the_last_connection_that_shows_them(
    colleagues: Colleagues, bus: RecordedSignals, ada: Actor, talk: ConversationId
) -> None:
    for _ in range(2):
        colleagues.come(ada.user_id, talk)
    await colleagues.tell(ada, talk, Presence.VIEWING)
    colleagues.go(ada.user_id, talk)
    await colleagues.tell(ada, talk, Presence.LEFT)
    assert told(bus) == [Presence.VIEWING]
    assert [one.user_id for one in colleagues.of(talk)] == [ada.user_id]
    colleagues.go(ada.user_id, talk)
    await colleagues.tell(ada, talk, Presence.LEFT)
    assert told(bus) == [Presence.VIEWING, Presence.LEFT]
    assert colleagues.of(talk) == []
