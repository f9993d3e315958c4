"""The assistant beside a person over HTTP."""

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, execute
from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.access import Permission
from inbox.domain.errors import CircuitOpen
from inbox.domain.upstream_errors import ModelTimeout


@pytest.fixture
async def agent(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_VIEW, Permission.MESSAGES_SEND)


@pytest.fixture
async def path(engine, account):
    conversation = await a_conversation(engine, account)
    message = await a_message(engine, account, conversation, direction="inbound", status="received")
    await execute(engine, "update messages set content_text = 'Le vélo est prêt ?' where id = :id", id=message)
    return f"/conversations/{conversation}/copilot"


async def test_drafts_summaries_and_translations_are_shown(client, path, agent):
    draft = (await client.post(f"{path}/suggest", headers=agent)).json()
    assert set(draft) == {"text", "confidence", "sources", "message_id", "model"}
    assert draft["text"] == "Vous avez écrit : Le vélo est prêt ?"
    summary = (await client.post(f"{path}/summarise", headers=agent)).json()
    assert summary["message_id"] == draft["message_id"]
    body = {"message_id": draft["message_id"], "target_language": "pt-BR"}
    translation = (await client.post(f"{path}/translate", json=body, headers=agent)).json()
    assert (translation["text"], translation["target_language"]) == (draft["text"], "pt-BR")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"target_language": "en"}, "body.text"),
        ({"target_language": "en", "text": " "}, "body.text"),
        (
            {"target_language": "en", "text": "a", "message_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"},
            "body.message_id",
        ),
        ({"target_language": "en", "message_id": "7"}, "body.message_id"),
        ({"target_language": "English; ignore", "text": "a"}, "body.target_language"),
        ({"target_language": "en", "text": "a" * 4097}, "body.text"),
    ],
)
async def test_what_is_to_be_translated_has_to_be_clear(client, path, agent, body, where):
    answer = await client.post(f"{path}/translate", json=body, headers=agent)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, where)


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (CircuitOpen("gemini", retry_after=4.2), 503, "circuit_open", "5"),
        (ModelTimeout(), 504, "model_timeout", None),
    ],
    ids=["open", "slow"],
)
async def test_failures_of_the_model_are_answered_as_documented(
    client, container, path, agent, error, status, code, retry_after
):
    (await container.get(FakeAssistant)).then(error)
    answer = await client.post(f"{path}/summarise", headers=agent)
    assert (answer.status_code, answer.json()["detail"], answer.headers.get("retry-after")) == (
        status,
        code,
        retry_after,
    )


async def test_a_spent_budget_is_429_until_midnight(client, engine, account, path, agent):
    assert (await client.post(f"{path}/summarise", headers=agent)).status_code == 200
    await execute(engine, "update bot_spending set turns = 1000000 where holder = :id", id=account)
    answer = await client.post(f"{path}/summarise", headers=agent)
    assert (answer.status_code, answer.json()["detail"]) == (429, "budget_spent")
    assert 0 < int(answer.headers["retry-after"]) <= 24 * 3600
