"""WABAs, numbers, subscriptions and their handshake, tokens, templates."""

from typing import Any

import pytest

from emulators.graph_side import Callback, GraphClient, Json, RunGraph
from inbox.emulators.graph_api.config import GraphApiConfig

APP = GraphApiConfig()
APP_TOKEN = f"{APP.app_id}|{APP.app_secret}"
BODY = {"type": "BODY", "text": "Hi {{1}}, order {{2}} left our shop. Thanks!"}


async def subscribe(graph: GraphClient, callback: Callback, **changes: str) -> tuple[int, Json]:
    form = {
        "object": "whatsapp_business_account",
        "callback_url": callback.url,
        "verify_token": "s3cret",
        "fields": "messages,message_template_status_update",
        "include_values": "true",
        **changes,
    }
    return await graph.graph("POST", f"/v24.0/{APP.app_id}/subscriptions", data=form, token=APP_TOKEN)


async def test_a_subscription_is_stored_after_the_handshake(run_graph: RunGraph, callback: Callback) -> None:
    async with run_graph(GraphApiConfig()) as graph:
        before = (await graph.inbound(text="lost"))["delivered"]
        answer = await subscribe(graph, callback)
        after = (await graph.inbound(text="heard"))["delivered"]
        await callback.posts(1)

    assert (before, answer, after) == (False, (200, {"success": True}), True)
    assert callback.handshakes[0].keys() == {"hub.mode", "hub.challenge", "hub.verify_token"}
    assert callback.handshakes[0]["hub.mode"] == "subscribe"


async def test_a_subscription_whose_handshake_fails_is_not_stored(run_graph: RunGraph, callback: Callback) -> None:
    async with run_graph(GraphApiConfig()) as graph:
        status, answer = await subscribe(graph, callback, verify_token="wrong")

        assert (status, answer["error"]["code"]) == (400, 2200)
        assert "HTTP Status Code = 403" in answer["error"]["message"]
        assert (await graph.control("GET", "/state"))["callback"] is None


async def test_a_subscription_needs_the_apps_own_token_and_known_fields(graph: GraphClient, callback: Callback) -> None:
    wrong_token = await graph.graph("POST", f"/{APP.app_id}/subscriptions", json={})
    wrong_field = await subscribe(graph, callback, fields="messages,gossip")

    assert (wrong_token[0], wrong_token[1]["error"]["code"]) == (400, 15)
    assert (wrong_field[0], wrong_field[1]["error"]["code"]) == (400, 100)


async def test_an_override_of_the_number_wins_over_the_accounts_and_the_apps(
    graph: GraphClient, callback: Callback
) -> None:
    for level, node in (("waba", graph.waba_id), ("phone", graph.number_id)):
        body: dict[str, Any] = {"override_callback_uri": f"{callback.url}?{level}", "verify_token": "s3cret"}
        path = f"/{node}/subscribed_apps" if level == "waba" else f"/{node}"
        sent = body if level == "waba" else {"webhook_configuration": body}
        assert await graph.graph("POST", path, json=sent) == (200, {"success": True})
    _, configured = await graph.graph("GET", f"/{graph.number_id}?fields=webhook_configuration")
    await graph.inbound(text="one")
    await graph.graph("POST", f"/{graph.number_id}", json={"webhook_configuration": {"override_callback_uri": ""}})
    await graph.inbound(text="two")
    await graph.graph("POST", f"/{graph.waba_id}/subscribed_apps")
    await graph.inbound(text="three")
    attempts = await graph.settled("attempt", 3)

    assert configured["webhook_configuration"] == {
        "phone_number": f"{callback.url}?phone",
        "whatsapp_business_account": f"{callback.url}?waba",
        "application": callback.url,
    }
    assert [entry["url"] for entry in attempts] == [f"{callback.url}?phone", f"{callback.url}?waba", callback.url]


async def test_an_override_whose_handshake_fails_is_not_stored(graph: GraphClient, callback: Callback) -> None:
    body = {"webhook_configuration": {"override_callback_uri": callback.url, "verify_token": "wrong"}}

    status, answer = await graph.graph("POST", f"/{graph.number_id}", json=body)

    assert (status, answer["error"]["code"]) == (400, 2200)
    _, found = await graph.graph("GET", f"/{graph.number_id}?fields=webhook_configuration")
    assert found["webhook_configuration"] == {"application": callback.url}


async def test_subscribed_apps_show_the_app_and_can_be_removed(graph: GraphClient) -> None:
    listed = await graph.graph("GET", f"/{graph.waba_id}/subscribed_apps")
    removed = await graph.graph("DELETE", f"/{graph.waba_id}/subscribed_apps")
    empty = await graph.graph("GET", f"/{graph.waba_id}/subscribed_apps")

    link = f"https://www.facebook.com/games/?app_id={APP.app_id}"
    described = {"id": APP.app_id, "link": link, "name": "Emulated app"}
    assert listed == (200, {"data": [{"whatsapp_business_api_data": described}]})
    assert (removed, empty) == ((200, {"success": True}), (200, {"data": []}))


