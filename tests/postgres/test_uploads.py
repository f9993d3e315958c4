"""Rows of files that people uploaded: one that is used is never removed, whoever comes first."""

import asyncio
from contextvars import Context
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, a_conversation, a_message, an_account, execute, until
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId, MessageId, UserId, uuid7
from inbox.domain.media import MediaState
from inbox.domain.uploads import UploadKind
from inbox.ports.media import MediaKey, Stored
from inbox.ports.uploads import NewUpload, Upload

STORED = Stored(size=3, sha256=b"\x01" * 32, mime_type="image/png")
WEEK = timedelta(days=7)


@pytest.fixture
async def account(engine: AsyncEngine) -> Channel:
    return await an_account(engine)


@pytest.fixture
async def message(engine: AsyncEngine, account: Channel) -> MessageId:
    return await a_message(engine, account.account_id, await a_conversation(engine, account.account_id))


async def begun(database: PostgresDatabase, account: AccountId) -> UUID:
    new = NewUpload(id=uuid7(), account_id=account, kind=UploadKind.IMAGE, name="velo.png", created_by=UserId(uuid4()))
    async with database.transaction() as tx:
        await tx.uploads.begin(new)
    return new.id


async def an_upload(database: PostgresDatabase, account: AccountId) -> UUID:
    upload = await begun(database, account)
    async with database.transaction() as tx:
        assert await tx.uploads.complete(account, upload, STORED) is not None
    return upload


async def used(database: PostgresDatabase, account: AccountId, *uploads: UUID) -> list[Upload]:
    async with database.transaction() as tx:
        return await tx.uploads.use(account, uploads)


async def given_up(database: PostgresDatabase, age: timedelta = WEEK) -> list[MediaKey]:
    async with database.transaction() as tx:
        return [one.key for one in await tx.uploads.give_up(age, 10, None)]


async def grow_old(engine: AsyncEngine) -> None:
    await execute(engine, "update uploads set created_at = created_at - interval '8 days'")


async def test_what_is_not_whole_is_not_there(database, account) -> None:
    upload = await begun(database, account.account_id)
    assert await used(database, account.account_id, upload) == []
    async with database.transaction() as tx:
        assert await tx.uploads.get(account.account_id, upload) is None


async def test_a_whole_file_is_found_by_its_account_alone(database, engine, account) -> None:
    stranger = (await an_account(engine)).account_id
    upload = await an_upload(database, account.account_id)
    assert await used(database, stranger, upload) == []
    (found,) = await used(database, account.account_id, upload, uuid4())
    assert (found.id, found.kind, found.mime_type, found.size, found.name) == (
        upload,
        UploadKind.IMAGE,
        "image/png",
        3,
        "velo.png",
    )
    async with database.transaction() as tx:
        assert await tx.uploads.get(stranger, upload) is None
        assert await tx.uploads.get(account.account_id, upload) == found


async def test_a_file_becomes_whole_once(database, account) -> None:
    upload = await an_upload(database, account.account_id)
    async with database.transaction() as tx:
        assert await tx.uploads.complete(account.account_id, upload, STORED) is None


async def test_only_old_files_that_nobody_used_are_given_up(database, engine, account) -> None:
    kept, unused, half = [
        await an_upload(database, account.account_id),
        await an_upload(database, account.account_id),
        await begun(database, account.account_id),
    ]
    await used(database, account.account_id, kept)
    assert await given_up(database) == []
    await grow_old(engine)
    young = await an_upload(database, account.account_id)
    assert {key.id for key in await given_up(database)} == {unused, half}
    assert [upload.id for upload in await used(database, account.account_id, kept, unused, half, young)] == sorted(
        [kept, young]
    )


async def test_what_was_given_up_comes_again_until_it_is_removed(database, engine, account) -> None:
    upload = await an_upload(database, account.account_id)
    await grow_old(engine)
    key = MediaKey(account.account_id, upload)
    assert await given_up(database) == [key]
    assert await given_up(database, timedelta(days=99)) == [key]
    async with database.transaction() as tx:
        await tx.uploads.remove([key])
    assert await given_up(database) == []
    assert await execute(engine, "select 1 from uploads") == []


async def test_what_was_given_up_is_told_in_pages_the_oldest_first(database, engine, account) -> None:
    uploads = [await an_upload(database, account.account_id) for _ in range(3)]
    await execute(engine, "update uploads set created_at = now() - interval '8 days'")
    await execute(engine, "update uploads set created_at = now() - interval '9 days' where id = :id", id=uploads[2])
    async with database.transaction() as tx:
        oldest, first = await tx.uploads.give_up(WEEK, 2, None)
        assert [oldest.key.id, first.key.id] == [uploads[2], uploads[0]]
        assert [one.key.id for one in await tx.uploads.give_up(WEEK, 2, first)] == [uploads[1]]


