"""Who is given the file of a message, and what is said to the others."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, an_account, execute
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.content import Media as MediaContent
from inbox.domain.content import MediaKind
from inbox.domain.errors import (
    AccountTokenMissing,
    ConversationNotFound,
    InboxError,
    MediaExpired,
    MediaMissing,
    MessageNotFound,
    Overloaded,
    PayloadTooLarge,
    PermissionDenied,
)
from inbox.domain.ids import AccountId, ConversationId, MessageId, uuid7
from inbox.kit.boundaries import forbid_open_transaction
from inbox.ports.database import Database
from inbox.services.media import Media
from member_builders import a_user
from services.rights_scene import forgetful
from statement_counts import counting


class Strict(FakeMediaSource):
    """As the real one, it refuses to call while a transaction is open."""

    def open(self, channel, media_id, *, limit):
        forbid_open_transaction()
        return super().open(channel, media_id, limit=limit)


@pytest.fixture
def source() -> FakeMediaSource:
    source = Strict()
    source.files["700"] = FakeFile(data=b"hello", mime_type="image/jpeg")
    return source


@pytest.fixture
def media(database: Database, source: FakeMediaSource) -> Media:
    return Media(database, forgetful(database), source, MemoryMediaStore(), limit=1_000)


@pytest.fixture
async def picture(engine: AsyncEngine, account: Channel, conversation: ConversationId) -> MessageId:
    return await a_picture(engine, account.account_id, conversation)


async def a_picture(engine: AsyncEngine, account: AccountId, conversation: ConversationId) -> MessageId:
    content = MediaContent(kind=MediaKind.IMAGE, media_id="700")
    message = await a_message(engine, account, conversation, content=content)
    await execute(engine, "update messages set media_id = '700' where id = :id", id=message)
    return message


async def somebody(engine: AsyncEngine, account_id: AccountId | None, *codes: Permission) -> Actor:
    grants = tuple(Grant(code=code, account_id=account_id) for code in codes)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants)


@pytest.fixture
async def reader(engine: AsyncEngine, account: Channel) -> Actor:
    return await somebody(engine, account.account_id, Permission.MESSAGES_VIEW)


async def fetched(media: Media, actor: Actor, message: MessageId) -> bytes:
    async with media.open(actor, message) as found:
        return b"".join([piece async for piece in found.chunks])


async def test_who_may_see_the_message_gets_its_file_with_the_accounts_own_channel(
    media, source, reader, picture, account
):
    assert await fetched(media, reader, picture) == b"hello"
    assert list(source.opened) == [(account.phone_number_id, "700")]


async def test_it_costs_two_statements_with_one_for_the_token(engine, media, reader, picture):
    with counting(engine) as seen:
        await fetched(media, reader, picture)
    assert len(seen) == 2


async def test_the_file_is_closed_with_the_block(media, source, reader, picture):
    async with media.open(reader, picture) as found:
        assert await anext(aiter(found.chunks))
        assert not source.closed.is_set()
    assert source.closed.is_set()


@pytest.mark.parametrize("code", [Permission.CONVERSATIONS_VIEW, Permission.MESSAGES_SEND])
async def test_who_knows_the_account_but_may_not_read_is_told_so(engine, media, source, account, picture, code):
    with pytest.raises(PermissionDenied):
        await fetched(media, await somebody(engine, account.account_id, code), picture)
    assert not source.opened


async def test_to_strangers_a_foreign_message_is_a_missing_one(engine, media, source, picture, reader):
    stranger = await somebody(engine, (await an_account(engine)).account_id, *Permission)
    for actor, message in ((stranger, picture), (reader, MessageId(uuid7()))):
        with pytest.raises(MessageNotFound):
            await fetched(media, actor, message)
    assert not source.opened


async def test_slow_readers_of_whatsapps_files_are_bounded_and_the_next_is_told_so(database, source, reader, picture):
    media = Media(database, forgetful(database), source, MemoryMediaStore(), limit=1_000, readers=2)
    async with media.open(reader, picture), media.open(reader, picture):
        with pytest.raises(Overloaded):
            await fetched(media, reader, picture)
        assert len(source.opened) == 2
    assert await fetched(media, reader, picture) == b"hello"


async def test_who_finds_nothing_takes_no_readers_place(database, source, reader, picture):
    media = Media(database, forgetful(database), source, MemoryMediaStore(), limit=1_000, readers=1)
    source.fail_next(MediaExpired())
    with pytest.raises(MediaExpired):
        await fetched(media, reader, picture)
    assert await fetched(media, reader, picture) == b"hello"


async def test_a_message_without_a_file_has_none(engine, media, account, conversation, reader):
    message = await a_message(engine, account.account_id, conversation)
    with pytest.raises(MediaMissing):
        await fetched(media, reader, message)


async def test_an_account_without_a_token_cannot_fetch(engine, media):
    account = (await an_account(engine, access_token=None)).account_id
    picture = await a_picture(engine, account, await a_conversation(engine, account))
    with pytest.raises(AccountTokenMissing):
        await fetched(media, await somebody(engine, None, Permission.MESSAGES_VIEW), picture)


@pytest.mark.parametrize("broken", ["conversation_id = null", "conversation_id = null, account_id = null"])
async def test_a_broken_row_is_named_as_one_to_those_who_may_see_everything(engine, media, source, picture, broken):
    await execute(engine, f"update messages set {broken} where id = :id", id=picture)  # noqa: S608 - ours
    with pytest.raises(ConversationNotFound):
        await fetched(media, await somebody(engine, None, Permission.MESSAGES_VIEW), picture)
    stranger = await somebody(engine, (await an_account(engine)).account_id, Permission.MESSAGES_VIEW)
    with pytest.raises(MessageNotFound):
        await fetched(media, stranger, picture)
    assert not source.opened


@pytest.mark.parametrize("error", [MediaExpired(), PayloadTooLarge()], ids=lambda error: type(error).__name__)
async def test_what_whatsapp_says_reaches_the_caller(media, source, reader, picture, error: InboxError):
    source.fail_next(error)
    with pytest.raises(type(error)) as caught:
        await fetched(media, reader, picture)
    assert caught.value is error


async def test_the_limit_is_that_of_the_settings(media, source, reader, picture):
    source.files["700"] = FakeFile(data=bytes(1_001), mime_type=None)
    with pytest.raises(PayloadTooLarge):
        await fetched(media, reader, picture)
