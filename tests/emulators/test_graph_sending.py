"""`POST /{phone}/messages`: what is accepted, what is refused and with which words."""

import aiohttp
import pytest

from emulators.graph_side import BUSINESS, CUSTOMER, GraphClient, Json, RunGraph, message
from inbox.emulators.graph_api.config import GraphApiConfig

BUTTON = {"type": "reply", "reply": {"id": "a", "title": "One"}}
ROW = {"id": "slot-1", "title": "16:00"}


def interactive(kind: str, action: Json, **others: object) -> Json:
    return {"type": kind, "body": {"text": "Pick one"}, "action": action, **others}


ACCEPTED: list[tuple[str, object]] = [
    ("text", {"preview_url": True, "body": "x" * 4096}),
    ("image", {"link": "https://cdn.example/asset.jpg", "caption": "Blue kettle"}),
    ("audio", {"link": "https://cdn.example/a.ogg", "voice": True}),
    ("document", {"link": "https://cdn.example/a.pdf", "filename": "a.pdf"}),
    ("sticker", {"link": "https://cdn.example/a.webp"}),
    ("location", {"latitude": "40.1", "longitude": -100.2, "name": "Coffee"}),
    ("contacts", [{"name": {"formatted_name": "Robin Sample", "first_name": "Robin"}}]),
    ("reaction", {"message_id": "wamid.A", "emoji": ""}),
    ("interactive", interactive("button", {"buttons": [BUTTON]})),
    ("interactive", interactive("list", {"button": "Slots", "sections": [{"rows": [ROW]}]})),
    ("interactive", interactive("location_request_message", {"name": "send_location"})),
    (
        "interactive",
        interactive(
            "cta_url", {"name": "cta_url", "parameters": {"display_text": "See", "url": "https://shop.example/"}}
        ),
    ),
    (
        "interactive",
        interactive(
            "flow",
            {
                "name": "flow",
                "parameters": {
                    "flow_message_version": "3",
                    "flow_id": "9",
                    "flow_cta": "Book",
                    "flow_action_payload": {"screen": "BOOK"},
                },
            },
        ),
    ),
    (
        "interactive",
        interactive(
            "carousel",
            {
                "cards": [
                    {"card_index": index, "type": "product", "action": {"product_retailer_id": "a", "catalog_id": "9"}}
                    for index in range(2)
                ]
            },
        ),
    ),
]

REFUSED: list[tuple[str, object, int, str]] = [
    ("text", {"body": "x" * 4097}, 100, "text['body']"),
    ("text", {}, 131008, "text['body']"),
    ("text", {"body": ""}, 131008, "text['body']"),
    ("text", {"boddy": "hi"}, 100, "boddy"),
    ("text", "hi", 100, "text"),
    ("poll", {"question": "?"}, 131051, "not currently supported"),
    ("image", {}, 100, "image['id']"),
    ("image", {"id": "1", "link": "https://cdn.example/a"}, 100, "exactly one"),
    ("image", {"id": "700000000000777"}, 100, "image['id']"),
    ("image", {"link": "ftp://cdn.example/a"}, 131009, "image['link']"),
    ("image", {"link": "https://cdn.example/a", "caption": "x" * 1025}, 100, "image['caption']"),
    ("location", {"longitude": 1}, 131008, "location['latitude']"),
    ("location", {"latitude": 91, "longitude": 1}, 131009, "location['latitude']"),
    ("contacts", [], 131009, "contacts"),
    ("contacts", [{"name": {"formatted_name": "R"}}], 131008, "first_name"),
    ("reaction", {"message_id": "wamid.A"}, 131008, "reaction['emoji']"),
    ("interactive", interactive("menu", {}), 100, "interactive['type']"),
    ("interactive", {"type": "button", "action": {"buttons": [BUTTON]}}, 131008, "interactive['body']"),
    ("interactive", interactive("button", {"buttons": [BUTTON] * 4}), 131009, "buttons"),
    ("interactive", interactive("button", {"buttons": [BUTTON] * 2}), 131009, "unique"),
    (
        "interactive",
        interactive("button", {"buttons": [{"type": "reply", "reply": {"id": "a", "title": "x" * 21}}]}),
        131009,
        "Button title length invalid. Min length: 1, Max length: 20",
    ),
    (
        "interactive",
        interactive("list", {"button": "Slots", "sections": [{"rows": [ROW] * 2}]}),
        131009,
        "Row ids must be unique",
    ),
    (
        "interactive",
        interactive("button", {"buttons": [BUTTON]}, footer={"text": "x" * 61}),
        100,
        "interactive['footer']['text']",
    ),
    ("pin", {"type": "pin", "message_id": "wamid.A"}, 131009, "recipient_type"),
    ("template", {"name": "nothing", "language": {"code": "en_US"}}, 132001, "does not exist in en_US"),
    ("template", {"name": "nothing"}, 131008, "template['language']"),
]


