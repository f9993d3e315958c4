"""Each fault as a client sees it over real HTTP, and what is stored behind it."""

import asyncio
from typing import Any

import aiohttp
import pytest

from emulators.graph_side import CUSTOMER, TOKEN, Callback, GraphClient, message


async def raw_send(graph: GraphClient, seconds: float = 5) -> tuple[int, str, bytes]:
    """Status, content type and bytes of the answer to a send."""
    async with (
        asyncio.timeout(seconds),
        graph.session.post(
            f"{graph.url}/v24.0/{graph.number_id}/messages",
            json=message(biz_opaque_callback_data="o:1"),
            headers={"Authorization": f"Bearer {TOKEN}"},
        ) as response,
    ):
        return response.status, response.content_type, await response.read()


async def arm(graph: GraphClient, **rule: Any) -> None:  # noqa: ANN401  # a rule's fields as JSON
    await graph.control("POST", "/faults", rule)


async def stored(graph: GraphClient) -> int:
    return len((await graph.control("GET", "/sends"))["sends"])


async def bytes_on_the_wire(graph: GraphClient) -> bytes:
    """What a plain socket reads after a send, or the reset that it gets."""
    body = b'{"messaging_product":"whatsapp","to":"15550142001","type":"text","text":{"body":"Hi"}}'
    host, port = graph.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /{graph.number_id}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_an_http_error_answers_with_status_and_code_and_stores_nothing(graph: GraphClient) -> None:
    await arm(graph, action="http_error", status=400, code=130429, count=1, kind="send")
    refused = await graph.send()
    accepted = await graph.send()

    assert refused[0] == 400
    assert refused[1]["error"]["message"] == "(#130429) Rate limit hit"
    assert accepted[0] == 200
    assert await stored(graph) == 1


async def test_an_http_error_can_carry_a_body_and_headers_as_they_stand(graph: GraphClient) -> None:
    await arm(graph, action="http_error", status=429, body={"slow": "down"}, headers={"Retry-After": "7"})
    async with graph.session.get(f"{graph.url}/{graph.number_id}") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert await response.text() == '{"slow":"down"}'


async def test_a_gateways_page_comes_as_html_and_stores_nothing(graph: GraphClient) -> None:
    await arm(graph, action="html_502")

    assert await raw_send(graph) == (502, "text/html", b"<html><body>Bad Gateway</body></html>")
    assert await stored(graph) == 0


async def test_truncated_json_breaks_off_but_the_message_is_stored(graph: GraphClient, callback: Callback) -> None:
    await arm(graph, action="truncated_json")
    status, content_type, body = await raw_send(graph)
    await callback.posts(3)

    assert (status, content_type) == (200, "application/json")
    assert body.startswith(b'{"messaging_product"')
    assert not body.endswith(b"}")
    assert await stored(graph) == 1


async def test_garbage_is_no_json_but_the_message_is_stored(graph: GraphClient) -> None:
    await arm(graph, action="garbage")
    status, _, body = await raw_send(graph)

    assert status == 200
    assert b"\x00" in body
    assert await stored(graph) == 1


async def test_a_hang_gives_no_answer_and_stores_nothing(graph: GraphClient) -> None:
    await arm(graph, action="hang", count=1)
    with pytest.raises(TimeoutError):
        await raw_send(graph, seconds=0.1)

    assert (await raw_send(graph))[0] == 200
    assert await stored(graph) == 1


async def test_a_reset_before_accept_closes_without_a_byte_and_stores_nothing(graph: GraphClient) -> None:
    await arm(graph, action="reset_before_accept")
    with pytest.raises(ConnectionResetError):
        await bytes_on_the_wire(graph)
    with pytest.raises(aiohttp.ClientOSError):
        await raw_send(graph)

    assert await stored(graph) == 0


async def test_a_reset_after_accept_closes_without_a_byte_and_the_statuses_follow(
    graph: GraphClient, callback: Callback
) -> None:
    await arm(graph, action="reset_after_accept")
    with pytest.raises(ConnectionResetError):
        await bytes_on_the_wire(graph)
    with pytest.raises(aiohttp.ClientOSError):
        await raw_send(graph)
    await callback.until(lambda: len(callback.statuses()) == 6)

    assert await stored(graph) == 2
    assert [status.get("biz_opaque_callback_data") for status in callback.statuses()].count("o:1") == 3


async def test_a_delay_only_delays(graph: GraphClient) -> None:
    await arm(graph, action="delay", delay=0.15)
    began = asyncio.get_running_loop().time()
    status, _ = await graph.send()

    assert status == 200
    assert asyncio.get_running_loop().time() - began >= 0.15


async def test_an_asynchronous_failure_is_accepted_and_fails_later(graph: GraphClient, callback: Callback) -> None:
    await arm(graph, action="failed_status", code=131049)
    status, _ = await graph.send()
    await callback.posts(1)

    failed = callback.statuses()[0]
    assert status == 200
    assert (failed["status"], failed["errors"][0]["code"]) == ("failed", 131049)


async def test_a_dropped_webhook_never_leaves_and_comes_with_a_later_attempt(
    graph: GraphClient, callback: Callback
) -> None:
    await arm(graph, action="drop_webhook", type="delivered", count=2)
    await graph.accepted()
    await callback.until(lambda: len(callback.statuses()) == 3)
    attempts = await graph.settled("attempt", 5)

    assert [entry["outcome"] for entry in attempts].count("dropped") == 2
    assert sorted(status["status"] for status in callback.statuses()) == ["delivered", "read", "sent"]


async def test_a_rule_strikes_only_what_it_names(graph: GraphClient) -> None:
    await arm(graph, action="html_502", to=CUSTOMER, type="text", path="/messages$", method="POST")

    assert (await graph.graph("GET", f"/{graph.number_id}"))[0] == 200
    assert (await graph.send(to="+15550142002"))[0] == 200
    assert (await graph.send("location", {"latitude": 1, "longitude": 1}))[0] == 200
    assert (await raw_send(graph))[0] == 502


async def test_rules_are_listed_with_what_they_did_and_can_be_cleared_by_name(graph: GraphClient) -> None:
    await arm(graph, action="html_502", name="outage")
    await arm(graph, action="hang", name="other", kind="media")
    await raw_send(graph)
    listed = await graph.control("GET", "/faults")

    assert [(one["rule"]["name"], one["seen"], one["struck"]) for one in listed] == [("outage", 1, 1), ("other", 0, 0)]
    assert await graph.control("DELETE", "/faults?name=outage") == {"removed": 1}
    assert (await raw_send(graph))[0] == 200
    assert [entry["name"] for entry in await graph.entries("fault")] == ["outage"]


@pytest.mark.parametrize(
    "rule", [{"action": "explode"}, {"action": "drip"}, {"action": "hang", "path": "("}, {"action": "hang", "who": 1}]
)
async def test_a_rule_that_makes_no_sense_is_refused(graph: GraphClient, rule: dict[str, object]) -> None:
    async with graph.session.post(f"{graph.url}/_emu/faults", json=rule) as response:
        assert response.status == 400
        assert (await response.json())["detail"]
