"""Meta's other side takes each of our example messages, as our sender writes it."""

import io
from uuid import uuid4

import aiohttp
import pytest

from emulators.graph_side import BUSINESS, GraphClient, RunGraph
from inbox.adapters.messaging.cloud_api.bodies import body_of
from inbox.domain.ids import MessageId
from inbox.domain.outbound import OpId
from payloads.sends import Example, Json, examples, template_for

EXAMPLES = examples()
FILES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/ogg",
    "document": "application/pdf",
    "sticker": "image/webp",
}


async def upload(graph: GraphClient, kind: str) -> str:
    form = aiohttp.FormData()
    form.add_field("messaging_product", "whatsapp")
    form.add_field("type", FILES[kind])
    form.add_field("file", io.BytesIO(b"\xff\xd8\xff\xd9"), filename="file", content_type=FILES[kind])
    status, answer = await graph.graph("POST", f"/v24.0/{graph.number_id}/media", data=form)
    assert status == 200, answer
    return str(answer["id"])


async def with_files(graph: GraphClient, part: object) -> object:
    """The ids of files in the examples are made up: the same with files that are there."""
    if isinstance(part, list):
        return [await with_files(graph, element) for element in part]
    if not isinstance(part, dict):
        return part
    found: Json = {}
    for key, value in part.items():
        has_id = key in FILES and isinstance(value, dict) and "id" in value
        found[key] = {**value, "id": await upload(graph, key)} if has_id else await with_files(graph, value)
    return found


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
async def test_an_example_is_taken(run_graph: RunGraph, example: Example) -> None:
    op = OpId(MessageId(uuid4()), 1)
    async with run_graph(payload_version="2026-bsuid") as graph:
        body = await with_files(graph, body_of(example.to, example.content, op, example.reply_to))
        assert isinstance(body, dict)
        if body["type"] == "template":
            await graph.control("POST", "/templates", {"waba_id": graph.waba_id, **template_for(body["template"])})
        status, answer = await graph.graph("POST", f"/v24.0/{graph.number_id}/messages", json=body)
        assert status == 200, answer
        sends = await graph.control("GET", "/sends")

    assert [send["op"] for send in sends["sends"]] == [str(op)]
    assert BUSINESS not in str(answer["contacts"])
