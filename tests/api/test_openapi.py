"""The description is valid, complete and tight, and changes only when somebody says so."""

import re
from importlib.metadata import version
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
from litestar import get
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from api.conftest import a_caller
from inbox.domain.access import Permission
from inbox.entrypoints.http.openapi import describe
from inbox.entrypoints.http.problems import Problem
from inbox.main.app import routes
from inbox.main.describing import description
from inbox.main.settings import Settings

SNAPSHOT = Path(__file__).parents[2] / "docs" / "openapi.json"
DESCRIPTION = describe(routes(Settings()))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DESCRIPTION["paths"].items()
    for method, operation in item.items()
}
OURS = {name: operation for name, operation in OPERATIONS.items() if "x-permission" in operation}
COMPONENTS = DESCRIPTION["components"]


def validator(schema):
    return jsonschema_rs.Draft202012Validator({**schema, "components": COMPONENTS}, validate_formats=True)


def resolved(part):
    """The part itself where a reference stands for it."""
    while "$ref" in part:
        part = COMPONENTS[part["$ref"].split("/")[2]][part["$ref"].split("/")[3]]
    return part


def contents(operation):
    """Every body and answer with media type, as (what, content)."""
    found = [("request", operation["requestBody"]["content"])] if "requestBody" in operation else []
    found += [(status, resolved(answer).get("content", {})) for status, answer in operation["responses"].items()]
    return [(what, media_type, content) for what, of in found for media_type, content in of.items()]


def strings(value, names=()):
    """Every (path, value) of an object inside `value` that has a type."""
    if isinstance(value, dict):
        if "type" in value:
            yield names, value
        for name, item in value.items():
            yield from strings(item, (*names, name))
    if isinstance(value, list):
        for item in value:
            yield from strings(item, names)


def test_nothing_changed_without_being_announced():
    announced = SNAPSHOT.read_text(encoding="utf-8") if SNAPSHOT.exists() else ""
    assert description() + "\n" == announced, (
        "The routes and docs/openapi.json disagree. If the change is meant, run `just openapi` and commit the result."
    )


def test_a_changed_route_changes_the_text():
    @get("/invented", permission=None)
    async def invented() -> dict[str, str]:
        """A route."""
        return {}

    assert msgspec.json.encode(describe([*routes(Settings()), invented])) != msgspec.json.encode(DESCRIPTION)


def test_the_version_is_that_of_the_package():
    assert msgspec.json.decode(SNAPSHOT.read_bytes())["info"]["version"] == version("whatsapp-inbox")


def test_it_is_valid_openapi_3_1():
    assert DESCRIPTION["openapi"].startswith("3.1")
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(DESCRIPTION)] == []


def test_the_check_of_validity_can_fail():
    assert not OPENAPI_31_VALIDATOR.is_valid({**DESCRIPTION, "paths": {"no-slash": {"get": {"responses": 1}}}})


@pytest.mark.parametrize("name", sorted(COMPONENTS["schemas"]))
def test_each_schema_is_a_json_schema(name):
    jsonschema_rs.meta.validate(
        {"$schema": "https://json-schema.org/draft/2020-12/schema"} | COMPONENTS["schemas"][name]
    )
    validator({"$ref": f"#/components/schemas/{name}"})


def test_every_reference_leads_somewhere():
    for reference in set(re.findall(r'"\$ref":"#/components/([^"]+)"', msgspec.json.encode(DESCRIPTION).decode())):
        kind, name = reference.split("/")
        assert name in COMPONENTS[kind], reference


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_each_body_and_each_answer_has_an_example_of_its_shape(name):
    for what, media_type, content in contents(OPERATIONS[name]):
        if media_type == "*/*":
            continue  # a file
        assert content.get("examples"), f"{name}: {what} has no example"
        for example in content["examples"].values():
            errors = list(validator(content["schema"]).iter_errors(example["value"]))
            assert not errors, (
                f"{name}: the example of {what} is wrong: {errors[0].message} at {errors[0].instance_path}"
            )


