"""A customer sees that somebody writes: at once or not at all, seldom, and nobody of ours waits for it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, an_account, execute
from inbox.adapters.messaging.fake_receipts import FakeReceipts, Told
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import CircuitOpen, ConversationNotFound, InboxError, PermissionDenied
from inbox.domain.ids import AccountId, ConversationId, uuid7
from inbox.domain.upstream_errors import Refused, WhatsAppTimeout
from inbox.kit.boundaries import forbid_open_transaction
from inbox.ports.database import Database
from inbox.services.composing import MOST_AT_ONCE, Composing
from member_builders import a_user
from services.bot_scene import Scene as Talk
from services.conftest import Clock
from services.rights_scene import Seconds, forgetful
from statement_counts import counting


class Slow(FakeReceipts):
    """Answers when it is let go; remembers what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def mark_read(self, channel: Channel, wamid: str, *, typing: bool = False) -> None:
        forbid_open_transaction()
        self.asked += 1
        await self.answers.wait()
        await super().mark_read(channel, wamid, typing=typing)


class Scene:
    def __init__(self, engine: AsyncEngine, database: Database, account: Channel) -> None:
        self.engine, self.database, self.account = engine, database, account
        self.receipts = Slow()
        self.seconds = Seconds()
        self.composing = Composing(database, forgetful(database), self.receipts, clock=self.seconds)

    async def a_talk(self, wamid: str, *, ago: timedelta = timedelta()) -> ConversationId:
        conversation = await a_conversation(self.engine, self.account.account_id)
        await a_message(
            self.engine,
            self.account.account_id,
            conversation,
            direction="inbound",
            wamid=wamid,
            timestamp=datetime.now(UTC) - ago,
        )
        return conversation

    async def person(self, *codes: Permission, account_id: AccountId | None = None) -> Actor:
        grants = tuple(Grant(code=code, account_id=account_id or self.account.account_id) for code in codes)
        return Actor(user_id=await a_user(self.engine), email=None, is_active=True, grants=grants)

    async def rests(self) -> None:
        """Whatever was begun has ended."""
        async with asyncio.timeout(10):
            while self.composing.is_busy:
                await self.database.queries.ping()

    def told(self) -> list[Told]:
        return list(self.receipts.told)


@pytest.fixture
def scene(engine: AsyncEngine, database: Database, account: Channel) -> Scene:
    return Scene(engine, database, account)


async def test_while_somebody_writes_the_customer_sees_it(scene: Scene) -> None:
    conversation = await scene.a_talk("wamid.A")
    await scene.composing.by_person(await scene.person(Permission.MESSAGES_SEND), conversation)
    await scene.rests()
    assert scene.told() == [Told(phone_number_id=scene.account.phone_number_id, wamid="wamid.A", typing=True)]


async def test_whoever_writes_is_answered_while_whatsapp_keeps_silent(scene: Scene) -> None:
    conversation = await scene.a_talk("wamid.A")
    scene.receipts.answers.clear()
    await scene.composing.by_person(await scene.person(Permission.MESSAGES_SEND), conversation)
    assert scene.told() == []
    assert scene.composing.is_busy
    scene.receipts.answers.set()
    await scene.rests()
    assert len(scene.told()) == 1


async def test_it_is_said_again_after_twenty_seconds_and_not_before(scene: Scene) -> None:
    conversation, other = await scene.a_talk("wamid.A"), await scene.a_talk("wamid.B")
    for seconds, count in ((0.0, 1), (0.0, 1), (19.9, 1), (0.2, 2), (5.0, 2)):
        scene.seconds.now += seconds
        scene.composing.begins(scene.account.account_id, conversation)
        await scene.rests()
        assert len(scene.told()) == count
    scene.composing.begins(scene.account.account_id, other)  # another conversation has a time of its own
    await scene.rests()
    assert [told.wamid for told in scene.told()] == ["wamid.A", "wamid.A", "wamid.B"]


async def test_beyond_a_limit_nobody_is_told_and_nobody_waits(scene: Scene) -> None:
    scene.receipts.answers.clear()
    talks = [await scene.a_talk(f"wamid.{place}") for place in range(MOST_AT_ONCE + 3)]
    for talk in talks:
        scene.composing.begins(scene.account.account_id, talk)
    scene.receipts.answers.set()
    await scene.rests()
    assert len(scene.told()) == MOST_AT_ONCE
    scene.composing.begins(scene.account.account_id, talks[-1])  # what was dropped may be said the next moment
    await scene.rests()
    assert len(scene.told()) == MOST_AT_ONCE + 1