async def test_a_number_shows_its_default_fields_or_the_ones_asked_for(graph: GraphClient) -> None:
    _, whole = await graph.graph("GET", f"/v24.0/{graph.number_id}")
    _, some = await graph.graph("GET", f"/v24.0/{graph.number_id}?fields=status,account_mode")
    status, _ = await graph.graph("GET", f"/v24.0/{graph.number_id}?fields=nonsense")
    _, listed = await graph.graph("GET", f"/v24.0/{graph.waba_id}/phone_numbers")

    assert whole.keys() == {
        "verified_name",
        "code_verification_status",
        "display_phone_number",
        "quality_rating",
        "platform_type",
        "throughput",
        "last_onboarded_time",
        "webhook_configuration",
        "id",
    }
    assert whole["display_phone_number"] == "+1 555-010-0199"
    assert some == {"status": "CONNECTED", "account_mode": "LIVE", "id": graph.number_id}
    assert status == 400
    assert listed["data"] == [whole]


async def test_health_names_every_entity_and_what_is_blocked(graph: GraphClient) -> None:
    await graph.control("PATCH", "/numbers", {"id": graph.number_id, "status": "BANNED"})
    _, answer = await graph.graph("GET", f"/{graph.number_id}?fields=health_status")
    refused = await graph.send()

    health = answer["health_status"]
    kinds = [(entity["entity_type"], entity["can_send_message"]) for entity in health["entities"]]
    assert health["can_send_message"] == "BLOCKED"
    assert kinds == [
        ("PHONE_NUMBER", "BLOCKED"),
        ("WABA", "AVAILABLE"),
        ("BUSINESS", "AVAILABLE"),
        ("APP", "AVAILABLE"),
    ]
    assert refused[1]["error"]["code"] == 133010


async def test_a_waba_shows_the_fields_asked_for(graph: GraphClient) -> None:
    _, answer = await graph.graph("GET", f"/{graph.waba_id}?fields=id,name,currency")

    assert answer == {"name": "Example Shop", "currency": "USD", "id": graph.waba_id}


async def test_a_token_can_be_inspected(graph: GraphClient) -> None:
    await graph.control("POST", "/tokens", {"token": "narrow", "waba_ids": [graph.waba_id], "expires_in": -1})
    narrow = (await graph.graph("GET", "/debug_token?input_token=narrow"))[1]["data"]
    unknown = (await graph.graph("GET", "/debug_token?input_token=who"))[1]["data"]

    assert narrow["is_valid"] is False
    assert narrow["granular_scopes"][0]["target_ids"] == [graph.waba_id]
    assert (unknown["is_valid"], unknown["error"]["code"]) == (False, 190)


async def test_many_accounts_can_be_made_at_once(graph: GraphClient) -> None:
    made = await graph.control("POST", "/wabas/many", {"wabas": 3, "numbers_each": 4})

    phones = [number["phone"] for waba in made for number in waba["numbers"]]
    assert phones == [str(15550100000 + n) for n in range(12)]
    assert len(await graph.control("GET", "/wabas")) == 4


async def create(graph: GraphClient, **changes: object) -> tuple[int, Json]:
    template = {"name": "order_update", "language": "en_US", "category": "UTILITY", "components": [BODY], **changes}
    return await graph.graph("POST", f"/v24.0/{graph.waba_id}/message_templates", json=template)


async def test_a_template_is_pending_until_its_review_and_the_app_is_told(
    graph: GraphClient, callback: Callback
) -> None:
    status, created = await create(graph)
    await callback.posts(1)
    _, found = await graph.graph("GET", f"/v24.0/{created['id']}")

    assert (status, created) == (200, {"id": created["id"], "status": "PENDING", "category": "UTILITY"})
    assert callback.values() == [
        {
            "event": "APPROVED",
            "message_template_id": int(created["id"]),
            "message_template_name": "order_update",
            "message_template_language": "en_US",
            "reason": "NONE",
            "message_template_category": "UTILITY",
        }
    ]
    assert found["status"] == "APPROVED"


@pytest.mark.parametrize(
    ("changes", "subcode"),
    [
        ({"components": [{"type": "BODY", "text": "{{1}} is your code, thanks"}]}, 2388299),
        ({"components": [{"type": "BODY", "text": "Hi {{1}} {{2}} bye"}]}, 2388293),
        ({"components": [{"type": "BODY", "text": "Dear {{2}}, we are here for you"}]}, 2388073),
        ({"components": [{"type": "FOOTER", "text": "only a footer"}]}, None),
        ({"name": "Order Update"}, None),
        ({"category": "FUN"}, None),
    ],
)
async def test_a_template_that_breaks_a_rule_is_refused(graph: GraphClient, changes: Json, subcode: int | None) -> None:
    status, answer = await create(graph, **changes)

    assert status == 400
    assert answer["error"].get("error_subcode") == subcode
    assert answer["error"]["code"] in {100, 131008}


