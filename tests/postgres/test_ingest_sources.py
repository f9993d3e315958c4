"""Whose words they are decides what they change; a better content takes the place of a worse one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, a_delivery, a_queued_message, a_status, execute, received
from database_fixtures import RecordedSignals
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.content import Call, CallStage, Content, Media, MediaKind, Notice, Other, Text, Unsupported
from inbox.domain.inbound import Referral, Source, Surroundings
from inbox.domain.messages import Author
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import WorkKind
from inbox.ports.records import InboundBatch
from postgres.identity_scene import PHONE, happens, one_by_one, said, threads, who
from postgres.ingest_scene import SECOND, hear, rows

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ADVERT = Surroundings(referral=Referral(source_type="ad", source_id="12"))
PHOTO = Media(kind=MediaKind.IMAGE, media_id="700", sha256="abc=", mime_type="image/jpeg")
ME = who(PHONE)


async def turns(engine: AsyncEngine) -> int:
    return len(await execute(engine, "select 1 from lanes where kind = 'turn'"))


# --- sources ----------------------------------------------------------------------------------------------------------


async def test_what_the_owner_writes_on_the_phone_is_sent_and_overtakes_the_bot(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    conversation = await a_conversation(
        engine, account.account_id, client_number=PHONE, bot_enabled=True, epoch=3, updated_at=NOON
    )
    late = await a_queued_message(engine, account.account_id, conversation, author=Author.BOT, epoch=3)

    await happens(database, said(account, ME, at=NOON + HOUR, source=Source.PHONE))

    [thread] = await threads(engine)
    assert (thread.unread_count, thread.window_expires_at, thread.last_inbound_at) == (0, None, None)
    assert (thread.updated_at, thread.epoch, await turns(engine)) == (NOON + HOUR, 4, 0)
    [message] = await execute(engine, "select * from messages where author = 'phone'")
    assert (message.direction, message.status, message.sent_at) == ("outbound", "sent", NOON + HOUR)
    await database.outbox.take_heads(await database.work.claim(WorkKind.SEND, 1))
    [out] = await execute(engine, "select state from outbox where id = :id", id=late)
    assert out.state == "cancelled"


async def test_statuses_that_came_before_an_echo_of_the_phone_are_its_own(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await hear(database, a_status(account.phone_number_id, "wamid.echo", "read", occurred_at=NOON + SECOND))
    await happens(database, said(account, ME, wamid="wamid.echo", source=Source.PHONE))
    [message] = await rows(engine, "messages")
    assert (message["status"], message["read_at"]) == ("read", NOON + SECOND)


async def test_the_history_of_the_phone_is_nobodys_news(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await a_conversation(engine, account.account_id, client_number=PHONE, bot_enabled=True, epoch=3, updated_at=NOON)

    await happens(
        database,
        said(account, ME, at=NOON - 2 * DAY, source=Source.PAST_CUSTOMER, status="PLAYED"),
        said(account, ME, at=NOON - DAY, source=Source.PAST_BUSINESS, status="READ"),
    )

    [thread] = await threads(engine)
    assert (thread.unread_count, thread.window_expires_at, thread.epoch) == (0, None, 3)
    assert (thread.updated_at, thread.last_inbound_at, await turns(engine)) == (NOON, None, 0)
    assert not await execute(engine, "select 1 from event_log where kind = 'message.created'")
    found = [(m["direction"], m["author"], m["status"]) for m in await rows(engine, "messages", order='"timestamp"')]
    assert found == [("inbound", "contact", "received"), ("outbound", "phone", "read")]


async def test_what_is_from_the_past_does_not_count_as_said_last(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await one_by_one(
        database,
        said(account, ME, at=NOON, content=Text(body="neuf")),
        said(account, ME, at=NOON - DAY, content=Text(body="ancien"), source=Source.PAST_CUSTOMER),
    )
    [thread] = await threads(engine)
    async with database.transaction() as tx:
        history = await tx.messages.history(account.account_id, thread.id, 10)
    assert [one.content_text for one in history] == ["ancien", "neuf"]


@pytest.mark.parametrize(
    ("word", "status"),
    [("SENT", "sent"), ("Delivered", "delivered"), ("PLAYED", "read"), ("ERROR", "failed"), (None, "sent")],
)
async def test_the_status_of_the_past_is_metas_word(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, word: str | None, status: str
) -> None:
    await happens(database, said(account, ME, source=Source.PAST_BUSINESS, status=word))
    [message] = await rows(engine, "messages")
    assert message["status"] == status


# --- rank -------------------------------------------------------------------------------------------------------------

RINGING = Call(by_customer=True, stage=CallStage.RINGING)
ENDED = Call(by_customer=True, stage=CallStage.ENDED, seconds=60)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (Unsupported(code=131060), Text(body="Bonjour")),
        (Unsupported(code=131060), PHOTO),
        (Other(kind="media_placeholder", text="[media]"), PHOTO),
        (RINGING, Call(by_customer=True, stage=CallStage.ACCEPTED)),
        (RINGING, ENDED),
    ],
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), "one batch"])
async def test_the_better_content_of_a_message_stays_and_counts_once(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    worse: Content,
    better: Content,
    order: tuple[int, ...] | str,
) -> None:
    items = [
        said(account, ME, wamid="wamid.x", content=worse, at=NOON),
        said(account, ME, wamid="wamid.x", content=better, at=NOON + SECOND, surroundings=ADVERT),
    ]
    if isinstance(order, str):
        await happens(database, *items)
    else:
        await one_by_one(database, *(items[n] for n in order))

    [message] = await rows(engine, "messages")
    assert msgspec.json.decode(message["content"], type=Content) == better
    assert message["timestamp"] == NOON
    assert msgspec.json.decode(message["context"], type=Surroundings) == ADVERT
    assert message["media_id"] == (better.media_id if isinstance(better, Media) else None)
    [thread] = await threads(engine)
    assert (thread.unread_count, thread.updated_at) == (1, NOON + SECOND)


async def test_a_message_that_becomes_readable_keeps_its_id_and_wakes_the_bot(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await a_conversation(engine, account.account_id, client_number=PHONE, bot_enabled=True)
    first = received(said(account, ME, wamid="wamid.x", content=RINGING))
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(messages=[first]))
    assert await turns(engine) == 0

    applied = await happens(database, said(account, ME, wamid="wamid.x", content=Text(body="Rappelez-moi")))

    assert (applied.new_messages, await turns(engine)) == (0, 1)
    [message] = await rows(engine, "messages")
    assert message["id"] == first.id
    [event] = await the_log(engine, "message.updated")
    assert (event.message_id, event.change) == (first.id, "content")


async def test_plain_messages_have_no_surroundings(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await happens(database, said(account, ME), said(account, ME, surroundings=Surroundings(forwarded=True)))
    found = [row["context"] for row in await rows(engine, "messages", order="context nulls first")]
    assert found == [None, '{"forwarded": true}']


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "opens"),
    [
        (Text(body="Bonjour"), NOON),
        (RINGING, NOON),
        (ENDED, NOON - 60 * SECOND),
        (Call(by_customer=False, stage=CallStage.ENDED), None),
        (Notice(kind="user_changed_number", text="..."), None),
    ],
)
async def test_words_and_calls_of_the_customer_open_the_window(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, content: Content, opens: datetime | None
) -> None:
    await happens(database, said(account, ME, content=content))
    [thread] = await threads(engine)
    assert thread.window_expires_at == (opens and opens + DAY)


async def answered(database: PostgresDatabase, account: Channel, order: str, at: datetime) -> None:
    """A referral at noon and an answer `at`, told in the order of the letters."""
    steps: dict[str, Any] = {
        "r": lambda: happens(database, said(account, ME, wamid="wamid.ad", surroundings=ADVERT)),
        "a": lambda: happens(database, said(account, ME, wamid="wamid.a", at=at, source=Source.PHONE)),
        "m": lambda: happens(database, said(account, ME, wamid="wamid.m", at=NOON - HOUR)),
    }
    for step in order:
        await steps[step]()


@pytest.mark.parametrize("order", ["ra", "ar", "mar", "rarar"])
@pytest.mark.parametrize(("after", "free"), [(HOUR, True), (DAY, True), (DAY + SECOND, False), (-HOUR, False)])
async def test_the_first_answer_to_an_advertisement_within_a_day_is_free_for_three(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, order: str, after: timedelta, *, free: bool
) -> None:
    await answered(database, account, order, NOON + after)
    [thread] = await threads(engine)
    assert thread.free_entry_until == (NOON + after + 3 * DAY if free else None)


@pytest.mark.parametrize("words", [["sent", "delivered"], ["delivered", "sent"], ["read", "sent"], ["delivered"]])
async def test_an_answer_from_here_counts_from_the_earliest_time_that_whatsapp_tells(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, words: list[str]
) -> None:
    await happens(database, said(account, ME, surroundings=ADVERT))
    [thread] = await threads(engine)
    await a_queued_message(engine, account.account_id, thread.id, wamid="wamid.out")
    at = {"sent": NOON + SECOND, "delivered": NOON + 2 * SECOND, "read": NOON + 3 * SECOND}
    for word in words:
        await hear(database, a_status(account.phone_number_id, "wamid.out", word, occurred_at=at[word]))
    [thread] = await threads(engine)
    assert thread.free_entry_until == min(at[word] for word in words) + 3 * DAY


# --- files and signs of life ------------------------------------------------------------------------------------------


async def test_each_file_is_a_row_and_a_lane_of_its_own(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, signals: RecordedSignals
) -> None:
    item = received(said(account, ME, content=PHOTO))
    for _ in range(2):
        async with database.transaction() as tx:
            await tx.apply(InboundBatch(messages=[item, received(said(account, ME, wamid="wamid.text"))]))
    [file] = await rows(engine, "media_files", order="1")
    assert (file["message_id"], file["media_id"], file["expected_sha256"]) == (item.id, "700", "abc=")
    assert (file["state"], file["expires_at"]) == ("pending", NOON + 7 * DAY)
    [lane] = await execute(engine, "select * from lanes where kind = 'media'")
    assert (lane.key, lane.account_id, lane.ver) == (str(item.id), account.account_id, 1)
    assert signals.published.count(WorkWaiting(WorkKind.MEDIA)) == 1


async def test_the_account_knows_when_it_last_heard_from_whatsapp_within_ten_seconds(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async def heard(seconds: int) -> datetime:
        delivery = await a_delivery(engine)
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        await execute(engine, "update deliveries set received_at = :at where id = :id", at=at, id=delivery)
        async with database.transaction() as tx:
            statuses = [a_status(account.phone_number_id, f"wamid.{delivery}")]
            await tx.apply(InboundBatch(statuses=statuses, done=[delivery]))
        [row] = await execute(engine, "select last_webhook_at from whatsapp_accounts")
        assert isinstance(row.last_webhook_at, datetime)
        return row.last_webhook_at

    first = await heard(-60)
    assert abs(datetime.now(UTC) - timedelta(seconds=60) - first) < timedelta(seconds=30)
    second = await heard(0)
    assert second > first
    assert await heard(1) == second
    await execute(engine, "update whatsapp_accounts set last_webhook_at = now() - interval '11 s'")
    assert await heard(-3600) > second - timedelta(seconds=60)
