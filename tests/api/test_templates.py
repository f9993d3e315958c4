"""Templates over HTTP: for an account, and by conversation as a later front end asks for them."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from api.conftest import a_caller
from builders import a_conversation, an_account, execute
from inbox.adapters.messaging.fake_templates import FakeTemplateSource
from inbox.domain.access import Permission
from inbox.domain.errors import Invalid
from inbox.domain.failure_texts import WORDS
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from template_builders import WABA, a_sync, a_template, with_waba

BODY = {"type": "BODY", "text": "Bonjour {{1}}, votre vélo est prêt.", "example": {"body_text": [["Léa"]]}}
DRAFT = {"name": "velo_pret", "language": "fr", "category": "UTILITY", "components": [BODY]}
VALUES = [{"type": "body", "parameters": [{"type": "text", "text": "Léa"}]}]


@pytest.fixture
async def channel(engine):
    return await with_waba(engine)


@pytest.fixture
def path(channel):
    return f"/accounts/{channel.account_id}/templates"


@pytest.fixture
async def ana(engine, channel):
    return await a_caller(
        engine,
        channel.account_id,
        Permission.SETTINGS_MANAGE,
        Permission.MESSAGES_VIEW,
        Permission.MESSAGES_SEND,
    )


@pytest.fixture
async def source(container):
    return await container.get(FakeTemplateSource)


def codes(answer):
    return answer.status_code, answer.json()["detail"]


async def test_a_list_is_read_and_shown_with_filters_and_pages(client, ana, path, source):
    for name in ("one", "two", "three"):
        source.put(WABA, name)
    source.put(WABA, "paused", status="PAUSED")
    synced = await client.post(f"{path}/sync", headers=ana)
    assert (synced.status_code, synced.json()["templates"], synced.json()["status"]) == (200, 4, "ok")
    first = await client.get(path, params={"limit": "3", "status": "APPROVED"}, headers=ana)
    assert (len(first.json()), "x-next-cursor" in first.headers) == (3, False)
    first = await client.get(path, params={"limit": "3"}, headers=ana)
    assert "limit=3" in first.headers["link"]
    cursor = first.headers["x-next-cursor"]
    second = await client.get(path, params={"limit": "3", "cursor": cursor}, headers=ana)
    names = {row["name"] for row in [*first.json(), *second.json()]}
    assert names == {"one", "two", "three", "paused"}
    (row,) = (await client.get(path, params={"q": "paus"}, headers=ana)).json()
    assert (row["status"], row["components"], row["language"]) == (
        "PAUSED",
        [{"type": "BODY", "text": "Bonjour"}],
        "fr",
    )
    assert (await client.get(path, params={"limit": "0"}, headers=ana)).status_code == 422


async def test_a_template_is_created_read_edited_previewed_and_deleted(client, engine, ana, path, source):
    created = await client.post(path, json=DRAFT, headers=ana)
    assert (created.status_code, created.json()["status"]) == (200, "PENDING")
    one = f"{path}/{created.json()['id']}"
    assert (await client.get(one, headers=ana)).json() == created.json()
    assert codes(await client.patch(one, json={"category": "MARKETING"}, headers=ana)) == (409, "template_not_editable")
    source.templates[WABA][0].status = "APPROVED"
    await execute(engine, "update message_templates set status_at = status_at - interval '1 minute'")
    assert (await client.post(f"{path}/sync", headers=ana)).status_code == 200
    edited = await client.patch(one, json={"category": "MARKETING"}, headers=ana)
    assert (edited.status_code, edited.json()["category"], edited.json()["status"]) == (200, "MARKETING", "PENDING")
    preview = await client.post(f"{one}/preview", json={"components": VALUES}, headers=ana)
    assert preview.status_code == 200, preview.text
    assert (preview.json()["text"], preview.json()["missing"]) == ("Bonjour Léa, votre vélo est prêt.", [])
    deleted = await client.delete(one, headers=ana)
    assert (deleted.status_code, deleted.json()["status"], source.templates) == (200, "deleted", {WABA: []})
    assert codes(await client.get(one, headers=ana)) == (404, "template_not_found")
    assert codes(await client.delete(one, headers=ana)) == (404, "template_not_found")


async def test_every_fault_of_a_draft_is_named_and_whatsapp_is_not_asked(client, ana, path, source):
    faulty = {**DRAFT, "name": "Vélo", "components": [{"type": "BODY", "text": "{{1}}"}]}
    answer = await client.post(path, json=faulty, headers=ana)
    assert codes(answer) == (422, "validation_error")
    assert {one["path"] for one in answer.json()["errors"]} == {
        "body.name",
        "body.components[0].text",
        "body.components[0].example.body_text[0]",
    }
    unknown = {**DRAFT, "components": [{"type": "BANNER", "text": "x"}]}
    assert codes(await client.post(path, json=unknown, headers=ana)) == (422, "validation_error")
    assert source.templates == {}


async def test_what_is_taken_and_what_cannot_be_asked_has_its_code(client, engine, ana, path, source):
    source.put(WABA, "velo_pret")
    assert codes(await client.post(path, json=DRAFT, headers=ana)) == (409, "template_exists")
    source.fail_next(WhatsAppTimeout())
    assert codes(await client.post(f"{path}/sync", headers=ana)) == (504, "whatsapp_timeout")
    bare = (await an_account(engine)).account_id
    caller = await a_caller(engine, bare, Permission.SETTINGS_MANAGE)
    answer = await client.post(f"/accounts/{bare}/templates/sync", headers=caller)
    assert codes(answer) == (400, "whatsapp_not_configured")


@pytest.mark.parametrize(("language", "place"), [("fr", 0), ("en", 1)])
@pytest.mark.parametrize(
    ("error", "graph_code", "status", "what", "following"),
    [
        (
            WhatsAppError,
            190,
            502,
            (
                "Le jeton d'accès WhatsApp du compte n'est plus valide.",
                "The account's access token of WhatsApp is no longer valid.",
            ),
            (
                "Un administrateur doit enregistrer un nouveau jeton d'accès.",
                "An administrator has to store a new access token.",
            ),
        ),
        (
            WhatsAppUnavailable,
            80007,
            503,
            (
                "Le compte WhatsApp Business appelle WhatsApp trop souvent.",
                "The WhatsApp Business account calls WhatsApp too often.",
            ),
            ("Réessayez plus tard.", "Try again later."),
        ),
        (
            partial(Invalid, "body.components", "WhatsApp does not take this body"),
            2388072,
            422,
            ("Le corps du modèle n'est pas valable.", "The body of the template is not valid."),
            ("Modifiez le modèle et soumettez-le de nouveau.", "Change the template and submit it again."),
        ),
    ],
)
async def test_a_refusal_of_whatsapp_is_explained_by_its_code_in_the_readers_language(
    client, ana, path, source, error, graph_code, status, what, following, language, place
):
    refused = error()
    refused.graph_code = graph_code
    refused.words = "Two variables of order 33612345678 stand side by side."
    source.fail_next(refused)
    answer = await client.post(path, json=DRAFT, headers={**ana, "accept-language": language})
    body = answer.json()
    assert (answer.status_code, answer.headers["content-language"]) == (status, language)
    assert body["message"] == f"{what[place]} (Two variables of order ***5678 stand side by side.)"
    assert body["next_step"] == following[place]


async def test_the_log_names_whatsapps_code_and_nothing_that_it_wrote(client, ana, path, source):
    refused = WhatsAppError("WhatsApp answered 401 with code 190.")
    refused.graph_code, refused.words = 190, "CANARY"
    source.fail_next(refused)
    with capture_logs() as lines:
        await client.post(f"{path}/sync", headers=ana)
    (line,) = [line for line in lines if line["event"] == "request_failed"]
    assert (line["code"], line["graph_code"]) == ("whatsapp_api_error", 190)
    assert "CANARY" not in str(lines)


async def test_a_refusal_that_is_known_here_says_what_to_do(client, ana, path, source):
    source.put(WABA, "velo_pret")
    for answer, word in (
        (await client.post(path, json=DRAFT, headers=ana), "template_exists"),
        (await client.get(f"{path}/{UUID(int=7)}", headers=ana), "template_not_found"),
    ):
        body = answer.json()
        assert body["detail"] == word
        assert f"{body['message']} {body['next_step']}" == WORDS[word].sentence()


async def test_only_an_upload_of_the_account_becomes_a_sample(client, ana, path):
    answer = await client.post(f"{path}/samples", json={"upload_id": str(UUID(int=7))}, headers=ana)
    assert answer.json()["errors"] == [{"path": "body.upload_id", "message": "an upload of this account"}]
    assert (await client.post(f"{path}/samples", json={"upload_id": "x"}, headers=ana)).status_code == 422


# --- by conversation --------------------------------------------------------------------------------------------------


@pytest.fixture
async def conversation(engine, channel):
    return await a_conversation(engine, channel.account_id)


async def test_a_conversation_is_offered_its_templates_without_prices(client, engine, ana, channel, conversation):
    picture = {
        "type": "HEADER",
        "format": "IMAGE",
        "example": {"header_handle": ["https://scontent.example/sample.jpg"]},
    }
    await a_sync(engine, channel)
    await a_template(engine, channel, "promo", components=(picture, BODY))
    await a_template(engine, channel, "paused", status="PAUSED")
    (one,) = (await client.get(f"/messages/templates/{conversation}", headers=ana)).json()["templates"]
    assert (one["name"], one["status"], one["components"]) == ("promo", "APPROVED", [picture, BODY])
    assert (one["price_usd"], one["price_eur"]) == (None, None)
    assert (one["header_media_url"], one["header_media_type"]) == ("https://scontent.example/sample.jpg", "IMAGE")


async def test_an_account_that_is_not_set_up_says_so_with_an_empty_list(client, engine):
    bare = (await an_account(engine)).account_id
    caller = await a_caller(engine, bare, Permission.MESSAGES_VIEW)
    answer = await client.get(f"/messages/templates/{await a_conversation(engine, bare)}", headers=caller)
    assert (answer.status_code, answer.json()["templates"], answer.json()["account_not_configured"]) == (200, [], True)
    assert answer.json()["message"]


async def test_a_template_is_sent_to_a_conversation_whose_window_is_closed(client, engine, ana, channel, conversation):
    await a_template(engine, channel)
    answer = await client.post(
        f"/messages/send-template/{conversation}",
        json={"template_name": "velo_pret", "components": VALUES},
        headers={**ana, "prefer": "respond-async", "idempotency-key": "once"},
    )
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    (message,) = (await client.get(f"/messages/{conversation}", headers=ana)).json()
    assert (message["message_type"], message["content_text"]) == ("template", "Bonjour Léa, votre vélo est prêt.")
    assert (message["content"]["name"], message["content"]["language"]) == ("velo_pret", "fr")


@pytest.mark.parametrize(
    ("status", "code"),
    [("PAUSED", "template_paused"), ("REJECTED", "template_rejected"), ("PENDING", "template_pending")],
)
async def test_a_template_that_cannot_be_sent_is_refused_with_the_reason_whichever_way(
    client, engine, ana, channel, conversation, status, code
):
    await a_template(engine, channel, status=status)
    await execute(engine, "update message_templates set reason = 'LOW_QUALITY', details = 'Paused for 3 hours.'")
    short = await client.post(
        f"/messages/send-template/{conversation}", json={"template_name": "velo_pret"}, headers=ana
    )
    content = {"type": "template", "name": "velo_pret", "language": "fr"}
    whole = await client.post(
        "/messages/send", json={"conversation_id": str(conversation), "content": content}, headers=ana
    )
    assert codes(short) == codes(whole) == (409, code)
    said = f"{WORDS[code].what.fr} (LOW_QUALITY: Paused for 3 hours.)"
    assert short.json()["message"] == whole.json()["message"] == said
    assert (await client.get(f"/messages/{conversation}", headers=ana)).json() == []


async def test_faults_are_named_in_the_words_of_the_shorter_call(client, ana, conversation):
    answer = await client.post(
        f"/messages/send-template/{conversation}",
        json={"template_name": "Vélo", "language_code": "fr-FR"},
        headers=ana,
    )
    assert [one["path"] for one in answer.json()["errors"]] == ["body.template_name", "body.language_code"]


@pytest.mark.parametrize("wait", [None, timedelta(hours=1)], ids=["now", "later"])
async def test_values_that_do_not_fit_the_template_are_named_before_anything_is_stored(
    client, engine, ana, channel, conversation, wait
):
    await a_template(engine, channel, components=({"type": "BODY", "text": "Bonjour {{1}}, commande {{2}}."},))
    later = {} if wait is None else {"send_at": (datetime.now(UTC) + wait).isoformat()}
    short = await client.post(
        f"/messages/send-template/{conversation}",
        json={"template_name": "velo_pret", "components": VALUES, **later},
        headers=ana,
    )
    content = {"type": "template", "name": "velo_pret", "language": "fr", "components": VALUES}
    whole = await client.post(
        "/messages/send", json={"conversation_id": str(conversation), "content": content, **later}, headers=ana
    )
    assert codes(short) == codes(whole) == (422, "validation_error")
    wanted = "as many parameters for the body as the template has variables there: 2"
    assert short.json()["errors"] == [{"path": "body.components[0].parameters", "message": wanted}]
    assert whole.json()["errors"] == [{"path": "body.content.components[0].parameters", "message": wanted}]
    assert await execute(engine, "select 1 from messages") == []


async def test_an_upload_in_a_template_is_named_in_the_words_of_the_shorter_call(client, ana, conversation):
    header = {"type": "header", "parameters": [{"type": "image", "image": {"upload_id": str(UUID(int=7))}}]}
    answer = await client.post(
        f"/messages/send-template/{conversation}",
        json={"template_name": "velo_pret", "components": [header]},
        headers=ana,
    )
    assert [one["path"] for one in answer.json()["errors"]] == ["body.components[0].parameters[0].image.upload_id"]
