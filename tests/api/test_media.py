"""The media proxy over real HTTP: its headers, its errors, and what happens in the middle of a file."""

import asyncio
import base64
import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest

from api.conftest import a_caller
from builders import a_conversation, an_account, execute
from contracts.trust import certificates
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.access import Permission
from inbox.domain.errors import MediaExpired, MediaGone, MediaUrlMissing, PayloadTooLarge
from inbox.domain.ids import MessageId, uuid7
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.emulators.serving import serve

HASH = base64.b64encode(hashlib.sha256(b"file").digest()).decode()


@pytest.fixture
async def http(app) -> AsyncIterator[httpx.AsyncClient]:
    """A client over a real connection."""
    async with (
        serve(app) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False, verify=certificates()) as client,
    ):
        yield client


@pytest.fixture
async def source(container) -> FakeMediaSource:
    return await container.get(FakeMediaSource)


@pytest.fixture
async def reader(engine, account) -> dict[str, str]:
    return await a_caller(engine, account, Permission.MESSAGES_VIEW)


async def a_file(engine, account, media_id: str | None = "700", **stored: str | None) -> MessageId:
    """A message with a file; `stored` are its columns."""
    row = {"message_type": "document", "media_mime_type": None, "media_filename": None, **stored}
    message = MessageId(uuid7())
    await execute(
        engine,
        """insert into messages (id, account_id, conversation_id, direction, media_id, message_type, media_mime_type,
                                 media_filename)
           values (:id, :account, :conversation, 'inbound', :media_id, :message_type, :media_mime_type,
                   :media_filename)""",
        id=message,
        account=account,
        conversation=await a_conversation(engine, account),
        media_id=media_id,
        **row,
    )
    return message


@pytest.fixture
async def picture(engine, account, source) -> MessageId:
    source.files["700"] = FakeFile(data=b"\xff\xd8picture", mime_type="image/jpeg")
    return await a_file(engine, account, message_type="image")


async def closed(source: FakeMediaSource) -> None:
    """Until no file is being read."""
    async with asyncio.timeout(10):
        await source.closed.wait()


async def test_a_picture_comes_with_the_headers_of_the_contract(http, reader, picture, source):
    answer = await http.get(f"/messages/media/{picture}", headers={**reader, "origin": "https://inbox.example"})
    assert (answer.status_code, answer.content) == (200, b"\xff\xd8picture")
    shown = {name: answer.headers[name] for name in answer.headers if name not in ("date", "server", "x-request-id")}
    assert shown.pop("access-control-expose-headers").count("content-disposition") == 1
    assert {name: value for name, value in shown.items() if not name.startswith("access-control")} == {
        "content-type": "image/jpeg",
        "content-length": "9",
        "content-disposition": f"inline; filename=\"image-{picture}.jpg\"; filename*=UTF-8''image-{picture}.jpg",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "private, no-store",
        **{name: shown[name] for name in ("vary",) if name in shown},
    }
    await closed(source)


async def test_it_answers_below_the_prefix_too(http, reader, picture):
    assert (await http.get(f"/api/messages/media/{picture}", headers=reader)).status_code == 200


@pytest.mark.parametrize(
    ("of_whatsapp", "stored", "shown"),
    [
        ("audio/ogg; codecs=opus", "audio/mpeg", "audio/ogg"),
        (None, "Image/PNG", "image/png"),
        ("rubbish\r\nx-evil: 1", "image/png", "image/png"),
        (None, None, "application/octet-stream"),
        ("no type", "text/html<script>", "application/octet-stream"),
        ("text/plain; charset=utf-16", None, "text/plain"),
    ],
)
async def test_the_type_is_whatsapps_else_the_stored_one(
    http, engine, account, reader, source, of_whatsapp, stored, shown
):
    source.files["700"] = FakeFile(data=b"x", mime_type=of_whatsapp)
    answer = await http.get(f"/messages/media/{await a_file(engine, account, media_mime_type=stored)}", headers=reader)
    assert answer.headers["content-type"] == shown
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("kind", "filename", "disposition"),
    [
        ("application/pdf", "Reçu.pdf", "inline; filename=\"Recu.pdf\"; filename*=UTF-8''Re%C3%A7u.pdf"),
        ("text/html", "a.html", "attachment; filename=\"a.html\"; filename*=UTF-8''a.html"),
        ("image/svg+xml", "a.svg", "attachment; filename=\"a.svg\"; filename*=UTF-8''a.svg"),
        ("application/msword", 'a"\r\nb.doc', "attachment; filename=\"a_ b.doc\"; filename*=UTF-8''a_%20b.doc"),
        ("application/zip", "../../x", "attachment; filename=\"x\"; filename*=UTF-8''x"),
    ],
)
async def test_only_what_runs_nothing_is_shown_inline(
    http, engine, account, reader, source, kind, filename, disposition
):
    source.files["700"] = FakeFile(data=b"x", mime_type=kind)
    answer = await http.get(f"/messages/media/{await a_file(engine, account, media_filename=filename)}", headers=reader)
    assert answer.headers["content-disposition"] == disposition


