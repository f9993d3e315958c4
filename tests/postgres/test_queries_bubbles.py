"""What few messages have beside their text: an answer to another one, a file, an advertisement, reactions."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, SEALER, a_conversation, a_message, an_account, an_inbound_message, execute
from inbox.adapters.database.postgres import queries as module
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.accounts import Channel
from inbox.domain.content import Location, Media, MediaKind
from inbox.domain.ids import uuid7
from inbox.domain.inbound import Referral, Surroundings
from inbox.kit.paging import format_time
from inbox.ports.views import MessageItem, MoreOfMessage
from member_builders import EVERYWHERE
from postgres.effect_scene import CUSTOMER, PNID, a_reaction, an_edit, at, ingest


@pytest.fixture
async def channel(engine: AsyncEngine) -> Channel:
    return await an_account(engine, phone_number_id=PNID)


async def bubbles(engine: AsyncEngine) -> list[MessageItem]:
    """Of the only conversation, oldest first."""
    (conversation,) = await execute(engine, "select id from conversations")
    queries = PostgresQueries(Reader(engine), SEALER)
    return await queries.messages(EVERYWHERE, conversation.id, limit=100, before=None) or []


async def test_a_message_has_its_columns_in_order_and_then_what_few_have(engine: AsyncEngine) -> None:
    values = {"limit": 1, "at": NOON, "id": uuid7(), "everywhere": False, "accounts": [], "conversation_id": uuid7()}
    async with engine.connect() as connection:
        found = await connection.execute(module.MESSAGES, values)
    few = MoreOfMessage.__struct_fields__
    assert MessageItem.__struct_fields__[-len(few) :] == few
    assert tuple(found.keys()) == (*MessageItem.__struct_fields__[: -len(few)], "more", "is_old")


async def test_an_answer_names_the_message_it_is_about(engine, database, channel) -> None:
    question = an_inbound_message(PNID, sender=CUSTOMER, wamid="wamid.in.1")
    known = an_inbound_message(PNID, sender=CUSTOMER, sent_at=at(1), reply_to_wamid="wamid.in.1")
    unknown = an_inbound_message(PNID, sender=CUSTOMER, sent_at=at(2), reply_to_wamid="wamid.never")
    await ingest(database, question, known, unknown)
    first, second, third = await bubbles(engine)
    assert (first.reply_to_wamid, first.reply_to_message_id) == (None, None)
    assert (second.reply_to_wamid, second.reply_to_message_id) == ("wamid.in.1", first.id)
    assert (second.context, second.reactions, second.media_state) == (None, (), None)
    assert (third.reply_to_wamid, third.reply_to_message_id) == ("wamid.never", None)


async def test_an_answer_never_points_into_another_conversation(engine, database, channel) -> None:
    other = await an_account(engine)
    theirs = await a_conversation(engine, other.account_id)
    await a_message(engine, other.account_id, theirs, wamid="wamid.of.others")
    mine = await a_conversation(engine, channel.account_id)
    await a_message(engine, channel.account_id, mine)
    await execute(engine, "update messages set reply_to_wamid = 'wamid.of.others' where wa_message_id is null")
    queries = PostgresQueries(Reader(engine), SEALER)
    (item,) = await queries.messages(EVERYWHERE, mine, limit=9, before=None) or []
    assert (item.reply_to_wamid, item.reply_to_message_id) == ("wamid.of.others", None)


async def test_content_comes_typed_and_what_came_with_it_without_the_key_of_the_device(
    engine, database, channel
) -> None:
    surroundings = Surroundings(forwarded=True, referral=Referral(source_id="ad-1"), identity_key_hash="secret")
    place = Location(latitude=45.76, longitude=4.83, name="Atelier")
    message = an_inbound_message(PNID, sender=CUSTOMER, content=place)
    await ingest(database, msgspec.structs.replace(message, surroundings=surroundings))
    (item,) = await bubbles(engine)
    assert item.content is not None
    assert msgspec.json.decode(item.content)["type"] == "location"
    assert msgspec.json.decode(item.content, type=Location) == place
    assert item.context is not None
    context = msgspec.json.decode(item.context)
    assert (context["forwarded"], context["referral"]["source_id"]) == (True, "ad-1")
    assert "identity_key_hash" not in context


async def test_the_state_of_a_file_is_shown_with_its_message(engine, database, channel) -> None:
    photo = Media(kind=MediaKind.IMAGE, media_id="700")
    await ingest(database, an_inbound_message(PNID, sender=CUSTOMER, content=photo))
    assert [item.media_state for item in await bubbles(engine)] == ["pending"]
    await execute(engine, "update media_files set state = 'expired'")
    assert [item.media_state for item in await bubbles(engine)] == ["expired"]


async def test_when_a_message_was_edited_and_taken_back_is_shown(engine, database, channel) -> None:
    await ingest(database, an_inbound_message(PNID, sender=CUSTOMER, wamid="wamid.in.1"))
    await ingest(database, an_edit("Non", 3, target="wamid.in.1"), an_edit(None, 5, target="wamid.in.1"))
    (item,) = await bubbles(engine)
    assert (item.edited_at, item.revoked_at) == (format_time(at(3)), format_time(at(5)))


async def test_what_few_have_comes_with_the_rows_of_a_page_only(engine, database, channel) -> None:
    messages = [
        an_inbound_message(PNID, sender=CUSTOMER, wamid=f"wamid.in.{n}", sent_at=NOON + timedelta(seconds=n))
        for n in range(4)
    ]
    await ingest(database, *messages, *(a_reaction("👍", 9, target=one.wamid) for one in messages))
    (conversation,) = await execute(engine, "select id from conversations")
    queries = PostgresQueries(Reader(engine), SEALER)
    page = await queries.messages(EVERYWHERE, conversation.id, limit=2, before=None) or []
    assert [item.wa_message_id for item in page] == ["wamid.in.2", "wamid.in.3"]
    assert [len(item.reactions) for item in page] == [1, 1]


async def test_how_long_a_conversation_is_free_of_charge_is_shown(engine, database, channel) -> None:
    await ingest(database, an_inbound_message(PNID, sender=CUSTOMER))
    await execute(engine, "update conversations set free_entry_until = :at", at=at(60))
    queries = PostgresQueries(Reader(engine), SEALER)
    (item,) = await queries.conversations(channel.account_id, limit=9, before=None)
    assert item.free_entry_until == format_time(at(60))
