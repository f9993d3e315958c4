"""Each limit of WhatsApp is known before a message is queued, and each fault named by its path."""

import json
from uuid import UUID

import msgspec
import pytest

from inbox.domain.errors import Invalid
from inbox.domain.limits import checked, problems
from inbox.domain.outgoing import Sendable

UPLOAD = str(UUID(int=1))
YES = {"id": "yes", "title": "Oui"}
ROW = {"id": "r", "title": "16:00"}
PICTURE = {"type": "image", "media_id": "7"}
CARD = {"type": "buttons", "header": PICTURE, "buttons": [YES]}


def read(written):
    return msgspec.json.decode(json.dumps(written), type=Sendable)


def paths(written):
    return [path for path, _ in problems(read(written))]


def text(**others):
    return {"type": "text", "body": "Bonjour", **others}


def image(**others):
    return {"type": "image", "media_id": "7", **others}


def document(**others):
    return {"type": "document", "media_id": "7", **others}


def pin(**others):
    return {"type": "location", "latitude": 1.5, "longitude": 2.5, **others}


def buttons(**others):
    return {"type": "buttons", "body": "?", "buttons": [YES], **others}


def menu(rows=(ROW,), **others):
    return {"type": "list", "body": "?", "button": "Voir", "sections": [{"rows": list(rows)}], **others}


def link(**others):
    return {"type": "cta_url", "body": "?", "display_text": "Voir", "url": "https://shop.example/", **others}


def flow(**others):
    return {"type": "flow", "body": "?", "flow_id": "9", "flow_cta": "Ouvrir", **others}


def product(**others):
    return {"type": "product", "catalog_id": "9", "product_retailer_id": "kettle", **others}


def products(sections, **others):
    header = {"text": "Choix"}
    return {"type": "product_list", "body": "?", "header": header, "catalog_id": "9", "sections": sections, **others}


def carousel(*cards: object, **others):
    return {"type": "carousel", "body": "?", "cards": list(cards), **others}


def address(**others):
    return {"type": "address_request", "body": "?", "country": "IN", **others}


def several(number, **others):
    return [{"id": f"{place}", "title": f"{place}", **others} for place in range(number)]


LIMITS = [
    (lambda n: text(body="é" * n), 1, 4096, "body"),
    (lambda n: text(body="👍" * n), 1, 4096, "body"),
    (lambda n: image(caption="x" * n), 1, 1024, "caption"),
    (lambda n: document(caption="x" * n), 1, 1024, "caption"),
    (lambda n: {"type": "video", "link": "https://a/b.mp4", "caption": "x" * n}, 1, 1024, "caption"),
    (lambda n: document(filename="x" * n), 1, 240, "filename"),
    (lambda n: image(media_id="7" * n), 1, 100, "media_id"),
    (lambda n: {"type": "image", "link": "https://" + "x" * (n - 8)}, 9, 2000, "link"),
    (lambda n: pin(name="x" * n), 1, 1000, "name"),
    (lambda n: pin(address="x" * n), 1, 1000, "address"),
    (lambda n: {"type": "contacts", "cards": [{"name": "Léa"}] * n}, 1, 257, "cards"),
    (lambda n: buttons(body="x" * n), 1, 1024, "body"),
    (lambda n: buttons(header={"type": "text", "text": "x" * n}), 1, 60, "header.text"),
    (lambda n: buttons(footer="x" * n), 1, 60, "footer"),
    (lambda n: buttons(buttons=several(n)), 1, 3, "buttons"),
    (lambda n: buttons(buttons=[{"id": "x" * n, "title": "Oui"}]), 1, 256, "buttons[0].id"),
    (lambda n: buttons(buttons=[{"id": "a", "title": "x" * n}]), 1, 20, "buttons[0].title"),
    (lambda n: menu(body="x" * n), 1, 4096, "body"),
    (lambda n: menu(button="x" * n), 1, 20, "button"),
    (lambda n: menu([{**ROW, "id": "x" * n}]), 1, 200, "sections[0].rows[0].id"),
    (lambda n: menu([{**ROW, "title": "x" * n}]), 1, 24, "sections[0].rows[0].title"),
    (lambda n: menu([{**ROW, "description": "x" * n}]), 1, 72, "sections[0].rows[0].description"),
    (lambda n: menu(sections=[{"title": "x" * n, "rows": [ROW]}]), 1, 24, "sections[0].title"),
    (lambda n: menu(several(n)), 1, 10, "sections[0].rows"),
    (
        lambda n: menu(sections=[{"title": "x", "rows": [{"id": str(place), "title": "x"}]} for place in range(n)]),
        1,
        10,
        "sections",
    ),
    (lambda n: link(display_text="x" * n), 1, 20, "display_text"),
    (lambda n: link(url="https://" + "x" * (n - 8)), 9, 2000, "url"),
    (lambda n: flow(flow_cta="x" * n), 1, 30, "flow_cta"),
    (lambda n: product(body="x" * n), 1, 1024, "body"),
    (lambda n: product(catalog_id="x" * n), 1, 100, "catalog_id"),
    (lambda n: products([{"products": ["kettle"] * n}]), 1, 30, "sections[0].products"),
    (lambda n: carousel(*[CARD] * n), 2, 10, "cards"),
    (lambda n: carousel(CARD, {**CARD, "body": "x" * n}), 1, 160, "cards[1].body"),
    (lambda n: address(body="x" * n), 1, 1024, "body"),
    (lambda n: {"type": "reaction_removal", "wamid": "w" * n}, 1, 512, "wamid"),
]