@pytest.mark.parametrize("filename", [HASH, None, "..", "\u202e"])
async def test_a_hash_is_never_offered_as_a_name(http, engine, account, reader, source, filename):
    source.files["700"] = FakeFile(data=b"x", mime_type="application/x-strange")
    message = await a_file(engine, account, media_filename=filename, message_type="doc\r\nument")
    answer = await http.get(f"/messages/media/{message}", headers=reader)
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="file-{message}.bin"')


async def test_without_a_token_nothing_is_said(http, picture, source):
    answer = await http.get(f"/messages/media/{picture}")
    assert (answer.status_code, answer.json()["detail"]) == (401, "missing_token")
    assert not source.opened


async def test_foreign_missing_and_malformed_are_the_same_answer(http, engine, account, picture):
    stranger = await a_caller(engine, (await an_account(engine)).account_id, *Permission)
    headers = {**stranger, "x-request-id": "same-same"}
    answers = [
        await http.get(f"/messages/media/{name}", headers=headers) for name in (picture, uuid7(), "x", f"{picture}0")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["detail"] == "message_not_found"


async def test_who_knows_the_account_but_may_not_read_gets_403(http, engine, account, picture):
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    answer = await http.get(f"/messages/media/{picture}", headers=viewer)
    assert (answer.status_code, answer.json()["detail"]) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (MediaUrlMissing(), 400, "media_url_missing"),
        (MediaExpired(), 410, "media_expired_or_invalid"),
        (MediaGone(), 410, "media_not_found"),
        (PayloadTooLarge(), 413, "payload_too_large"),
        (WhatsAppError(), 502, "whatsapp_api_error"),
        (WhatsAppUnavailable(retry_after=7), 503, "whatsapp_unavailable"),
        (WhatsAppTimeout(), 504, "whatsapp_timeout"),
    ],
    ids=str,
)
async def test_what_fails_before_the_first_byte_is_a_problem(http, reader, picture, source, error, status, detail):
    source.fail_next(error)
    answer = await http.get(f"/messages/media/{picture}", headers=reader)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "content-disposition" not in answer.headers
    assert answer.headers.get("retry-after") == ("7" if status == 503 else None)


async def test_a_message_without_a_file_and_an_account_without_a_token_are_told_apart(http, engine, account, reader):
    answer = await http.get(f"/messages/media/{await a_file(engine, account, media_id=None)}", headers=reader)
    assert (answer.status_code, answer.json()["detail"]) == (400, "media_missing")
    bare = (await an_account(engine, access_token=None)).account_id
    caller = await a_caller(engine, bare, Permission.MESSAGES_VIEW)
    answer = await http.get(f"/messages/media/{await a_file(engine, bare)}", headers=caller)
    assert (answer.status_code, answer.json()["detail"]) == (400, "missing_token")


@pytest.mark.parametrize("is_sized", [True, False])
async def test_a_file_that_breaks_in_the_middle_breaks_the_connection(http, engine, account, reader, source, is_sized):
    source.files["700"] = FakeFile(
        data=bytes(100_000), mime_type="video/mp4", is_sized=is_sized, breaks=WhatsAppTimeout()
    )
    message = await a_file(engine, account)
    got = 0
    with pytest.raises(httpx.TransportError):
        async with http.stream("GET", f"/messages/media/{message}", headers=reader) as answer:
            assert answer.status_code == 200
            assert ("content-length" in answer.headers) == is_sized
            async for piece in answer.aiter_raw():
                got += len(piece)
            assert got == -1, "the body must not end"
    await closed(source)


MEGABYTE = 1024 * 1024


@pytest.fixture
async def film(engine, account, source) -> MessageId:
    """64 MB in a thousand pieces."""
    source.files["700"] = FakeFile(data=bytes(65_536), times=1_024, mime_type="video/mp4")
    return await a_file(engine, account)


async def test_64_megabytes_pass_without_being_held(http, reader, film, source):
    got = 0
    tracemalloc.start()
    try:
        async with http.stream("GET", f"/messages/media/{film}", headers=reader) as answer:
            tracemalloc.reset_peak()
            begun, _ = tracemalloc.get_traced_memory()
            async for piece in answer.aiter_raw():
                got += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == 64 * MEGABYTE
    assert peak - begun < 4 * MEGABYTE


async def test_a_client_that_reads_nothing_holds_the_file_back(http, reader, film, source):
    async with http.stream("GET", f"/messages/media/{film}", headers=reader) as answer:
        assert answer.status_code == 200
        given = 0
        while source.given > given:  # until the pipe is full; each look lets the service go on
            given = source.given
            for _ in range(20):
                await http.get("/health/live")
        assert given < 32 * MEGABYTE
        assert not source.closed.is_set()


async def test_when_the_client_leaves_the_file_is_closed(http, reader, film, source):
    async with http.stream("GET", f"/messages/media/{film}", headers=reader) as answer:
        assert await anext(answer.aiter_raw())
    await closed(source)
    assert source.given < 64 * MEGABYTE
