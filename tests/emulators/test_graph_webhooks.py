"""What the callback gets: shapes, signatures, order, duplicates, retries."""

import asyncio
import json
from itertools import pairwise

import pytest

from emulators.graph_side import BUSINESS, CUSTOMER, PROMPT, Callback, GraphClient, RunGraph, message
from inbox.emulators.graph_api.config import GraphApiConfig
from inbox.emulators.graph_api.wire import signature, webhook_bytes

NOON = 1_790_000_000
SECRET = "emulator-app-secret"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"object":"whatsapp_business_account","entry":[]}',
            "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
        ),
        (
            b'{"object": "whatsapp_business_account", "entry": []}',
            "sha256=56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a",
        ),
    ],
)
def test_the_signature_is_the_hmac_of_the_raw_bytes(body: bytes, expected: str) -> None:
    assert signature("test_app_secret", body) == expected


def test_webhooks_are_compact_ascii_with_lower_case_escapes_and_escaped_slashes() -> None:
    document = {"object": "whatsapp_business_account", "body": "Grüße 👋 a/b"}

    assert webhook_bytes(document) == (
        rb'{"object":"whatsapp_business_account","body":"Gr\u00fc\u00dfe \ud83d\udc4b a\/b"}'
    )


async def test_each_delivery_is_signed_over_the_bytes_that_were_sent(graph: GraphClient, callback: Callback) -> None:
    await graph.inbound(text="Grüße 👋 a/b")
    await callback.posts(1)

    assert callback.signatures == [signature(SECRET, callback.bodies[0])]
    assert json.dumps(json.loads(callback.bodies[0])).encode() != callback.bodies[0]


async def test_an_inbound_text_has_metas_shape(graph: GraphClient, callback: Callback) -> None:
    await graph.control("POST", "/clock", {"freeze": True, "at": NOON})
    wamid = (await graph.inbound(text="Hi, is the blue kettle back in stock?"))["wamid"]

    assert await callback.posts(1) == [
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": graph.waba_id,
                    "changes": [
                        {
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": {
                                    "display_phone_number": BUSINESS,
                                    "phone_number_id": graph.number_id,
                                },
                                "contacts": [{"profile": {"name": "Dana Example"}, "wa_id": CUSTOMER}],
                                "messages": [
                                    {
                                        "from": CUSTOMER,
                                        "id": wamid,
                                        "timestamp": str(NOON),
                                        "type": "text",
                                        "text": {"body": "Hi, is the blue kettle back in stock?"},
                                    }
                                ],
                            },
                            "field": "messages",
                        }
                    ],
                }
            ],
        }
    ]


async def test_a_message_is_sent_delivered_and_read_and_each_status_echoes_the_opaque_id(
    graph: GraphClient, callback: Callback
) -> None:
    await graph.control("POST", "/clock", {"freeze": True, "at": NOON})
    wamid = await graph.accepted(biz_opaque_callback_data="o:42")
    await callback.posts(3)

    plain = {
        "id": wamid,
        "timestamp": str(NOON),
        "recipient_id": CUSTOMER,
        "biz_opaque_callback_data": "o:42",
    }
    pricing = {
        "billable": False,
        "pricing_model": "PMP",
        "type": "free_customer_service",
        "category": "service",
    }
    assert callback.statuses() == [
        {**plain, "status": "sent", "pricing": pricing},
        {**plain, "status": "delivered", "pricing": pricing},
        {**plain, "status": "read"},
    ]
    assert all("contacts" not in value for value in callback.values())


async def test_version_23_adds_a_conversation_that_expires_only_on_sent(run_graph: RunGraph) -> None:
    async with run_graph(payload_version="v23") as graph:
        await graph.control("POST", "/clock", {"freeze": True, "at": NOON})
        await graph.accepted()
        await graph.callback.posts(3)

    sent, delivered, read = graph.callback.statuses()
    assert sent["conversation"]["expiration_timestamp"] == str(NOON + 86_400)
    assert delivered["conversation"].keys() == {"id", "origin"}
    assert "conversation" not in read