@pytest.mark.parametrize(("made", "least", "most", "path"), LIMITS)
def test_a_limit_is_reached_and_not_passed(made, least, most, path):
    assert paths(made(least)) == []
    assert paths(made(most)) == []
    assert path in paths(made(most + 1))
    assert any(found.startswith(path.partition("[")[0]) for found in paths(made(least - 1)))


FAULTS = [
    (text(body=" \n"), ["body"]),
    (text(body="a\x00b"), ["body"]),
    ({"type": "image"}, ["media_id"]),
    (image(link="https://cdn.example/a.jpg"), ["media_id"]),
    (image(upload_id=UPLOAD), ["media_id"]),
    (image(media_id=" 7"), ["media_id"]),
    ({"type": "voice", "link": "ftp://cdn.example/a.ogg"}, ["link"]),
    ({"type": "voice", "link": "https://cdn.example/a.mp3"}, ["link"]),
    ({"type": "voice", "link": "https://cdn.example/a.ogg/A.M4A?file=a.ogg"}, ["link"]),
    ({"type": "voice", "link": "https://cdn.example/a%20b.wav#t=1"}, ["link"]),
    ({"type": "voice", "link": "https://[::1/a.mp3"}, ["link"]),
    ({"type": "audio", "link": "javascript:alert(1)"}, ["link"]),
    ({"type": "audio", "link": "https://"}, ["link"]),
    ({"type": "audio", "link": "https://a b/c"}, ["link"]),
    ({"type": "audio", "link": "https://a/\nb"}, ["link"]),
    ({"type": "audio", "link": "https://a:99999/"}, ["link"]),
    ({"type": "audio", "link": "https://[::1"}, ["link"]),
    (document(filename="../a.pdf"), ["filename"]),
    (document(filename="a\\b.pdf"), ["filename"]),
    (document(filename="a\u0007.pdf"), ["filename"]),
    (pin(latitude=90.1), ["latitude"]),
    (pin(longitude=-180.1, latitude=-91), ["latitude", "longitude"]),
    (pin(url="https://a/"), ["url"]),
    ({"type": "reaction", "wamid": "wamid.A", "emoji": "👍👍"}, ["emoji"]),
    ({"type": "reaction", "wamid": "", "emoji": "ok"}, ["wamid", "emoji"]),
    ({"type": "reaction", "wamid": "wamid A", "emoji": "👍"}, ["wamid"]),
    (buttons(buttons=[YES, {"id": "yes", "title": "Non"}]), ["buttons[1].id"]),
    (buttons(buttons=[YES, {"id": "no", "title": "Oui"}]), ["buttons[1].title"]),
    (buttons(buttons=[{"id": " yes", "title": "Oui"}]), ["buttons[0].id"]),
    (buttons(header={"type": "document", "filename": "a/b"}), ["header.media_id", "header.filename"]),
    (menu([ROW, ROW]), ["sections[0].rows[1].id"]),
    (menu([{**ROW, "description": " "}]), ["sections[0].rows[0].description"]),
    (menu(sections=[{"rows": [ROW]}, {"rows": [{**ROW, "id": "s"}]}]), ["sections[0].title", "sections[1].title"]),
    (
        menu(sections=[{"title": "a", "rows": several(6)}, {"title": "b", "rows": several(5, id="x")}]),
        ["sections", *[f"sections[1].rows[{place}].id" for place in range(1, 5)]],
    ),
    (link(url="shop.example"), ["url"]),
    (flow(flow_name="booking"), ["flow_id"]),
    ({"type": "flow", "body": "?", "flow_cta": "Ouvrir"}, ["flow_id"]),
    (flow(flow_cta="Ouvrir 👍"), ["flow_cta"]),
    (flow(flow_action="data_exchange", screen="BOOK"), ["screen"]),
    (flow(data={"seats": 2}), ["data"]),
    (products([{"products": []}]), ["sections[0].products"]),
    (products([{"title": "a", "products": ["x"] * 16}, {"title": "b", "products": ["x"] * 15}]), ["sections"]),
    (products([{"products": ["x"]}], header={"text": ""}), ["header.text"]),
    (carousel(CARD, {**CARD, "header": {"type": "video", "media_id": "7"}}), ["cards[1]"]),
    (carousel(CARD, {**CARD, "buttons": several(2)}), ["cards[1]"]),
    (carousel(CARD, product()), ["cards[1]"]),
    (carousel(CARD, {**CARD, "body": "a\nb\nc\nd"}), ["cards[1].body"]),
    (carousel(product(catalog_id=""), product()), ["cards[0].catalog_id"]),
    (address(country="in"), ["country"]),
    (address(values={"name": "", "house number": "5"}), ["values.name", "values"]),
    (address(values={f"v{place}": "x" for place in range(21)}), ["values"]),
    ({"type": "location_request", "body": ""}, ["body"]),
    ({"type": "contact_info_request", "body": ""}, ["body"]),
    ({"type": "call_permission_request", "body": ""}, ["body"]),
    ({"type": "catalog", "body": "", "thumbnail_product_retailer_id": ""}, ["body", "thumbnail_product_retailer_id"]),
]


