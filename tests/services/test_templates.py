"""Templates of an account: read from WhatsApp, written there, and kept as WhatsApp last said."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, an_account, execute
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.messaging.fake_templates import FakeTemplateSource
from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import AccountNotFound, Invalid, PayloadTooLarge, PermissionDenied, WhatsAppNotConfigured
from inbox.domain.ids import uuid7
from inbox.domain.template_drafts import TemplateDraft, TemplateEdit
from inbox.domain.template_errors import TemplateExists, TemplateNotEditable, TemplateNotFound
from inbox.domain.templates import TemplateNews
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppUnavailable
from inbox.ports.database import Database
from inbox.ports.media import MediaKey
from inbox.ports.templates import TemplateFilter
from inbox.services.templates import Templates
from services.conftest import Clock
from services.rights_scene import forgetful
from services.team_scene import somebody, trail
from template_builders import WABA, a_sync, a_template, known, with_waba

HOURS = timedelta(hours=6)
BODY = {"type": "BODY", "text": "Bonjour {{1}}, votre vélo est prêt.", "example": {"body_text": [["Léa"]]}}


@pytest.fixture
async def channel(engine: AsyncEngine) -> Channel:
    return await with_waba(engine)


@pytest.fixture
def source() -> FakeTemplateSource:
    return FakeTemplateSource(most=2)


@pytest.fixture
def store() -> MemoryMediaStore:
    return MemoryMediaStore()


@pytest.fixture
def service(database: Database, source: FakeTemplateSource, store: MemoryMediaStore, clock: Clock) -> Templates:
    return Templates(database, forgetful(database), source, store, clock, every=HOURS)


@pytest.fixture
async def ana(engine: AsyncEngine) -> Actor:
    return await somebody(engine, Permission.SETTINGS_MANAGE, Permission.MESSAGES_VIEW)


def a_draft(**changes):
    raw = {"name": "velo_pret", "language": "fr", "category": "UTILITY", "components": [BODY], **changes}
    return msgspec.convert(raw, TemplateDraft)


async def statuses(engine: AsyncEngine) -> dict[str, str | None]:
    return {row["name"]: row["status"] for row in await known(engine)}


# --- reading ----------------------------------------------------------------------------------------------------------


async def test_a_list_is_read_to_its_end_and_what_it_lacks_is_gone(engine, service, source, channel, ana) -> None:
    await a_template(engine, channel, "gone")
    for name in ("one", "two", "three"):
        source.put(WABA, name)
    synced = await service.sync(ana, channel.account_id)
    assert (synced.templates, list(source.listed)) == (3, [None, "2"])
    assert await statuses(engine) == {"gone": "DELETED", "one": "APPROVED", "three": "APPROVED", "two": "APPROVED"}
    rows = await service.list_of(ana, channel.account_id, TemplateFilter(), limit=9, before=None)
    assert {row.name for row in rows} == {"one", "two", "three"}
    assert json.loads(bytes(rows[0].components)) == [{"type": "BODY", "text": "Bonjour"}]


async def test_a_list_that_breaks_off_takes_nothing_away(engine, service, source, channel, ana) -> None:
    await a_template(engine, channel, "stays")
    source.fail_next(WhatsAppUnavailable())
    with pytest.raises(WhatsAppUnavailable):
        await service.sync(ana, channel.account_id)
    assert await statuses(engine) == {"stays": "APPROVED"}


async def test_a_list_without_an_end_is_given_up(engine, service, source, channel, ana) -> None:
    await a_template(engine, channel, "stays")
    for number in range(201):
        source.put(WABA, f"name_{number}")
    with pytest.raises(WhatsAppError):
        await service.sync(ana, channel.account_id)
    assert (await statuses(engine))["stays"] == "APPROVED"


async def test_a_webhook_of_the_last_seconds_beats_the_list(engine, service, source, channel, ana, clock) -> None:
    await a_template(engine, channel, "velo_pret", status="PAUSED", at=clock() - timedelta(seconds=3))
    source.put(WABA, "velo_pret")
    await service.sync(ana, channel.account_id)
    assert await statuses(engine) == {"velo_pret": "PAUSED"}
    clock.forward(minutes=1)
    await service.sync(ana, channel.account_id)
    assert await statuses(engine) == {"velo_pret": "APPROVED"}


async def test_lists_that_are_due_are_read_by_themselves_and_not_again(engine, service, source, channel) -> None:
    more = [await with_waba(engine, str(number)) for number in range(6)]
    for one in (channel, *more):
        source.put(one.waba_id or "", "hello")
    assert await service.refresh() == 7
    assert await service.refresh() == 0
    assert len(await known(engine)) == 7


async def test_a_list_that_cannot_be_read_waits_longer_each_time_and_stops_no_other(
    engine, service, source, channel
) -> None:
    other = await with_waba(engine, "999")
    source.put("999", "hello")
    await a_sync(engine, channel, due_in=-HOURS)
    await a_sync(engine, other, due_in=timedelta(hours=-1))
    waits = []
    for _ in range(3):
        source.fail_next(WhatsAppError())
        await service.refresh()
        (row,) = await execute(
            engine,
            "select failures, due_at - now() as wait from template_syncs where account_id = :id",
            id=channel.account_id,
        )
        waits.append((row.failures, round(row.wait.total_seconds() / 60)))
        await execute(engine, "update template_syncs set due_at = now() where account_id = :id", id=channel.account_id)
    assert waits == [(1, 10), (2, 20), (3, 40)]
    assert [row["account_id"] for row in await known(engine)] == [other.account_id]


async def test_nothing_is_read_by_itself_if_nobody_wants_it(database, source, store, clock, channel) -> None:
    never = Templates(database, forgetful(database), source, store, clock, every=None)
    assert await never.refresh() == 0
    assert list(source.listed) == []


async def test_a_conversation_is_offered_what_is_approved_and_not_of_the_machine(
    engine, service, source, channel, ana
) -> None:
    conversation = await a_conversation(engine, channel.account_id)
    for name in ("velo_pret", "hello_world", "auto_bonjour_1"):
        source.put(WABA, name)
    source.put(WABA, "refused", status="REJECTED")
    rows = await service.offered(ana, conversation)
    assert rows is not None
    assert [row.name for row in rows] == ["velo_pret"]
    listed = len(source.listed)
    assert await service.offered(ana, conversation) == rows
    assert len(source.listed) == listed  # read once


async def test_an_account_that_is_not_set_up_offers_nothing(engine, service, ana) -> None:
    conversation = await a_conversation(engine, (await an_account(engine)).account_id)
    assert await service.offered(ana, conversation) is None


async def test_a_preview_shows_the_values(engine, service, channel, ana) -> None:
    template = await a_template(engine, channel)
    bare = await a_template(engine, channel, "bare", components=None)
    shown = await service.preview(ana, channel.account_id, template, [])
    assert (shown.body, shown.missing) == ("Bonjour {{1}}, votre vélo est prêt.", ("body.1",))
    with pytest.raises(TemplateNotFound):
        await service.preview(ana, channel.account_id, bare, [])


# --- writing ----------------------------------------------------------------------------------------------------------


async def test_a_new_template_is_there_at_once_and_in_the_trail(engine, service, source, channel, ana) -> None:
    row = await service.create(ana, channel.account_id, a_draft())
    assert (row.name, row.status, row.category, row.parameter_format) == (
        "velo_pret",
        "PENDING",
        "UTILITY",
        "POSITIONAL",
    )
    assert json.loads(bytes(row.components)) == [BODY]
    assert [one.meta_id for one in source.templates[WABA]] == [row.meta_id]
    (line,) = await execute(engine, "select * from audit_entries")
    assert (line.action, line.actor_id, line.target) == ("template.created", ana.user_id, str(row.id))
    assert line.account_id == channel.account_id


async def test_what_is_wrong_never_reaches_whatsapp(service, source, channel, ana) -> None:
    with pytest.raises(Invalid):
        await service.create(ana, channel.account_id, a_draft(components=[{"type": "BODY", "text": "{{1}}"}]))
    assert source.templates == {}


async def test_what_whatsapp_refuses_leaves_no_trace(engine, service, source, channel, ana) -> None:
    source.put(WABA, "velo_pret")
    with pytest.raises(TemplateExists):
        await service.create(ana, channel.account_id, a_draft())
    assert await known(engine) == []
    assert await trail(engine) == []


async def test_an_edit_is_pending_and_a_list_that_is_older_changes_nothing(
    engine, service, source, channel, ana, clock
) -> None:
    source.put(WABA, "velo_pret")
    await service.sync(ana, channel.account_id)
    (before,) = await service.list_of(ana, channel.account_id, TemplateFilter(), limit=9, before=None)
    row = await service.edit(ana, channel.account_id, before.id, TemplateEdit(components=a_draft().components))
    assert (row.id, row.status, json.loads(bytes(row.components))) == (before.id, "PENDING", [BODY])
    source.templates[WABA][0].status = "APPROVED"
    clock.forward(seconds=-5)
    await service.sync(ana, channel.account_id)
    assert await statuses(engine) == {"velo_pret": "PENDING"}
    assert [line.action for line in await execute(engine, "select action from audit_entries")] == ["template.changed"]


@pytest.mark.parametrize("behind", [0, 5])
async def test_an_approval_counts_although_its_clock_is_behind_and_knows_whole_seconds(
    engine, database, service, source, channel, ana, clock, behind
) -> None:
    row = await service.create(ana, channel.account_id, a_draft())
    for status in ("APPROVED", "PAUSED"):
        at = clock().replace(microsecond=0) - timedelta(seconds=behind)
        news = TemplateNews(name="velo_pret", language="fr", at=at, status=status)
        async with database.transaction() as tx:
            await tx.templates.tell(channel.account_id, WABA, [news])
        assert await statuses(engine) == {"velo_pret": status}
        clock.forward(minutes=1)
        source.templates[WABA][0].status = status
        await service.edit(ana, channel.account_id, row.id, TemplateEdit(components=a_draft().components))
        assert await statuses(engine) == {"velo_pret": "PENDING"}


async def test_a_change_counts_although_there_was_news_a_moment_ago(
    engine, service, source, channel, ana, clock
) -> None:
    there = source.put(WABA, "velo_pret")
    template = await a_template(engine, channel, meta_id=there.meta_id, at=clock())
    row = await service.edit(ana, channel.account_id, template, TemplateEdit(components=a_draft().components))
    assert (row.status, json.loads(bytes(row.components))) == ("PENDING", [BODY])
    await service.delete(ana, channel.account_id, template)
    assert await statuses(engine) == {"velo_pret": "DELETED"}


async def test_a_template_of_which_nothing_but_its_id_is_known_can_be_deleted(
    engine, service, source, channel, ana
) -> None:
    there = source.put(WABA, "velo_pret")
    template = await a_template(engine, channel, meta_id=there.meta_id)
    await execute(engine, "update message_templates set status_at = null, category_at = null, components_at = null")
    await service.delete(ana, channel.account_id, template)
    assert await statuses(engine) == {"velo_pret": "DELETED"}


async def test_after_a_change_the_list_is_read_soon(engine, service, channel, ana) -> None:
    await a_sync(engine, channel, due_in=HOURS)
    await service.create(ana, channel.account_id, a_draft())
    (row,) = await execute(engine, "select due_at - now() as wait from template_syncs")
    assert timedelta(seconds=30) < row.wait <= timedelta(minutes=1)


async def test_a_change_while_the_list_is_read_is_read_soon_as_well(
    engine, database, service, store, clock, channel, ana
) -> None:
    class Slow(FakeTemplateSource):
        async def page(self, channel, *, at, after=None):
            page = await super().page(channel, at=at, after=after)
            await service.create(ana, channel.account_id, a_draft())
            return page

    reader = Templates(database, forgetful(database), Slow(), store, clock, every=HOURS)
    await reader.sync(ana, channel.account_id)
    (row,) = await execute(engine, "select due_at - now() as wait from template_syncs")
    assert timedelta(seconds=30) < row.wait <= timedelta(minutes=1)


@pytest.mark.parametrize("status", ["PENDING", "DISABLED", "ARCHIVED"])
async def test_what_takes_no_change_is_not_sent_to_whatsapp(engine, service, source, channel, ana, status) -> None:
    template = await a_template(engine, channel, status=status)
    with pytest.raises(TemplateNotEditable):
        await service.edit(ana, channel.account_id, template, TemplateEdit(category="MARKETING"))
    assert source.templates == {}


async def test_a_deleted_template_is_gone_here_and_there(engine, service, source, channel, ana) -> None:
    there = source.put(WABA, "velo_pret")
    template = await a_template(engine, channel, meta_id=there.meta_id)
    await service.delete(ana, channel.account_id, template)
    assert source.templates == {WABA: []}
    for call in (service.get, service.delete):
        with pytest.raises(TemplateNotFound):
            await call(ana, channel.account_id, template)
    assert [line.action for line in await execute(engine, "select action from audit_entries")] == ["template.deleted"]


async def an_upload(engine: AsyncEngine, channel: Channel, mime_type: str = "image/jpeg", size: int = 4) -> UUID:
    upload = uuid7()
    await execute(
        engine,
        """insert into uploads (id, account_id, kind, name, created_by, size, mime_type, sha256, state)
           values (:id, :account, 'image', 'vélo.jpg', :id, :size, :mime, '', 'stored')""",
        id=upload,
        account=channel.account_id,
        size=size,
        mime=mime_type,
    )
    return upload


async def pieces() -> AsyncIterator[bytes]:
    yield b"\xff\xd8"
    yield b"\xff\xd9"


async def test_an_uploaded_file_becomes_a_handle(engine, service, store, channel, ana) -> None:
    upload = await an_upload(engine, channel)
    await store.put(MediaKey(channel.account_id, upload), pieces(), limit=9)
    handle = await service.upload_sample(ana, channel.account_id, upload)
    digest = hashlib.sha256(b"\xff\xd8\xff\xd9").hexdigest()
    assert handle == f"4::image/jpeg:vélo.jpg:{digest}"


async def test_only_an_own_file_that_a_header_can_show_is_a_sample(engine, service, channel, ana) -> None:
    foreign = await an_upload(engine, await with_waba(engine))
    for upload in (uuid7(), foreign, await an_upload(engine, channel, "audio/ogg")):
        with pytest.raises(Invalid):
            await service.upload_sample(ana, channel.account_id, upload)
    large = await an_upload(engine, channel, "application/pdf", 16 * 1024 * 1024 + 1)
    with pytest.raises(PayloadTooLarge):
        await service.upload_sample(ana, channel.account_id, large)


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_reading_needs_one_right_and_writing_another(engine, service, channel) -> None:
    reader = await somebody(engine, Permission.MESSAGES_VIEW)
    writer = await somebody(engine, Permission.SETTINGS_MANAGE)
    stranger = await somebody(engine)
    template, account = await a_template(engine, channel), channel.account_id
    await service.get(reader, account, template)
    for actor, error in ((reader, PermissionDenied), (stranger, AccountNotFound)):
        for call in (
            service.sync(actor, account),
            service.create(actor, account, a_draft()),
            service.edit(actor, account, template, TemplateEdit(category="UTILITY")),
            service.delete(actor, account, template),
            service.upload_sample(actor, account, uuid7()),
        ):
            with pytest.raises(error):
                await call
    with pytest.raises(PermissionDenied):
        await service.get(writer, account, template)


async def test_an_account_without_waba_cannot_be_asked(engine, service, ana) -> None:
    account = (await an_account(engine)).account_id
    for call in (service.sync(ana, account), service.create(ana, account, a_draft())):
        with pytest.raises(WhatsAppNotConfigured):
            await call
