"""Templates of the Cloud API over real HTTP: what is asked, where the token goes, uploads that break, odd answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

import pytest

from inbox.domain.errors import InboxError, Invalid
from inbox.domain.template_errors import TemplateExists, TemplateLimit, TemplateNotEditable, TemplateNotFound
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppUnavailable

from .template_side import AT, WiredTemplates, a_channel, a_draft, every
from .whatsapp_side import TOKEN, GraphSide

WABA = "900100200300401"
CHANNEL = a_channel(WABA)
SESSION = "upload:MTphdHRhY2htZW50OmV4YW1wbGU=?sig=EXAMPLE"
Answer = Callable[[str, Mapping[str, str], bytes], tuple[int, object] | None]


class Peer:
    """Answers as told, and remembers what it was asked: request line, headers, body. None breaks the connection."""

    def __init__(self, answer: Answer) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *lines = head.split("\r\n")
                headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines if one)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.asked.append((line.removesuffix(" HTTP/1.1"), headers, body))
                answer = self._answer(line.removesuffix(" HTTP/1.1"), headers, body)
                if answer is None:
                    break
                status, document = answer
                written = json.dumps(document).encode()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(written), written))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()


@pytest.fixture
async def peer() -> AsyncIterator[Callable]:
    async with AsyncExitStack() as stack:

        async def start(answer: Answer) -> tuple[Peer, WiredTemplates]:
            peer = Peer(answer)
            server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            wired = WiredTemplates(peer.url)
            stack.push_async_callback(wired.api.aclose)
            return peer, wired

        yield start


def answering(status: int, document: object) -> Answer:
    return lambda *_: (status, document)


async def test_a_page_is_asked_for_by_its_cursor_and_the_address_of_the_next_is_not_called(peer):
    next_page = {"cursors": {"before": "a", "after": "QVF"}, "next": "https://elsewhere.example/?access_token=x"}
    pages = iter([{"data": [], "paging": next_page}, {"data": [], "paging": {"cursors": {"after": "END"}}}])
    asked, wired = await peer(lambda *_: (200, next(pages)))
    assert await every(wired.source, CHANNEL) == []
    first, second = (line for line, _, _ in asked.asked)
    fields = "id,name,language,category,status,parameter_format,components,quality_score,rejected_reason"
    assert first == f"GET /v24.0/{WABA}/message_templates?fields={fields}&limit=100"
    assert second == f"{first}&after=QVF"
    assert all(headers["authorization"] == f"Bearer {TOKEN}" for _, headers, _ in asked.asked)


async def test_a_draft_and_a_deletion_look_as_meta_documents_them(peer):
    asked, wired = await peer(answering(200, {"id": 900880000000002, "status": "APPROVED", "category": "MARKETING"}))
    created = await wired.source.create(CHANNEL, a_draft())
    assert (created.meta_id, created.status, created.category) == ("900880000000002", "APPROVED", "MARKETING")
    await wired.source.delete(CHANNEL, "order_update", "900880000000001")
    (create, headers, body), (delete, _, nothing) = asked.asked
    assert create == f"POST /v24.0/{WABA}/message_templates"
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["components"][0]["example"] == {"body_text": [["Léa"]]}
    assert delete == f"DELETE /v24.0/{WABA}/message_templates?hsm_id=900880000000001&name=order_update"
    assert nothing == b""


ODD = [
    {"name": "no_language"},
    {"language": "fr"},
    {"name": "x" * 513, "language": "fr"},
    {"name": "nul", "language": "fr", "components": [{"type": "BODY", "text": "a\x00b"}]},
    ["not", "an", "object"],
    7,
]


async def test_what_is_no_template_is_left_out_and_what_is_odd_in_one_is_not_read(peer):
    strange = {"name": "odd", "language": "fr", "id": 7, "status": 3, "components": "x", "quality_score": [1]}
    _, wired = await peer(answering(200, {"data": [*ODD, strange, {"name": "plain", "language": "fr"}]}))
    odd, plain = await every(wired.source, CHANNEL)
    assert (odd.name, odd.meta_id, odd.components, odd.quality) == ("odd", "7", None, None)
    assert (plain.name, plain.status, plain.category) == ("plain", None, None)


@pytest.mark.parametrize("document", [[], "x", {}, {"success": True}, {"data": 7}, {"data": [], "paging": []}])
async def test_a_list_that_cannot_be_read_is_an_error(peer, document):
    _, wired = await peer(answering(200, document))
    with pytest.raises(WhatsAppError):
        await wired.source.page(CHANNEL, at=AT)


@pytest.mark.parametrize(
    ("subcode", "error"),
    [
        (2388019, TemplateLimit),
        (2388024, TemplateExists),
        (2388039, TemplateNotEditable),
        (2388040, Invalid),
        (2388047, Invalid),
        (2388072, Invalid),
        (2388073, Invalid),
        (2388293, Invalid),
        (2388299, Invalid),
        (2388999, WhatsAppError),
    ],
)
async def test_each_rule_of_whatsapp_has_its_word_and_what_it_wrote_for_people_stays_out_of_logs(
    peer, subcode: int, error: type[InboxError]
):
    words = {"error_user_title": "CANARY", "error_user_msg": "CANARY order_update of +33612345678"}
    envelope = {"error": {"message": "CANARY", "code": 100, "error_subcode": subcode, "fbtrace_id": "A", **words}}
    _, wired = await peer(answering(400, envelope))
    with pytest.raises(error) as caught:
        await wired.source.create(CHANNEL, a_draft())
    assert type(caught.value) is error
    assert "CANARY" not in str(caught.value)
    assert caught.value.graph_code == (100 if subcode == 2388999 else subcode)
    assert caught.value.words == "CANARY order_update of ***5678"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"code": 190, "message": "Error validating access token"}, ""),
        ({"code": 190, "error_user_msg": ["odd"]}, ""),
        ({"code": 132007, "error_user_msg": "Not allowed."}, "Not allowed."),
        ({"code": 100, "error_subcode": 2388072, "message": "Body is odd"}, "Body is odd"),
        ({"code": 777, "message": "Odd", "error_data": {"details": "Very odd"}}, "Odd: Very odd"),
        ({"code": 777, "message": "x" * 5000}, "x" * 300),
    ],
)
async def test_what_whatsapp_wrote_is_kept_for_people_where_the_table_says_too_little(peer, members, words):
    _, wired = await peer(answering(400, {"error": members}))
    with pytest.raises(InboxError) as caught:
        await wired.source.create(CHANNEL, a_draft())
    assert (caught.value.words, caught.value.graph_code) == (words, members.get("error_subcode", members["code"]))


@pytest.mark.parametrize("subcode", [33, 2593002])
async def test_a_template_that_is_not_there_is_not_explained_as_a_number_that_is_not_there(peer, subcode):
    _, wired = await peer(answering(400, {"error": {"message": "x", "code": 100, "error_subcode": subcode}}))
    with pytest.raises(TemplateNotFound) as caught:
        await wired.source.delete(CHANNEL, "order_update", "900880000000001")
    assert caught.value.graph_code is None


async def test_a_throttle_names_its_time(peer):
    _, wired = await peer(answering(400, {"error": {"message": "x", "code": 80007}}))
    with pytest.raises(WhatsAppUnavailable) as caught:
        await wired.source.page(CHANNEL, at=AT)
    assert (caught.value.retry_after, caught.value.graph_code) == (30, 80007)


def uploading(*, handle: str = "4::x", breaks: int = 0, kept: int = 0, session: str = SESSION) -> Answer:
    """Breaks the first `breaks` uploads; says that `kept` bytes came."""
    left = [breaks]

    def answer(line: str, headers: Mapping[str, str], body: bytes) -> tuple[int, object] | None:
        if "debug_token" in line:
            return 200, {"data": {"app_id": "900333444555666", "is_valid": True}}
        if "/uploads?" in line:
            return 200, {"id": session}
        if line.startswith("GET"):
            return 200, {"id": session, "file_offset": kept}
        if left[0]:
            left[0] -= 1
            return None
        return 200, {"h": handle}

    return answer


async def upload(wired: WiredTemplates, data: bytes = b"0123456789") -> str:
    return await wired.source.upload_sample(CHANNEL, data, mime_type="image/jpeg", filename="vélo & co.jpg")


async def test_a_sample_goes_to_the_app_of_the_token_with_its_length_and_type(peer):
    asked, wired = await peer(uploading(handle="4::aW1hZ2UvanBlZw==:H"))
    assert await upload(wired) == "4::aW1hZ2UvanBlZw==:H"
    (debug, _, _), (begin, _, nothing), (post, headers, body) = asked.asked
    assert debug == f"GET /v24.0/debug_token?input_token={TOKEN}"
    assert begin.startswith("POST /v24.0/900333444555666/uploads?file_name=v%C3%A9lo+%26+co.jpg&file_length=10&")
    assert (begin.endswith("file_type=image/jpeg"), nothing) == (True, b"")
    assert post == f"POST /v24.0/{SESSION}"
    assert (headers["authorization"], headers["file_offset"], body) == (f"OAuth {TOKEN}", "0", b"0123456789")


async def test_an_upload_that_breaks_goes_on_where_it_stopped(peer):
    asked, wired = await peer(uploading(breaks=2, kept=4))
    assert await upload(wired) == "4::x"
    sent = [(headers["file_offset"], body) for line, headers, body in asked.asked if line.startswith("POST /v24.0/up")]
    assert sent == [("0", b"0123456789"), ("4", b"456789"), ("4", b"456789")]


async def test_an_upload_that_breaks_again_and_again_ends(peer):
    asked, wired = await peer(uploading(breaks=99))
    with pytest.raises(WhatsAppUnavailable):
        await upload(wired)
    assert len([line for line, _, _ in asked.asked if line.startswith("POST /v24.0/upload:")]) == 4


@pytest.mark.parametrize(
    "session", ["", "https://elsewhere.example/x", "upload:../../me", "upload:a b", "upload:a?b#c"]
)
async def test_a_session_that_is_none_is_not_called(peer, session):
    asked, wired = await peer(uploading(session=session))
    with pytest.raises(WhatsAppError):
        await upload(wired)
    assert len(asked.asked) == 2


async def test_the_emulator_takes_the_rest_of_a_file_whose_answer_was_lost(graph: GraphSide, graph_url: str):
    (waba,) = await graph.call("GET", "/wabas")
    wired = WiredTemplates(graph_url)
    rule = {"count": 1, "action": "reset_after_accept", "method": "POST", "path": "upload:"}
    await graph.call("POST", "/faults", rule)
    try:
        handle = await wired.source.upload_sample(
            a_channel(waba["id"]), bytes(100_000), mime_type="video/mp4", filename="x.mp4"
        )
    finally:
        await wired.api.aclose()
    (sample,) = await graph.entries("sample")
    assert (sample["size"], sample["handle"]) == (100_000, handle)
