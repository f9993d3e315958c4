"""Files from people over real HTTP: taken in pieces, sent with a message, and shown like a customer's."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from api.conftest import a_caller
from builders import a_conversation, an_account, execute
from contracts.trust import certificates
from inbox.adapters.messaging.fake import FakeSender
from inbox.adapters.messaging.fake_media import FakeMediaSource
from inbox.adapters.messaging.fake_uploads import FakeUploader
from inbox.domain.access import Permission
from inbox.domain.failure_cases import CASES
from inbox.domain.outgoing_files import Document, Image
from inbox.emulators.serving import serve
from inbox.entrypoints.worker import Worker
from sample_files import GIF, MP3, PDF, PNG, opus, sticker

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
MB = 1024 * 1024


@pytest.fixture
async def http(app) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serve(app) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False, verify=certificates()) as client,
    ):
        yield client


@pytest.fixture
async def sender(engine, account) -> dict[str, str]:
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, window_expires_at=OPEN)


@pytest.fixture
def upload(http, sender, account):
    async def post(data: bytes, kind: str = "image", name: str = "velo.png", claim: str = "image/png", **query: str):
        return await http.post(
            "/media/uploads",
            params={"account_id": str(account), "kind": kind, **query},
            files={"file": (name, data, claim)},
            headers=sender,
        )

    return post


@pytest.fixture
def say(http, sender, conversation):
    async def post(content, path: str = "/messages/send", **members):
        body = {"conversation_id": str(conversation), **({"content": content} if content else {}), **members}
        return await http.post(path, json=body, headers={**sender, "prefer": "respond-async"})

    return post


async def all_sent(engine, container, count: int) -> FakeSender:
    worker, whatsapp = await container.get(Worker), await container.get(FakeSender)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        async with asyncio.timeout(20):
            while len(whatsapp.sent) < count:
                await execute(engine, "select 1")
        worker.stop()
    return whatsapp


async def test_a_file_is_taken_and_described(upload, account):
    answer = await upload(PNG)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.pop("id")
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "account_id": str(account),
        "kind": "image",
        "mime_type": "image/png",
        "size": len(PNG),
        "sha256": hashlib.sha256(PNG).hexdigest(),
        "name": "velo.png",
    }


async def test_an_upload_is_sent_and_shown_like_a_file_of_a_customer(
    engine, container, http, sender, upload, say, conversation
):
    found = (await upload(PNG)).json()
    accepted = await say({"type": "image", "upload_id": found["id"], "caption": "Le vélo"})
    assert accepted.status_code == 202, accepted.text
    (shown,) = (await http.get(f"/messages/{conversation}", headers=sender)).json()
    assert (shown["media_id"], shown["media_mime_type"], shown["media_filename"], shown["media_state"]) == (
        found["id"],
        "image/png",
        "velo.png",
        "stored",
    )
    address = f"/messages/media/{shown['id']}"
    file = await http.get(address, headers=sender)
    assert (file.status_code, file.content, file.headers["content-type"]) == (200, PNG, "image/png")
    assert file.headers["etag"] == f'"{found["sha256"]}"'
    part = await http.get(address, headers={**sender, "range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, PNG[1:4])
    whatsapp = await all_sent(engine, container, 1)
    (given,) = (await container.get(FakeUploader)).given
    assert given.data == PNG
    assert whatsapp.sent[0].content == Image(media_id=given.media_id, caption="Le vélo")


async def test_a_file_whose_message_failed_later_is_sent_and_shown_once_more(
    engine, container, http, sender, upload, say, conversation
):
    first = (await say({"type": "image", "upload_id": (await upload(PNG)).json()["id"]})).json()["id"]
    await execute(engine, "update outbox set state = 'failed', wamid = 'wamid.taken'")
    await execute(engine, "update messages set status = 'failed', failed_at = now(), wa_message_id = 'wamid.taken'")
    answer = await http.post(f"/messages/{first}/resend", headers=sender)
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] != first
    whatsapp = await all_sent(engine, container, 1)
    (given,) = (await container.get(FakeUploader)).given
    assert whatsapp.sent[0].content == Image(media_id=given.media_id)
    file = await http.get(f"/messages/media/{answer.json()['id']}", headers=sender)
    assert (file.status_code, file.content) == (200, PNG)


async def test_the_later_front_end_names_an_upload_where_it_names_whatsapps_files(engine, container, upload, say):
    found = (await upload(PDF, "document", "Devis.pdf", "application/pdf")).json()
    answer = await say(None, "/messages/send-media", media_type="document", media_id=found["id"], caption="Voilà")
    assert answer.status_code == 202, answer.text
    whatsapp = await all_sent(engine, container, 1)
    (given,) = (await container.get(FakeUploader)).given
    assert whatsapp.sent[0].content == Document(media_id=given.media_id, caption="Voilà", filename="Devis.pdf")


async def test_a_file_of_ours_that_the_store_lost_is_gone_and_whatsapp_is_not_asked(
    container, http, sender, upload, say, tmp_path
):
    message = (await say({"type": "image", "upload_id": (await upload(PNG)).json()["id"]})).json()["id"]
    for file in (tmp_path / "media").rglob("*"):
        if file.is_file():
            file.unlink()
    answer = await http.get(f"/messages/media/{message}", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (410, "media_not_found")
    assert not (await container.get(FakeMediaSource)).opened


@pytest.mark.parametrize("path", ["/messages/send", "/messages/send-media"])
async def test_uploads_that_are_foreign_missing_or_of_another_kind_are_refused_alike(engine, upload, say, path):
    other = (await an_account(engine)).account_id
    foreign, own = (await upload(PNG)).json()["id"], (await upload(opus(), "voice", "a.ogg", "audio/ogg")).json()["id"]
    await execute(engine, "update uploads set account_id = :other where id = :id", other=other, id=foreign)
    answers = []
    for upload_id in (foreign, str(uuid4()), own):
        if path.endswith("media"):
            answers.append(await say(None, path, media_type="image", media_id=upload_id))
        else:
            answers.append(await say({"type": "image", "upload_id": upload_id}))
    assert [answer.status_code for answer in answers] == [422] * 3
    first, second, third = [answer.json()["errors"] for answer in answers]
    assert first == second
    where = "body.media_id" if path.endswith("media") else "body.content.upload_id"
    assert first[0]["path"] == third[0]["path"] == where
    assert "came as voice" in third[0]["message"]
    assert await execute(engine, "select 1 from messages") == []
    assert await execute(engine, "select 1 from uploads where used_at is not null") == []


async def test_a_message_outside_the_window_shows_its_file_and_says_why_it_failed(
    engine, http, sender, account, upload
):
    closed = await a_conversation(engine, account, window_expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    body = {"conversation_id": str(closed), "content": {"type": "image", "upload_id": (await upload(PNG)).json()["id"]}}
    answer = await http.post("/messages/send", json=body, headers=sender)
    assert answer.status_code == 409
    file = await http.get(f"/messages/media/{answer.json()['id']}", headers=sender)
    assert file.content == PNG


@pytest.mark.parametrize(
    ("data", "kind", "claim", "words"),
    [
        (GIF, "image", "image/gif", "JPEG or PNG"),
        (GIF, "image", "image/png", "JPEG or PNG"),
        (MP3, "voice", "audio/mpeg", "OGG with Opus"),
        (opus(channels=2), "voice", "audio/ogg", "mono"),
        (sticker(width=100), "sticker", "image/webp", "512 x 512"),
        (b"<html></html>", "document", "text/html", "PDF"),
        (b"", "document", "text/plain", "not empty"),
    ],
)
async def test_what_whatsapp_would_refuse_is_refused_here_with_what_it_takes(engine, upload, data, kind, claim, words):
    answer = await upload(data, kind, claim=claim)
    assert (answer.status_code, answer.json()["detail"]) == (422, "validation_error")
    (error,) = answer.json()["errors"]
    assert error["path"] == "body.file"
    assert words in error["message"]
    assert await execute(engine, "select 1 from uploads") == []


FRENCH = {"accept-language": "fr"}
ENGLISH = {"accept-language": "en"}


@pytest.mark.parametrize(
    ("asked", "message", "next_step"),
    [
        (
            FRENCH,
            "Une note vocale doit être en OGG avec Opus, sur un seul canal. (audio/mpeg)",
            "Envoyez ce son comme fichier audio, ou convertissez-le en OGG avec Opus.",
        ),
        (
            ENGLISH,
            "A voice note has to be OGG with Opus, in one channel. (audio/mpeg)",
            "Send this sound as an audio file, or convert it to OGG with Opus.",
        ),
    ],
)
async def test_a_refused_file_says_in_the_readers_language_what_is_wanted(http, upload, asked, message, next_step):
    http.headers.update(asked)
    answer = await upload(MP3, "voice", claim="audio/mpeg")
    assert (answer.json()["message"], answer.json()["next_step"]) == (message, next_step)
    assert answer.headers["content-language"] == asked["accept-language"]


async def test_a_file_that_is_too_large_is_told_the_limit_of_its_kind(http, sender, account, upload):
    announced = await upload(PNG + bytes(6 * MB))

    async def slowly() -> AsyncIterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PNG
        for _ in range(6):
            yield bytes(MB)

    streamed = await http.post(
        "/media/uploads",
        params={"account_id": str(account), "kind": "image"},
        content=slowly(),
        headers={**sender, "content-type": "multipart/form-data; boundary=x"},
    )
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["message"]) == (413, "Une image ne peut pas dépasser 5 Mo.")
        assert answer.json()["next_step"].startswith("Réduisez")


async def test_what_is_no_form_or_holds_no_file_says_what_to_do(http, sender, account):
    where = {"account_id": str(account), "kind": "image"}
    bare = await http.post("/media/uploads", params=where, content=PNG, headers=sender)
    assert (bare.status_code, "formulaire" in bare.json()["next_step"]) == (415, True)
    form = {**sender, "content-type": "multipart/form-data; boundary=x"}
    other = await http.post("/media/uploads", params=where, files={"other": ("a.png", PNG)}, headers=sender)
    assert (other.status_code, other.json()["message"]) == (422, CASES["file_missing"].what.fr)
    broken = await http.post("/media/uploads", params=where, content=b"--y", headers=form)
    assert (broken.status_code, broken.json()["message"]) == (422, CASES["file_cut_off"].what.fr)


async def test_too_large_a_file_is_413_before_it_is_read_and_while_it_is_read(http, sender, account, upload):
    announced = await upload(PNG + bytes(6 * MB))
    assert (announced.status_code, announced.json()["detail"]) == (413, "payload_too_large")
    at_the_limit = await upload(PNG + bytes(5 * MB - len(PNG)))
    assert at_the_limit.status_code == 200
    one_more = await upload(PNG + bytes(5 * MB - len(PNG) + 1))
    assert (one_more.status_code, one_more.json()["detail"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"kind": "gif"}, "query.kind"),
        ({"kind": ""}, "query.kind"),
    ],
)
async def test_an_unknown_kind_is_refused(upload, query, path):
    answer = await upload(PNG, **query)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)


async def test_without_an_account_or_with_a_strange_one_nothing_is_taken(http, sender):
    for query, status in (({}, 422), ({"account_id": "x"}, 404), ({"account_id": str(uuid4())}, 404)):
        answer = await http.post(
            "/media/uploads", params={"kind": "image", **query}, files={"file": ("a", PNG)}, headers=sender
        )
        assert answer.status_code == status


async def test_another_body_than_a_form_is_415_and_a_form_without_a_file_422(http, sender, account):
    params = {"account_id": str(account), "kind": "image"}
    json = await http.post("/media/uploads", params=params, json={"file": "x"}, headers=sender)
    assert json.status_code == 415
    for files in ({"other": ("a.png", PNG)}, {"file": (None, b"text")}):
        answer = await http.post("/media/uploads", params=params, files=files, headers=sender)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "body.file")


async def test_a_form_that_breaks_off_leaves_nothing_behind(engine, http, sender, account):
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    answer = await http.post(
        "/media/uploads",
        params={"account_id": str(account), "kind": "image"},
        content=head + PNG,
        headers={**sender, "content-type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 422
    assert await execute(engine, "select 1 from uploads where state = 'stored'") == []


async def test_sixty_megabytes_pass_without_being_in_memory(http, sender, account, engine):
    block = bytes(256 * 1024)
    head = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
    )

    async def form() -> AsyncIterator[bytes]:
        yield head + PDF
        for _ in range(240):
            yield block
        yield b"\r\n--x--\r\n"

    headers = {**sender, "content-type": "multipart/form-data; boundary=x"}
    tracemalloc.start()
    try:
        answer = await http.post(
            "/media/uploads",
            params={"account_id": str(account), "kind": "document"},
            content=form(),
            headers=headers,
            timeout=60,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 200, answer.text
    assert answer.json()["size"] == len(PDF) + 240 * len(block)
    assert peak < 20 * MB


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(app, engine, sender, account):
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    messages = [
        {"type": "http.request", "body": head + PNG, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = []

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/media/uploads",
        "raw_path": b"/media/uploads",
        "query_string": f"account_id={account}&kind=image".encode(),
        "root_path": "",
        "headers": [
            (b"authorization", sender["authorization"].encode()),
            (b"content-type", b"multipart/form-data; boundary=x"),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("inbox", 80),
        "state": {},
    }
    async with app.lifespan():
        await app(scope, receive, send)
    assert sent[0]["status"] == 408
    assert await execute(engine, "select 1 from uploads where state = 'stored'") == []