async def test_what_can_be_sent_is_not_removed(database, engine, account) -> None:
    upload = await an_upload(database, account.account_id)
    async with database.transaction() as tx:
        await tx.uploads.remove([MediaKey(account.account_id, upload)])
    assert len(await execute(engine, "select 1 from uploads")) == 1


async def test_one_that_is_being_used_is_passed_by(database, engine, account) -> None:
    upload = await an_upload(database, account.account_id)
    await grow_old(engine)
    async with database.transaction() as tx:
        assert len(await tx.uploads.use(account.account_id, [upload])) == 1
        assert await execute(engine, "select 1 from uploads where used_at is not null") == []
        other = asyncio.create_task(given_up(database), context=Context())
        assert await other == []
    assert await given_up(database) == []


async def test_one_that_is_being_given_up_cannot_be_used(database, engine, account) -> None:
    upload = await an_upload(database, account.account_id)
    await grow_old(engine)
    async with database.transaction() as tx:
        assert len(await tx.uploads.give_up(WEEK, 10, None)) == 1
        use = asyncio.create_task(used(database, account.account_id, upload), context=Context())
        await until(engine, "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%uploads%'")
    assert await use == []


async def test_two_messages_of_one_moment_use_a_fresh_file_both(database, engine, account) -> None:
    upload = await an_upload(database, account.account_id)
    async with database.transaction() as tx:
        assert len(await tx.uploads.use(account.account_id, [upload])) == 1
        other = asyncio.create_task(used(database, account.account_id, upload), context=Context())
        await until(engine, LOCK_WAIT)
    assert [found.id for found in await other] == [upload]


async def test_many_messages_use_one_file_without_waiting_for_each_other(database, account) -> None:
    upload = await an_upload(database, account.account_id)
    await used(database, account.account_id, upload)
    async with database.transaction() as tx:
        assert len(await tx.uploads.use(account.account_id, [upload])) == 1
        async with asyncio.timeout(5):
            assert len(await asyncio.create_task(used(database, account.account_id, upload), context=Context())) == 1


async def test_a_file_is_shown_as_that_of_a_message(database, engine, account, message) -> None:
    upload = await an_upload(database, account.account_id)
    async with database.transaction() as tx:
        await tx.uploads.show(account.account_id, message, upload)
    ((media_id, mime_type, name),) = await execute(
        engine, "select media_id, media_mime_type, media_filename from messages where id = :id", id=message
    )
    assert (media_id, mime_type, name) == (str(upload), "image/png", "velo.png")
    ((state, size, sha256, file),) = await execute(
        engine, "select state, size, sha256, upload_id from media_files where message_id = :id", id=message
    )
    assert (state, size, bytes(sha256), file) == ("stored", 3, STORED.sha256, upload)


async def test_a_file_of_another_account_is_not_shown(database, engine, account, message) -> None:
    upload = await an_upload(database, (await an_account(engine)).account_id)
    async with database.transaction() as tx:
        await tx.uploads.show(account.account_id, message, upload)
    assert await execute(engine, "select 1 from media_files") == []
    ((media_id,),) = await execute(engine, "select media_id from messages where id = :id", id=message)
    assert media_id is None


async def test_a_file_of_ours_does_not_wait_for_anything(database, engine, account) -> None:
    conversation = await a_conversation(engine, account.account_id)
    ours, theirs = [await a_message(engine, account.account_id, conversation) for _ in range(2)]
    upload = await an_upload(database, account.account_id)
    await execute(
        engine,
        """insert into media_files (message_id, account_id, media_id, expires_at)
           values (:message, :account, '78', now() + interval '1 day')""",
        message=theirs,
        account=account.account_id,
    )
    async with database.transaction() as tx:
        await tx.uploads.show(account.account_id, ours, upload)
        found = await tx.media_files.of_conversation(account.account_id, conversation)
    assert found.waiting == [theirs]
    assert dict(found.counts) == {MediaState.STORED: 1, MediaState.PENDING: 1}


async def test_whatsapps_id_is_remembered_and_forgotten(database, account) -> None:
    upload, expires = await an_upload(database, account.account_id), datetime(2099, 1, 1, tzinfo=UTC)
    for media_id in ("78000001", None):
        async with database.transaction() as tx:
            await tx.uploads.given(account.account_id, upload, media_id=media_id, number="900", expires_at=expires)
            found = await tx.uploads.get(account.account_id, upload)
        assert found is not None
        assert (found.media_id, found.media_number, found.media_expires_at) == (media_id, "900", expires)
