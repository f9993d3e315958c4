"""A customer's file is kept: once, whole, as what it is, within what WhatsApp allows."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_message, execute
from event_builders import the_log
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.accounts import Channel
from inbox.domain.content import Media as MediaContent
from inbox.domain.content import MediaKind
from inbox.domain.errors import AccountTokenMissing, InboxError, LeaseLost, MediaExpired, MediaGone, PayloadTooLarge
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.domain.work import Lane, WorkKind
from inbox.kit.boundaries import forbid_open_transaction
from inbox.ports.database import Database
from inbox.ports.media import MediaKey
from inbox.services.media_files import MediaFiles

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"


class Strict(FakeMediaSource):
    def open(self, channel, media_id, *, limit):
        forbid_open_transaction()
        return super().open(channel, media_id, limit=limit)


class Scene:
    """One account whose customers send files."""

    def __init__(self, engine: AsyncEngine, database: Database, clock, channel: Channel, conversation) -> None:
        self.engine, self.database, self.clock = engine, database, clock
        self.channel, self.conversation = channel, conversation
        self.source, self.store = Strict(), MemoryMediaStore()
        self.files = MediaFiles(database, self.source, self.store, clock, limit=1_000)

    async def a_file(self, media_id: str = "700", *, sha256: str | None = None, lives: int = 7) -> MessageId:
        content = MediaContent(kind=MediaKind.IMAGE, media_id=media_id)
        message = await a_message(self.engine, self.channel.account_id, self.conversation, content=content)
        await execute(
            self.engine,
            """insert into media_files (message_id, account_id, media_id, expected_sha256, expires_at)
               values (:id, :account, :media, :sha256, :expires)""",
            id=message,
            account=self.channel.account_id,
            media=media_id,
            sha256=sha256,
            expires=self.clock() + timedelta(days=lives),
        )
        async with self.database.transaction() as tx:
            await tx.enqueue(WorkKind.MEDIA, str(message), account_id=self.channel.account_id)
        return message

    async def work(self, message: MessageId) -> str:
        """One attempt, whenever it would be due."""
        left = await self.files.expire(await self.claim(message))
        return await self.files.work(left[0]) if left else "expired"

    async def claim(self, message: MessageId) -> list[Lane]:
        """Its lane, whoever works on it."""
        await execute(self.engine, "update lanes set due = now() + interval '1 day' where kind = 'media'")
        await execute(self.engine, "update lanes set due = now() where kind = 'media' and key = :key", key=str(message))
        lanes = await self.database.work.claim(WorkKind.MEDIA, 100)
        return [lane for lane in lanes if lane.key == str(message)]

    async def put(self, message: MessageId, content: bytes) -> None:
        async def pieces():
            yield content

        await self.store.put(MediaKey(self.channel.account_id, message), pieces(), limit=100)

    async def state(self, message: MessageId) -> tuple[str, str | None, int]:
        ((state, reason, tries),) = await execute(
            self.engine, "select state, reason, tries from media_files where message_id = :id", id=message
        )
        return state, reason, tries

    async def open_lanes(self) -> int:
        ((count,),) = await execute(self.engine, "select count(*) from lanes where kind = 'media' and ver > done")
        return count

    async def kept(self, message: MessageId) -> bytes:
        async with self.store.open(MediaKey(self.channel.account_id, message)) as body:
            return b"".join([piece async for piece in body.chunks])


@pytest.fixture
def scene(engine, database, clock, account: Channel, conversation: ConversationId) -> Scene:
    made = Scene(engine, database, clock, account, conversation)
    made.source.files["700"] = FakeFile(data=PNG, mime_type="image/jpeg")
    return made


async def test_a_file_is_stored_whole_with_the_type_that_its_bytes_have(scene: Scene) -> None:
    message = await scene.a_file(sha256=hashlib.sha256(PNG).hexdigest())
    assert await scene.work(message) == "stored"
    assert await scene.kept(message) == PNG
    ((size, mime_type, sha256),) = await execute(
        scene.engine, "select size, mime_type, sha256 from media_files where message_id = :id", id=message
    )
    assert (size, mime_type, bytes(sha256)) == (len(PNG), "image/png", hashlib.sha256(PNG).digest())
    assert await scene.open_lanes() == 0


async def test_everybody_who_looks_is_told(scene: Scene) -> None:
    message = await scene.a_file()
    await scene.work(message)
    (event,) = await the_log(scene.engine, "message.media")
    assert (event.message_id, event.media_state, event.reason) == (message, "stored", None)


async def test_a_second_attempt_at_a_stored_file_asks_nobody(scene: Scene) -> None:
    message = await scene.a_file()
    await scene.work(message)
    async with scene.database.transaction() as tx:
        await tx.enqueue(WorkKind.MEDIA, str(message), account_id=scene.channel.account_id)
    assert await scene.work(message) == "nothing_to_do"
    assert len(scene.source.opened) == 1


@pytest.mark.parametrize("error", [WhatsAppUnavailable(), WhatsAppTimeout(), WhatsAppError(), AccountTokenMissing()])
async def test_what_may_pass_is_tried_again_later(scene: Scene, error: InboxError) -> None:
    message = await scene.a_file()
    scene.source.fail_next(error)
    assert await scene.work(message) == error.code
    assert await scene.state(message) == ("pending", error.code, 1)
    assert await scene.open_lanes() == 1
    assert await scene.work(message) == "stored"


@pytest.mark.parametrize(
    ("error", "state"), [(MediaExpired(), "expired"), (MediaGone(), "expired"), (PayloadTooLarge(), "refused")]
)
async def test_what_never_passes_is_given_up_with_its_reason(scene: Scene, error: InboxError, state: str) -> None:
    message = await scene.a_file()
    scene.source.fail_next(error)
    assert await scene.work(message) == state
    assert await scene.state(message) == (state, error.code, 1)
    assert await scene.open_lanes() == 0


async def test_a_file_that_breaks_off_leaves_nothing_and_comes_again(scene: Scene) -> None:
    scene.source.files["700"] = FakeFile(data=PNG, mime_type="image/png", breaks=WhatsAppError())
    message = await scene.a_file()
    assert await scene.work(message) == "whatsapp_api_error"
    with pytest.raises(MediaGone):
        await scene.kept(message)
    scene.source.files["700"] = FakeFile(data=PNG, mime_type="image/png")
    assert await scene.work(message) == "stored"


async def test_a_file_that_is_not_the_announced_one_is_not_kept(scene: Scene) -> None:
    message = await scene.a_file(sha256=hashlib.sha256(b"another").hexdigest())
    for tries in (1, 2):
        assert await scene.work(message) == "sha256_mismatch"
        assert await scene.state(message) == ("pending", "sha256_mismatch", tries)
        with pytest.raises(MediaGone):
            await scene.kept(message)
    assert await scene.work(message) == "refused"
    assert await scene.open_lanes() == 0


async def test_an_id_that_whatsapp_has_forgotten_by_now_is_not_asked_for(scene: Scene) -> None:
    message = await scene.a_file(lives=0)
    assert await scene.work(message) == "expired"
    assert not scene.source.opened


async def test_ids_that_whatsapp_has_forgotten_are_given_up_together(scene: Scene) -> None:
    gone = {await scene.a_file(lives=0), await scene.a_file(lives=0)}
    there = await scene.a_file()
    lanes = await scene.database.work.claim(WorkKind.MEDIA, 100)
    assert [lane.key for lane in await scene.files.expire(lanes)] == [str(there)]
    assert {await scene.state(message) for message in gone} == {("expired", "id_expired", 1)}
    assert await scene.state(there) == ("pending", None, 0)
    assert {event.message_id for event in await the_log(scene.engine, "message.media")} == set(gone)
    assert await scene.open_lanes() == 1


async def test_what_a_worker_stored_before_it_died_is_taken_as_it_is(scene: Scene) -> None:
    message = await scene.a_file()
    await scene.put(message, PNG)
    assert await scene.work(message) == "stored"
    assert await scene.kept(message) == PNG
    (row,) = await execute(scene.engine, "select size, mime_type, sha256 from media_files")
    assert tuple(row) == (len(PNG), "image/png", hashlib.sha256(PNG).digest())


async def test_what_a_dead_worker_stored_is_fetched_anew_if_it_is_another_file(scene: Scene) -> None:
    message = await scene.a_file()
    await scene.put(message, b"what the dead one wrote")
    assert await scene.work(message) == "sha256_mismatch"
    assert await scene.work(message) == "stored"
    assert await scene.kept(message) == PNG


async def test_a_worker_that_comes_too_late_leaves_the_file_of_the_quicker_one(scene: Scene) -> None:
    message = await scene.a_file()
    (late,) = await scene.claim(message)
    assert await scene.work(message) == "stored"
    await execute(scene.engine, "update media_files set state = 'pending'")  # as the late one had read it
    with pytest.raises(LeaseLost):
        await scene.files.work(late)
    assert await scene.kept(message) == PNG


async def test_a_file_of_an_account_whose_token_cannot_be_read_waits_with_the_reason(scene: Scene) -> None:
    message = await scene.a_file()
    await execute(scene.engine, "update whatsapp_accounts set access_token_sealed = access_token_sealed || '!'")
    assert await scene.work(message) == "secret_unreadable"
    assert await scene.state(message) == ("pending", "secret_unreadable", 1)


async def test_no_number_makes_more_failing_calls_than_whatsapp_bears(scene: Scene) -> None:
    messages = [await scene.a_file(f"lost-{number}") for number in range(16)]
    for message in messages[:15]:
        assert await scene.work(message) == "expired"
    assert await scene.work(messages[15]) == "waits"
    assert len(scene.source.opened) == 15
    await execute(scene.engine, "update media_failures set at = at - interval '1 hour'")
    assert await scene.work(messages[15]) == "expired"


async def test_an_outage_is_no_failing_call_of_the_number(scene: Scene) -> None:
    message = await scene.a_file()
    for _ in range(20):
        scene.source.fail_next(WhatsAppUnavailable())
        assert await scene.work(message) == "whatsapp_unavailable"
    assert await scene.work(message) == "stored"
