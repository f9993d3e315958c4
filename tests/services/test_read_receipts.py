"""A customer hears that somebody has read: once, the newest, of this conversation; and only if the account says so."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_client_number, a_conversation, a_message, an_account, execute
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.messaging.fake_receipts import FakeReceipts, Told
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.contacts import CountryCode
from inbox.domain.errors import CircuitOpen, CommitUnknown, InboxError, LeaseLost
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.domain.signals import WorkWaiting
from inbox.domain.upstream_errors import AccountProblem, Refused, TryLater, WhatsAppTimeout
from inbox.domain.work import MAX_ATTEMPTS, WorkKind
from inbox.kit.boundaries import forbid_open_transaction
from inbox.ports.database import Database
from inbox.services.conversations import Conversations
from inbox.services.read_receipts import ReadReceipts
from member_builders import a_user
from services.rights_scene import forgetful
from services.scenes import claimed, customer_writes, is_done, lose_lease

RECEIPT = WorkKind.RECEIPT


class Strict(FakeReceipts):
    """`meanwhile` happens once while WhatsApp is asked."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def mark_read(self, channel: Channel, wamid: str, *, typing: bool = False) -> None:
        forbid_open_transaction()
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            await happens()
        await super().mark_read(channel, wamid, typing=typing)


class Scene:
    """A customer who writes, somebody who reads, and the worker that tells the customer."""

    def __init__(self, engine: AsyncEngine, database: Database, account: Channel, actor: Actor) -> None:
        self.engine, self.database, self.account, self.actor = engine, database, account, actor
        self.receipts = Strict()
        self.number = a_client_number()
        self.conversation: ConversationId

    async def writes(self, wamid: str, *, ago: timedelta = timedelta(), direction: str = "inbound") -> MessageId:
        return await a_message(
            self.engine,
            self.account.account_id,
            self.conversation,
            direction=direction,
            wamid=wamid,
            timestamp=datetime.now(UTC) - ago,
        )

    async def reads(self, conversation: ConversationId | None = None, database: Database | None = None) -> None:
        database = database or self.database
        service = Conversations(database, forgetful(database), lambda: datetime.now(UTC), CountryCode("33"))
        await service.mark_read(self.actor, conversation or self.conversation)

    async def works(self) -> str:
        """The lane that is due."""
        return await ReadReceipts(self.database, self.receipts).work(await claimed(self.database, RECEIPT))

    async def is_quiet(self) -> bool:
        return await is_done(self.database, RECEIPT)

    def told(self) -> list[str]:
        return [told.wamid for told in self.receipts.told]

    async def account_has(self, **columns: object) -> None:
        for name, value in columns.items():
            await execute(
                self.engine,
                f"update whatsapp_accounts set {name} = :value where id = :id",  # noqa: S608 - a name from below
                value=value,
                id=self.account.account_id,
            )


async def a_reader(engine: AsyncEngine, account_id: AccountId | None) -> Actor:
    grants = (Grant(code=Permission.CONVERSATIONS_VIEW, account_id=account_id),)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants)


@pytest.fixture
async def scene(engine: AsyncEngine, database: Database, account: Channel) -> Scene:
    scene = Scene(engine, database, account, await a_reader(engine, account.account_id))
    scene.conversation = await a_conversation(engine, account.account_id, client_number=scene.number)
    return scene


