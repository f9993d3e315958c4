"""Uploads go to WhatsApp before their message: once as long as it has them, and never at the price of a second send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_queued_message, an_account, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.messaging.fake import FakeSender
from inbox.adapters.messaging.fake_uploads import FakeUploader
from inbox.domain.access import Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import DatabaseUnavailable, InboxError, MediaUnavailable
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.outbound import State
from inbox.domain.outgoing import Sendable
from inbox.domain.outgoing_files import Document, Image, TemplateFile, Voice
from inbox.domain.outgoing_interactive import Buttons, ImageHeader, ReplyButton
from inbox.domain.outgoing_template import DocumentParameter, HeaderComponent, TemplateMessage
from inbox.domain.uploads import UploadKind
from inbox.domain.upstream_errors import AccountProblem, NothingSent, OutcomeUnknown, Refused, TryLater
from inbox.domain.work import WorkKind
from inbox.kit.boundaries import forbid_open_transaction
from inbox.ports.database import Database
from inbox.ports.media import MediaKey, Span
from inbox.services.handing_over import HandingOver
from inbox.services.outbound import Outbound
from inbox.services.uploads import GivenFile, Uploads
from sample_files import PDF, PNG, opus
from services.conftest import Clock
from services.rights_scene import forgetful
from services.scenes import claimed
from services.test_uploads import an_actor, chunks


class Strict(FakeUploader):
    """As the real one, it refuses to call while a transaction is open."""

    async def upload(self, channel, file):
        forbid_open_transaction()
        return await super().upload(channel, file)


class Breaking(MemoryMediaStore):
    """Gives the beginning of a file and then fails, if told so."""

    breaks: InboxError | None = None

    @asynccontextmanager
    async def open(self, key: MediaKey, span: Span | None = None):
        async with super().open(key, span) as body:
            yield body if self.breaks is None else type(body)(size=body.size, chunks=self._some(body.chunks))

    async def _some(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield (await anext(aiter(pieces)))[:3]
        assert self.breaks is not None
        raise self.breaks


class Scene:
    def __init__(self, engine: AsyncEngine, database: Database, clock: Clock, account: Channel) -> None:
        self.engine, self.database, self.clock, self.account = engine, database, clock, account
        self.store, self.uploader, self.sender = Breaking(), Strict(), FakeSender()
        self.files = HandingOver(database, self.uploader, self.store, clock)
        self.outbound = Outbound(database, forgetful(database), self.sender, MemoryEvents(), clock, self.files)

    async def an_upload(self, data: bytes = PNG, kind: str = "image", name: str | None = None, claim: str = "") -> UUID:
        uploads = Uploads(self.database, forgetful(self.database), self.store, within=30)
        agent = an_actor(self.account.account_id, Permission.MESSAGES_SEND)
        file = GivenFile(name=name, mime_type=claim or "image/png", chunks=chunks(data))
        return UUID((await uploads.take(agent, self.account.account_id, UploadKind(kind), file)).id)

    async def queued(self, content: Sendable, conversation: ConversationId | None = None) -> MessageId:
        conversation = conversation or await a_conversation(self.engine, self.account.account_id)
        return await a_queued_message(self.engine, self.account.account_id, conversation, content=content)

    async def deliver(self) -> State:
        """One attempt at the one message that waits."""
        await execute(self.engine, "update lanes set due = now() where ver > done")
        await execute(self.engine, "update outbox set not_before = null")
        lane = await claimed(self.database, WorkKind.SEND)
        (taken,) = await self.database.outbox.take_heads([lane])
        assert taken.head is not None
        return await self.outbound.deliver(taken.head, lane)

    async def row(self, message: MessageId):
        (row,) = await execute(
            self.engine,
            """select o.state, o.attempt, o.reason, m.status, m.error_code, m.error_message
               from outbox o join messages m on m.id = o.id where o.id = :id""",
            id=message,
        )
        return row


@pytest.fixture
def scene(engine, database, clock, account: Channel) -> Scene:
    return Scene(engine, database, clock, account)


async def test_a_message_is_sent_with_whatsapps_id_of_its_file(scene: Scene) -> None:
    upload = await scene.an_upload()
    await scene.queued(Image(upload_id=upload, caption="Le vélo"))
    assert await scene.deliver() is State.ACCEPTED
    (given,) = scene.uploader.given
    assert (given.data, given.mime_type, given.size) == (PNG, "image/png", len(PNG))
    assert given.phone_number_id == scene.account.phone_number_id
    (sent,) = scene.sender.sent
    assert sent.content == Image(media_id=given.media_id, caption="Le vélo")


async def test_a_document_bears_the_name_that_it_was_uploaded_under_unless_the_message_says_another(
    scene: Scene,
) -> None:
    upload = await scene.an_upload(PDF, "document", "Devis 12.pdf", "application/pdf")
    for content in (Document(upload_id=upload), Document(upload_id=upload, filename="Offre.pdf")):
        await scene.queued(content)
        await scene.deliver()
    assert [sent.content.filename for sent in scene.sender.sent if isinstance(sent.content, Document)] == [
        "Devis 12.pdf",
        "Offre.pdf",
    ]


async def test_files_in_headers_of_messages_and_templates_go_the_same_way(scene: Scene) -> None:
    picture = await scene.an_upload()
    paper = await scene.an_upload(PDF, "document", None, "application/pdf")
    header = HeaderComponent(parameters=(DocumentParameter(document=TemplateFile(upload_id=paper)),))
    buttons = Buttons(body="?", buttons=(ReplyButton(id="a", title="A"),), header=ImageHeader(upload_id=picture))
    for content in (buttons, TemplateMessage(name="ready", language="fr", components=(header,))):
        await scene.queued(content)
        assert await scene.deliver() is State.ACCEPTED
    first, second = [sent.content for sent in scene.sender.sent]
    given = {file.mime_type: file.media_id for file in scene.uploader.given}
    assert first == Buttons(
        body="?", buttons=(ReplyButton(id="a", title="A"),), header=ImageHeader(media_id=given["image/png"])
    )
    assert isinstance(second, TemplateMessage)
    assert second.components == (
        HeaderComponent(parameters=(DocumentParameter(document=TemplateFile(media_id=given["application/pdf"])),)),
    )


async def test_whatsapp_gets_a_file_once_for_many_messages(scene: Scene) -> None:
    upload = await scene.an_upload()
    for _ in range(3):
        await scene.queued(Image(upload_id=upload))
        await scene.deliver()
    assert len(scene.uploader.given) == 1
    assert len(scene.sender.sent) == 3


async def test_whatsapp_gets_a_file_once_for_messages_of_one_moment(scene: Scene) -> None:
    upload = await scene.an_upload()
    for _ in range(5):
        await scene.queued(Image(upload_id=upload))
    lanes = await scene.database.work.claim(WorkKind.SEND, 5)
    heads = [(taken.head, taken.lane) for taken in await scene.database.outbox.take_heads(lanes)]
    states = await asyncio.gather(*(scene.outbound.deliver(head, lane) for head, lane in heads if head is not None))
    assert states == [State.ACCEPTED] * 5
    assert len(scene.uploader.given) == 1


async def test_a_message_does_not_wait_for_long_while_another_one_gives_the_same_file(scene: Scene) -> None:
    upload, go_on, begun = await scene.an_upload(), asyncio.Event(), asyncio.Event()

    class Hanging(Strict):
        async def upload(self, channel, file):
            begun.set()
            await go_on.wait()
            return await super().upload(channel, file)

    hanging = Hanging()
    files = HandingOver(scene.database, hanging, scene.store, scene.clock)
    scene.outbound = Outbound(
        scene.database, forgetful(scene.database), scene.sender, MemoryEvents(), scene.clock, files
    )
    for _ in range(2):
        await scene.queued(Image(upload_id=upload))
    lanes = await scene.database.work.claim(WorkKind.SEND, 2)
    one, other = [(taken.head, taken.lane) for taken in await scene.database.outbox.take_heads(lanes)]
    assert one[0] is not None
    assert other[0] is not None
    first = asyncio.create_task(scene.outbound.deliver(one[0], one[1]))
    async with asyncio.timeout(20):
        await begun.wait()
        assert await scene.outbound.deliver(other[0], other[1]) is State.QUEUED
    go_on.set()
    assert await first is State.ACCEPTED
    assert await scene.deliver() is State.ACCEPTED
    assert (len(hanging.given), len(scene.sender.sent)) == (1, 2)


async def test_whatsapp_gets_it_again_when_it_has_it_no_longer(scene: Scene) -> None:
    upload = await scene.an_upload()
    await scene.queued(Image(upload_id=upload))
    await scene.deliver()
    scene.clock.forward(days=28)
    await scene.queued(TemplateMessage(name="x", language="fr", components=_shows(upload)))
    await scene.deliver()
    assert len(scene.uploader.given) == 1
    scene.clock.forward(days=2)
    await scene.queued(TemplateMessage(name="x", language="fr", components=_shows(upload)))
    await scene.deliver()
    assert len(scene.uploader.given) == 2


def _shows(upload: UUID):
    return (HeaderComponent(parameters=(DocumentParameter(document=TemplateFile(upload_id=upload)),)),)


async def test_another_number_of_the_account_gets_a_file_of_its_own(scene: Scene) -> None:
    upload = await scene.an_upload()
    await scene.queued(Image(upload_id=upload))
    await scene.deliver()
    await execute(scene.engine, "update whatsapp_accounts set phone_number_id = phone_number_id || '7'")
    await scene.queued(Image(upload_id=upload))
    await scene.deliver()
    assert len({given.phone_number_id for given in scene.uploader.given}) == 2


async def test_a_file_that_whatsapp_refuses_fails_its_message_with_the_reason(scene: Scene) -> None:
    message = await scene.queued(Voice(upload_id=await scene.an_upload(opus(), "voice", None, "audio/ogg")))
    scene.uploader.fail_next(Refused("Media upload error", graph_code=131053))
    assert await scene.deliver() is State.FAILED
    row = await scene.row(message)
    assert (row.state, row.status, row.error_code, row.attempt) == ("failed", "failed", 131053, 0)
    assert "Media upload error" in row.error_message
    assert not scene.sender.sent
    assert await execute(scene.engine, "select 1 from lanes where ver > done") == []


async def test_a_token_that_whatsapp_refuses_pauses_the_account_and_burns_nothing(scene: Scene) -> None:
    message = await scene.queued(Image(upload_id=await scene.an_upload()))
    scene.uploader.fail_next(AccountProblem("The token is over.", graph_code=190))
    assert await scene.deliver() is State.QUEUED
    ((reason,),) = await execute(scene.engine, "select paused_reason from whatsapp_accounts")
    assert reason == "The token is over."
    assert (await scene.row(message)).state == "queued"


@pytest.mark.parametrize(
    "error",
    [NothingSent(), NothingSent(retry_after=20), TryLater("number"), TryLater("service"), DatabaseUnavailable()],
)
async def test_whatever_may_pass_gives_the_message_back(scene: Scene, error: InboxError) -> None:
    message = await scene.queued(Image(upload_id=await scene.an_upload()))
    scene.uploader.fail_next(error)
    assert await scene.deliver() is State.QUEUED
    row = await scene.row(message)
    assert (row.state, row.attempt, row.error_code) == ("queued", 0, None)
    assert not scene.sender.sent
    assert await scene.deliver() is State.ACCEPTED
    assert len(scene.sender.sent) == 1


async def test_a_send_that_is_given_back_behind_the_file_does_not_give_it_again(scene: Scene) -> None:
    await scene.queued(Image(upload_id=await scene.an_upload()))
    scene.sender.fail_next(TryLater("number"))
    assert await scene.deliver() is State.QUEUED
    assert await scene.deliver() is State.ACCEPTED
    assert len(scene.uploader.given) == 1


async def test_what_may_have_been_sent_is_not_sent_again_with_a_file_either(scene: Scene) -> None:
    message = await scene.queued(Image(upload_id=await scene.an_upload()))
    scene.sender.fail_next(OutcomeUnknown(), accepted=True)
    assert await scene.deliver() is State.UNKNOWN
    assert (await scene.row(message)).state == "unknown"
    assert len(scene.sender.sent) == 1


async def test_a_message_that_whatsapp_refused_gives_its_file_anew_when_a_person_sends_it_again(scene: Scene) -> None:
    message = await scene.queued(Image(upload_id=await scene.an_upload()))
    scene.sender.fail_next(Refused("not a valid media id", graph_code=100))
    assert await scene.deliver() is State.FAILED
    await execute(scene.engine, "update outbox set state = 'queued' where id = :id", id=message)
    await execute(scene.engine, "update lanes set ver = ver + 1")
    assert await scene.deliver() is State.ACCEPTED
    assert len(scene.uploader.given) == 2


async def test_a_store_that_breaks_off_in_the_middle_gives_the_message_back(scene: Scene) -> None:
    await scene.queued(Image(upload_id=await scene.an_upload()))
    scene.store.breaks = MediaUnavailable()
    assert await scene.deliver() is State.QUEUED
    assert not scene.uploader.given
    scene.store.breaks = None
    assert await scene.deliver() is State.ACCEPTED


async def test_a_file_that_the_store_has_lost_fails_its_message(scene: Scene) -> None:
    upload = await scene.an_upload()
    message = await scene.queued(Image(upload_id=upload))
    await scene.store.delete(MediaKey(scene.account.account_id, upload))
    assert await scene.deliver() is State.FAILED
    assert "not in the media store" in (await scene.row(message)).error_message


async def test_an_upload_of_another_account_is_never_given_away(scene: Scene) -> None:
    upload = await scene.an_upload()
    other = await an_account(scene.engine)
    conversation = await a_conversation(scene.engine, other.account_id)
    message = await a_queued_message(scene.engine, other.account_id, conversation, content=Image(upload_id=upload))
    assert await scene.deliver() is State.FAILED
    assert (await scene.row(message)).state == "failed"
    assert not scene.uploader.given


async def test_a_process_that_stops_while_a_file_goes_out_leaves_the_message_to_the_next(scene: Scene) -> None:
    message = await scene.queued(Image(upload_id=await scene.an_upload()))
    begun = asyncio.Event()

    class Hanging(Strict):
        async def upload(self, channel, file):
            begun.set()
            await asyncio.Event().wait()

    stuck = HandingOver(scene.database, Hanging(), scene.store, scene.clock)
    scene.outbound = Outbound(
        scene.database, forgetful(scene.database), scene.sender, MemoryEvents(), scene.clock, stuck
    )
    task = asyncio.create_task(scene.deliver())
    async with asyncio.timeout(20):
        await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await scene.row(message)
    assert (row.state, row.attempt) == ("queued", 0)
    assert not scene.sender.sent


async def test_a_file_that_takes_too_long_costs_a_round_and_no_second_message(scene: Scene) -> None:
    message = await scene.queued(Image(upload_id=await scene.an_upload()))

    class Slow(Strict):
        async def upload(self, channel, file):
            media_id = await super().upload(channel, file)
            await scene.database.outbox.reap(datetime.now(UTC) + timedelta(seconds=151))
            return media_id

    slow = Slow()
    files = HandingOver(scene.database, slow, scene.store, scene.clock)
    scene.outbound = Outbound(
        scene.database, forgetful(scene.database), scene.sender, MemoryEvents(), scene.clock, files
    )
    assert await scene.deliver() is State.QUEUED
    assert not scene.sender.sent
    assert await scene.deliver() is State.ACCEPTED
    assert (await scene.row(message)).state == "accepted"
    assert (len(slow.given), len(scene.sender.sent)) == (1, 1)
