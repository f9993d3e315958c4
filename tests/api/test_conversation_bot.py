"""One conversation over HTTP, its mode, and what the assistant suggests in it."""

import pytest

from api.conftest import a_caller
from builders import a_conversation, a_message, execute
from inbox.domain.access import Permission
from inbox.domain.ids import uuid7

SUMMARY = "Veut savoir si son vélo est prêt."


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, display_name="Marc")


async def a_turn(engine, account, conversation, **columns) -> None:
    message = await a_message(engine, account, conversation, direction="inbound")
    values = {"state": "suggested", "answer": None, "handover": None, "summary": None} | columns
    await execute(
        engine,
        """insert into bot_turns (id, account_id, conversation_id, trigger_message_id, epoch, state, answer, handover,
                                  summary, confidence, finished_at)
           values (:id, :account, :conversation, :message, 0, :state, :answer, :handover, :summary, 0.8, now())""",
        id=uuid7(),
        account=account,
        conversation=conversation,
        message=message,
        **values,
    )


async def test_a_conversation_is_its_line_of_the_list_and_a_summary(client, engine, account, conversation):
    headers = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    (line,) = (await client.get("/conversations", params={"account_id": str(account)}, headers=headers)).json()
    shown = (await client.get(f"/conversations/{conversation}", headers=headers)).json()
    assert shown == {**line, "handover_summary": None}
    assert line["bot_mode"] == "off"


async def test_a_summary_is_for_those_who_may_read_messages(client, engine, account, conversation):
    await a_turn(engine, account, conversation, state="handed_over", handover="loop", summary=SUMMARY)
    await execute(engine, "update conversations set handed_over_at = now(), handover_reason = 'loop'")
    viewer = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW)
    reader = await a_caller(engine, account, Permission.CONVERSATIONS_VIEW, Permission.MESSAGES_VIEW)
    answers = [await client.get(f"/conversations/{conversation}", headers=headers) for headers in (viewer, reader)]
    assert [answer.json()["handover_summary"] for answer in answers] == [None, SUMMARY]


async def test_the_mode_suggest_is_set_shown_and_followed_by_suggestions(client, engine, account, conversation):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)
    switched = await client.post(f"/conversations/{conversation}/bot", json={"mode": "suggest"}, headers=sender)
    row = switched.json()["conversation"]
    assert (row["bot_mode"], row["bot_enabled"]) == ("suggest", False)
    path = f"/conversations/{conversation}/suggestion"
    assert (await client.get(path, headers=sender)).json() == {"suggestion": None}
    await execute(engine, "update conversations set epoch = 0")
    await a_turn(engine, account, conversation, answer="Oui, demain.")
    found = (await client.get(path, headers=sender)).json()["suggestion"]
    assert (found["text"], found["confidence"], found["sources"]) == ("Oui, demain.", 0.8, [])


async def test_a_mode_that_nobody_knows_is_refused(client, engine, account, conversation):
    sender = await a_caller(engine, account, Permission.MESSAGES_SEND)
    answer = await client.post(f"/conversations/{conversation}/bot", json={"mode": "loud"}, headers=sender)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "body.mode")