async def test_a_template_exists_once_per_language(graph: GraphClient) -> None:
    await create(graph)
    again = await create(graph)
    other_language = await create(graph, language="de")

    assert again[1]["error"]["error_subcode"] == 2388024
    assert other_language[0] == 200


async def test_templates_are_listed_in_pages_with_filters_and_fields(graph: GraphClient) -> None:
    for name in ("a_one", "a_two", "b_three"):
        await create(graph, name=name)
    path = f"/v24.0/{graph.waba_id}/message_templates"
    _, first = await graph.graph("GET", f"{path}?limit=2&fields=name")
    _, second = await graph.graph("GET", first["paging"]["next"].removeprefix(graph.url))
    _, filtered = await graph.graph("GET", f"{path}?name=a_&status=REJECTED")

    assert [template["name"] for template in first["data"]] == ["a_one", "a_two"]
    assert first["data"][0].keys() == {"name", "id"}
    assert [template["name"] for template in second["data"]] == ["b_three"]
    assert "next" not in second["paging"]
    assert filtered == {"data": []}


async def test_a_template_can_be_edited_and_deleted(graph: GraphClient, callback: Callback) -> None:
    created = (await create(graph))[1]
    await callback.posts(1)
    edited = await graph.graph("POST", f"/{created['id']}", json={"category": "MARKETING"})
    await callback.posts(2)
    deleted = await graph.graph("DELETE", f"/{graph.waba_id}/message_templates?name=order_update")
    gone = await graph.graph("DELETE", f"/{graph.waba_id}/message_templates?name=order_update")

    assert (edited[0], deleted[0], gone[0]) == (200, 200, 400)


@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([{"type": "body", "parameters": [{"type": "text", "text": "Dana"}, {"type": "text", "text": "42"}]}], None),
        ([{"type": "body", "parameters": [{"type": "text", "text": "Dana"}]}], 132000),
        (None, 132000),
        ([{"type": "body", "parameters": [{"type": "image"}, {"type": "text", "text": "42"}]}], 132012),
        ([{"type": "body", "parameters": [{"type": "text"}, {"type": "text", "text": "42"}]}], 100),
        ([{"type": "body", "parameters": [{"type": "text", "text": "a\nb"}, {"type": "text", "text": "c"}]}], 132018),
    ],
)
async def test_a_template_message_must_fit_its_template(
    graph: GraphClient, callback: Callback, components: list[Json] | None, code: int | None
) -> None:
    await graph.control("POST", "/templates", {"waba_id": graph.waba_id, "name": "order_update", "components": [BODY]})
    content = {"name": "order_update", "language": {"code": "en_US"}, "components": components}
    status, answer = await graph.send("template", content)

    assert answer.get("error", {}).get("code") == code
    if code is None:
        await callback.posts(3)
        assert status == 200
        assert answer["messages"][0]["message_status"] == "accepted"
        assert callback.statuses()[0]["pricing"]["category"] == "utility"


@pytest.mark.parametrize(("state", "code"), [("PAUSED", 132015), ("DISABLED", 132016), ("REJECTED", 132001)])
async def test_a_template_that_is_not_approved_cannot_be_sent(graph: GraphClient, state: str, code: int) -> None:
    template = {"waba_id": graph.waba_id, "name": "hello", "components": [{"type": "BODY", "text": "Hello"}]}
    template_id = (await graph.control("POST", "/templates", template))["id"]
    await graph.control("POST", "/templates/decision", {"template_id": template_id, "status": state})

    status, answer = await graph.send("template", {"name": "hello", "language": {"code": "en_US"}})

    assert status in {400, 404}
    assert answer["error"]["code"] == code


async def test_named_parameters_header_and_buttons_must_fit_too(graph: GraphClient) -> None:
    components = [
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Hi {{first_name}}, see you soon."},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track", "url": "https://shop.example/t/{{1}}"}]},
    ]
    template = {
        "waba_id": graph.waba_id,
        "name": "full",
        "components": components,
        "parameter_format": "NAMED",
    }
    await graph.control("POST", "/templates", template)
    header = {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://cdn.example/a.jpg"}}]}
    body = {"type": "body", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Dana"}]}
    misnamed = {"type": "body", "parameters": [{"type": "text", "parameter_name": "name", "text": "Dana"}]}
    button = {
        "type": "button",
        "sub_type": "url",
        "index": "0",
        "parameters": [{"type": "text", "text": "42"}],
    }
    found = []
    for given in ([header, body, button], [body, button], [header, misnamed, button], [header, body]):
        _, answer = await graph.send("template", {"name": "full", "language": {"code": "en_US"}, "components": given})
        found.append(answer.get("error", {}).get("code"))

    assert found == [None, 132000, 132012, 131008]
