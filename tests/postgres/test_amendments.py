"""Edits and revokes: the message shows what they say together, the history keeps each of them."""

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, an_account, an_inbound_message, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import REVOKED_PREVIEW, Content, Media, MediaKind, Text, Unsupported
from inbox.domain.inbound import IdentityLink, InboundMessage, Source
from member_builders import EVERYWHERE
from postgres.effect_scene import CUSTOMER, PNID, TARGET, an_edit, at, empty, events, ingest, orders, shown

BSUID = "US.70010020030040050061"


@pytest.fixture
async def channel(engine: AsyncEngine) -> Channel:
    return await an_account(engine, phone_number_id=PNID)


def the_message(content: Content | None = None, number: str = PNID) -> InboundMessage:
    return an_inbound_message(number, wamid=TARGET, sender=CUSTOMER, content=content or Text(body="Bonjuor"))


def an_echo(content: Content | None = None) -> InboundMessage:
    return msgspec.structs.replace(the_message(content), source=Source.PHONE)


def read(stored: str | None) -> Content | None:
    return None if stored is None else msgspec.json.decode(stored, type=Content)


async def test_the_newest_edit_is_shown_and_the_first_content_is_kept(engine, database, channel) -> None:
    await ingest(database, the_message())
    await ingest(database, an_edit("Bonjour !", 9))
    await ingest(database, an_edit("Bonjour", 5))
    (row,) = await shown(engine)
    assert (row["content_text"], read(row["content"])) == ("Bonjour !", Text(body="Bonjour !"))
    assert (read(row["original"]), row["amended_at"], row["revoked_at"]) == (Text(body="Bonjuor"), at(9), None)
    assert len(await execute(engine, "select 1 from message_amendments")) == 2
    assert [event["change"] for event in await events(engine, "message.updated")] == ["edited"]


async def test_any_order_and_any_repetition_of_edits_leaves_the_same_message(engine, database, channel) -> None:
    items = [
        the_message(),
        an_edit("Deux", 2),
        an_edit("Trois a", 3, wamid="wamid.ed.a"),
        an_edit("Trois b", 3, wamid="wamid.ed.b"),
        an_edit("Un", 1),
    ]
    for batches in orders(items):
        await empty(engine)
        for batch in batches:
            await ingest(database, *batch)
        (row,) = await shown(engine)
        assert (row["content_text"], row["amended_at"]) == ("Trois b", at(3)), batches
        assert read(row["original"]) == Text(body="Bonjuor"), batches


async def test_any_order_of_edits_and_revokes_hides_the_content(engine, database, channel) -> None:
    photo = Media(kind=MediaKind.IMAGE, media_id="700", caption="Avant")
    items = [the_message(photo), an_edit(None, 7), an_edit(None, 4), an_edit(Text(body="Après"), 5)]
    for batches in orders(items):
        await empty(engine)
        for batch in batches:
            await ingest(database, *batch)
        (row,) = await shown(engine)
        assert (row["content_text"], row["content"], row["media_id"]) == (REVOKED_PREVIEW, None, None), batches
        assert (row["revoked_at"], row["amended_at"], read(row["original"])) == (at(4), at(5), photo), batches
        assert len(await execute(engine, "select 1 from message_amendments")) == 3


async def test_readers_of_a_revoked_message_get_neither_its_text_nor_its_file(engine, database, channel) -> None:
    await ingest(database, the_message(Media(kind=MediaKind.IMAGE, media_id="700", caption="Secret")))
    (message,) = await execute(engine, "select id, conversation_id from messages")
    await execute(
        engine,
        "update media_files set state = 'stored', size = 1, mime_type = 'image/png', sha256 = '\\x00'",
    )
    await ingest(database, an_edit(None, 4))
    queries = PostgresQueries(Reader(engine), SEALER)
    (item,) = await queries.messages(EVERYWHERE, message.conversation_id, limit=9, before=None) or []
    assert (item.content, item.content_text, item.media_id) == (None, REVOKED_PREVIEW, None)
    assert item.revoked_at is not None
    file = await queries.media(EVERYWHERE, message.id)
    assert file is not None
    assert (file.media_id, file.stored) == (None, None)


