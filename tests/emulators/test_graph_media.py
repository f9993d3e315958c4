"""Media: upload, address, download, expiry, and use in messages."""

import base64
import hashlib
import io

import aiohttp
import pytest

from emulators.graph_side import TOKEN, Callback, GraphClient, Json

JPEG = b"\xff\xd8\xff\x00--not-a-boundary\r\n\r\n\xff\xd9\r\n"


async def upload(
    graph: GraphClient, data: bytes = JPEG, mime_type: str = "image/jpeg", product: str = "whatsapp"
) -> tuple[int, Json]:
    form = aiohttp.FormData()
    form.add_field("messaging_product", product)
    form.add_field("type", mime_type)
    form.add_field("file", io.BytesIO(data), filename="kettle.jpg", content_type=mime_type)
    return await graph.graph("POST", f"/v24.0/{graph.number_id}/media", data=form)


async def download(graph: GraphClient, url: str, token: str | None = TOKEN) -> tuple[int, str, bytes]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with graph.session.get(url, headers=headers) as response:
        return response.status, response.content_type, await response.read()


async def test_an_upload_can_be_looked_up_and_downloaded_byte_for_byte(graph: GraphClient) -> None:
    status, uploaded = await upload(graph)
    _, described = await graph.graph("GET", f"/v24.0/{uploaded['id']}?phone_number_id={graph.number_id}")

    assert status == 200
    assert described == {
        "messaging_product": "whatsapp",
        "url": described["url"],
        "mime_type": "image/jpeg",
        "sha256": hashlib.sha256(JPEG).hexdigest(),
        "file_size": len(JPEG),
        "id": uploaded["id"],
    }
    assert described["url"].startswith(f"{graph.url}/whatsapp_business/attachments/?mid=")
    assert await download(graph, described["url"]) == (200, "image/jpeg", JPEG)


async def test_a_download_needs_the_bearer_and_an_address_that_was_not_changed(graph: GraphClient) -> None:
    _, uploaded = await upload(graph)
    url = (await graph.graph("GET", f"/{uploaded['id']}"))[1]["url"]

    assert (await download(graph, url, token=None))[0] == 401
    assert (await download(graph, url, token="wrong"))[0] == 401
    assert (await download(graph, url.replace("ext=", "ext=9")))[0] == 404
    assert await download(graph, url[:-4]) == (404, "text/html", b"")


async def test_a_download_address_holds_for_five_minutes(graph: GraphClient) -> None:
    await graph.control("POST", "/clock", {"freeze": True})
    _, uploaded = await upload(graph)
    url = (await graph.graph("GET", f"/{uploaded['id']}"))[1]["url"]
    await graph.control("POST", "/clock", {"advance": 298})
    in_time = (await download(graph, url))[0]
    await graph.control("POST", "/clock", {"advance": 3})
    too_late = (await download(graph, url))[0]

    assert (in_time, too_late) == (200, 404)


async def test_a_deleted_file_is_gone(graph: GraphClient) -> None:
    _, uploaded = await upload(graph)

    assert await graph.graph("DELETE", f"/{uploaded['id']}") == (200, {"success": True})
    status, answer = await graph.graph("GET", f"/{uploaded['id']}")
    assert (status, answer["error"]["code"], answer["error"]["error_subcode"]) == (400, 100, 33)


@pytest.mark.parametrize(
    ("size", "mime_type", "code", "named"),
    [
        (10, "application/zip", 100, "Param file must be a file"),
        (0, "image/jpeg", 131053, "0 bytes"),
        (5 * 1024 * 1024 + 1, "image/png", 131053, "Max: 5242880"),
    ],
)
async def test_a_file_of_the_wrong_type_or_size_is_refused(
    graph: GraphClient, size: int, mime_type: str, code: int, named: str
) -> None:
    status, answer = await upload(graph, bytes(size), mime_type)

    assert (status, answer["error"]["code"]) == (400, code)
    assert named in answer["error"]["message"] + answer["error"].get("error_data", {}).get("details", "")


async def test_an_upload_without_the_product_is_refused(graph: GraphClient) -> None:
    status, answer = await upload(graph, product="")

    assert (status, answer["error"]["message"]) == (400, "(#100) The parameter messaging_product is required.")


