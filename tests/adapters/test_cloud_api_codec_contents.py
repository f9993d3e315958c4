"""What a customer can send, and what it becomes."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.content import (
    Card,
    Cards,
    Choice,
    Content,
    FormReply,
    Location,
    Media,
    MediaKind,
    Notice,
    Order,
    Other,
    Phone,
    Product,
    Text,
    Unsupported,
)
from inbox.domain.inbound import InboundMessage, Referral, ReferredProduct, Surroundings, Unknown

from .webhook_bodies import CUSTOMER, NUMBER, Json, a_body, a_contact, a_message

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CODEC = CloudApiCodec([b"secret"])


def the_message(*messages: Json, **value: object) -> InboundMessage:
    (event,) = CODEC.decode(a_body(*messages, **value), RECEIVED_AT)
    assert isinstance(event, InboundMessage), event
    return event


def the_content(message: Json) -> Content:
    return the_message(message).content


def a_form(response: str | None, **members: object) -> Json:
    return a_message(
        "interactive", interactive={"type": "nfm_reply", "nfm_reply": {"response_json": response, **members}}
    )


@pytest.mark.parametrize(
    ("message", "content"),
    [
        pytest.param(
            a_message("image", image={"id": "70", "mime_type": "image/jpeg", "sha256": "aGFzaA==", "caption": "Ici"}),
            Media(kind=MediaKind.IMAGE, media_id="70", mime_type="image/jpeg", sha256="aGFzaA==", caption="Ici"),
            id="image",
        ),
        pytest.param(
            a_message("document", document={"id": "71", "mime_type": "application/pdf", "filename": "reçu.pdf"}),
            Media(kind=MediaKind.DOCUMENT, media_id="71", mime_type="application/pdf", filename="reçu.pdf"),
            id="document",
        ),
        pytest.param(a_message("video", video={"id": "72"}), Media(kind=MediaKind.VIDEO, media_id="72"), id="video"),
        pytest.param(
            a_message("sticker", sticker={"id": "73", "animated": True}),
            Media(kind=MediaKind.STICKER, media_id="73", animated=True),
            id="sticker",
        ),
        pytest.param(
            a_message("audio", audio={"id": "74", "voice": False}),
            Media(kind=MediaKind.AUDIO, media_id="74"),
            id="song",
        ),
        pytest.param(
            a_message("audio", audio={"id": "75", "voice": True}),
            Media(kind=MediaKind.VOICE, media_id="75"),
            id="voice",
        ),
        pytest.param(
            a_message("voice", audio={"id": "76"}),
            Media(kind=MediaKind.VOICE, media_id="76"),
            id="voice of old numbers",
        ),
        pytest.param(a_message("image"), Media(kind=MediaKind.IMAGE, media_id=None), id="image without its section"),
        pytest.param(
            a_message("video", errors=[{"code": 131052, "title": "Media download error", "details": "Too big"}]),
            Unsupported(kind="video", code=131052, details="Too big"),
            id="file that WhatsApp could not keep",
        ),
        pytest.param(
            a_message("button", button={"text": "Oui", "payload": "YES"}),
            Choice(kind="button", title="Oui", payload="YES"),
            id="button of a template",
        ),
        pytest.param(
            a_message("interactive", interactive={"type": "button_reply", "button_reply": {"id": "b1", "title": "Ok"}}),
            Choice(kind="interactive", title="Ok", payload="b1"),
            id="reply button",
        ),
        pytest.param(
            a_message(
                "interactive", interactive={"list_reply": {"id": "r1", "title": "10 h", "description": "Demain"}}
            ),
            Choice(kind="interactive", title="10 h", payload="r1", description="Demain"),
            id="row of a list",
        ),
        pytest.param(
            a_message("interactive", interactive={"type": "telepathy"}),
            Other(kind="interactive", text="[interactive] telepathy"),
            id="interactive of the future",
        ),
        pytest.param(
            a_message("location", location={"latitude": 48.85, "longitude": "2.35"}),
            Location(latitude=48.85, longitude=2.35),
            id="pin",
        ),
        pytest.param(
            a_message("location", location={"latitude": 48.85, "longitude": 2.35, "name": "Café du Coin", "url": "u"}),
            Location(latitude=48.85, longitude=2.35, name="Café du Coin", url="u"),
            id="place",
        ),
        pytest.param(
            a_message("location", location={"latitude": "nan", "longitude": 2, "name": "Nulle part"}),
            Other(kind="location", text="[location] Nulle part"),
            id="place that is nowhere",
        ),
        pytest.param(a_message("contacts"), Other(kind="contacts", text="[contacts]"), id="no contact card"),
        pytest.param(
            a_message(
                "order",
                order={"product_items": [{"product_retailer_id": "p1", "quantity": "3", "item_price": "9.5"}, {}]},
            ),
            Order(catalog_id=None, note=None, products=(Product(id="p1", quantity=3, price=9.5), Product(id=""))),
            id="order in texts",
        ),
        pytest.param(a_message("order"), Other(kind="order", text="[order]"), id="order without its section"),
        pytest.param(
            a_message("system", system={"type": "customer_identity_changed", "body": "New security code"}),
            Notice(kind="customer_identity_changed", text="nouveau code de sécurité du client"),
            id="new security code",
        ),
        pytest.param(
            a_message("system", system={"type": "moon_phase", "body": "Full\nmoon"}),
            Notice(kind="moon_phase", text="Full, moon"),
            id="notice of the future",
        ),
        pytest.param(a_message("hologram"), Other(kind="hologram", text="[hologram]"), id="type of the future"),
        pytest.param(a_message("x" * 500), Other(kind="x" * 64, text=f"[{'x' * 64}]"), id="endless type"),
        pytest.param(a_message("text", text=None), Other(kind="text", text="[text]"), id="text without its section"),
        pytest.param(
            a_message("unsupported", unsupported={"type": "poll_creation"}, errors=[{"code": 131051, "title": "No"}]),
            Unsupported(kind="poll_creation", code=131051, details="No"),
            id="unsupported",
        ),
        pytest.param(a_message("unknown", errors=[{"code": 501}]), Unsupported(code=501), id="unsupported as of old"),
        pytest.param(a_message("unsupported"), Unsupported(), id="unsupported without a reason"),
    ],
)
def test_each_type_becomes_its_content(message: Json, content: Content) -> None:
    assert the_content(message) == content


def test_the_section_of_another_type_is_not_looked_at() -> None:
    assert the_content(a_message(image=5, system="none")) == Text(body="Avez-vous encore des cerises ?")


def test_a_contact_card_is_kept_whole_beside_name_and_numbers() -> None:
    card = {"name": {"first_name": "Léa", "last_name": "M."}, "phones": [{"phone": "+33 6", "type": "CELL"}], "x": [1]}
    content = the_content(a_message("contacts", contacts=[card]))
    assert isinstance(content, Cards)
    (read,) = content.cards
    assert (read.name, read.phones) == ("Léa M.", (Phone(phone="+33 6", type="CELL"),))
    assert json.loads(bytes(read.details)) == card


@pytest.mark.parametrize(
    ("card", "name", "phones"),
    [
        (
            {"vcard": "BEGIN:VCARD\nFN:Noé\nTEL;type=CELL;waid=33612345678:+33 6 12\nEND:VCARD", "phones": [{}]},
            "Noé",
            (Phone(phone="+33 6 12", wa_id="33612345678"),),
        ),
        ({"vcard": "nothing of the kind"}, None, ()),
        ({"org": {"company": "Fruits & Co"}}, "Fruits & Co", ()),
        ({}, None, ()),
    ],
)
def test_a_contact_card_may_be_a_vcard_a_company_or_nothing(card: Json, name: str, phones: tuple[Phone, ...]) -> None:
    content = the_content(a_message("contacts", contacts=[card]))
    assert content == Cards(
        cards=(Card(name=name, phones=phones, details=msgspec.Raw(json.dumps(card, ensure_ascii=False).encode())),)
    )


@pytest.mark.parametrize(
    ("response", "answers", "text"),
    [
        ('{"flow_token":"t","seats":2,"extras":["a","b"],"none":""}', None, "[interactive] seats : 2; extras : a, b"),
        ('{"flow_token":"t"}', None, "[interactive] Sent"),
        ("[1,2]", '"[1,2]"', "[interactive] Sent"),
        ("no JSON", '"no JSON"', "[interactive] Sent"),
        (None, "null", "[interactive] Sent"),
        ('{"a":"\\u0000"}', json.dumps('{"a":"\\u0000"}'), "[interactive] Sent"),
        ('{"a":"\\ud800"}', json.dumps('{"a":"\\ud800"}'), "[interactive] Sent"),
        ('{"a":' * 70 + "1" + "}" * 70, json.dumps('{"a":' * 70 + "1" + "}" * 70), "[interactive] Sent"),
    ],
    ids=["object", "token alone", "list", "word", "none", "nul", "half a character", "deep"],
)
def test_a_form_shows_what_was_filled_in(response: str | None, answers: str | None, text: str) -> None:
    content = the_content(a_form(response, name="flow", body="Sent"))
    assert isinstance(content, FormReply)
    assert content.text == text
    assert json.loads(bytes(content.answers)) == json.loads(answers if answers is not None else str(response))


def test_the_line_of_a_form_is_short_and_its_answers_are_whole() -> None:
    content = the_content(a_form(json.dumps({"story": "x" * 5_000})))
    assert isinstance(content, FormReply)
    assert len(content.text) < 1_100
    assert json.loads(bytes(content.answers)) == {"story": "x" * 5_000}


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ({"response": "accept", "expiration_timestamp": "1790604800"}, "appels autorisés jusqu'au 28/09/2026"),
        ({"response": "accept", "is_permanent": True, "expiration_timestamp": "1790604800"}, "appels autorisés"),
        ({"response": "accept"}, "appels autorisés"),
        ({"response": "reject"}, "appels refusés"),
    ],
)
def test_a_permission_to_call_is_readable(reply: Json, text: str) -> None:
    content = the_content(a_message("interactive", interactive={"call_permission_reply": reply}))
    assert isinstance(content, FormReply)
    assert content.text == f"[interactive] {text}"
    assert json.loads(bytes(content.answers)) == reply


def test_what_surrounds_a_message_is_kept() -> None:
    context = {"id": "wamid.out.7", "forwarded": True, "referred_product": {"catalog_id": "c", "other": 1}}
    message = a_message(context=context, referral={"source_type": "ad", "ctwa_clid": "click", "image_url": "u"})
    read = the_message(message, contacts=[{"wa_id": CUSTOMER, "identity_key_hash": "hash"}])
    assert read.reply_to_wamid == "wamid.out.7"
    assert read.surroundings == Surroundings(
        forwarded=True,
        referral=Referral(source_type="ad", ctwa_clid="click"),
        referred_product=ReferredProduct(catalog_id="c"),
        identity_key_hash="hash",
    )


def test_what_was_forwarded_often_was_forwarded() -> None:
    read = the_message(a_message(context={"frequently_forwarded": True}))
    assert read.surroundings == Surroundings(forwarded=True, frequently_forwarded=True)


def test_a_plain_message_has_no_surroundings() -> None:
    assert the_message(a_message(), contacts=[a_contact()]).surroundings == Surroundings()


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke", "request_welcome"])
def test_what_changes_no_message_that_it_names_is_kept_as_it_came(kind: str) -> None:
    message = a_message(kind, **{kind: {"message_id": "", "original_message_id": "", "message": {"type": "text"}}})
    (unknown,) = CODEC.decode(a_body(message), RECEIVED_AT)
    assert isinstance(unknown, Unknown)
    assert unknown.reason == f"type:{kind}"
    assert unknown.phone_number_id == NUMBER
    assert json.loads(unknown.raw) == message