def test_the_examples_of_failures_are_problems():
    for example in COMPONENTS["schemas"]["Problem"]["examples"]:
        assert msgspec.convert(example, Problem).status == example["status"]
    assert ["errors" in example for example in COMPONENTS["schemas"]["Problem"]["examples"]] == [False, True]
    for status, problem in ((name[-3:], one) for name, one in COMPONENTS["responses"].items() if "Problem" in name):
        shown = problem["content"]["application/problem+json"]["examples"]["example"]["value"]
        assert str(shown["status"]) == status


def test_each_operation_has_a_name_of_its_own_a_described_tag_and_words():
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in DESCRIPTION["tags"]}
    for name, operation in OPERATIONS.items():
        assert set(operation["tags"]) <= tags, name
        assert operation["summary"], name
        assert "security" in operation, name


def test_the_words_of_the_framework_are_not_ours():
    text = msgspec.json.encode(DESCRIPTION).decode()
    for words in ("Request fulfilled", "document follows", "Validation Exception", "Bad request syntax"):
        assert words not in text


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_each_answer_shows_the_id_of_the_request(name):
    for status, answer in OPERATIONS[name]["responses"].items():
        assert "X-Request-ID" in resolved(answer)["headers"], status


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_failure_of_a_signed_in_caller_is_a_problem(name):
    operation = OURS[name]
    assert {"401", "403", "422", "500", "502", "503", "504"} <= set(operation["responses"])
    for status in [status for status in operation["responses"] if status >= "400"]:
        assert list(resolved(operation["responses"][status])["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "/auth/v1" in name])
def test_failures_of_sign_in_have_the_shape_of_gotrue(name):
    for status, answer in OPERATIONS[name]["responses"].items():
        if status >= "400":
            assert resolved(answer)["content"]["application/json"]["schema"]["$ref"].endswith("/AuthProblem")


@pytest.mark.parametrize("name", [name for name in OURS if "requestBody" in OURS[name]])
def test_each_body_is_strict_and_everything_in_it_limited(name):
    (content,) = OURS[name]["requestBody"]["content"].values()
    body = resolved(content["schema"])
    assert body["additionalProperties"] is False
    for path, schema in strings(body, (name,)):
        assert schema["type"] != "string" or {"maxLength", "format", "enum"} & set(schema), path
        assert schema["type"] != "array" or "maxItems" in schema, path


def test_the_account_of_a_list_of_conversations_is_required():
    (account,) = [
        parameter for parameter in OPERATIONS["GET /conversations"]["parameters"] if parameter["name"] == "account_id"
    ]
    assert account["required"] is True
    assert account["schema"] == {"type": "string", "format": "uuid"}


def test_the_address_of_the_service_is_that_of_the_description():
    assert DESCRIPTION["servers"] == [{"url": "."}]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "cursor" in str(OPERATIONS[name].get("parameters"))])
def test_lists_that_go_on_say_how(name):
    assert {"X-Next-Cursor", "Link"} <= set(OPERATIONS[name]["responses"]["200"]["headers"])


def test_what_always_stands_in_an_answer_is_required():
    assert COMPONENTS["schemas"]["RoleDeleted"]["required"] == ["role_id", "status"]
    assert "id" not in COMPONENTS["schemas"]["BotProfileRow"]["required"]
    assert "default" not in msgspec.json.encode(COMPONENTS["schemas"]["TemplateConfig"]).decode()


@pytest.mark.parametrize("path", sorted(DESCRIPTION["paths"]))
async def test_a_path_names_all_its_methods_to_who_asks(client, path):
    allowed = {method.upper() for method in DESCRIPTION["paths"][path]}
    answer = await client.options(re.sub(r"{[^}]*}", "x", path))
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} >= allowed
    answer = await client.request("TRACE", re.sub(r"{[^}]*}", "x", path))
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} >= allowed


def test_times_and_ids_in_answers_have_formats():
    found = COMPONENTS["schemas"]["ConversationItem"]["properties"]
    assert found["updated_at"] == {"type": "string", "format": "date-time"}
    assert found["contact_id"] == {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]}


async def test_a_query_parameter_is_given_once(client, engine, account):
    caller = await a_caller(engine, account, *Permission)
    answer = await client.get("/contacts?limit=1&limit=2", headers=caller)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"path": "query.limit", "message": "given more than once"}]