async def test_an_edited_caption_keeps_the_file(engine, database, channel) -> None:
    await ingest(database, the_message(Media(kind=MediaKind.IMAGE, media_id="700", mime_type="image/png")))
    await ingest(database, an_edit(Media(kind=MediaKind.IMAGE, media_id=None, caption="À droite")))
    (row,) = await shown(engine)
    assert (row["media_id"], row["content_text"], row["message_type"]) == ("700", "À droite", "image")


async def test_nobody_changes_what_the_other_side_wrote(engine, database, channel) -> None:
    await ingest(database, the_message())
    await ingest(database, an_edit("Faux", by_business=True), an_edit(None, 2, by="33611111111"))
    await ingest(database, msgspec.structs.replace(an_echo(), wamid="wamid.out"))
    await ingest(database, an_edit("Faux", 3, target="wamid.out"))
    rows = await shown(engine)
    assert [row["content_text"] for row in rows] == ["Bonjuor", "Bonjuor"]
    assert await events(engine, "message.updated") == []


async def test_the_owner_edits_and_revokes_what_was_written_on_the_phone(engine, database, channel) -> None:
    await ingest(database, an_edit("Mieux", 2, by_business=True))
    await ingest(database, an_echo())
    assert [row["content_text"] for row in await shown(engine)] == ["Mieux"]
    await ingest(database, an_edit(None, 3, by_business=True))
    assert [row["content_text"] for row in await shown(engine)] == [REVOKED_PREVIEW]


async def test_an_edit_of_one_account_never_touches_the_same_wamid_of_another(engine, database, channel) -> None:
    other = await an_account(engine)
    await ingest(database, the_message(), the_message(number=other.phone_number_id))
    await ingest(database, an_edit("Autre", number=other.phone_number_id))
    rows = await execute(engine, "select account_id, content_text from messages")
    assert {row.account_id: row.content_text for row in rows} == {
        channel.account_id: "Bonjuor",
        other.account_id: "Autre",
    }


async def test_a_placeholder_that_gets_its_content_late_is_amended_anew(engine, database, channel) -> None:
    items = [the_message(Unsupported(code=131060)), the_message(Text(body="Vrai")), an_edit("Corrigé", 2)]
    for batches in orders(items):
        await empty(engine)
        for batch in batches:
            await ingest(database, *batch)
        (row,) = await shown(engine)
        assert (row["content_text"], read(row["original"])) == ("Corrigé", Text(body="Vrai")), batches


async def test_an_edit_counts_as_nothing_new_and_the_bot_reads_the_new_text(engine, database, channel) -> None:
    await ingest(database, the_message())
    statement = "select unread_count, updated_at, window_expires_at, epoch from conversations"
    before = await execute(engine, statement)
    await ingest(database, an_edit("Nouveau", 90))
    assert await execute(engine, statement) == before
    (row,) = await execute(engine, "select id from conversations")
    async with database.transaction() as tx:
        (turn,) = await tx.messages.history(channel.account_id, row.id, 9)
    assert (turn.content_text, turn.content) == ("Nouveau", Text(body="Nouveau"))


async def test_an_edit_under_another_identity_counts_once_both_are_one_person(engine, database, channel) -> None:
    both = Address(wa_id=CUSTOMER, bsuid=BSUID)
    link = IdentityLink(phone_number_id=PNID, customer=both, profile_name=None, at=at(3))
    for batches in orders([the_message(), an_edit("Corrigé", 2, by=BSUID), link]):
        await empty(engine)
        for batch in batches:
            await ingest(database, *batch)
        assert [row["content_text"] for row in await shown(engine)] == ["Corrigé"], batches


async def test_a_message_of_the_existing_system_is_amended_and_keeps_its_text(engine, database, channel) -> None:
    await ingest(database, the_message())
    await execute(engine, "update messages set content = null, account_id = null, content_text = 'Ancien'")
    await ingest(database, an_edit("Nouveau"))
    (row,) = await shown(engine)
    assert row["content_text"] == "Nouveau"
    assert msgspec.json.decode(row["original"])["text"] == "Ancien"
