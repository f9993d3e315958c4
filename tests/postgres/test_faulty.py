"""The failpoints: every one is passed, and does what its rule says at the passage it names."""

import asyncio
import inspect
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_new_message, an_account, execute
from event_builders import created
from inbox.adapters.database.failpoints import POINTS, Action, Failpoints, Rule
from inbox.adapters.database.faulty import (
    FaultyBot,
    FaultyDatabase,
    FaultyDeliveries,
    FaultyMessages,
    FaultyOutbox,
    FaultyTransaction,
    FaultyWork,
)
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.errors import CommitUnknown, DatabaseUnavailable
from inbox.domain.ids import ConversationId, MessageId, TurnId, uuid7
from inbox.domain.outbound import State
from inbox.domain.work import WorkKind
from inbox.ports import database as port
from inbox.ports import repositories
from inbox.ports.bot import Bot, TurnEnd
from inbox.ports.records import BotTurn, InboundBatch, Settlement

SEND, INGEST, TURN = WorkKind.SEND, WorkKind.INGEST, WorkKind.TURN
COMMIT = ("commit:before", "commit:after")


class Killed(BaseException):
    """Stands for the end of the process."""


def die() -> None:
    raise Killed


async def play(database: port.Database, account: Channel, conversation: ConversationId) -> None:
    """Work that passes every point."""
    await database.deliveries.store(b"{}", "01")
    lanes = await database.work.claim(INGEST, 5)
    await database.work.extend(lanes)
    page = await database.deliveries.read(lanes, 10)
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(done=[item.id for item in page]))
        await tx.finish(lanes)
    for _ in range(2):
        message = a_new_message(account.account_id, conversation)
        async with database.transaction() as tx:
            await tx.messages.queue(message)
    line = a_new_message(account.account_id, conversation)
    assert await database.outbox.post(line, created(line)) is not None
    async with database.transaction() as tx:
        turn = await tx.bot.open_turn(a_turn(account, conversation, message.id))
    assert turn is not None
    async with database.transaction() as tx:
        await tx.bot.close_turn(turn, TurnEnd(state="silent"))
    for step in ("release", "settle"):
        [taken] = await database.outbox.take_heads(await database.work.claim(SEND, 5), datetime.now(UTC))
        assert taken.head is not None
        if step == "release":
            await database.outbox.release(taken.head.id, taken.head.token, taken.lane, timedelta())
            continue
        await database.outbox.to_wire(taken.head.id, taken.head.token)
        accepted = Settlement(
            message_id=taken.head.id, account_id=account.account_id, token=taken.head.token, state=State.ACCEPTED
        )
        await database.outbox.settle(accepted, taken.lane)
    [lane] = await database.work.claim(SEND, 5)
    await database.work.retry(lane, timedelta())
    await database.work.finish(await database.work.claim(SEND, 5))
    await database.outbox.reap(datetime.now(UTC))


def a_turn(account: Channel, conversation: ConversationId, trigger: MessageId) -> BotTurn:
    return BotTurn(
        id=TurnId(uuid7()),
        account_id=account.account_id,
        conversation_id=conversation,
        trigger_message_id=trigger,
        epoch=0,
    )


@pytest.fixture
async def account(engine: AsyncEngine) -> Channel:
    return await an_account(engine)


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    return await a_conversation(engine, account.account_id, window_expires_at=datetime.now(UTC) + timedelta(hours=20))


