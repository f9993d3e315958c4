"""What is known of a template before it is queued."""

import json

import msgspec
import pytest

from inbox.domain.limits import problems
from inbox.domain.outgoing import Sendable


def paths(written):
    return [path for path, _ in problems(msgspec.json.decode(json.dumps(written), type=Sendable))]


def template(*components: object, **others):
    return {"type": "template", "name": "sale", "language": "fr", "components": list(components), **others}


def said(*texts: str, kind="body"):
    return {"type": kind, "parameters": [{"type": "text", "text": text} for text in texts]}


def named(*names: str | None, kind="body"):
    parameters = [{"type": "text", "text": "x"} | ({"parameter_name": name} if name else {}) for name in names]
    return {"type": kind, "parameters": parameters}


def header(kind, value):
    return {"type": "header", "parameters": [{"type": kind, kind: value}]}


def button(sub_type, kind, value, index=0):
    return {"type": "button", "sub_type": sub_type, "index": index, "parameters": [{"type": kind, kind: value}]}


def card(index=0, *components: object):
    return {"card_index": index, "components": list(components) or [header("image", {"id": "7"})]}


def cards(*given: object):
    return template({"type": "carousel", "cards": list(given)})


def quick(index=0, **others):
    return {**button("quick_reply", "payload", "STOP", index), **others}


LIMITS = [
    (lambda n: template(name="a" * n), 512, "name"),
    (lambda n: template(said("x" * n)), 1024, "components[0].parameters"),
    (lambda n: template(said("x" * 1000, "x" * (n - 1000))), 1024, "components[0].parameters"),
    (lambda n: template(said("x" * n, kind="header")), 60, "components[0].parameters[0].text"),
    (lambda n: template(button("copy_code", "coupon_code", "x" * n)), 20, "components[0].parameters[0].coupon_code"),
    (lambda n: template(button("url", "text", "x" * n)), 2000, "components[0].parameters[0].text"),
    (lambda n: template(quick(n)), 9, "components[0].index"),
    (lambda n: template(said(*["x"] * n)), 100, "components[0].parameters"),
    (lambda n: template(said(*["x"] * n, kind="header")), 1, "components[0].parameters"),
    (lambda n: cards(*(card(place) for place in range(n))), 10, "components[0].cards"),
    (
        lambda n: template(
            button("mpm", "action", {"sections": [{"product_items": [{"product_retailer_id": "x"}] * n}]})
        ),
        30,
        "components[0].parameters[0].action.sections[0].product_items",
    ),
]


@pytest.mark.parametrize(("made", "most", "path"), LIMITS)
def test_a_limit_is_reached_and_not_passed(made, most, path):
    assert paths(made(most)) == []
    assert path in paths(made(most + 1))


TAKEN = [
    template(),
    template(said()),
    template(said("Dana", "42"), quick(), quick("1")),
    template(named("first", "second"), named("first", kind="header")),
    template(said("a    b")),
    template(button("CATALOG", "action", {"thumbnail_product_retailer_id": "kettle"})),
    template(button("flow", "action", {})),
    template(language="fil"),
    cards(card(0), card(1)),
]


@pytest.mark.parametrize("written", TAKEN)
def test_a_sound_template_is_taken(written):
    assert paths(written) == []


AT = "components[0].parameters[0]"
FAULTS = [
    (template(name="Sale!"), ["name"]),
    (template(language="français"), ["language"]),
    (template(language="EN_us"), ["language"]),
    (template(said("")), [f"{AT}.text"]),
    (template(said("a\nb")), [f"{AT}.text"]),
    (template(said("a\r\nb")), [f"{AT}.text"]),
    (template(said("a\tb")), [f"{AT}.text"]),
    (template(said("a     b")), [f"{AT}.text"]),
    (template(named("first", None)), ["components[0].parameters[1].parameter_name"]),
    (template(named(None), named("first", kind="header")), [f"{AT}.parameter_name"]),
    (template(named("first", "first")), ["components[0].parameters[1].parameter_name"]),
    (template(named("First")), [f"{AT}.parameter_name"]),
    (template(said("a"), said("b")), ["components[1]"]),
    (template(quick(), quick()), ["components[1].index"]),
    (template(quick(0), quick("0")), ["components[1].index"]),
    (template(quick("x")), ["components[0].index"]),
    (template(quick(-1)), ["components[0].index"]),
    (template(quick(sub_type="poster")), ["components[0].sub_type"]),
    (template(quick(parameters=[])), ["components[0].parameters"]),
    (template(button("url", "payload", "x")), [f"{AT}.type"]),
    (template(button("url", "text", "a\nb")), [f"{AT}.text"]),
    (template(button("quick_reply", "payload", "")), [f"{AT}.payload"]),
    (template(header("image", {})), [f"{AT}.image.id"]),
    (template(header("image", {"id": "7", "filename": "a"})), [f"{AT}.image.filename"]),
    (template(header("video", {"link": "ftp://a"})), [f"{AT}.video.link"]),
    (template(header("document", {"id": "7", "filename": "a/b"})), [f"{AT}.document.filename"]),
    (template(header("location", {"latitude": 91, "longitude": 1})), [f"{AT}.location.latitude"]),
    (
        template(header("product", {"product_retailer_id": "", "catalog_id": "9"})),
        [f"{AT}.product.product_retailer_id"],
    ),
    (
        template(
            {
                "type": "body",
                "parameters": [
                    {"type": "currency", "currency": {"fallback_value": "a\tb", "code": "eur", "amount_1000": 1}}
                ],
            }
        ),
        [f"{AT}.currency.fallback_value", f"{AT}.currency.code"],
    ),
    (
        template({"type": "body", "parameters": [{"type": "date_time", "date_time": {"fallback_value": ""}}]}),
        [f"{AT}.date_time.fallback_value"],
    ),
    (
        template(
            {
                "type": "limited_time_offer",
                "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 0}}],
            }
        ),
        [f"{AT}.limited_time_offer.expiration_time_ms"],
    ),
    (template({"type": "limited_time_offer", "parameters": []}), ["components[0].parameters"]),
    (cards(card(0)), ["components[0].cards"]),
    (cards(card(0), card(2)), ["components[0].cards[1].card_index"]),
    (cards(card(0), card(1, header("video", {"id": "7"}))), ["components[0].cards[1]"]),
    (cards(card(0, quick()), card(1, quick(), quick(1))), ["components[0].cards[1]"]),
    (cards(card(0, said("a")), card(1, said("a\nb"))), ["components[0].cards[1].components[0].parameters[0].text"]),
]


@pytest.mark.parametrize(("written", "expected"), FAULTS)
def test_a_fault_is_named_by_the_path_of_its_value(written, expected):
    assert paths(written) == expected
