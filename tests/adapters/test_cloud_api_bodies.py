"""What goes to Meta, compared with examples of its own shapes."""

from uuid import uuid4

import msgspec
import pytest

from inbox.adapters.messaging.cloud_api.bodies import body_of
from inbox.domain.contacts import Address
from inbox.domain.content import Card, Cards, Content, Location, Media, MediaKind, Notice, Phone, Text
from inbox.domain.ids import MessageId
from inbox.domain.outbound import OpId
from inbox.domain.outgoing import Reaction, ReactionRemoval, Sendable
from inbox.domain.outgoing_files import Document, Image, TemplateFile
from inbox.domain.outgoing_interactive import Buttons, DocumentHeader, FlowMessage, ImageHeader, ReplyButton
from inbox.domain.outgoing_template import HeaderComponent, ImageParameter, TemplateMessage
from inbox.domain.upstream_errors import Refused
from payloads.sends import Example, Json, examples

EXAMPLES = examples()
OP = OpId(MessageId(uuid4()), 1)
CUSTOMER = Address(wa_id="15550142001")
UPLOAD = uuid4()


def body(content: Content | Sendable, to: Address = CUSTOMER, reply_to: str | None = None) -> Json:
    """As it goes over the wire."""
    sent: Json = msgspec.json.decode(msgspec.json.encode(body_of(to, content, OP, reply_to)))
    return sent


def test_every_kind_that_we_can_send_has_an_example() -> None:
    """But for messages to groups, which have no conversations, and two ways to name a recipient that we do not use:
    the number together with the user id, of which Meta reads the number alone, and the hash of an identity."""
    shown = {(example.body["type"], example.body.get("interactive", {}).get("type")) for example in EXAMPLES.values()}
    assert len(EXAMPLES) == 52
    assert len(shown) == 22


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_becomes_exactly_metas_json(example: Example) -> None:
    made = body(example.content, example.to, example.reply_to)

    assert made.pop("biz_opaque_callback_data") == str(OP)
    assert made == example.body


def test_somebody_with_a_number_is_called_by_it_alone() -> None:
    both = body(Text(body="Bonjour"), Address(wa_id="33600000001", bsuid="FR.40414243"))
    assert both["to"] == "+33600000001"
    assert "recipient" not in both


@pytest.mark.parametrize("content", [Reaction(wamid="wamid.A", emoji="👍"), ReactionRemoval(wamid="wamid.A")])
def test_a_reaction_quotes_nothing(content: Sendable) -> None:
    assert "context" not in body(content, reply_to="wamid.B")


def test_a_picture_may_quote_a_message() -> None:
    assert body(Image(media_id="7"), reply_to="wamid.B")["context"] == {"message_id": "wamid.B"}


def test_a_text_asks_for_a_preview_only_if_told() -> None:
    assert body(Text(body="Bonjour"))["text"] == {"body": "Bonjour"}
    assert body(Text(body="Bonjour", preview_url=True))["text"] == {"body": "Bonjour", "preview_url": True}


def test_a_place_is_written_without_an_exponent() -> None:
    place = body(Location(latitude=0.00001, longitude=-1e-7))["location"]
    assert place == {"latitude": "0.00001", "longitude": "-0.0000001"}


def test_a_card_can_be_made_of_a_name_and_numbers_alone() -> None:
    card = Card(name="Léa Puits", phones=(Phone(phone="+33 6 00 00 00 01"),))
    assert body(Cards(cards=(card,)))["contacts"] == [
        {
            "name": {"formatted_name": "Léa Puits", "first_name": "Léa Puits"},
            "phones": [{"phone": "+33 6 00 00 00 01"}],
        }
    ]


def test_documents_in_a_header_keep_their_name() -> None:
    header = DocumentHeader(link="https://cdn.example/a.pdf", filename="a.pdf")
    message = Buttons(body="Lire ?", buttons=(ReplyButton(id="y", title="Oui"),), header=header)
    assert body(message)["interactive"]["header"] == {
        "type": "document",
        "document": {"link": "https://cdn.example/a.pdf", "filename": "a.pdf"},
    }


def test_a_form_is_opened_at_a_screen_without_data() -> None:
    flow = FlowMessage(body="Réserver", flow_cta="Ouvrir", flow_id="9", screen="BOOK")
    assert body(flow)["interactive"]["action"]["parameters"] == {
        "flow_message_version": "3",
        "flow_id": "9",
        "flow_cta": "Ouvrir",
        "flow_action": "navigate",
        "flow_action_payload": {"screen": "BOOK"},
    }


@pytest.mark.parametrize(
    "content",
    [
        Document(upload_id=UPLOAD),
        Buttons(body="?", buttons=(ReplyButton(id="y", title="Oui"),), header=ImageHeader(upload_id=UPLOAD)),
        TemplateMessage(
            name="sale",
            language="fr",
            components=(HeaderComponent(parameters=(ImageParameter(image=TemplateFile(upload_id=UPLOAD)),)),),
        ),
    ],
)
def test_an_upload_that_whatsapp_was_not_given_is_not_sent(content: Sendable) -> None:
    with pytest.raises(Refused):
        body(content)


@pytest.mark.parametrize("content", [Media(kind=MediaKind.IMAGE, media_id="7"), Notice(kind="x", text="y")])
def test_what_only_customers_send_is_refused(content: Content) -> None:
    with pytest.raises(Refused):
        body(content)
