"""Stored files in parts, as players of sound and film ask for them."""

import hashlib

import pytest

from api.conftest import a_caller
from builders import execute
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.access import Permission
from inbox.domain.ids import MessageId
from inbox.ports.media import MediaKey, MediaStore

from .test_media import a_file

CONTENT = b"0123456789"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ETAG = f'"{SHA256}"'


@pytest.fixture
async def reader(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_VIEW)


@pytest.fixture
async def film(engine, account, container) -> MessageId:
    message = await a_file(engine, account, message_type="video")
    store = await container.get(MediaStore)

    async def pieces():
        yield CONTENT

    await store.put(MediaKey(account, message), pieces(), limit=100)
    await execute(
        engine,
        """insert into media_files (message_id, account_id, media_id, state, size, mime_type, sha256, expires_at)
           values (:id, :account, '700', 'stored', 10, 'video/mp4', decode(:sha256, 'hex'), now())""",
        id=message,
        account=account,
        sha256=SHA256,
    )
    return message


async def test_a_stored_file_needs_no_whatsapp(client, reader, film, container):
    answer = await client.get(f"/messages/media/{film}", headers=reader)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    headers = {name: answer.headers[name] for name in ("content-type", "content-length", "accept-ranges", "etag")}
    assert headers == {"content-type": "video/mp4", "content-length": "10", "accept-ranges": "bytes", "etag": ETAG}
    assert not (await container.get(FakeMediaSource)).opened


@pytest.mark.parametrize(
    ("asked", "given", "extent"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-100", CONTENT, "bytes 0-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("Bytes = 9-9", b"9", "bytes 9-9/10"),
    ],
)
async def test_a_part_is_given_as_asked(client, reader, film, asked, given, extent):
    answer = await client.get(f"/messages/media/{film}", headers={**reader, "range": asked})
    assert (answer.status_code, answer.content) == (206, given)
    assert (answer.headers["content-range"], answer.headers["content-length"]) == (extent, str(len(given)))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=50-60", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416_with_the_size(client, reader, film, asked):
    answer = await client.get(f"/messages/media/{film}", headers={**reader, "range": asked})
    assert (answer.status_code, answer.json()["detail"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=5-3", "bytes=-", "bytes=a-b", ""])
async def test_what_is_no_single_range_of_bytes_gets_the_whole(client, reader, film, asked):
    answer = await client.get(f"/messages/media/{film}", headers={**reader, "range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(("known", "status"), [(ETAG, 206), ('"another"', 200)])
async def test_a_part_of_another_file_is_of_no_use(client, reader, film, known, status):
    headers = {**reader, "range": "bytes=0-3", "if-range": known}
    answer = await client.get(f"/messages/media/{film}", headers=headers)
    assert answer.status_code == status


async def test_a_file_that_the_store_lost_comes_from_whatsapp_while_it_has_it(client, reader, film, account, container):
    (await container.get(FakeMediaSource)).files["700"] = FakeFile(data=b"again", mime_type="video/mp4")
    await (await container.get(MediaStore)).delete(MediaKey(account, film))
    answer = await client.get(f"/messages/media/{film}", headers={**reader, "range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (200, b"again")


async def test_a_part_of_a_file_that_is_not_stored_yet_is_all_of_it(client, reader, engine, account, container):
    (await container.get(FakeMediaSource)).files["701"] = FakeFile(data=b"fresh", mime_type="video/mp4")
    message = await a_file(engine, account, media_id="701", message_type="video")
    answer = await client.get(f"/messages/media/{message}", headers={**reader, "range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (200, b"fresh")
    assert "accept-ranges" not in answer.headers