@pytest.mark.parametrize(("written", "expected"), FAULTS)
def test_a_fault_is_named_by_the_path_of_its_value(written, expected):
    assert paths(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        {"type": "voice", "link": "https://cdn.example/a.ogg"},
        {"type": "voice", "link": "https://cdn.example/a.opus?of=a.mp3"},
        {"type": "voice", "link": "https://cdn.example/a.mp3/"},
        {"type": "voice", "link": "https://a.mp3/recording"},
        {"type": "voice", "link": "https://cdn.example/mp3"},
        {"type": "voice", "link": "https://cdn.example/get.php"},
        {"type": "audio", "link": "https://cdn.example/a.mp3"},
    ],
    ids=str,
)
def test_an_address_that_does_not_say_what_is_there_passes(written):
    assert paths(written) == []


def card(**details):
    return {"type": "contacts", "cards": [{"name": "Robin", "details": details}]}


NAME = {"formatted_name": "Robin Sample", "first_name": "Robin"}
CARD_FAULTS = [
    ({"type": "contacts", "cards": [{"name": None}]}, ["cards[0].name"]),
    (
        {"type": "contacts", "cards": [{"name": "Léa", "phones": [{"phone": "appelle-moi"}]}]},
        ["cards[0].phones[0].phone"],
    ),
    ({"type": "contacts", "cards": [{"name": "Léa", "phones": [{}]}]}, ["cards[0].phones[0].phone"]),
    ({"type": "contacts", "cards": [{"name": "Léa", "phones": [{"wa_id": "+336"}]}]}, ["cards[0].phones[0].wa_id"]),
    (card(name={"formatted_name": "Robin"}), ["cards[0].details.name.first_name"]),
    (card(name={**NAME, "formatted_name": ""}), ["cards[0].details.name.formatted_name"]),
    (card(name=NAME, phones=[{"phone": "12"}]), ["cards[0].details.phones[0].phone"]),
    (card(name=NAME, emails=[{"email": "robin"}]), ["cards[0].details.emails[0].email"]),
    (card(name=NAME, urls=[{"url": "file:///etc/passwd"}]), ["cards[0].details.urls[0].url"]),
    (card(name=NAME, birthday="02/01/1990"), ["cards[0].details.birthday"]),
    (card(name=NAME, birthday="1990-02-30"), ["cards[0].details.birthday"]),
    (card(name=NAME, addresses=[{"country_code": "FRA"}]), ["cards[0].details.addresses[0].country_code"]),
    (card(name=NAME, org={"company": "x" * 1001}), ["cards[0].details.org.company"]),
    (card(name=NAME, phones=[{"phone": "+15550100199"}] * 101), ["cards[0].details.phones"]),
    (card(name=NAME, ims=[]), ["cards[0].details"]),
    (card(name={**NAME, "nick": "R"}), ["cards[0].details.name"]),
    (card(name=7), ["cards[0].details.name"]),
    ({"type": "contacts", "cards": [{"name": "Robin", "details": [1]}]}, ["cards[0].details"]),
]


@pytest.mark.parametrize(("written", "expected"), CARD_FAULTS)
def test_a_fault_of_a_contact_card_is_named_by_the_path_of_its_value(written, expected):
    assert paths(written) == expected


def test_all_faults_are_told_at_once_with_where_they_stand():
    content = read(buttons(body="", footer="x" * 61, buttons=[{"id": "a", "title": "x" * 21}]))

    with pytest.raises(Invalid) as caught:
        checked(content, at="body.content")

    assert caught.value.errors == [
        {"path": "body.content.body", "message": "1 to 1024 characters, not all of them blank"},
        {"path": "body.content.footer", "message": "1 to 60 characters, not all of them blank"},
        {"path": "body.content.buttons[0].title", "message": "1 to 20 characters, not all of them blank"},
    ]


def test_a_reaction_cannot_be_a_reply():
    reaction = read({"type": "reaction", "wamid": "wamid.A", "emoji": "👍"})

    assert checked(reaction, at="body.content") is reaction
    with pytest.raises(Invalid) as caught:
        checked(reaction, at="body.content", reply_at="body.reply_to_message_id")
    assert [error["path"] for error in caught.value.errors] == ["body.reply_to_message_id"]


def test_anything_else_can_be_a_reply():
    content = read(image())
    assert checked(content, at="body.content", reply_at="body.reply_to_message_id") is content


def test_a_flood_of_rows_is_not_looked_at_one_by_one():
    found = problems(read(menu([{"id": "", "title": ""}] * 5000)))
    assert len(found) < 100