@pytest.mark.parametrize(("kind", "content"), ACCEPTED)
async def test_a_well_formed_message_of_each_type_is_accepted(graph: GraphClient, kind: str, content: object) -> None:
    status, answer = await graph.send(kind, content)

    assert status == 200, answer
    assert answer["contacts"] == [{"input": f"+{CUSTOMER}", "wa_id": CUSTOMER}]
    assert answer["messages"][0]["id"].startswith("wamid.HBgL")


@pytest.mark.parametrize(("kind", "content", "code", "named"), REFUSED)
async def test_a_fault_in_a_message_is_refused_and_the_parameter_is_named(
    graph: GraphClient, kind: str, content: object, code: int, named: str
) -> None:
    status, answer = await graph.send(kind, content)

    error = answer["error"]
    assert status in {400, 404}
    assert error["code"] == code
    assert named in error["message"] + error.get("error_data", {}).get("details", "")
    assert (await graph.control("GET", "/sends"))["sends"] == []


async def test_the_answer_to_a_send_has_metas_shape(graph: GraphClient) -> None:
    status, answer = await graph.send(recipient_type="individual")

    assert status == 200
    assert answer == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+15550142001", "wa_id": "15550142001"}],
        "messages": [{"id": answer["messages"][0]["id"]}],
    }


async def test_a_missing_product_is_refused_in_the_plain_graph_envelope(graph: GraphClient) -> None:
    status, answer = await graph.send(messaging_product=None)

    assert status == 400
    assert answer == {
        "error": {
            "message": "(#100) The parameter messaging_product is required.",
            "type": "OAuthException",
            "code": 100,
            "fbtrace_id": answer["error"]["fbtrace_id"],
        }
    }


@pytest.mark.parametrize(
    ("given", "digits"),
    [
        ("+1 (555) 014-2001", CUSTOMER),
        ("15550142001", CUSTOMER),
        ("555 014 2001", CUSTOMER),
        ("+4915155501420", "4915155501420"),
    ],
)
async def test_a_recipient_is_brought_to_digits_and_the_input_is_given_back(
    graph: GraphClient, given: str, digits: str
) -> None:
    _, answer = await graph.send(to=given)

    assert answer["contacts"] == [{"input": given, "wa_id": digits}]


@pytest.mark.parametrize("given", ["0015550142001", "12", "+abc", "", None])
async def test_a_recipient_that_is_no_phone_number_is_refused(graph: GraphClient, given: str | None) -> None:
    status, answer = await graph.send(to=given)

    assert (status, answer["error"]["code"]) == (400, 100)
    assert " to " in answer["error"]["message"]


async def test_a_number_cannot_write_to_itself(graph: GraphClient) -> None:
    status, answer = await graph.send(to=BUSINESS)

    assert (status, answer["error"]["code"]) == (400, 131021)


async def test_a_test_number_reaches_only_its_allowed_recipients(graph: GraphClient) -> None:
    number = await graph.control(
        "POST", "/numbers", {"waba_id": graph.waba_id, "phone": "15550100200", "allowed": ["15550142009"]}
    )
    path = f"/v24.0/{number['id']}/messages"

    refused = await graph.graph("POST", path, json=message())
    allowed = await graph.graph("POST", path, json=message(to="+15550142009"))

    assert (refused[0], refused[1]["error"]["code"]) == (400, 131030)
    assert allowed[0] == 200


