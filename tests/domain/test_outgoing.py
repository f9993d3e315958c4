"""What can be sent: what people see of it, how it is stored, and its files."""

import json
from typing import get_args
from uuid import UUID

import msgspec
import pytest

from inbox.domain.content import Content, Location, Text
from inbox.domain.limits import problems
from inbox.domain.outgoing import (
    Reaction,
    ReactionRemoval,
    Sendable,
    message_type,
    preview,
    takes_reply,
    uploads,
    with_media_ids,
)
from inbox.domain.outgoing_files import Audio, Document, Image, Sticker, TemplateFile, Video, Voice
from inbox.domain.outgoing_interactive import (
    AddressRequest,
    Buttons,
    ButtonsCard,
    CallPermissionRequest,
    Carousel,
    CatalogMessage,
    ContactInfoRequest,
    FlowMessage,
    ImageHeader,
    LinkButton,
    ListMenu,
    LocationRequest,
    ProductCard,
    ProductList,
    ProductMessage,
    ReplyButton,
    TextHeader,
)
from inbox.domain.outgoing_template import (
    BodyComponent,
    CarouselComponent,
    DocumentParameter,
    HeaderComponent,
    ImageParameter,
    LocationParameter,
    TemplateCard,
    TemplateMessage,
    TextParameter,
)
from payloads.sends import examples

EXAMPLES = examples()
FIRST, SECOND = UUID(int=1), UUID(int=2)
YES = ReplyButton(id="yes", title="Oui")
NO = ReplyButton(id="no", title="Non")
SKU = ProductCard(catalog_id="9", product_retailer_id="kettle")
SAID: list[tuple[Sendable, str, str]] = [
    (Text(body="Bonjour"), "text", "Bonjour"),
    (Image(media_id="7", caption="Ici"), "image", "Ici"),
    (Image(media_id="7"), "image", "[image]"),
    (Video(media_id="7"), "video", "[video]"),
    (Audio(media_id="7"), "audio", "[audio]"),
    (Voice(media_id="7"), "voice", "[voice]"),
    (Document(media_id="7", filename="a.pdf"), "document", "[document]"),
    (Sticker(media_id="7"), "sticker", "[sticker]"),
    (Location(latitude=1.5, longitude=2.5, name="Café"), "location", "[location] Café"),
    (EXAMPLES["contacts"].content, "contacts", "[contacts] Robin Sample"),
    (Reaction(wamid="wamid.A", emoji="👍"), "reaction", "[reaction] 👍"),
    (ReactionRemoval(wamid="wamid.A"), "reaction", "[reaction] retirée"),
    (Buttons(body="On confirme ?", buttons=(YES, NO)), "interactive", "On confirme ? [boutons : Oui, Non]"),
    (ListMenu(body="Quand ?", button="Voir", sections=()), "interactive", "Quand ? [liste : Voir]"),
    (
        LinkButton(body="Nos dates", display_text="Voir", url="https://shop.example/d"),
        "interactive",
        "Nos dates [lien : Voir, https://shop.example/d]",
    ),
    (LocationRequest(body="Où ?"), "interactive", "Où ? [demande de position]"),
    (
        FlowMessage(body="Une table ?", flow_cta="Réserver", flow_id="9"),
        "interactive",
        "Une table ? [formulaire : Réserver]",
    ),
    (ProductMessage(catalog_id="9", product_retailer_id="kettle"), "interactive", "[produit : kettle]"),
    (
        ProductList(header=TextHeader(text="Bouilloires"), body="Notre choix", catalog_id="9", sections=()),
        "interactive",
        "Notre choix [produits : Bouilloires]",
    ),
    (CatalogMessage(body="Tout voir"), "interactive", "Tout voir [catalogue]"),
    (Carousel(body="Nouveau", cards=(SKU, SKU)), "interactive", "Nouveau [carrousel : 2 cartes]"),
    (AddressRequest(body="Où livrer ?", country="IN"), "interactive", "Où livrer ? [demande d'adresse]"),
    (ContactInfoRequest(body="Votre numéro ?"), "interactive", "Votre numéro ? [demande de numéro]"),
    (CallPermissionRequest(body="On appelle ?"), "interactive", "On appelle ? [demande d'appel]"),
    (TemplateMessage(name="hello", language="fr"), "template", "[modèle : hello]"),
    (EXAMPLES["template_currency_datetime"].content, "template", "[modèle : invoice] $42.50, March 3, 2027"),
]