async def test_every_point_is_passed_and_without_rules_nothing_changes(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    failpoints = Failpoints()
    await play(FaultyDatabase(database, failpoints), account, conversation)
    assert [point for point in POINTS if failpoints.hits(point) == 0] == []
    states = await execute(engine, "select state from outbox order by serial")
    assert [row.state for row in states] == ["accepted", "queued", "queued"]


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_can_be_killed_at_every_point(
    database: PostgresDatabase, account: Channel, conversation: ConversationId, point: str
) -> None:
    failpoints = Failpoints([Rule(point=point, action=Action.KILL)], kill=die)
    with pytest.raises(Killed):
        await play(FaultyDatabase(database, failpoints), account, conversation)
    assert failpoints.hits(point) == 1


@pytest.mark.parametrize("point", POINTS)
async def test_every_point_can_fail_like_a_database(
    database: PostgresDatabase, account: Channel, conversation: ConversationId, point: str
) -> None:
    failpoints = Failpoints([Rule(point=point, action=Action.RAISE)])
    is_unclear = point.startswith(("commit", "outbox.post")) and point.endswith(":after")
    with pytest.raises(CommitUnknown if is_unclear else DatabaseUnavailable):
        await play(FaultyDatabase(database, failpoints), account, conversation)


@pytest.mark.parametrize(("point", "is_there"), list(zip(COMMIT, (False, True), strict=True)))
async def test_what_fails_before_the_commit_is_gone_and_what_fails_after_it_is_there(
    database: PostgresDatabase, engine: AsyncEngine, point: str, *, is_there: bool
) -> None:
    faulty = FaultyDatabase(database, Failpoints([Rule(point=point, action=Action.RAISE)]))
    with pytest.raises((DatabaseUnavailable, CommitUnknown)):
        async with faulty.transaction() as tx:
            await tx.enqueue(TURN, "a", account_id=None)
    assert bool(await execute(engine, "select 1 from lanes")) is is_there


async def test_a_commit_is_known_by_what_its_transaction_did_last(
    database: PostgresDatabase, account: Channel, conversation: ConversationId
) -> None:
    failpoints = Failpoints()
    faulty = FaultyDatabase(database, failpoints)
    async with faulty.transaction() as tx:
        await tx.enqueue(TURN, "a", account_id=None)
    message = a_new_message(account.account_id, conversation)
    async with faulty.transaction() as tx:
        await tx.messages.queue(message)
        await tx.bot.open_turn(a_turn(account, conversation, message.id))
    passed = {point: failpoints.hits(f"{point}:after") for point in ("commit", "commit.queue", "commit.open_turn")}
    assert passed == {"commit": 2, "commit.queue": 0, "commit.open_turn": 1}


async def test_a_rule_acts_at_the_passage_it_names_and_at_no_other(database: PostgresDatabase) -> None:
    faulty = FaultyDatabase(database, Failpoints.parse("work.claim:before=raise@3"))
    await faulty.work.claim(TURN, 1)
    await faulty.work.claim(TURN, 1)
    with pytest.raises(DatabaseUnavailable):
        await faulty.work.claim(TURN, 1)
    await faulty.work.claim(TURN, 1)


async def test_a_delay_holds_up_its_caller_only(database: PostgresDatabase) -> None:
    faulty = FaultyDatabase(database, Failpoints.parse("work.claim:before=delay:30"))
    held = asyncio.create_task(faulty.work.claim(TURN, 1))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await faulty.work.claim(TURN, 1)
    assert not held.done()
    held.cancel()


def test_rules_are_written_as_one_line() -> None:
    failpoints = Failpoints.parse("outbox.to_wire:after=kill, commit:before=raise@3,work.claim:after=delay:0.5@2,")
    assert failpoints._rules == (
        Rule(point="outbox.to_wire:after", action=Action.KILL),
        Rule(point="commit:before", action=Action.RAISE, hit=3),
        Rule(point="work.claim:after", action=Action.DELAY, hit=2, seconds=0.5),
    )
    assert Failpoints.parse("")._rules == ()


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "work.claim=kill",
        "work.claim:after",
        "work.claim:after=explode",
        "work.claim:after=kill@0",
        "work.claim:after=kill@x",
        "work.claim:after=delay:1000",
        "work.claim:after=delay:-1",
        "nowhere:before=kill",
    ],
)
def test_a_rule_that_can_never_act_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are for people
        Failpoints.parse(text)


@pytest.mark.parametrize(
    ("wrapper", "contract"),
    [
        (FaultyBot, Bot),
        (FaultyDatabase, port.Database),
        (FaultyTransaction, port.Transaction),
        (FaultyDeliveries, port.Deliveries),
        (FaultyMessages, repositories.Messages),
        (FaultyOutbox, port.Outbox),
        (FaultyWork, port.Work),
    ],
)
def test_the_wrapper_has_the_methods_of_the_port(wrapper: type, contract: type) -> None:
    wanted = {
        name: inspect.signature(method)
        for name, method in vars(contract).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    for name, signature in wanted.items():
        assert list(inspect.signature(getattr(wrapper, name)).parameters) == list(signature.parameters)
