"""A person's message is accepted once, and its caller hears what became of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_queued_message, an_account, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.content import Text
from inbox.domain.errors import (
    ConversationNotFound,
    DatabaseUnavailable,
    IdempotencyKeyReused,
    MessageNotFound,
    PermissionDenied,
)
from inbox.domain.ids import ConversationId, MessageId, uuid7
from inbox.domain.messages import FAILURES
from inbox.domain.outbound import State
from inbox.domain.signals import MessageSettled, Resync, Signal
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.ports.events import Events, Wanted
from inbox.ports.queries import Queries
from inbox.ports.views import Outcome
from inbox.services.outbound import Outbound
from member_builders import a_user
from services.conftest import Clock
from services.file_scene import no_files
from services.rights_scene import forgetful
from services.scenes import claimed, conversation_row, events_of
from statement_counts import counting

HELLO = Text(body="Bonjour")


@pytest.fixture
def outbound(database: Database, sender: FakeSender, signals: MemoryEvents, clock: Clock) -> Outbound:
    return Outbound(database, forgetful(database), sender, signals, clock, no_files(database, clock))


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    return await a_conversation(
        engine, account.account_id, window_expires_at=datetime.now(UTC) + timedelta(hours=20), bot_enabled=True
    )


@pytest.fixture
async def ana(engine: AsyncEngine, account: Channel) -> Actor:
    return await somebody(engine, account, Permission.MESSAGES_SEND)


async def somebody(engine: AsyncEngine, account: Channel, *codes: Permission) -> Actor:
    grants = tuple(Grant(code=code, account_id=account.account_id) for code in codes)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants)


async def stored(engine: AsyncEngine) -> list[tuple[str, str | None]]:
    rows = await execute(engine, "select status, error_message from messages order by created_at, id")
    return [(row.status, row.error_message) for row in rows]


# --- accepting --------------------------------------------------------------------------------------------------------


async def test_an_accepted_message_is_pending_queued_and_wakes_its_lane(
    engine: AsyncEngine, database: Database, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    account_id, message, _ = await outbound.accept(ana, conversation, HELLO, key="k-1")
    (row,) = await execute(
        engine,
        """select m.id, m.account_id, m.author, m.author_id, m.client_id, m.content_text, m.status, o.state, o.epoch,
                  o.expires_at - now() as lasts
           from messages m join outbox o on o.id = m.id""",
    )
    assert (row.id, row.account_id, row.author, row.author_id) == (message, account_id, "human", ana.user_id)
    assert (row.client_id, row.content_text, row.status) == ("k-1", "Bonjour", "pending")
    assert (row.state, row.epoch) == ("queued", None)
    assert timedelta(hours=3, minutes=59) < row.lasts <= timedelta(hours=4)
    assert (await claimed(database, WorkKind.SEND)).key == str(conversation)
    assert [event["message_id"] for event in await events_of(engine, "message.created")] == [str(message)]


async def test_it_takes_the_conversation_over_from_the_bot_and_up_in_the_list(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    before = await conversation_row(engine, conversation)
    await outbound.accept(ana, conversation, HELLO, key=None)
    after = await conversation_row(engine, conversation)
    assert (after.epoch, after.bot_enabled) == (before.epoch + 1, True)
    assert after.updated_at > before.updated_at
    assert after.bot_last_reply_at is None


async def test_accepting_costs_one_statement_that_writes(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    with counting(engine) as statements:
        await outbound.accept(ana, conversation, HELLO, key="k-1")
    assert len(statements) == 3  # the owner of the conversation, the channel; all of the message


async def test_a_message_waits_no_longer_than_the_window_lasts(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, account: Channel
) -> None:
    ends = datetime.now(UTC) + timedelta(minutes=30)
    conversation = await a_conversation(engine, account.account_id, window_expires_at=ends)
    await outbound.accept(ana, conversation, HELLO, key=None)
    (row,) = await execute(engine, "select expires_at from outbox")
    assert row.expires_at == ends - timedelta(seconds=60)


@pytest.mark.parametrize("left", [None, timedelta(hours=-1), timedelta(0), timedelta(seconds=50)])
async def test_outside_the_window_the_message_is_failed_and_takes_nothing_over(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, account: Channel, left: timedelta | None
) -> None:
    conversation = await a_conversation(
        engine, account.account_id, window_expires_at=datetime.now(UTC) + left if left is not None else None
    )
    account_id, message, _ = await outbound.accept(ana, conversation, HELLO, key=None)
    assert await stored(engine) == [("failed", FAILURES[131047])]
    outcome = await outbound.outcome(account_id, message, within=5)
    assert (outcome.state, outcome.reason, outcome.error_code) == ("failed", "window_closed", 131047)
    assert (await conversation_row(engine, conversation)).epoch == 0
    assert await execute(engine, "select 1 from lanes") == []


async def test_the_clock_that_decides_about_the_window_is_ours(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId, clock: Clock
) -> None:
    clock.forward(hours=21)
    await outbound.accept(ana, conversation, HELLO, key=None)
    assert [status for status, _ in await stored(engine)] == ["failed"]


async def test_an_account_that_cannot_send_is_named(engine: AsyncEngine, outbound: Outbound) -> None:
    account = await an_account(engine, access_token=None)
    conversation = await a_conversation(
        engine, account.account_id, window_expires_at=datetime.now(UTC) + timedelta(hours=1)
    )
    ana = await somebody(engine, account, Permission.MESSAGES_SEND)
    account_id, message, _ = await outbound.accept(ana, conversation, HELLO, key=None)
    outcome = await outbound.outcome(account_id, message, within=5)
    assert (outcome.state, outcome.reason) == ("failed", "whatsapp_not_configured")


async def test_without_the_right_nothing_is_stored(
    engine: AsyncEngine, outbound: Outbound, account: Channel, conversation: ConversationId
) -> None:
    reader = await somebody(engine, account, Permission.MESSAGES_VIEW)
    with pytest.raises(PermissionDenied):
        await outbound.accept(reader, conversation, HELLO, key=None)
    assert await stored(engine) == []


async def test_who_may_not_know_the_account_is_told_of_no_conversation(
    engine: AsyncEngine, outbound: Outbound, conversation: ConversationId
) -> None:
    stranger = await somebody(engine, await an_account(engine), Permission.MESSAGES_SEND)
    with pytest.raises(ConversationNotFound):
        await outbound.accept(stranger, conversation, HELLO, key=None)
    with pytest.raises(ConversationNotFound):
        await outbound.accept(stranger, ConversationId(uuid7()), HELLO, key=None)
    assert await stored(engine) == []


# --- keys -------------------------------------------------------------------------------------------------------------


async def test_the_same_key_is_the_same_message(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    first = await outbound.accept(ana, conversation, HELLO, key="k-1")
    again = await outbound.accept(ana, conversation, HELLO, key="k-1")
    assert (again.account_id, again.message_id) == (first.account_id, first.message_id)
    assert (first.is_prompt, again.is_prompt) == (True, False)
    assert (await conversation_row(engine, conversation)).epoch == 1
    assert len(await stored(engine)) == 1
    assert len(await events_of(engine, "message.created")) == 1


async def test_callers_with_one_key_at_the_same_time_get_one_message(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    answers = await asyncio.gather(*(outbound.accept(ana, conversation, HELLO, key="k-1") for _ in range(5)))
    assert len({answer.message_id for answer in answers}) == 1
    assert len(await stored(engine)) == 1


async def test_a_key_belongs_to_a_text_and_a_conversation(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId, account: Channel
) -> None:
    await outbound.accept(ana, conversation, HELLO, key="k-1")
    with pytest.raises(IdempotencyKeyReused):
        await outbound.accept(ana, conversation, Text(body="Bonsoir"), key="k-1")
    with pytest.raises(IdempotencyKeyReused):
        await outbound.accept(ana, await a_conversation(engine, account.account_id), HELLO, key="k-1")
    assert len(await stored(engine)) == 1


async def test_a_key_belongs_to_its_caller(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, account: Channel, conversation: ConversationId
) -> None:
    bea = await somebody(engine, account, Permission.MESSAGES_SEND)
    await outbound.accept(ana, conversation, HELLO, key="k-1")
    await outbound.accept(bea, conversation, Text(body="Bonsoir"), key="k-1")
    assert len(await stored(engine)) == 2


async def test_without_a_key_every_call_is_a_message(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    await outbound.accept(ana, conversation, HELLO, key=None)
    await outbound.accept(ana, conversation, HELLO, key=None)
    assert len(await stored(engine)) == 2


# --- hearing of it ----------------------------------------------------------------------------------------------------


class Bus(MemoryEvents):
    """Says nothing, or is closed, or says how often somebody listened."""

    def __init__(self, *, closed: bool = False) -> None:
        super().__init__()
        self.listening = asyncio.Event()
        self._closed = closed

    def publish(self, *signals: Signal) -> None:
        pass

    def say(self, *signals: Signal) -> None:
        super().publish(*signals)

    @asynccontextmanager
    async def subscribe(self, wanted: Wanted | None = None) -> AsyncIterator[AsyncIterator[Signal]]:
        async with super().subscribe(wanted) as signals:
            self.listening.set()
            yield _nothing() if self._closed else signals


async def _nothing() -> AsyncIterator[Signal]:
    return
    yield


class Looking:
    """The database, with a count of the looks at outcomes, and an outage for the first of them."""

    def __init__(self, inner: Database, *, outages: int = 0) -> None:
        self.deliveries, self.work, self.outbox = inner.deliveries, inner.work, inner.outbox
        self.team, self.operations = inner.team, inner.operations
        self.archive, self.retention = inner.archive, inner.retention
        self.event_log, self.tickets, self.knowledge = inner.event_log, inner.tickets, inner.knowledge
        self.bot = inner.bot
        self.transaction = inner.transaction
        self.queries: Queries = self  # type: ignore[assignment]
        self.looks = 0
        self.looked = asyncio.Event()
        self._inner = inner
        self._outages = outages

    async def outcome(self, account_id, message_id) -> Outcome | None:
        self.looks += 1
        if self.looks <= self._outages:
            raise DatabaseUnavailable
        found = await self._inner.queries.outcome(account_id, message_id)
        self.looked.set()
        return found


@pytest.fixture
async def message(engine: AsyncEngine, account: Channel, conversation: ConversationId) -> MessageId:
    return await a_queued_message(engine, account.account_id, conversation, state=State.WIRE)


async def settle(engine: AsyncEngine) -> None:
    await execute(engine, "update outbox set state = 'accepted'")


def listener(database: Database | Looking, bus: Events, clock: Clock) -> Outbound:
    return Outbound(database, forgetful(database), FakeSender(), bus, clock, no_files(database, clock))


@pytest.mark.parametrize("hint", ["settled", "resync"])
async def test_a_hint_wakes_who_waits(engine: AsyncEngine, database, account, message, clock, hint) -> None:
    bus, looking = Bus(), Looking(database)
    waiting = asyncio.create_task(listener(looking, bus, clock).outcome(account.account_id, message, within=30))
    await looking.looked.wait()
    await settle(engine)
    bus.say(MessageSettled(MessageId(uuid7())), MessageSettled(message) if hint == "settled" else Resync())
    assert (await waiting).state == State.ACCEPTED
    assert looking.looks == 2


async def test_of_what_was_accepted_just_now_nothing_is_looked_at_before_something_moves(
    engine: AsyncEngine, database, account, message, clock
) -> None:
    bus, looking = Bus(), Looking(database)
    outbound = listener(looking, bus, clock)
    waiting = asyncio.create_task(outbound.outcome(account.account_id, message, within=30, is_prompt=True))
    await bus.listening.wait()
    await settle(engine)
    bus.say(MessageSettled(message))
    assert ((await waiting).state, looking.looks) == (State.ACCEPTED, 1)
    now = await outbound.outcome(account.account_id, message, within=0, is_prompt=True)
    assert (now.id, now.state, looking.looks) == (message, State.QUEUED, 1)


async def test_the_wamid_comes_with_the_signal_and_nobody_looks(database, account, message, clock) -> None:
    bus, looking = Bus(), Looking(database)
    prompt = listener(looking, bus, clock).outcome(account.account_id, message, within=30, is_prompt=True)
    waiting = asyncio.create_task(prompt)
    await bus.listening.wait()
    bus.say(MessageSettled(MessageId(uuid7()), "wamid.B"), MessageSettled(message, "wamid.A"))
    outcome = await waiting
    assert (outcome.id, outcome.state, outcome.wamid, looking.looks) == (message, State.ACCEPTED, "wamid.A", 0)


async def test_what_was_accepted_just_now_is_looked_at_without_a_hint_too(
    engine: AsyncEngine, database, account, message, clock
) -> None:
    await settle(engine)
    outbound = listener(database, Bus(), clock)
    assert (await outbound.outcome(account.account_id, message, within=30, is_prompt=True)).state == State.ACCEPTED


async def test_a_message_whose_lane_was_given_back_to_wait_is_not_waited_for(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId
) -> None:
    await outbound.accept(ana, conversation, HELLO, key=None)
    await execute(engine, "update lanes set retries = 1, due = now() + interval '1 hour'")
    account_id, message, is_prompt = await outbound.accept(ana, conversation, HELLO, key=None)
    assert not is_prompt
    assert (await outbound.outcome(account_id, message, within=3600, is_prompt=is_prompt)).state == State.QUEUED


async def test_without_a_hint_looking_is_enough(engine: AsyncEngine, database, account, message, clock) -> None:
    looking = Looking(database)
    waiting = asyncio.create_task(listener(looking, Bus(), clock).outcome(account.account_id, message, within=30))
    await looking.looked.wait()
    await settle(engine)
    assert (await waiting).state == State.ACCEPTED


async def test_a_closed_bus_is_no_reason_to_look_all_the_time(database, account, message, clock) -> None:
    looking = Looking(database)
    outcome = await listener(looking, Bus(closed=True), clock).outcome(account.account_id, message, within=0.1)
    assert (outcome.state, looking.looks) == (State.WIRE, 2)


@pytest.mark.parametrize("state", [State.QUEUED, State.CLAIMED, State.WIRE, State.UNKNOWN, State.UNCONFIRMED])
async def test_after_the_wait_it_says_how_far_the_message_is(
    engine: AsyncEngine, outbound: Outbound, account, message, state: State
) -> None:
    await execute(engine, "update outbox set state = :state", state=state)
    assert (await outbound.outcome(account.account_id, message, within=0.01)).state == state


@pytest.mark.parametrize("state", [State.ACCEPTED, State.READ, State.FAILED, State.EXPIRED, State.CANCELLED])
async def test_a_final_word_is_not_waited_for(engine: AsyncEngine, outbound: Outbound, account, message, state) -> None:
    await execute(engine, "update outbox set state = :state", state=state)
    assert (await outbound.outcome(account.account_id, message, within=30)).state == state


async def test_an_outage_while_waiting_does_not_say_that_nothing_was_stored(database, account, message, clock) -> None:
    looking = Looking(database, outages=10)
    outcome = await listener(looking, Bus(), clock).outcome(account.account_id, message, within=0.05)
    assert (outcome.id, outcome.state) == (message, State.QUEUED)


async def test_a_message_of_another_account_does_not_exist(engine: AsyncEngine, outbound: Outbound, message) -> None:
    with pytest.raises(MessageNotFound):
        await outbound.outcome((await an_account(engine)).account_id, message, within=1)