async def test_the_2026_version_names_user_ids_and_contacts(run_graph: RunGraph) -> None:
    person = {"phone": CUSTOMER, "name": "Dana Example", "user_id": "US.7001", "username": "dana.example"}
    async with run_graph(payload_version="2026-bsuid") as graph:
        await graph.control("PUT", "/personas", person)
        await graph.inbound(text="Hi")
        await graph.callback.posts(1)
        await graph.accepted()
        await graph.callback.posts(4)

    inbound, sent, delivered, _ = graph.callback.values()
    assert inbound["messages"][0]["from_user_id"] == "US.7001"
    assert inbound["contacts"][0]["user_id"] == "US.7001"
    assert sent["statuses"][0]["recipient_user_id"] == "US.7001"
    assert sent["contacts"] == [{"profile": {"name": "Dana Example"}, "wa_id": CUSTOMER, "user_id": "US.7001"}]
    assert delivered["contacts"][0]["profile"]["username"] == "dana.example"


async def test_someone_who_hides_the_phone_is_known_by_user_id_alone(run_graph: RunGraph) -> None:
    async with run_graph(payload_version="2026-bsuid", check_window=True) as graph:
        await graph.control("PUT", "/personas", {"name": "Dana", "user_id": "US.7001", "receipts": False})
        await graph.control(
            "POST", "/inbound", {"phone_number_id": graph.number_id, "from": "US.7001", "text": "You cannot see me"}
        )
        await graph.accepted(to=None, recipient="US.7001")
        await graph.callback.posts(3)

    inbound, sent, _ = graph.callback.values()
    assert "from" not in inbound["messages"][0]
    assert "wa_id" not in inbound["contacts"][0]
    assert "recipient_id" not in sent["statuses"][0]


@pytest.mark.parametrize(
    ("habits", "expected"),
    [
        ({"receipts": False}, ["sent", "delivered"]),
        ({"reads": False}, ["sent", "delivered"]),
        ({"blocks_business": True}, ["sent"]),
        ({"offline": True}, ["sent"]),
        ({"registered": False}, ["failed"]),
    ],
)
async def test_a_persons_habits_decide_which_statuses_come(
    graph: GraphClient, callback: Callback, habits: dict[str, bool], expected: list[str]
) -> None:
    await graph.control("PUT", "/personas", {"phone": CUSTOMER, **habits})
    await graph.accepted()
    await callback.posts(len(expected))
    await graph.inbound(text="one more event behind them")
    await callback.until(lambda: any("messages" in value for value in callback.values()))

    assert [status["status"] for status in callback.statuses()] == expected


async def test_what_waited_for_an_offline_person_is_delivered_when_they_are_back(
    graph: GraphClient, callback: Callback
) -> None:
    await graph.control("PUT", "/personas", {"phone": CUSTOMER, "offline": True})
    await graph.accepted()
    await callback.posts(1)
    await graph.control("PUT", "/personas", {"phone": CUSTOMER, "receipts": False})
    await callback.posts(2)

    assert [status["status"] for status in callback.statuses()] == ["sent", "delivered"]


async def test_a_blocked_user_reaches_nobody_and_cannot_be_reached(graph: GraphClient, callback: Callback) -> None:
    await graph.control("PATCH", "/numbers", {"id": graph.number_id, "blocked": [CUSTOMER]})
    injected = await graph.inbound(text="Hello?")
    await graph.accepted()
    await callback.posts(1)

    assert injected["delivered"] is False
    assert callback.statuses()[0]["errors"][0]["code"] == 130403


async def test_a_failed_status_has_metas_shape(graph: GraphClient, callback: Callback) -> None:
    await graph.control("PUT", "/personas", {"phone": CUSTOMER, "registered": False})
    await graph.accepted()
    await callback.posts(1)

    assert callback.statuses()[0]["errors"] == [
        {
            "code": 131026,
            "title": "Message undeliverable",
            "message": "Message undeliverable",
            "error_data": {"details": "Message Undeliverable."},
            "href": "/documentation/business-messaging/whatsapp/support/error-codes",
        }
    ]
    assert "pricing" not in callback.statuses()[0]