async def test_the_version_in_the_path_is_optional_and_named_in_the_answer(graph: GraphClient) -> None:
    for prefix, version in (("/v23.0", "v23.0"), ("", "v24.0")):
        async with graph.session.post(
            f"{graph.url}{prefix}/{graph.number_id}/messages",
            json=message(),
            headers={"Authorization": "Bearer EMULATOR-TOKEN"},
        ) as response:
            assert response.status == 200
            assert response.headers["facebook-api-version"] == version


async def test_a_body_that_is_no_json_object_is_refused(graph: GraphClient) -> None:
    for body in (b"{", b"[]", b'"text"', b"\xff"):
        status, answer = await graph.graph("POST", f"/{graph.number_id}/messages", data=body)
        assert (status, answer["error"]["code"]) == (400, 100)


async def test_the_token_is_checked_before_anything_else(graph: GraphClient) -> None:
    await graph.control("POST", "/tokens", {"token": "expired", "expires_in": -1})
    await graph.control("POST", "/tokens", {"token": "elsewhere", "waba_ids": ["1"]})
    await graph.control("POST", "/tokens", {"token": "reader", "scopes": ["whatsapp_business_management"]})
    await graph.control("POST", "/tokens", {"token": "sender", "scopes": ["whatsapp_business_messaging"]})
    found = {}
    for token in ("unknown", "expired", "elsewhere", "reader", "sender"):
        status, answer = await graph.graph(
            "POST",
            f"/v24.0/{graph.number_id}/messages",
            json={},
            token=token,
        )
        found[token] = (status, answer["error"]["code"], answer["error"].get("error_subcode"))

    assert found == {
        "unknown": (401, 190, None),
        "expired": (401, 190, 463),
        "elsewhere": (400, 100, 33),
        "reader": (403, 200, None),
        "sender": (400, 100, None),
    }


async def test_a_call_without_a_token_is_refused_by_method(graph: GraphClient) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{graph.url}/{graph.number_id}/messages", json=message()) as posted:
            assert (posted.status, (await posted.json())["error"]["code"]) == (400, 104)
        async with session.get(f"{graph.url}/{graph.number_id}") as read:
            assert (read.status, (await read.json())["error"]["code"]) == (400, 200)


async def test_unknown_paths_and_ids_have_their_own_errors(graph: GraphClient) -> None:
    misspelt = await graph.graph("POST", f"/v24.0/{graph.number_id}/mesages", json=message())
    stranger = await graph.graph("POST", "/v24.0/900555000111222/messages", json=message())
    alias = await graph.graph("GET", "/v24.0/nosuchid")

    assert (misspelt[0], misspelt[1]["error"]["code"]) == (400, 2500)
    assert misspelt[1]["error"]["message"] == "Unknown path components: /mesages"
    assert (stranger[0], stranger[1]["error"]["code"], stranger[1]["error"]["error_subcode"]) == (400, 100, 33)
    assert stranger[1]["error"]["message"].startswith("Unsupported post request. Object with ID '900555000111222'")
    assert (alias[0], alias[1]["error"]["code"]) == (404, 803)


async def test_an_inbound_message_can_be_marked_read_with_a_typing_indicator(graph: GraphClient) -> None:
    wamid = (await graph.inbound(text="Hi"))["wamid"]
    receipt = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}

    for body in (receipt, {**receipt, "typing_indicator": {"type": "text"}}):
        assert await graph.graph("POST", f"/{graph.number_id}/messages", json=body) == (200, {"success": True})

    assert [entry["typing"] for entry in await graph.entries("read")] == [False, True]


async def test_a_read_receipt_for_an_unknown_message_is_refused(graph: GraphClient) -> None:
    body = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.X"}

    status, answer = await graph.graph("POST", f"/{graph.number_id}/messages", json=body)

    assert status == 400
    assert answer["error"]["message"] == "(#131009) Parameter value is not valid"
    assert answer["error"]["error_data"] == {"messaging_product": "whatsapp", "details": "Invalid message id"}


