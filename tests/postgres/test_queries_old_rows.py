"""Rows as the existing system left them: all of them can be read, and none shows what front ends do not know."""

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, SEALER, a_conversation, a_message, an_account, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.content import Media, MediaKind
from inbox.domain.messages import Author
from member_builders import only


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


async def an_old_message(engine: AsyncEngine, conversation: UUID, **values: object) -> UUID:
    """As the existing system wrote it: no account, no content, no author."""
    row = {"direction": "inbound", "content_text": None, "message_type": "text", "status": "received", **values}
    rows = await execute(
        engine,
        """insert into messages (conversation_id, direction, content_text, message_type, status, "timestamp")
           values (:conversation, :direction, :content_text, :message_type, :status, :at) returning id""",
        conversation=conversation,
        at=NOON,
        **row,
    )
    stored: UUID = rows[0].id
    return stored


@pytest.mark.parametrize(
    ("direction", "stored", "shown"),
    [
        ("inbound", "received", "received"),
        ("inbound", "read", "received"),
        ("inbound", "weird", "received"),
        ("inbound", None, None),
        ("outbound", "pending", "pending"),
        ("outbound", "sent", "sent"),
        ("outbound", "delivered", "delivered"),
        ("outbound", "read", "read"),
        ("outbound", "failed", "failed"),
        ("outbound", "received", "sent"),
        ("outbound", "deleted", "sent"),
        ("outbound", None, None),
    ],
)
async def test_front_ends_see_no_other_status_than_the_six_words(
    engine: AsyncEngine, queries: PostgresQueries, direction: str, stored: str | None, shown: str | None
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    await an_old_message(engine, conversation, direction=direction, status=stored)
    (item,) = await queries.messages(only(account), conversation, limit=100, before=None) or []
    assert (item.direction, item.status) == (direction, shown)


OLD = '{"from": "336", "id": "wamid.X", "timestamp": "1", "type": "%s", %s}'


@pytest.mark.parametrize(
    ("message_type", "section", "shown"),
    [
        ("video", '"video": {"id": "1", "caption": "Regardez"}', "Regardez"),
        ("video", '"video": {"id": "1"}', "[video]"),
        ("voice", '"voice": {"id": "1"}', "[voice]"),
        ("sticker", '"sticker": {"id": "1"}', "[sticker]"),
        ("button", '"button": {"text": "Oui", "payload": "yes"}', "Oui"),
        ("location", '"location": {"latitude": 45.7, "longitude": 4.8}', "[location] 45.7, 4.8"),
        ("location", '"location": {"latitude": 1, "longitude": 2, "name": "Gare", "address": "Lyon"}',
         "[location] Gare, Lyon"),
        ("contacts", '"contacts": [{"name": {"formatted_name": "Léa"}}, {"name": {"formatted_name": "Marc"}}]',
         "[contacts] Léa, Marc"),
        ("contacts", '"contacts": [7, {"name": "x"}]', "[contacts]"),
        ("reaction", '"reaction": {"emoji": "\U0001f44d", "message_id": "wamid.Y"}', "[reaction] \U0001f44d"),
        ("system", '"system": {"body": "Marc a changé de numéro"}', "[system] Marc a changé de numéro"),
        ("order", '"order": {"catalog_id": "1"}', "[order]"),
        ("interactive", '"interactive": {"nfm_reply": {}}', "[interactive]"),
        ("unsupported", '"errors": []', "[message non pris en charge]"),
        ("video", '"video": null', "[video]"),
        (None, '"errors": []', "[unsupported]"),
    ],
)  # fmt: skip
async def test_json_that_was_stored_as_text_reads_as_a_person_would_say_it(
    engine: AsyncEngine, queries: PostgresQueries, message_type: str | None, section: str, shown: str
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    stored = OLD % (message_type or "unsupported", section)
    await an_old_message(engine, conversation, message_type=message_type, content_text=stored)
    (item,) = await queries.messages(only(account), conversation, limit=100, before=None) or []
    assert item.content_text == (shown if message_type else "[message non pris en charge]")


@pytest.mark.parametrize(
    ("message_type", "stored"),
    [
        ("text", OLD % ("text", '"text": {}')),
        ("video", "{not json"),
        ("video", '{"a": 1}'),
        ("video", '["from"]'),
        ("video", "Bonjour"),
        ("video", '{"from": "336", "video": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("video", None),
        (None, None),
    ],
)
async def test_a_text_that_is_no_message_in_json_is_left_as_it_is(
    engine: AsyncEngine, queries: PostgresQueries, message_type: str | None, stored: str | None
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    await an_old_message(engine, conversation, message_type=message_type, content_text=stored)
    (item,) = await queries.messages(only(account), conversation, limit=100, before=None) or []
    assert item.content_text == stored


async def test_json_in_a_new_message_is_left_as_it_is(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    caption = OLD % ("video", '"video": {}')
    content = Media(kind=MediaKind.VIDEO, media_id="1", caption=caption)
    await a_message(engine, account, conversation, direction="inbound", content=content, author=Author.CONTACT)
    (item,) = await queries.messages(only(account), conversation, limit=100, before=None) or []
    assert item.content_text == caption


async def test_a_message_without_conversation_disturbs_no_list(engine: AsyncEngine, queries: PostgresQueries) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)
    await execute(engine, "insert into messages (direction, status) values ('inbound', 'received')")
    kept = await an_old_message(engine, conversation)
    shown = await queries.messages(only(account), conversation, limit=100, before=None) or []
    assert [item.id for item in shown] == [kept]
