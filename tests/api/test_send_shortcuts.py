"""The narrower calls of a later front end: the same messages, checked the same way."""

from datetime import UTC, datetime, timedelta

import pytest

from api.conftest import a_caller
from builders import a_conversation, execute
from inbox.domain.access import Permission

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
DAYS = [{"id": "mon", "title": "Lundi"}, {"id": "tue", "title": "Mardi"}]


@pytest.fixture
async def sender(engine, account):
    return await a_caller(engine, account, Permission.MESSAGES_SEND, Permission.MESSAGES_VIEW)


@pytest.fixture
async def conversation(engine, account):
    return await a_conversation(engine, account, window_expires_at=OPEN)


@pytest.fixture
def call(client, sender, conversation):
    async def post(path, **members):
        headers = {**sender, "prefer": "respond-async"}
        return await client.post(path, json={"conversation_id": str(conversation), **members}, headers=headers)

    return post


async def content(client, sender, conversation):
    (message,) = (await client.get(f"/messages/{conversation}", headers=sender)).json()
    return message["content"]


@pytest.mark.parametrize("kind", ["image", "video", "audio", "voice", "document", "sticker"])
async def test_a_file_of_each_type_is_sent(client, sender, conversation, call, kind):
    answer = await call("/messages/send-media", media_type=kind, media_id="1013859600285441")
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert await content(client, sender, conversation) == {"type": kind, "media_id": "1013859600285441"}


async def test_a_caption_goes_where_there_can_be_one(client, sender, conversation, call):
    refused = await call("/messages/send-media", media_type="audio", media_id="7", caption="Écoutez")
    assert (refused.status_code, [one["path"] for one in refused.json()["errors"]]) == (422, ["body.caption"])
    await call("/messages/send-media", media_type="image", media_id="7", caption="Regardez")
    assert (await content(client, sender, conversation))["caption"] == "Regardez"


async def test_buttons_are_sent(client, sender, conversation, call):
    answer = await call(
        "/messages/send-interactive",
        interactive_type="button",
        body_text="Quel jour ?",
        header_text="Rendez-vous",
        footer_text="Atelier",
        buttons=DAYS,
    )
    assert answer.status_code == 202
    assert await content(client, sender, conversation) == {
        "type": "buttons",
        "body": "Quel jour ?",
        "buttons": DAYS,
        "header": {"type": "text", "text": "Rendez-vous"},
        "footer": "Atelier",
    }


async def test_a_list_is_sent(client, sender, conversation, call):
    sections = [{"title": "Semaine", "rows": DAYS}]
    answer = await call(
        "/messages/send-interactive",
        interactive_type="list",
        body_text="Quel jour ?",
        button_text="Choisir",
        sections=sections,
    )
    assert answer.status_code == 202
    assert await content(client, sender, conversation) == {
        "type": "list",
        "body": "Quel jour ?",
        "button": "Choisir",
        "sections": [{"rows": DAYS, "title": "Semaine"}],
    }


async def test_faults_have_the_names_of_the_call(engine, call):
    long = "x" * 2000
    answer = await call(
        "/messages/send-interactive", interactive_type="button", body_text="", header_text=long, footer_text=long
    )
    assert answer.status_code == 422
    paths = {one["path"] for one in answer.json()["errors"]}
    assert {"body.body_text", "body.header_text", "body.footer_text", "body.buttons"} <= paths
    assert await execute(engine, "select 1 from messages") == []


async def test_one_key_is_one_message_and_belongs_to_its_body(client, engine, sender, conversation):
    body = {"conversation_id": str(conversation), "media_type": "image", "media_id": "7"}
    headers = {**sender, "idempotency-key": "k-1", "prefer": "respond-async"}
    ids = [(await client.post("/messages/send-media", json=body, headers=headers)).json()["id"] for _ in range(2)]
    assert len(set(ids)) == 1
    other = await client.post("/messages/send-media", json={**body, "media_id": "8"}, headers=headers)
    assert (other.status_code, other.json()["detail"]) == (422, "idempotency_key_reused")
    assert len(await execute(engine, "select 1 from messages")) == 1


async def test_the_window_counts_here_too(engine, account, call):
    closed = await a_conversation(engine, account, window_expires_at=datetime.now(UTC) - timedelta(minutes=1))
    answer = await call("/messages/send-media", conversation_id=str(closed), media_type="image", media_id="7")
    assert (answer.status_code, answer.json()["detail"]) == (409, "window_closed")


# --- the window and its price -----------------------------------------------------------------------------------------


async def a_thread(engine, account, hours):
    last = datetime.now(UTC) - timedelta(hours=hours)
    conversation = await a_conversation(engine, account, window_expires_at=last + timedelta(hours=24))
    await execute(engine, "update conversations set last_inbound_at = :at where id = :id", at=last, id=conversation)
    return conversation


async def test_an_open_window_says_how_long_it_lasts_and_that_answers_are_free(client, engine, account, sender):
    conversation = await a_thread(engine, account, 6)
    window = (await client.get(f"/messages/free-window/{conversation}?fresh=1", headers=sender)).json()
    assert (window["is_free"], window["hours_elapsed"], window["hours_remaining"]) == (True, 6.0, 18.0)
    assert window["last_inbound_time"].endswith("Z")
    price = (await client.get(f"/messages/price/{conversation}?fresh=1", headers=sender)).json()
    assert (price["is_free"], price["price_usd"], price["price_eur"], price["category"]) == (True, 0, 0, "free")
    assert price["template_required"] is False


async def test_a_closed_window_needs_a_template_whose_price_is_not_known(client, engine, account, sender):
    conversation = await a_thread(engine, account, 30)
    window = (await client.get(f"/messages/free-window/{conversation}", headers=sender)).json()
    assert (window["is_free"], window["hours_elapsed"], window["hours_remaining"]) == (False, 30.0, 0.0)
    price = (await client.get(f"/messages/price/{conversation}", headers=sender)).json()
    assert (price["is_free"], price["price_usd"], price["price_eur"]) == (False, None, None)
    assert (price["category"], price["template_required"]) == ("utility", True)


async def test_the_last_minute_of_a_window_is_none_as_for_a_send(client, engine, account, sender):
    conversation = await a_thread(engine, account, 24 - 50 / 3600)
    window = (await client.get(f"/messages/free-window/{conversation}", headers=sender)).json()
    assert window["is_free"] is False
    price = (await client.get(f"/messages/price/{conversation}", headers=sender)).json()
    assert (price["is_free"], price["template_required"]) == (False, True)
    body = {"conversation_id": str(conversation), "content": "Bonjour"}
    assert (await client.post("/messages/send", json=body, headers=sender)).json()["detail"] == "window_closed"


async def test_a_window_that_whatsapp_closed_has_nothing_left(client, engine, account, sender):
    conversation = await a_thread(engine, account, 6)
    await execute(engine, "update conversations set window_expires_at = null")
    window = (await client.get(f"/messages/free-window/{conversation}", headers=sender)).json()
    assert (window["is_free"], window["hours_elapsed"], window["hours_remaining"]) == (False, 6.0, 0.0)


async def test_who_never_wrote_has_no_window(client, engine, account, sender):
    conversation = await a_conversation(engine, account)
    window = (await client.get(f"/messages/free-window/{conversation}", headers=sender)).json()
    assert window == {"is_free": False, "last_inbound_time": None, "hours_elapsed": None, "hours_remaining": None}