async def test_a_delivery_is_tried_again_with_the_same_bytes_until_200(graph: GraphClient, callback: Callback) -> None:
    callback.answers.extend([500, 302, 204, 401])
    await graph.inbound(text="Hi")
    await callback.posts(5)
    attempts = await graph.settled("attempt", 5)

    assert len(set(callback.bodies)) == 1
    assert [(entry["attempt"], entry["outcome"]) for entry in attempts] == [
        (1, 500),
        (2, 302),
        (3, 204),
        (4, 401),
        (5, 200),
    ]
    assert (await graph.control("GET", "/state"))["pending_events"] == 0


async def test_retries_grow_apart_by_the_schedule(run_graph: RunGraph) -> None:
    async with run_graph(retry_delays=[1, 3, 9], time_compression=100) as graph:
        graph.callback.answers.extend([500] * 3)
        await graph.inbound(text="Hi")
        await graph.settled("attempt", 4)
        ledger = await graph.control("GET", "/ledger?kind=attempt")

    seconds = [float(entry["time"][17:-1]) for entry in ledger["entries"]]
    gaps = [(later - earlier) % 60 for earlier, later in pairwise(seconds)]
    assert [gap >= least for gap, least in zip(gaps, (0.0095, 0.0295, 0.0895), strict=True)] == [True] * 3


async def test_a_delivery_that_nobody_takes_is_given_up_in_the_end(run_graph: RunGraph) -> None:
    async with run_graph(give_up_after=0.02) as graph:
        graph.callback.answers.extend([500] * 100)
        await graph.inbound(text="Hi")
        given_up = await graph.settled("given_up", 1)

        assert given_up[0]["attempts"] >= 2
        assert (await graph.control("GET", "/state"))["pending_events"] == 0


async def test_a_callback_that_is_too_slow_counts_as_failed(run_graph: RunGraph) -> None:
    async with run_graph(webhook_timeout=0.05) as graph:
        gate = asyncio.Event()
        graph.callback.gate = gate
        await graph.inbound(text="Hi")
        first = await graph.settled("attempt", 1)
        gate.set()
        await graph.callback.posts(2)

    assert first[0]["outcome"] == "timeout"


async def test_a_callback_that_is_down_counts_as_failed(run_graph: RunGraph) -> None:
    async with run_graph(GraphApiConfig(callback_url="http://127.0.0.1:1/webhook", behaviour=PROMPT)) as graph:
        await graph.inbound(text="Hi")
        attempts = await graph.settled("attempt", 2)

    assert attempts[0]["outcome"] == "ClientConnectorError"


async def test_every_nth_delivery_is_made_twice(run_graph: RunGraph) -> None:
    async with run_graph(duplicate_every=2) as graph:
        for text in ("one", "two", "three", "four"):
            await graph.inbound(text=text)
        await graph.callback.posts(6)

        texts = [value["messages"][0]["text"]["body"] for value in graph.callback.values()]
        assert sorted(texts) == ["four", "four", "one", "three", "two", "two"]
        assert [entry["duplicate"] for entry in await graph.settled("attempt", 6)].count(True) == 2


async def test_events_share_a_delivery_up_to_the_batch_size(run_graph: RunGraph) -> None:
    async with run_graph(batch_size=3, batch_wait=0.05) as graph:
        batch = [{"phone_number_id": graph.number_id, "from": f"1555014200{n}", "text": str(n)} for n in range(7)]
        await graph.control("POST", "/inbound/batch", batch)
        posts = await graph.callback.posts(3)

    messages = [[one["text"]["body"] for one in post["entry"][0]["changes"][0]["value"]["messages"]] for post in posts]
    assert messages == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert len(posts[0]["entry"][0]["changes"][0]["value"]["contacts"]) == 3


async def test_held_back_events_come_out_of_order(run_graph: RunGraph) -> None:
    async with run_graph(reorder=0.05) as graph:
        batch = [{"phone_number_id": graph.number_id, "from": CUSTOMER, "text": str(n)} for n in range(20)]
        await graph.control("POST", "/inbound/batch", batch)
        await graph.callback.posts(20)

    texts = [int(value["messages"][0]["text"]["body"]) for value in graph.callback.values()]
    assert sorted(texts) == list(range(20))
    assert texts != sorted(texts)