async def test_a_message_refers_to_its_own_numbers_unexpired_media_of_the_right_kind(graph: GraphClient) -> None:
    media_id = (await upload(graph))[1]["id"]
    other = await graph.control("POST", "/numbers", {"waba_id": graph.waba_id, "phone": "15550100200"})
    image = {"messaging_product": "whatsapp", "to": "+15550142001", "type": "image", "image": {"id": media_id}}

    assert (await graph.send("image", {"id": media_id}))[0] == 200
    wrong_kind = await graph.send("audio", {"id": media_id})
    wrong_number = await graph.graph("POST", f"/{other['id']}/messages", json=image)
    await graph.control("POST", "/clock", {"advance": 30 * 86_400})
    expired = await graph.send("image", {"id": media_id})

    assert wrong_kind[1]["error"]["code"] == 131053
    assert wrong_number[1]["error"]["code"] == 100
    assert expired[1]["error"]["code"] == 100


async def test_an_inbound_file_comes_with_id_hash_and_address_and_can_be_fetched(
    graph: GraphClient, callback: Callback
) -> None:
    file = {
        "data": base64.b64encode(JPEG).decode(),
        "mime_type": "application/pdf",
        "caption": "my receipt",
        "filename": "receipt.pdf",
    }
    injected = await graph.inbound(type="document", file=file)
    await callback.posts(1)
    document = callback.values()[0]["messages"][0]["document"]
    _, described = await graph.graph("GET", f"/v24.0/{injected['media_id']}")

    assert document == {
        "caption": "my receipt",
        "filename": "receipt.pdf",
        "mime_type": "application/pdf",
        "sha256": base64.b64encode(hashlib.sha256(JPEG).digest()).decode(),
        "id": injected["media_id"],
        "url": document["url"],
    }
    assert (await download(graph, document["url"]))[2] == JPEG
    assert (await download(graph, described["url"]))[2] == JPEG


async def test_inbound_media_lives_for_seven_days(graph: GraphClient) -> None:
    file = {"data": base64.b64encode(JPEG).decode(), "mime_type": "image/jpeg"}
    media_id = (await graph.inbound(type="image", file=file))["media_id"]
    await graph.control("POST", "/clock", {"advance": 7 * 86_400})

    assert (await graph.graph("GET", f"/{media_id}"))[0] == 400


async def test_a_local_link_that_cannot_be_fetched_fails_later(graph: GraphClient, callback: Callback) -> None:
    await graph.accepted("image", {"link": f"{graph.url}/nothing-here.jpg"})
    await callback.posts(1)
    status = callback.statuses()[0]

    assert (status["status"], status["errors"][0]["code"]) == ("failed", 131053)


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        (
            {"type": "reaction", "reaction": {"message_id": "wamid.B", "emoji": "👍"}},
            "reaction",
            {"message_id": "wamid.B", "emoji": "👍"},
        ),
        ({"type": "reaction", "reaction": {"message_id": "wamid.B"}}, "reaction", {"message_id": "wamid.B"}),
        (
            {"type": "location", "location": {"latitude": 40.1, "longitude": -100.2, "name": "Coffee"}},
            "location",
            {"latitude": 40.1, "longitude": -100.2, "name": "Coffee"},
        ),
        (
            {"type": "button", "button": {"payload": "STOP", "text": "Stop"}},
            "button",
            {"payload": "STOP", "text": "Stop"},
        ),
        (
            {"type": "interactive", "interactive": {"id": "a", "title": "Confirm"}},
            "interactive",
            {"type": "button_reply", "button_reply": {"id": "a", "title": "Confirm"}},
        ),
        (
            {"type": "interactive", "interactive": {"kind": "list_reply", "id": "a", "title": "b", "description": "c"}},
            "interactive",
            {"type": "list_reply", "list_reply": {"id": "a", "title": "b", "description": "c"}},
        ),
        (
            {"type": "raw", "message": {"type": "order", "order": {"catalog_id": "9"}}},
            "order",
            {"catalog_id": "9"},
        ),
    ],
)
async def test_each_inbound_type_has_metas_shape(
    graph: GraphClient, callback: Callback, given: Json, key: str, expected: Json
) -> None:
    await graph.inbound(**given, reply_to="wamid.A")
    await callback.posts(1)
    found = callback.values()[0]["messages"][0]

    assert found["type"] == key
    assert found[key] == expected
    assert found["context"] == {"from": "15550100199", "id": "wamid.A"}


async def test_an_inbound_request_that_makes_no_sense_is_refused(graph: GraphClient) -> None:
    for wrong in ({"type": "image"}, {"phone_number_id": "1"}, {"typ": "text"}):
        body = {"phone_number_id": graph.number_id, "from": "15550142001", **wrong}
        async with graph.session.post(f"{graph.url}/_emu/inbound", json=body) as response:
            assert response.status == 400