@pytest.mark.parametrize(
    "error", [CircuitOpen("whatsapp", retry_after=30), WhatsAppTimeout(), Refused()], ids=lambda e: type(e).__name__
)
async def test_a_failure_is_nobodys_and_is_not_repeated(scene: Scene, error: InboxError) -> None:
    conversation = await scene.a_talk("wamid.A")
    scene.receipts.fail_next(error)
    scene.composing.begins(scene.account.account_id, conversation)
    await scene.rests()
    assert (scene.receipts.asked, scene.told()) == (1, [])
    assert await execute(scene.engine, "select 1 from lanes") == []


@pytest.mark.parametrize(
    "switch",
    ["typing_indicators = false", "read_receipts = false", "is_active = false", "paused_at = now()"],
)
async def test_an_account_that_shows_nothing_or_is_paused_asks_nobody(scene: Scene, switch: str) -> None:
    conversation = await scene.a_talk("wamid.A")
    await execute(scene.engine, f"update whatsapp_accounts set {switch}")  # noqa: S608 - of the table above
    scene.composing.begins(scene.account.account_id, conversation)
    await scene.rests()
    assert scene.receipts.asked == 0


async def test_without_a_message_that_whatsapp_knows_there_is_nothing_to_show(scene: Scene) -> None:
    empty = await a_conversation(scene.engine, scene.account.account_id)
    for conversation in (empty, await scene.a_talk("wamid.A", ago=timedelta(days=31))):
        scene.composing.begins(scene.account.account_id, conversation)
    await scene.rests()
    assert scene.receipts.asked == 0


async def test_a_conversation_of_another_account_is_never_shown_anything(scene: Scene) -> None:
    conversation = await scene.a_talk("wamid.A")
    scene.composing.begins((await an_account(scene.engine)).account_id, conversation)
    await scene.rests()
    assert scene.receipts.asked == 0


async def test_rights_are_those_of_a_sender_and_cost_no_call(scene: Scene) -> None:
    conversation = await scene.a_talk("wamid.A")
    viewer = await scene.person(Permission.CONVERSATIONS_VIEW)
    stranger = await scene.person(Permission.MESSAGES_SEND, account_id=(await an_account(scene.engine)).account_id)
    sender = await scene.person(Permission.MESSAGES_SEND)
    for actor, talk, error in (
        (viewer, conversation, PermissionDenied),
        (stranger, conversation, ConversationNotFound),
        (sender, ConversationId(uuid7()), ConversationNotFound),
    ):
        with pytest.raises(error):
            await scene.composing.by_person(actor, talk)
    assert not scene.composing.is_busy


async def test_a_repetition_costs_no_statement(scene: Scene) -> None:
    conversation = await scene.a_talk("wamid.A")
    scene.composing.begins(scene.account.account_id, conversation)
    await scene.rests()
    with counting(scene.engine) as statements:
        scene.composing.begins(scene.account.account_id, conversation)
        assert not scene.composing.is_busy
    assert statements == []


async def test_the_end_of_the_process_waits_for_nothing(scene: Scene) -> None:
    conversation = await scene.a_talk("wamid.A")
    scene.receipts.answers.clear()
    scene.composing.begins(scene.account.account_id, conversation)
    async with asyncio.timeout(5):
        await scene.composing.aclose()
    assert not scene.composing.is_busy
    assert scene.told() == []


# --- the bot ----------------------------------------------------------------------------------------------------------


async def test_the_customer_sees_the_bot_write_while_the_model_is_asked(
    scene: Scene, database: Database, engine: AsyncEngine, account: Channel, clock: Clock
) -> None:
    talk = await Talk(database, engine, account, clock, scene.composing).begin()
    (message,) = await talk.customer_writes("Avez-vous des cerises ?")
    ((wamid,),) = await execute(engine, "select wa_message_id from messages where id = :id", id=message)
    assert await talk.turn() == "answered"
    await scene.rests()
    assert [(told.wamid, told.typing) for told in scene.told()] == [(wamid, True)]


async def test_a_bot_that_does_not_ask_its_model_is_not_seen_writing(
    scene: Scene, database: Database, engine: AsyncEngine, account: Channel, clock: Clock
) -> None:
    talk = await Talk(database, engine, account, clock, scene.composing).begin()
    await talk.customer_writes("Bonjour", at=datetime.now(UTC) - timedelta(hours=12))
    assert await talk.turn() == "handed_over"
    await scene.rests()
    assert scene.receipts.asked == 0
