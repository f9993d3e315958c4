"""The assistant's profile over HTTP, in the shape of the contract."""

import pytest

from api.conftest import a_caller
from builders import an_account, execute
from inbox.domain.access import Permission
from inbox.domain.ids import uuid7
from inbox.ports.llm import Assistant

COMPANY = dict.fromkeys(("name", "address", "hours_block", "zone", "rendezvous", "activity"), "")
EMPTY_CONFIG: dict[str, object] = {
    "system_rules": dict.fromkeys(
        ("language", "tone", "role", "mission", "style", "priority", "response_policy", "security"), ""
    ),
    "company": COMPANY,
    "offers": [],
    "procedures": [],
    "faq": [],
    "special_cases": [],
    "conditions": dict.fromkeys(("zone", "payment", "engagement", "restrictions", "documents"), ""),
    "links": dict.fromkeys(("site", "products", "form", "other"), ""),
    "escalation": dict.fromkeys(("procedure", "contact", "hours"), ""),
    "special_rules": "",
}
NO_BUDGET = {"turns": None, "tokens": None, "cost": None}
USUAL: dict[str, object] = {
    "language": "fr",
    "model": None,
    "temperature": None,
    "min_confidence": None,
    "reads_images": True,
    "reads_voice": True,
    "link_domains": [],
    "schedule": {"answers": "always", "time_zone": "Europe/Paris", "business_hours": []},
    "contact_budget": NO_BUDGET,
    "account_budget": NO_BUDGET,
    "auto_on": False,
}
TEXTS = ("business_name", "description", "address", "hours", "knowledge_base")


@pytest.fixture
async def manager(engine, account):
    return await a_caller(engine, account, Permission.SETTINGS_MANAGE)


@pytest.fixture
def path(account):
    return f"/bot/profile/{account}"


def problem(answer):
    return answer.status_code, answer.json()["detail"]


async def test_without_a_stored_row_everything_is_empty_and_id_and_time_are_missing(client, account, manager, path):
    answer = await client.get(path, headers=manager)
    assert answer.status_code == 200
    assert answer.json() == {
        "account_id": str(account),
        **dict.fromkeys(TEXTS, ""),
        "custom_fields": [],
        "template_config": EMPTY_CONFIG,
        "behaviour": USUAL,
    }


async def test_an_empty_body_makes_texts_null_and_the_rest_empty(client, account, manager, path):
    answer = await client.put(path, json={}, headers=manager)
    assert answer.status_code == 200
    body = answer.json()
    assert len(body.pop("id")) == 36
    assert body.pop("updated_at").endswith("Z")
    assert body == {
        "account_id": str(account),
        **dict.fromkeys(TEXTS),
        "custom_fields": [],
        "template_config": EMPTY_CONFIG,
        "behaviour": USUAL,
    }
    assert (await client.get(path, headers=manager)).json() == answer.json()


async def test_a_profile_is_cleaned_kept_and_the_same_at_every_read(client, manager, path):
    body = {
        "business_name": "Atelier Lyon",
        "description": "",
        "hours": None,
        "custom_fields": [
            {"label": " Parking ", "value": "Gratuit\n"},
            {"label": "", "value": ""},
            {"id": "kept", "label": "Wifi", "value": ""},
            {"id": None, "label": "", "value": "x"},
        ],
        "template_config": {
            "company": {"name": " Atelier ", "siret": "123"},
            "offers": [{"_id": "1", "category": "", "content": " "}, {"_id": "2", "category": 7, "content": None}],
            "unknown": {"a": 1},
        },
    }
    answer = await client.put(path, json=body, headers=manager)
    assert answer.status_code == 200
    stored = answer.json()
    assert [stored[name] for name in TEXTS] == ["Atelier Lyon", "", None, None, None]
    assert [(field["label"], field["value"]) for field in stored["custom_fields"]] == [
        ("Parking", "Gratuit"),
        ("Wifi", ""),
        ("", "x"),
    ]
    ids = [field["id"] for field in stored["custom_fields"]]
    assert ids[1] == "kept"
    assert len({*ids, "", None}) == 5
    assert stored["template_config"] == {
        **EMPTY_CONFIG,
        "company": {**COMPANY, "name": "Atelier"},
        "offers": [{"category": "7", "content": ""}],
    }
    for _ in range(2):
        assert (await client.get(path, headers=manager)).json() == stored
    again = {key: stored[key] for key in (*TEXTS, "custom_fields", "template_config")}
    put_back = (await client.put(path, json=again, headers=manager)).json()
    assert {**put_back, "updated_at": None} == {**stored, "updated_at": None}


async def test_the_limits_are_taken(client, manager, path):
    body = {
        "knowledge_base": "x" * 20_000,
        "custom_fields": [{"label": "l" * 120, "value": "v" * 2000}] * 2,
        "template_config": {"faq": [{"question": "?"}] * 200},
    }
    assert (await client.put(path, json=body, headers=manager)).status_code == 200


