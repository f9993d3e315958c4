"""What people read in an answer that refuses a message: the same table as everywhere, in their language."""

from datetime import UTC, datetime, timedelta

import pytest

from api.conftest import a_caller
from builders import a_conversation, execute
from inbox.domain.access import Permission
from inbox.domain.explanations import Explanation, Language, Phrase
from inbox.domain.failure_texts import WORDS
from inbox.domain.graph_errors import GRAPH_ERRORS, sentence
from inbox.entrypoints.http.languages import preferred

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
WINDOW = WORDS["window_closed"]


def next_step(explained: Explanation) -> Phrase:
    assert explained.next is not None
    return explained.next


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


@pytest.fixture
def send(client, sender):
    async def post(conversation, **headers):
        body = {"conversation_id": str(conversation), "content": "Bonjour", "client_id": "c-1"}
        return await client.post("/messages/send", json=body, headers=sender | headers)

    return post


@pytest.fixture
async def closed(engine, account):
    return await a_conversation(engine, account, window_expires_at=datetime.now(UTC) - timedelta(minutes=1))


@pytest.mark.parametrize("asked", [{}, {"accept-language": "fr-FR"}, {"accept-language": "de"}])
async def test_a_refusal_says_in_french_what_happened_and_what_to_do(send, closed, asked):
    answer = await send(closed, **asked)
    body = answer.json()
    assert (answer.status_code, body["detail"]) == (409, "window_closed")
    assert (body["message"], body["next_step"]) == (WINDOW.what.fr, next_step(WINDOW).fr)
    assert answer.headers["content-language"] == "fr"


async def test_who_reads_english_gets_english_and_the_stored_message_stays_french(client, sender, send, closed):
    answer = await send(closed, **{"accept-language": "en-GB,en;q=0.9,fr;q=0.5"})
    body = answer.json()
    assert (body["message"], body["next_step"]) == (WINDOW.what.en, next_step(WINDOW).en)
    assert answer.headers["content-language"] == "en"
    (shown,) = (await client.get(f"/messages/{closed}", headers=sender)).json()
    assert shown["error_message"] == WINDOW.sentence(Language.FRENCH)


@pytest.mark.parametrize(
    ("state", "reason", "code", "status", "detail"),
    [
        ("failed", "whatsapp_rejected", 131026, 400, "whatsapp_rejected"),
        ("failed", "whatsapp_rejected", 131047, 409, "window_closed"),
        ("expired", "window_closed", 131047, 409, "window_closed"),
    ],
)
async def test_the_code_of_whatsapp_says_more_than_the_word(engine, account, send, state, reason, code, status, detail):
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    assert (await send(conversation, prefer="respond-async")).status_code == 202
    await execute(engine, "update outbox set state = :state, reason = :reason", state=state, reason=reason)
    await execute(engine, "update messages set status = 'failed', error_code = :code", code=code)
    body = (answer := await send(conversation)).json()
    assert (answer.status_code, body["detail"]) == (status, detail)
    assert (body["message"], body["next_step"]) == (GRAPH_ERRORS[code].what.fr, next_step(GRAPH_ERRORS[code]).fr)


async def test_a_code_that_nobody_knows_is_answered_with_the_words_that_the_message_shows(
    client, sender, engine, account, send
):
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    assert (await send(conversation, prefer="respond-async")).status_code == 202
    await execute(engine, "update outbox set state = 'failed', reason = 'whatsapp_rejected'")
    await execute(
        engine,
        "update messages set status = 'failed', error_code = 777777, error_message = :said",
        said=sentence(777_777, "Odd: Very odd"),
    )
    body = (await send(conversation)).json()
    (shown,) = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    assert body["message"] == "WhatsApp refuse ce message. (Odd: Very odd)"
    assert body["next_step"] in shown["error_message"]
    assert shown["error_message"].endswith("(Odd: Very odd)")


async def test_a_text_that_is_too_long_is_named_as_the_fault(client, sender, engine, account):
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    for content in ("x" * 4097, " ", None):
        body = {"conversation_id": str(conversation), "content": content}
        answer = (await client.post("/messages/send", json=body, headers=sender)).json()
        assert (answer["detail"], answer["errors"][0]["path"]) == ("invalid_payload", "body.content")


async def test_what_only_programs_see_has_no_text(client, sender):
    answer = await client.get("/messages/none", headers=sender)
    assert (answer.status_code, answer.json()["detail"]) == (404, "conversation_not_found")
    assert not {"message", "next_step"} & answer.json().keys()
    assert "content-language" not in answer.headers


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "fr"),
        ("", "fr"),
        ("en", "en"),
        ("EN-us", "en"),
        ("fr, en", "fr"),
        ("en, fr", "en"),
        ("fr;q=0.4, en;q=0.8", "en"),
        ("en;q=0", "fr"),
        ("en;q=nonsense", "fr"),
        ("en;q=nan", "fr"),
        ("*", "fr"),
        ("de, it;q=0.5, en;q=0.1", "en"),
        (";;,,", "fr"),
    ],
)
def test_the_language_is_the_one_that_the_reader_likes_best(header, language):
    assert preferred(header) == language
