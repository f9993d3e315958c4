"""`POST /messages/check-media/{conversation_id}`: where the files of a conversation stand."""

from datetime import UTC, datetime, timedelta

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, an_account, execute
from inbox.domain.access import Permission
from inbox.domain.content import Media, MediaKind


@pytest.fixture
async def reader(engine, account) -> dict[str, str]:
    return await a_caller(engine, account, Permission.MESSAGES_VIEW)


async def a_file(engine, account, conversation, state: str) -> str:
    message = await a_message(
        engine, account, conversation, content=Media(kind=MediaKind.IMAGE, media_id="7"), direction="inbound"
    )
    await execute(
        engine,
        """insert into media_files (message_id, account_id, media_id, state, expires_at)
           values (:id, :account, '7', :state, :expires)""",
        id=message,
        account=account,
        state=state,
        expires=datetime.now(UTC) + timedelta(days=7),
    )
    await execute(
        engine,
        """insert into lanes (kind, key, account_id, due, retries)
           values ('media', :id, :account, now() + interval '1 hour', 3)""",
        id=str(message),
        account=account,
    )
    return str(message)


async def test_files_are_counted_by_where_they_stand(client, engine, account, reader):
    conversation = await a_conversation(engine, account)
    for state in ("stored", "stored", "pending", "expired", "refused"):
        await a_file(engine, account, conversation, state)
    await a_file(engine, account, await a_conversation(engine, account), "stored")
    answer = await client.post(f"/messages/check-media/{conversation}", headers=reader)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "total": 5, "stored": 2, "pending": 1, "lost": 2}


async def test_what_waits_is_tried_at_once_and_only_here(client, engine, account, reader):
    conversation = await a_conversation(engine, account)
    waiting = await a_file(engine, account, conversation, "pending")
    elsewhere = await a_file(engine, account, await a_conversation(engine, account), "pending")
    await client.post(f"/messages/check-media/{conversation}", headers=reader)
    due = {row.key for row in await execute(engine, "select key from lanes where kind = 'media' and due <= now()")}
    assert due == {waiting}
    assert elsewhere not in due


async def test_a_conversation_without_files_has_none(client, engine, account, reader):
    conversation = await a_conversation(engine, account)
    answer = await client.post(f"/messages/check-media/{conversation}", headers=reader)
    assert answer.json() == {"status": "ok", "total": 0, "stored": 0, "pending": 0, "lost": 0}


async def test_a_foreign_conversation_is_missing(client, engine, reader):
    foreign = await a_conversation(engine, (await an_account(engine)).account_id)
    answer = await client.post(f"/messages/check-media/{foreign}", headers=reader)
    assert (answer.status_code, answer.json()["detail"]) == (404, "conversation_not_found")
