"""What a known template needs of a message: faults are named by their path, and what is in doubt passes."""

import json

import msgspec
import pytest

from inbox.domain.outgoing_template import Component, TemplateMessage
from inbox.domain.template_needs import lacks
from inbox.domain.templates import KnownTemplate
from payloads.sends import examples, template_for

TEMPLATES = {name: one for name, one in examples().items() if isinstance(one.content, TemplateMessage)}
BODY = [{"type": "BODY", "text": "Bonjour {{1}}, commande {{2}}."}]
NAMED = [{"type": "BODY", "text": "Bonjour {{first_name}}, commande {{order_id}}."}]
TITLED = [{"type": "HEADER", "format": "TEXT", "text": "Commande {{1}}"}, {"type": "BODY", "text": "Prête."}]
PLAIN = [{"type": "HEADER", "format": "TEXT", "text": "Commande"}, {"type": "BODY", "text": "Prête."}]
PICTURE = [{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Prête."}]
PLACE = [{"type": "HEADER", "format": "LOCATION"}, {"type": "BODY", "text": "Ici."}]
BUTTONS = [
    {"type": "BODY", "text": "Suivez-la."},
    {
        "type": "BUTTONS",
        "buttons": [
            {"type": "QUICK_REPLY", "text": "Merci"},
            {"type": "URL", "text": "Suivre", "url": "https://shop.example/{{1}}"},
            {"type": "URL", "text": "Site", "url": "https://shop.example"},
        ],
    },
]
COUPON = [{"type": "BODY", "text": "-25 %"}, {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE", "text": "Copier"}]}]


def text(value="Léa", name=None):
    return {"type": "text", "text": value} | ({"parameter_name": name} if name else {})


def body(*parameters: object):
    return {"type": "body", "parameters": list(parameters)}


def header(*parameters: object):
    return {"type": "header", "parameters": list(parameters)}


def button(sub_type, index, parameter):
    return {"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]}


FILE = {"link": "https://cdn.example/a"}
IMAGE, VIDEO = {"type": "image", "image": FILE}, {"type": "video", "video": FILE}
SUFFIX, PAYLOAD = text("42"), {"type": "payload", "payload": "OK"}
CODE = {"type": "coupon_code", "coupon_code": "SAVE25"}

FAULTS = [
    (BODY, [], ["components"]),
    (BODY, [body()], ["components[0].parameters"]),
    (BODY, [body(text())], ["components[0].parameters"]),
    (BODY, [body(text(), text(), text())], ["components[0].parameters"]),
    ([{"type": "BODY", "text": "Bonjour"}], [body(text())], ["components[0].parameters"]),
    (NAMED, [], ["components"]),
    (NAMED, [body(text(name="first_name"))], ["components[0].parameters"]),
    (
        NAMED,
        [body(text(name="first_name"), text(name="order"))],
        ["components[0].parameters[1].parameter_name", "components[0].parameters"],
    ),
    (
        NAMED,
        [body(text(name="first_name"), text(name="order_id"), text(name="day"))],
        ["components[0].parameters[2].parameter_name"],
    ),
    (
        NAMED,
        [body(text(), text())],
        [
            "components[0].parameters[0].parameter_name",
            "components[0].parameters[1].parameter_name",
            "components[0].parameters",
        ],
    ),
    (TITLED, [], ["components"]),
    (TITLED, [header()], ["components[0].parameters"]),
    (TITLED, [header(IMAGE)], ["components[0].parameters[0].type"]),
    (PLAIN, [header(text())], ["components[0].parameters"]),
    (PLAIN, [header(IMAGE)], ["components[0].parameters[0].type"]),
    (BODY, [body(text(), text()), header(text())], ["components[1].parameters"]),
    (PICTURE, [], ["components"]),
    (PICTURE, [body(), header()], ["components[1].parameters"]),
    (PICTURE, [header(VIDEO)], ["components[0].parameters[0].type"]),
    (PICTURE, [header(text())], ["components[0].parameters[0].type"]),
    (PLACE, [header(IMAGE)], ["components[0].parameters[0].type"]),
    (PLACE, [], ["components"]),
    (BUTTONS, [], ["components"]),
    (BUTTONS, [button("quick_reply", 0, PAYLOAD)], ["components"]),
    (BUTTONS, [button("quick_reply", "1", PAYLOAD)], ["components[0].sub_type"]),
    (COUPON, [], ["components"]),
    (COUPON, [button("quick_reply", 0, PAYLOAD)], ["components[0].sub_type"]),
]
FITS = [
    (BODY, [body(text(), text())]),
    (BODY, [body(text(name="a"), text(name="b"))]),
    (NAMED, [body(text(name="order_id"), text(name="first_name"))]),
    (TITLED, [header(text())]),
    (PLAIN, []),
    (PLAIN, [header(), body()]),
    (PICTURE, [header(IMAGE)]),
    (BUTTONS, [button("URL", "1", SUFFIX)]),
    (BUTTONS, [button("url", 1, SUFFIX), button("url", 2, SUFFIX)]),
    (COUPON, [button("copy_code", 0, CODE)]),
]
IN_DOUBT = {
    "a variable that stands there twice": ([{"type": "BODY", "text": "{{1}} et {{1}}"}], [body(text(), text())]),
    "names and numbers": ([{"type": "BODY", "text": "{{1}} et {{day}}"}], []),
    "nothing but a name": ([], [body(text()), header(text())]),
    "another shape": ([{"type": 7}], [body(text())]),
    "a body without its text": ([{"type": "BODY"}], [body(text())]),
    "a file that webhooks do not tell of": ([{"type": "BODY", "text": "Prête."}], [header(IMAGE)]),
    "a header that is newer than this": ([{"type": "HEADER", "format": "GIF"}], []),
    "a form and a catalogue": (
        [{"type": "BUTTONS", "buttons": [{"type": "FLOW"}, {"type": "CATALOG"}, {"type": "MPM"}, {"type": "NEW"}]}],
        [],
    ),
    "cards and an offer": (
        [
            {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Vite"}},
            {"type": "CAROUSEL", "cards": [{"components": [{"type": "BODY", "text": "{{1}}"}]}]},
        ],
        [],
    ),
}


def known(components, **more) -> KnownTemplate:
    return KnownTemplate(name="commande", language="fr", components=json.dumps(components).encode(), **more)


def message(components) -> TemplateMessage:
    return TemplateMessage(
        name="commande", language="fr", components=msgspec.convert(components, tuple[Component, ...])
    )


def paths(template: KnownTemplate, components) -> list[str]:
    return [path for path, _ in lacks(template, message(components))]


@pytest.mark.parametrize(("template", "components", "found"), FAULTS, ids=str)
def test_what_does_not_fit_is_named(template, components, found):
    assert paths(known(template), components) == found


@pytest.mark.parametrize(("template", "components"), FITS, ids=str)
def test_what_fits_passes(template, components):
    assert paths(known(template), components) == []


@pytest.mark.parametrize("case", IN_DOUBT)
def test_what_is_in_doubt_passes(case):
    template, components = IN_DOUBT[case]
    assert paths(known(template), components) == []


@pytest.mark.parametrize(
    "more",
    [{"category": "AUTHENTICATION"}, {"parameter_format": "NAMED"}, {"components": None}],
    ids=str,
)
def test_a_template_that_is_not_read_as_a_whole_stops_nothing(more):
    assert paths(known(BODY), [])
    assert paths(msgspec.structs.replace(known(BODY), **more), []) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_example_fits_the_template_that_was_made_for_it(name):
    one = TEMPLATES[name]
    template = template_for(one.body["template"])
    assert isinstance(one.content, TemplateMessage)
    whole = known(template["components"], parameter_format=template["parameter_format"])
    assert list(lacks(whole, one.content)) == []
