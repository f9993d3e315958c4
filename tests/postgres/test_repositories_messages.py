"""Messages: queued once, remembered once, and read back by the bot."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from builders import (
    NOON,
    SEALER,
    a_conversation,
    a_message,
    a_new_message,
    an_account,
    execute,
)
from inbox.adapters.database.postgres.messages import PostgresMessages
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.content import Media, MediaKind, Other, Text
from inbox.domain.errors import ConversationNotFound, IdempotencyKeyReused
from inbox.domain.ids import AccountId, ConversationId, MessageId, TurnId, UserId, uuid7
from inbox.domain.messages import Author
from inbox.ports.records import History, IdempotencyKey, NewMessage
from inbox.ports.views import Outcome
from member_builders import only
from statement_counts import counting


async def a_pair(engine: AsyncEngine) -> tuple[AccountId, ConversationId]:
    account = (await an_account(engine)).account_id
    return account, await a_conversation(engine, account)


async def queue(engine: AsyncEngine, new: NewMessage) -> None:
    async with engine.begin() as connection:
        await PostgresMessages(connection, []).queue(new)


# --- queueing ---------------------------------------------------------------------------------------------------------


async def test_a_queued_message_is_pending_has_an_outbox_row_and_wakes_its_lane(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    operator = UserId(uuid7())
    new = msgspec.structs.replace(
        a_new_message(account, conversation, content=Text(body="Oui, de 9 h à 18 h."), at=NOON, epoch=4),
        author_id=operator,
        client_id="c-1",
    )
    with counting(engine) as statements:
        await queue(engine, new)
    assert len(statements) == 1
    (item,) = (
        await PostgresQueries(Reader(engine), SEALER).messages(only(account), conversation, limit=9, before=None) or []
    )
    assert (item.id, item.direction, item.content_text, item.message_type) == (
        new.id,
        "outbound",
        "Oui, de 9 h à 18 h.",
        "text",
    )
    assert (item.status, item.actor, item.client_id, item.delivery_state) == ("pending", "human", "c-1", "queued")
    (stored,) = await execute(engine, "select account_id, author_id, content from messages")
    assert (stored.account_id, stored.author_id) == (account, operator)
    assert msgspec.json.decode(stored.content) == {"type": "text", "body": "Oui, de 9 h à 18 h.", "preview_url": False}
    (work,) = await execute(engine, "select * from outbox")
    assert (work.id, work.account_id, work.conversation_id) == (new.id, account, conversation)
    assert (work.state, work.epoch, work.expires_at, work.attempt) == ("queued", 4, new.expires_at, 0)
    (lane,) = await execute(engine, "select kind, key, account_id, ver, done, due <= now() as is_due from lanes")
    assert tuple(lane) == ("send", str(conversation), account, 1, 0, True)


async def test_a_file_fills_the_media_columns(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    content = Media(kind=MediaKind.DOCUMENT, media_id="77", mime_type="application/pdf", filename="devis.pdf")
    await queue(engine, a_new_message(account, conversation, content=content))
    (item,) = (
        await PostgresQueries(Reader(engine), SEALER).messages(only(account), conversation, limit=9, before=None) or []
    )
    assert (item.message_type, item.media_id, item.media_mime_type, item.media_filename, item.content_text) == (
        "document",
        "77",
        "application/pdf",
        "devis.pdf",
        "[document]",
    )


async def test_each_message_enqueues_its_lane_again_but_does_not_shorten_a_wait(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    await queue(engine, a_new_message(account, conversation))
    await execute(engine, "update lanes set due = now() + interval '1 hour'")
    await queue(engine, a_new_message(account, conversation))
    (lane,) = await execute(engine, "select ver, done, due > now() + interval '50 min' as waits from lanes")
    assert tuple(lane) == (2, 0, True)
    await execute(engine, "update lanes set done = ver")
    await queue(engine, a_new_message(account, conversation))
    (lane,) = await execute(engine, "select ver, done, due > now() as waits from lanes")
    assert tuple(lane) == (3, 2, False)


async def test_serials_of_a_conversation_follow_the_order_of_commits(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    first, second = a_new_message(account, conversation), a_new_message(account, conversation)
    async with engine.begin() as one:
        await PostgresMessages(one, []).queue(first)
        waiting = asyncio.create_task(queue(engine, second))
        await until_somebody_waits(engine)
    await waiting
    rows = await execute(engine, "select id from outbox order by serial")
    assert [row.id for row in rows] == [first.id, second.id]


async def test_a_message_to_a_conversation_of_another_account_is_not_queued(engine: AsyncEngine) -> None:
    _, conversation = await a_pair(engine)
    other = (await an_account(engine)).account_id
    with pytest.raises(ConversationNotFound):
        await queue(engine, a_new_message(other, conversation))
    for table in ("messages", "outbox", "lanes"):
        assert await execute(engine, f"select 1 from {table}") == []  # noqa: S608 - three names


async def test_a_part_of_a_turn_is_queued_once(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    turn = TurnId(uuid7())

    def part(number: int) -> NewMessage:
        new = a_new_message(account, conversation, author=Author.BOT, turn_id=turn, epoch=0)
        return msgspec.structs.replace(new, part=number)

    first = part(0)
    await queue(engine, first)
    await asyncio.gather(queue(engine, part(0)), queue(engine, part(0)), queue(engine, part(1)))
    rows = await execute(engine, "select id, part from outbox order by part")
    assert [row.part for row in rows] == [0, 1]
    assert rows[0].id == first.id
    assert len(await execute(engine, "select 1 from messages")) == 2


async def test_messages_of_people_are_parts_of_no_turn(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    for _ in range(3):
        await queue(engine, a_new_message(account, conversation))
    assert len(await execute(engine, "select 1 from outbox")) == 3


# --- refused at once --------------------------------------------------------------------------------------------------


async def test_a_message_that_will_not_be_sent_is_visible_with_its_reason(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    new = a_new_message(account, conversation, at=NOON)
    async with engine.begin() as connection:
        await PostgresMessages(connection, []).add_failed(
            new, reason="window_closed", error_code=131047, error_message="Fenêtre de 24 h fermée."
        )
    queries = PostgresQueries(Reader(engine), SEALER)
    (item,) = await queries.messages(only(account), conversation, limit=9, before=None) or []
    assert (item.id, item.status, item.error_message) == (new.id, "failed", "Fenêtre de 24 h fermée.")
    assert item.delivery_state == "failed"
    assert await queries.outcome(account, new.id) == Outcome(
        id=new.id,
        state="failed",
        is_postponed=False,
        wamid=None,
        error_code=131047,
        error_message="Fenêtre de 24 h fermée.",
        reason="window_closed",
    )
    assert await execute(engine, "select 1 from lanes") == []
    (row,) = await execute(engine, "select failed_at from messages")
    assert row.failed_at == NOON


async def test_a_part_of_a_turn_fails_once(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    turn = TurnId(uuid7())
    for _ in range(2):
        async with engine.begin() as connection:
            await PostgresMessages(connection, []).add_failed(
                a_new_message(account, conversation, author=Author.SYSTEM, turn_id=turn),
                reason="window_closed",
                error_code=None,
                error_message="x",
            )
    assert len(await execute(engine, "select 1 from outbox")) == 1
    assert len(await execute(engine, "select 1 from messages")) == 1


async def test_a_failed_message_in_a_conversation_of_another_account_is_not_stored(engine: AsyncEngine) -> None:
    _, conversation = await a_pair(engine)
    other = (await an_account(engine)).account_id
    async with engine.begin() as connection:
        with pytest.raises(ConversationNotFound):
            await PostgresMessages(connection, []).add_failed(
                a_new_message(other, conversation), reason="window_closed", error_code=None, error_message="x"
            )
    assert await execute(engine, "select 1 from messages") == []


# --- idempotency ------------------------------------------------------------------------------------------------------


def a_key(account: AccountId, **changes: Any) -> IdempotencyKey:  # noqa: ANN401 - fields of a key
    key = IdempotencyKey(
        account_id=account, caller=UserId(UUID_OF_CALLER), call="messages/send", key="k-1", request_hash=b"h"
    )
    return msgspec.structs.replace(key, **changes)


UUID_OF_CALLER = uuid7()


async def send_once(connection: AsyncConnection, key: IdempotencyKey, new: NewMessage) -> MessageId:
    """As a send is accepted: the key first, then the message unless there is one."""
    messages = PostgresMessages(connection, [])
    earlier = await messages.remember(key, new.id)
    if earlier is None:
        await messages.queue(new)
    return earlier or new.id


async def test_the_same_key_gives_the_same_message(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    answers = []
    for _ in range(3):
        async with engine.begin() as connection:
            answers.append(await send_once(connection, a_key(account), a_new_message(account, conversation)))
    assert len(set(answers)) == 1
    assert len(await execute(engine, "select 1 from messages")) == 1


async def test_the_same_key_with_another_body_is_refused(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    async with engine.begin() as connection:
        await send_once(connection, a_key(account), a_new_message(account, conversation))
    async with engine.begin() as connection:
        with pytest.raises(IdempotencyKeyReused):
            await PostgresMessages(connection, []).remember(a_key(account, request_hash=b"other"), MessageId(uuid7()))


async def test_a_key_belongs_to_a_caller_and_a_call_whichever_the_account(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    other, elsewhere = await a_pair(engine)
    async with engine.begin() as connection:
        await send_once(connection, a_key(account), a_new_message(account, conversation))
        for scope in ({"caller": UserId(uuid7())}, {"call": "messages/send-media"}, {"key": "k-2"}):
            new = a_new_message(account, conversation)
            assert await send_once(connection, a_key(account, **scope), new) == new.id
        with pytest.raises(IdempotencyKeyReused):
            await send_once(connection, a_key(other, request_hash=b"of another"), a_new_message(other, elsewhere))


async def test_many_requests_with_one_key_send_one_message(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)

    async def request() -> MessageId:
        async with engine.begin() as connection:
            return await send_once(connection, a_key(account), a_new_message(account, conversation))

    answers = await asyncio.gather(*(request() for _ in range(8)))
    assert len(set(answers)) == 1
    rows = await execute(engine, "select m.id from messages m join outbox using (id)")
    assert [row.id for row in rows] == [answers[0]]


@pytest.mark.parametrize("first_commits", [True, False])
async def test_a_second_request_waits_for_what_becomes_of_the_first(
    engine: AsyncEngine,
    first_commits: bool,  # noqa: FBT001 - a case
) -> None:
    account, conversation = await a_pair(engine)
    first, second = a_new_message(account, conversation), a_new_message(account, conversation)

    async def request() -> MessageId:
        async with engine.begin() as connection:
            return await send_once(connection, a_key(account), second)

    async with engine.connect() as one:
        await send_once(one, a_key(account), first)
        waiting = asyncio.create_task(request())
        await until_somebody_waits(engine)
        await (one.commit() if first_commits else one.rollback())
    assert await waiting == (first.id if first_commits else second.id)
    assert len(await execute(engine, "select 1 from messages")) == 1


async def test_a_key_without_its_message_cannot_be_committed(engine: AsyncEngine) -> None:
    account, _ = await a_pair(engine)
    with pytest.raises(DBAPIError, match="idempotency_keys_message_id_fkey"):
        async with engine.begin() as connection:
            await PostgresMessages(connection, []).remember(a_key(account), MessageId(uuid7()))
    assert await execute(engine, "select 1 from idempotency_keys") == []


async def until_somebody_waits(engine: AsyncEngine) -> None:
    """Until a connection of this database waits for a lock. The question itself gives the others their turn."""
    question = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await execute(engine, question):
            pass


# --- history ----------------------------------------------------------------------------------------------------------


async def history(
    engine: AsyncEngine, account: AccountId, conversation: ConversationId, limit: int = 20
) -> list[History]:
    async with engine.connect() as connection:
        return await PostgresMessages(connection, []).history(account, conversation, limit)


async def test_the_newest_messages_are_read_oldest_first(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    said = [
        await a_message(
            engine,
            account,
            conversation,
            direction=direction,
            author=author,
            content=Text(body=body),
            timestamp=NOON + timedelta(seconds=second),
        )
        for second, (direction, author, body) in enumerate(
            [
                ("inbound", Author.CONTACT, "Bonjour"),
                ("outbound", Author.BOT, "Bonjour !"),
                ("outbound", Author.HUMAN, "Je prends la suite"),
                ("outbound", Author.PHONE, "Depuis mon téléphone"),
            ]
        )
    ]
    read = await history(engine, account, conversation, limit=3)
    assert [one.id for one in read] == said[1:]
    assert [(one.is_inbound, one.author) for one in read] == [(False, "bot"), (False, "human"), (False, "phone")]
    assert read[0].content == Text(body="Bonjour !")
    assert read[0].at == NOON + timedelta(seconds=1)


async def test_the_bot_does_not_read_what_is_no_talk(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    await a_message(engine, account, conversation, author=Author.SYSTEM, content=Text(body="[status update]"))
    await a_message(engine, account, conversation, author=None, content=Text(body="[status update]"))
    await a_message(engine, account, conversation, content=Other(kind="reaction", text="[reaction]"))
    await a_message(engine, account, conversation, status="failed", content=Text(body="Jamais parti"))
    kept = await a_message(engine, account, conversation, status=None, author=None, content=Text(body="Oui"))
    assert [one.id for one in await history(engine, account, conversation)] == [kept]


async def test_the_bot_does_not_read_old_json(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    await execute(
        engine,
        """insert into messages (conversation_id, direction, content_text, message_type, status)
           values (:conversation, 'inbound', '{"from":"336","type":"button","button":{"text":"Oui"}}', 'button',
                   'received')""",
        conversation=conversation,
    )
    (read,) = await history(engine, account, conversation)
    assert (read.content_text, read.content, read.author, read.is_inbound) == ("Oui", None, None, True)


async def test_a_kind_that_only_a_newer_version_knows_reads_as_text(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    await a_message(engine, account, conversation, content=Text(body="Sondage"))
    await execute(engine, """update messages set content = '{"type": "poll", "question": "?"}'""")
    (read,) = await history(engine, account, conversation)
    assert (read.content_text, read.content) == ("Sondage", None)


async def test_the_history_of_another_account_is_empty(engine: AsyncEngine) -> None:
    account, conversation = await a_pair(engine)
    await a_message(engine, account, conversation)
    other = (await an_account(engine)).account_id
    assert await history(engine, other, conversation) == []
