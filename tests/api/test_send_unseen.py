"""A send that says what its sender saw last: refused, with what came in between, if somebody else was faster."""

from datetime import UTC, datetime

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, execute
from inbox.domain.access import Permission

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
CALLS: dict[str, dict[str, object]] = {
    "/messages/send": {"content": "Bonjour"},
    "/messages/send-media": {"media_type": "image", "media_id": "1013859600285441"},
    "/messages/send-interactive": {
        "interactive_type": "button",
        "body_text": "Quand ?",
        "buttons": [{"id": "a", "title": "Lundi"}],
    },
    "/messages/send-template/{conversation}": {"template_name": "rappel"},
}


@pytest.fixture
async def sender(engine, account):
    headers = await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)
    return headers | {"prefer": "respond-async"}


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, window_expires_at=OPEN)


@pytest.fixture
async def question(engine, account, conversation):
    return str(await a_message(engine, account, conversation, direction="inbound", author=None))


@pytest.fixture
def post(client, sender, conversation):
    async def send(path="/messages/send", headers=None, **body):
        said = CALLS[path] | body
        if "{" not in path:
            said["conversation_id"] = str(conversation)
        return await client.post(path.format(conversation=conversation), json=said, headers=headers or sender)

    return send


@pytest.mark.parametrize("path", CALLS)
async def test_each_way_to_send_is_refused_with_what_came_in_between(
    client, engine, sender, conversation, question, post, path
):
    answer = await post(path, expected_last_message_id=None)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert (problem["detail"], problem["has_more"]) == ("conversation_moved", False)
    assert problem["message"] == "Message non envoyé : la conversation a avancé entre-temps."
    assert "Lisez" in problem["next_step"]
    assert problem["messages"] == (await client.get(f"/messages/{conversation}", headers=sender)).json()
    assert [message["id"] for message in problem["messages"]] == [question]
    assert await execute(engine, "select 1 from outbox") == []
    assert (await post(path, expected_last_message_id=question)).status_code == 202


@pytest.mark.parametrize("named", ["", "newest", "01a200e3-0000-7000-8000-000000000001", 7])
async def test_what_names_no_message_of_the_conversation_is_refused_with_the_field(engine, question, post, named):
    answer = await post(expected_last_message_id=named)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["body.expected_last_message_id"]
    assert await execute(engine, "select 1 from outbox") == []


async def test_after_the_refusal_the_same_key_sends_and_then_repeats(engine, sender, question, post):
    headers = sender | {"Idempotency-Key": "k-1"}
    assert (await post(headers=headers, expected_last_message_id=None)).status_code == 409
    first = await post(headers=headers, expected_last_message_id=question)
    again = await post(headers=headers, expected_last_message_id=None)
    assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
    assert len(await execute(engine, "select 1 from outbox")) == 1


async def test_who_may_send_and_not_read_is_shown_no_message(client, engine, account, question, post):
    headers = await a_caller(engine, account, Permission.MESSAGES_SEND)
    problem = (await post(headers=headers, expected_last_message_id=None)).json()
    assert (problem["detail"], problem["messages"], problem["has_more"]) == ("conversation_moved", [], True)