async def test_a_closed_window_shows_later_or_at_once_as_configured(run_graph: RunGraph) -> None:
    async with run_graph(check_window=True) as graph:
        closed = await graph.accepted(to="+15550142077")
        await graph.callback.posts(1)
        await graph.control("PATCH", "/behaviour", {"window_refusal": "synchronous"})
        status, answer = await graph.send(to="+15550142077")

    failed = graph.callback.statuses()[0]
    assert (failed["id"], failed["status"], failed["errors"][0]["code"]) == (closed, "failed", 131047)
    assert (status, answer["error"]["code"]) == (400, 131047)


async def test_a_customer_message_opens_the_window_for_24_hours_of_the_emulators_clock(run_graph: RunGraph) -> None:
    async with run_graph(check_window=True, window_refusal="synchronous") as graph:
        await graph.control("POST", "/clock", {"freeze": True, "at": 1_790_000_000})
        await graph.inbound(text="Hi")
        opened, _ = await graph.send()
        await graph.control("POST", "/clock", {"advance": 86_399})
        still_open, _ = await graph.send()
        await graph.control("POST", "/clock", {"advance": 1})
        closed, _ = await graph.send()

    assert (opened, still_open, closed) == (200, 200, 400)


async def test_a_reaction_opens_no_window(run_graph: RunGraph) -> None:
    async with run_graph(check_window=True, window_refusal="synchronous") as graph:
        await graph.inbound(type="reaction", reaction={"message_id": "wamid.A", "emoji": "👍"})

        assert (await graph.send())[0] == 400


async def test_rates_refuse_when_they_are_switched_on(run_graph: RunGraph) -> None:
    async with run_graph(rates=True) as graph:
        await graph.control("POST", "/clock", {"freeze": True})
        pair = [(await graph.send())[1].get("error", {}).get("code") for _ in range(46)]
        spread = [(await graph.send(to=f"+1555014{n:04d}"))[1].get("error", {}).get("code") for n in range(40)]
        await graph.control("POST", "/clock", {"advance": 6})
        again = (await graph.send())[0]

    assert pair == [None] * 45 + [131056]
    assert spread[:34] == [None] * 34
    assert spread[34:] == [130429] * 6
    assert again == 200


async def test_management_calls_are_counted_in_their_header_when_rates_are_on(run_graph: RunGraph) -> None:
    async with (
        run_graph(rates=True) as graph,
        graph.session.get(
            f"{graph.url}/{graph.waba_id}", headers={"Authorization": "Bearer EMULATOR-TOKEN"}
        ) as response,
    ):
        assert graph.waba_id in response.headers["X-Business-Use-Case-Usage"]


async def test_in_the_2026_version_a_user_id_is_enough_to_send(run_graph: RunGraph) -> None:
    person = {"phone": CUSTOMER, "name": "Dana Example", "user_id": "US.7001", "username": "dana.example"}
    async with run_graph(payload_version="2026-bsuid") as graph:
        await graph.control("PUT", "/personas", person)
        hidden = await graph.send(to=None, recipient="US.7001")
        both = await graph.send(recipient="US.7001")

    assert hidden[1]["contacts"] == [{"input": "US.7001", "user_id": "US.7001"}]
    assert both[1]["contacts"] == [{"input": f"+{CUSTOMER}", "wa_id": CUSTOMER, "user_id": "US.7001"}]


async def test_before_2026_a_user_id_is_an_unexpected_key(graph: GraphClient) -> None:
    status, answer = await graph.send(recipient="US.7001")

    assert (status, answer["error"]["code"]) == (400, 100)
    assert "recipient" in answer["error"]["error_data"]["details"]


async def test_the_same_seed_and_the_same_calls_give_the_same_ids(run_graph: RunGraph) -> None:
    runs = []
    for seed in (7, 7, 8):
        async with run_graph(GraphApiConfig(seed=seed)) as graph:
            await graph.control("PATCH", "/behaviour", {"latency": [0, 0], "auto_statuses": False})
            runs.append([graph.number_id, await graph.accepted(), (await graph.inbound(text="Hi"))["wamid"]])

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