async def test_sent_can_come_before_the_answer_to_the_call(run_graph: RunGraph) -> None:
    async with run_graph(status_before_response=True) as graph:
        wamid = await graph.accepted()
        already = [(status["id"], status["status"]) for status in graph.callback.statuses()]
        await graph.callback.posts(3)

    assert already[0] == (wamid, "sent")
    assert [status["status"] for status in graph.callback.statuses()] == ["sent", "delivered", "read"]


async def test_nothing_comes_to_an_unsubscribed_account(graph: GraphClient, callback: Callback) -> None:
    await graph.graph("DELETE", f"/{graph.waba_id}/subscribed_apps")

    assert (await graph.inbound(text="Hi"))["delivered"] is False
    assert callback.bodies == []


async def test_statuses_can_be_emitted_by_hand_in_any_order(run_graph: RunGraph) -> None:
    async with run_graph(auto_statuses=False) as graph:
        wamid = await graph.accepted()
        for status in ("read", "delivered", "failed"):
            await graph.control("POST", "/statuses", {"wamid": wamid, "status": status, "code": 131049})
        await graph.callback.posts(3)

    assert [status["status"] for status in graph.callback.statuses()] == ["read", "delivered", "failed"]
    assert graph.callback.statuses()[2]["errors"][0]["code"] == 131049


async def test_any_bytes_can_be_signed_and_delivered_as_they_are(graph: GraphClient, callback: Callback) -> None:
    body = b'{"object": "\\ud800 \\u0000", "entry": [[[]]]}'
    async with graph.session.post(f"{graph.url}/_emu/webhooks/raw", data=body) as response:
        assert response.status == 202
    await callback.posts(1)

    assert callback.bodies == [body]
    assert callback.signatures == [signature(SECRET, body)]


async def test_a_voice_message_is_played_after_it_was_read(graph: GraphClient, callback: Callback) -> None:
    await graph.accepted("audio", {"link": "https://cdn.example/a.ogg", "voice": True})
    await callback.posts(4)

    assert [status["status"] for status in callback.statuses()] == ["sent", "delivered", "read", "played"]


async def test_a_reaction_is_only_sent_and_fails_on_an_unknown_target(graph: GraphClient, callback: Callback) -> None:
    target = (await graph.inbound(text="Hi"))["wamid"]
    await callback.posts(1)
    await graph.accepted("reaction", {"message_id": target, "emoji": "👍"})
    await callback.posts(2)
    await graph.accepted("reaction", {"message_id": "wamid.unknown", "emoji": "👍"})
    await callback.posts(3)

    first, second = callback.statuses()
    assert first["status"] == "sent"
    assert (second["status"], second["errors"][0]["code"]) == ("failed", 131009)


async def test_the_ledger_accounts_for_every_send_and_every_event(run_graph: RunGraph) -> None:
    async with run_graph(batch_size=10, batch_wait=0.01, webhook_concurrency=4) as graph:
        wamids = [await graph.accepted(to=f"+1555014{n:04d}", biz_opaque_callback_data=f"o:{n}") for n in range(20)]
        await graph.callback.until(lambda: len(graph.callback.statuses()) >= 60)
        events = await graph.settled("webhook", 60)
        sends = await graph.entries("send")

    assert [(entry["wamid"], entry["op"]) for entry in sends] == [(wamid, f"o:{n}") for n, wamid in enumerate(wamids)]
    delivered = sorted((entry["id"], entry["type"]) for entry in events)
    assert delivered == sorted((status["id"], status["status"]) for status in graph.callback.statuses())
    assert delivered == sorted((wamid, status) for wamid in wamids for status in ("sent", "delivered", "read"))


async def test_a_reset_forgets_what_waits_and_starts_the_ids_again(graph: GraphClient, callback: Callback) -> None:
    callback.answers.extend([500] * 50)
    first = await graph.accepted()
    await callback.posts(1)
    await graph.control("POST", "/reset")
    state = await graph.control("GET", "/state")
    await graph.control("POST", "/wabas", {"numbers": [{"phone": BUSINESS}]})
    status, answer = await graph.graph("POST", f"/{graph.number_id}/messages", json=message())

    assert (state["numbers"], state["pending_events"], state["sends"]["kept"]) == (0, 0, 0)
    assert (status, answer["messages"][0]["id"]) == (200, first)