@pytest.mark.parametrize(("content", "kind", "line"), SAID)
def test_each_kind_has_a_word_and_a_line_for_people(content, kind, line):
    assert message_type(content) == kind
    assert preview(content) == line


def test_every_kind_is_in_the_table():
    assert {type(content) for content, _, _ in SAID} == set(get_args(Sendable))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_passes_its_limits_and_is_stored_as_it_is(name):
    content = EXAMPLES[name].content
    stored = msgspec.json.encode(content)

    assert problems(content) == []
    assert msgspec.json.decode(stored, type=Content | Sendable) == content


def test_what_was_stored_before_this_version_is_read():
    assert msgspec.json.decode(b'{"type": "text", "body": "Oui"}', type=Sendable) == Text(body="Oui")


def test_nothing_is_stored_about_what_was_not_said():
    assert json.loads(msgspec.json.encode(Image(media_id="7"))) == {"type": "image", "media_id": "7"}


@pytest.mark.parametrize(
    "written",
    [
        '{"type": "hologram"}',
        '{"type": "flow", "body": "?", "flow_cta": "Ouvrir", "flow_id": "9", "screen": "BOOK", "data": [2]}',
        '{"type": "text", "body": "Oui", "previewUrl": true}',
        '{"type": "location", "latitude": 1, "longitude": 2, "zoom": 3}',
        '{"type": "contacts", "cards": [{"name": "Robin", "phones": [{"number": "1"}]}]}',
        '{"type": "image", "media_id": "7", "size": 3}',
        '{"type": "buttons", "body": "?", "buttons": [{"id": "a", "title": "Oui", "colour": "red"}]}',
        '{"type": "template", "name": "a", "language": "fr", "components": [{"type": "poster"}]}',
    ],
)
def test_what_whatsapp_does_not_have_is_refused_when_read(written):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(written, type=Sendable)


def test_only_reactions_quote_nothing():
    assert [type(content) for content, _, _ in SAID if not takes_reply(content)] == [Reaction, ReactionRemoval]


def card(index, upload):
    header = HeaderComponent(parameters=(ImageParameter(image=TemplateFile(upload_id=upload)),))
    return TemplateCard(card_index=index, components=(header,))


WITH_UPLOADS: list[tuple[Sendable, set[UUID]]] = [
    (Image(upload_id=FIRST), {FIRST}),
    (Image(media_id="7"), set()),
    (Text(body="Bonjour"), set()),
    (Buttons(body="?", buttons=(YES,), header=ImageHeader(upload_id=SECOND)), {SECOND}),
    (
        Carousel(
            body="Nouveau",
            cards=tuple(ButtonsCard(header=ImageHeader(upload_id=one), buttons=(YES,)) for one in (FIRST, SECOND)),
        ),
        {FIRST, SECOND},
    ),
    (
        TemplateMessage(
            name="sale",
            language="fr",
            components=(
                HeaderComponent(parameters=(DocumentParameter(document=TemplateFile(upload_id=FIRST)),)),
                BodyComponent(parameters=(TextParameter(text="Dana"),)),
            ),
        ),
        {FIRST},
    ),
    (
        TemplateMessage(
            name="sale", language="fr", components=(CarouselComponent(cards=(card(0, FIRST), card(1, SECOND))),)
        ),
        {FIRST, SECOND},
    ),
    (
        TemplateMessage(
            name="where",
            language="fr",
            components=(
                HeaderComponent(parameters=(LocationParameter(location=Location(latitude=1.0, longitude=2.0)),)),
            ),
        ),
        set(),
    ),
]


@pytest.mark.parametrize(("content", "expected"), WITH_UPLOADS)
def test_uploads_are_found_wherever_they_stand_and_give_way_to_whatsapps_ids(content, expected):
    assert uploads(content) == expected

    ready = with_media_ids(content, {FIRST: "71", SECOND: "72"})

    assert uploads(ready) == set()
    written = msgspec.json.encode(ready).decode()
    assert [number for number in ("71", "72") if f'"{number}"' in written] == sorted(
        {FIRST: "71", SECOND: "72"}[one] for one in expected
    )
    assert type(ready) is type(content)


def test_an_upload_without_an_id_is_an_error():
    with pytest.raises(KeyError):
        with_media_ids(Image(upload_id=FIRST), {SECOND: "72"})


def test_captions_and_names_stay_when_the_upload_gets_its_id():
    document = Document(upload_id=FIRST, caption="Facture", filename="f.pdf")
    assert with_media_ids(document, {FIRST: "71"}) == Document(media_id="71", caption="Facture", filename="f.pdf")