async def test_a_behaviour_is_replaced_as_a_whole_and_front_ends_of_before_leave_it_alone(client, manager, path):
    told = {
        "language": "en",
        "model": "gemini-3.8-flash",
        "temperature": 0.2,
        "min_confidence": 0.7,
        "reads_voice": False,
        "link_domains": ["shop.example"],
        "schedule": {
            "answers": "outside_business_hours",
            "time_zone": "America/New_York",
            "business_hours": [{"day": 1, "opens": "09:00", "closes": "24:00"}],
        },
        "account_budget": {"cost": 2.5},
        "auto_on": True,
    }
    expected = {**USUAL, **told, "account_budget": {**NO_BUDGET, "cost": 2.5}}
    assert (await client.put(path, json={"behaviour": told}, headers=manager)).json()["behaviour"] == expected
    assert (await client.put(path, json={"hours": "9h"}, headers=manager)).json()["behaviour"] == expected
    assert (await client.get(path, headers=manager)).json()["behaviour"] == expected
    assert (await client.put(path, json={"behaviour": {}}, headers=manager)).json()["behaviour"] == USUAL


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"behaviour": None}, "body.behaviour"),
        ({"behaviour": {"language": "de"}}, "body.behaviour.language"),
        ({"behaviour": {"min_confidence": 2}}, "body.behaviour.min_confidence"),
        ({"behaviour": {"link_domains": ["https://a.example"]}}, "body.behaviour.link_domains[0]"),
        ({"behaviour": {"schedule": {"time_zone": "Mars/Base"}}}, "body.behaviour.schedule.time_zone"),
        ({"behaviour": {"schedule": {"time_zone": "../passwd"}}}, "body.behaviour.schedule.time_zone"),
        (
            {"behaviour": {"schedule": {"business_hours": [{"day": 1, "opens": "18:00", "closes": "09:00"}]}}},
            "body.behaviour.schedule.business_hours[0].closes",
        ),
        ({"behaviour": {"account_budget": {"turns": -1}}}, "body.behaviour.account_budget.turns"),
        ({"custom_fields": None}, "body.custom_fields"),
        ({"template_config": None}, "body.template_config"),
        ({"template_config": []}, "body.template_config"),
        ({"template_config": {"company": []}}, "body.template_config.company"),
        ({"template_config": {"faq": [{"question": {}}]}}, "body.template_config.faq[0].question"),
        ({"template_config": {"faq": [{}] * 201}}, "body.template_config.faq"),
        ({"template_config": {"special_rules": "x" * 20_001}}, "body.template_config.special_rules"),
        ({"custom_fields": [{"label": "l" * 121, "value": ""}]}, "body.custom_fields[0].label"),
        ({"custom_fields": [{"label": "", "value": "v" * 2001}]}, "body.custom_fields[0].value"),
        ({"custom_fields": [{"label": ""}]}, "body.custom_fields[0].value"),
        ({"custom_fields": [{"value": ""}]}, "body.custom_fields[0].label"),
        ({"custom_fields": [{"label": None, "value": ""}]}, "body.custom_fields[0].label"),
        ({"custom_fields": [{"label": "", "value": ""}] * 201}, "body.custom_fields"),
        ({"hours": 7}, "body.hours"),
        ({"hours": "x" * 20_001}, "body.hours"),
        ({"style_guide": "x"}, "body.style_guide"),
        ([], "body"),
    ],
)
async def test_another_shape_is_422_with_its_path_and_stores_nothing(client, engine, manager, path, body, where):
    answer = await client.put(path, json=body, headers=manager)
    assert problem(answer) == (422, "validation_error")
    assert [error["path"] for error in answer.json()["errors"]] == [where]
    assert await execute(engine, "select 1 from bot_profiles") == []


async def test_a_foreign_a_missing_and_a_malformed_account_look_the_same(client, engine, account, manager):
    everywhere = await a_caller(engine, None, *Permission)
    foreign = (await an_account(engine)).account_id
    asked = [(manager, foreign), (manager, uuid7()), (manager, "nothing"), (everywhere, uuid7())]
    answers = [await client.get(f"/bot/profile/{one}", headers=headers) for headers, one in asked]
    answers += [await client.put(f"/bot/profile/{one}", json={}, headers=headers) for headers, one in asked]
    assert {problem(answer) for answer in answers} == {(404, "account_not_found")}
    assert len({str({**answer.json(), "request_id": ""}) for answer in answers}) == 1


async def test_who_knows_the_account_without_the_right_gets_403(client, engine, account, path):
    viewer = await a_caller(engine, account, Permission.MESSAGES_VIEW, Permission.MESSAGES_SEND)
    assert problem(await client.get(path, headers=viewer)) == (403, "permission_denied")
    assert problem(await client.put(path, json={}, headers=viewer)) == (403, "permission_denied")


async def test_a_model_that_the_vendor_does_not_have_is_refused(client, container, manager, path, monkeypatch):
    async def knows(model: str) -> bool:
        return model == "good"

    monkeypatch.setattr(await container.get(Assistant), "knows", knows)
    assert (await client.put(path, headers=manager, json={"behaviour": {"model": "good"}})).status_code == 200
    answer = await client.put(path, headers=manager, json={"behaviour": {"model": "bad"}})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "body.behaviour.model")