async def test_who_reads_waits_for_nobody_and_the_worker_tells_the_customer(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    assert scene.told() == []
    assert await scene.works() == "told"
    assert list(scene.receipts.told) == [Told(phone_number_id=scene.account.phone_number_id, wamid="wamid.A")]
    assert await scene.is_quiet()


async def test_the_worker_is_woken(scene: Scene, signals: MemoryEvents) -> None:
    await scene.writes("wamid.A")
    async with signals.subscribe() as heard_of, asyncio.timeout(5):
        await scene.reads()
        assert await anext(aiter(heard_of)) == WorkWaiting(RECEIPT)


async def test_only_the_newest_message_of_the_customer_is_marked(scene: Scene) -> None:
    await scene.writes("wamid.new", ago=timedelta(minutes=1))
    await scene.writes("wamid.old", ago=timedelta(hours=1))
    await scene.writes("wamid.ours", direction="outbound")
    await scene.writes("wamid.reaction")
    await execute(scene.engine, "update messages set message_type = 'reaction' where wa_message_id = 'wamid.reaction'")
    await scene.reads()
    assert await scene.works() == "told"
    assert scene.told() == ["wamid.new"]


async def test_what_a_webhook_brought_is_marked(scene: Scene) -> None:
    await customer_writes(scene.database, scene.account, scene.number, "Bonjour", wamid="wamid.webhook")
    await scene.reads()
    await scene.works()
    assert scene.told() == ["wamid.webhook"]


async def test_a_message_of_the_existing_system_without_an_account_is_marked(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await execute(scene.engine, "update messages set account_id = null")
    await scene.reads()
    assert await scene.works() == "told"


async def test_reading_again_and_again_tells_once(scene: Scene) -> None:
    await scene.writes("wamid.A")
    for _ in range(3):
        await scene.reads()
    assert await scene.works() == "told"
    for _ in range(3):
        await scene.reads()
    assert await scene.is_quiet()
    assert scene.told() == ["wamid.A"]


async def test_readings_before_the_worker_comes_collapse_into_the_newest(scene: Scene) -> None:
    for wamid in ("wamid.A", "wamid.B", "wamid.C"):
        await scene.writes(wamid)
        await scene.reads()
    assert await scene.works() == "told"
    assert await scene.is_quiet()
    assert scene.told() == ["wamid.C"]


@pytest.mark.parametrize("error", [None, Refused(), AccountProblem()], ids=["told", "refused", "dropped"])
async def test_what_is_read_while_whatsapp_is_asked_is_told_as_well(scene: Scene, error: InboxError | None) -> None:
    async def more_is_read() -> None:
        await scene.writes("wamid.B")
        await scene.reads()

    await scene.writes("wamid.A", ago=timedelta(minutes=1))
    await scene.reads()
    scene.receipts.meanwhile = more_is_read
    if error is not None:
        scene.receipts.fail_next(error)
    await scene.works()
    assert await scene.works() == "told"
    assert await scene.is_quiet()
    assert scene.told() == (["wamid.A", "wamid.B"] if error is None else ["wamid.B"])


async def test_a_message_that_nobody_has_read_yet_stays_so(scene: Scene) -> None:
    await scene.writes("wamid.A", ago=timedelta(minutes=1))
    await scene.reads()
    await scene.writes("wamid.B")
    await scene.works()
    assert scene.told() == ["wamid.A"]


async def test_marking_as_unread_and_favourites_tell_nothing(scene: Scene) -> None:
    await scene.writes("wamid.A")
    service = Conversations(scene.database, forgetful(scene.database), lambda: datetime.now(UTC), CountryCode("33"))
    await service.mark_unread(scene.actor, scene.conversation)
    await service.set_favorite(scene.actor, scene.conversation, favorite=True)
    assert await scene.is_quiet()


# --- who is not told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "columns",
    [{"read_receipts": False}, {"is_active": False}, {"paused_at": datetime(2026, 1, 1, tzinfo=UTC)}],
    ids=["switched off", "deactivated", "paused"],
)
@pytest.mark.parametrize("when", ["before the reading", "before the worker comes"])
async def test_such_an_account_tells_nobody(scene: Scene, columns: dict[str, object], when: str) -> None:
    await scene.writes("wamid.A")
    if when == "before the reading":
        await scene.account_has(**columns)
        await scene.reads()
    else:
        await scene.reads()
        await scene.account_has(**columns)
        assert await scene.works() == "dropped"
    assert await scene.is_quiet()
    assert scene.told() == []
    await scene.account_has(read_receipts=True, is_active=True, paused_at=None)
    await scene.reads()
    assert await scene.works() == "told"  # what was dropped is not held against the next reading


async def test_a_number_that_is_also_in_the_app_of_its_owner_tells_nobody(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await execute(
        scene.engine,
        "insert into number_paces (account_id, ceiling) values (:id, 20)",
        id=scene.account.account_id,
    )
    await scene.reads()
    assert await scene.is_quiet()
    await execute(scene.engine, "update number_paces set ceiling = 80")
    await scene.reads()
    assert not await scene.is_quiet()


async def test_messages_that_whatsapp_has_forgotten_are_not_marked(scene: Scene) -> None:
    await scene.writes("wamid.A", ago=timedelta(days=30, minutes=1))
    await scene.reads()
    assert await scene.is_quiet()


@pytest.mark.parametrize("column", ["sent_at", "wanted_at"])
async def test_what_could_not_be_told_for_too_long_is_dropped(scene: Scene, column: str) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    late = timedelta(days=30, minutes=1) if column == "sent_at" else timedelta(days=1, minutes=1)
    await execute(scene.engine, f"update read_receipts set {column} = now() - cast(:late as interval)", late=late)  # noqa: S608 - ours
    assert await scene.works() == "dropped"
    assert scene.told() == []


async def test_a_conversation_without_a_customers_message_has_nothing_to_tell(scene: Scene) -> None:
    await scene.reads()
    await scene.writes("wamid.ours", direction="outbound")
    await scene.reads()
    assert await scene.is_quiet()


async def test_a_message_of_another_account_is_never_marked(scene: Scene) -> None:
    """Whatever broken rows say."""
    other = await an_account(scene.engine)
    theirs = await a_conversation(scene.engine, other.account_id)
    await scene.writes("wamid.A", ago=timedelta(hours=1))
    await a_message(
        scene.engine, other.account_id, theirs, direction="inbound", wamid="wamid.B", timestamp=datetime.now(UTC)
    )
    await a_message(
        scene.engine,
        other.account_id,
        scene.conversation,
        direction="inbound",
        wamid="wamid.C",
        timestamp=datetime.now(UTC),
    )
    await scene.reads()
    await scene.works()
    assert scene.told() == ["wamid.A"]


async def test_who_may_not_read_tells_nobody(scene: Scene) -> None:
    await scene.writes("wamid.A")
    scene.actor = await a_reader(scene.engine, (await an_account(scene.engine)).account_id)
    with pytest.raises(InboxError):
        await scene.reads()
    assert await scene.is_quiet()


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [TryLater("number"), WhatsAppTimeout(), CircuitOpen("whatsapp", retry_after=5)], ids=lambda e: e.code
)
async def test_what_may_pass_is_tried_again(scene: Scene, error: InboxError) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    scene.receipts.fail_next(error)
    with pytest.raises(type(error)):
        await scene.works()
    await lose_lease(scene.engine)
    assert await scene.works() == "told"


async def test_a_refused_message_is_dropped_and_not_tried_at_each_reading(scene: Scene) -> None:
    await scene.writes("wamid.A")
    scene.receipts.unknown.add("wamid.A")
    await scene.reads()
    assert await scene.works() == "refused"
    await scene.reads()
    assert await scene.is_quiet()
    await scene.writes("wamid.B")
    await scene.reads()
    assert await scene.works() == "told"


async def test_the_problem_of_an_account_is_left_to_its_messages(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    scene.receipts.fail_next(AccountProblem(graph_code=190))
    assert await scene.works() == "dropped"
    assert await scene.is_quiet()
    ((paused_at,),) = await execute(
        scene.engine, "select paused_at from whatsapp_accounts where id = :id", id=scene.account.account_id
    )
    assert paused_at is None
    await scene.reads()
    assert await scene.works() == "told"


async def test_a_token_that_cannot_be_read_ends_the_receipt(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    await scene.account_has(access_token_sealed=b"sealed with a key that is lost")
    assert await scene.works() == "dropped"
    assert await scene.is_quiet()


async def test_the_receipt_is_there_exactly_if_the_reading_is(scene: Scene) -> None:
    """The process dies between the two, or right behind them."""
    await scene.writes("wamid.A")
    with pytest.raises(InboxError):
        await scene.reads(database=FaultyDatabase(scene.database, Failpoints.parse("commit:before=raise")))
    assert await scene.is_quiet()
    with pytest.raises(CommitUnknown):
        await scene.reads(database=FaultyDatabase(scene.database, Failpoints.parse("commit:after=raise")))
    assert await scene.works() == "told"


async def test_a_worker_that_dies_before_it_finished_tells_again(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    dying = FaultyDatabase(scene.database, Failpoints.parse("work.finish:before=raise"))
    with pytest.raises(InboxError):
        await ReadReceipts(dying, scene.receipts).work(await claimed(scene.database, RECEIPT))
    await lose_lease(scene.engine)
    assert await scene.works() == "told"
    assert scene.told() == ["wamid.A", "wamid.A"]
    assert await scene.is_quiet()


async def test_who_lost_the_lane_finishes_nothing(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    lost = await claimed(scene.database, RECEIPT)
    await lose_lease(scene.engine)
    mine = await claimed(scene.database, RECEIPT)
    service = ReadReceipts(scene.database, scene.receipts)
    with pytest.raises(LeaseLost):
        await service.work(lost)
    assert await service.work(mine) == "told"


async def test_a_receipt_that_kills_workers_is_given_up(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    for _ in range(MAX_ATTEMPTS):
        await claimed(scene.database, RECEIPT)
        await lose_lease(scene.engine)
    assert await scene.works() == "dropped"
    assert await scene.is_quiet()


async def test_a_conversation_that_is_gone_leaves_a_lane_that_ends(scene: Scene) -> None:
    await scene.writes("wamid.A")
    await scene.reads()
    await execute(scene.engine, "delete from messages")
    await execute(scene.engine, "delete from conversations where id = :id", id=scene.conversation)
    assert await scene.works() == "nothing_to_tell"
    assert await scene.is_quiet()
