"""What is wrong with a new template is said before WhatsApp is asked: all of it, each with its place."""

import msgspec
import pytest

from inbox.domain.errors import Invalid
from inbox.domain.limits_drafts import checked, problems
from inbox.domain.template_drafts import TemplateDraft, TemplateEdit

BODY = {
    "type": "BODY",
    "text": "Hi {{1}}, order {{2}} left our shop. Thanks!",
    "example": {"body_text": [["Dana", "42"]]},
}
ORDER = {
    "name": "order_update",
    "language": "en_US",
    "category": "UTILITY",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}", "example": {"header_text": ["42"]}},
        BODY,
        {"type": "FOOTER", "text": "Example Shop"},
        {
            "type": "BUTTONS",
            "buttons": [
                {
                    "type": "URL",
                    "text": "Track",
                    "url": "https://shop.example/t/{{1}}",
                    "example": ["https://shop.example/t/42"],
                },
                {"type": "QUICK_REPLY", "text": "Stop"},
            ],
        },
    ],
}
NAMED = {
    "name": "booking_ok",
    "language": "en_US",
    "category": "UTILITY",
    "parameter_format": "NAMED",
    "components": [
        {
            "type": "BODY",
            "text": "Hi {{first_name}}, see you on {{day}} at our place.",
            "example": {
                "body_text_named_params": [
                    {"param_name": "first_name", "example": "Dana"},
                    {"param_name": "day", "example": "Friday"},
                ]
            },
        }
    ],
}
PICTURE = {
    "name": "sale_img",
    "language": "en_US",
    "category": "MARKETING",
    "components": [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW1hZ2UvanBlZw==:HANDLE"]}},
        {"type": "BODY", "text": "Hi {{1}}, our sale is on now.", "example": {"body_text": [["Dana"]]}},
    ],
}
CODE = {
    "name": "login_code",
    "language": "en_US",
    "category": "AUTHENTICATION",
    "message_send_ttl_seconds": 600,
    "components": [
        {"type": "BODY", "add_security_recommendation": True},
        {"type": "FOOTER", "code_expiration_minutes": 5},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy code"}]},
    ],
}
CARD = {
    "components": [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::x"]}},
        {"type": "BODY", "text": "A bike"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "More"}]},
    ]
}
CARDS = {
    "name": "bikes",
    "language": "fr",
    "category": "MARKETING",
    "components": [{"type": "BODY", "text": "Look"}, {"type": "CAROUSEL", "cards": [CARD, CARD]}],
}


def read(raw) -> TemplateDraft:
    return msgspec.convert(raw, TemplateDraft)


def faults(raw) -> list[str]:
    draft = read(raw)
    named = draft.parameter_format == "NAMED"
    return [path for path, _ in problems(draft, named=named, is_code=draft.category == "AUTHENTICATION")]


def with_body(text: str, *examples: str):
    body = {"type": "BODY", "text": text, **({"example": {"body_text": [list(examples)]}} if examples else {})}
    return {**ORDER, "components": [body]}


def with_buttons(*buttons: dict):
    return {**ORDER, "components": [BODY, {"type": "BUTTONS", "buttons": list(buttons)}]}


@pytest.mark.parametrize("raw", [ORDER, NAMED, PICTURE, CODE, CARDS], ids=lambda raw: raw["name"])
def test_a_good_template_is_taken_and_goes_to_whatsapp_as_it_was_written(raw):
    assert faults(raw) == []
    assert msgspec.json.decode(msgspec.json.encode(read(raw))) == raw


QUICK = {"type": "QUICK_REPLY", "text": "Oui"}
URL = {"type": "URL", "text": "Voir", "url": "https://shop.example/"}
PHONE = {"type": "PHONE_NUMBER", "text": "Appeler", "phone_number": "+33465710001"}
FAULTY = {
    "capitals in the name": ({**ORDER, "name": "Order"}, ["name"]),
    "a language like a browser's": ({**ORDER, "language": "en-US"}, ["language"]),
    "no body": ({**ORDER, "components": [{"type": "FOOTER", "text": "x"}]}, ["components"]),
    "two bodies": ({**ORDER, "components": [BODY, BODY]}, ["components[1].type"]),
    "a body that is too long": (with_body("x" * 1025), ["components[0].text"]),
    "an empty body": (with_body("  "), ["components[0].text"]),
    "a variable first": (with_body("{{1}} is here", "Dana"), ["components[0].text"]),
    "a variable last": (with_body("Here is {{1}}", "Dana"), ["components[0].text"]),
    "variables that touch": (with_body("Hi {{1}} {{2}} there", "a", "b"), ["components[0].text"]),
    "a number left out": (with_body("Hi {{1}} and {{3}} there", "a", "b"), ["components[0].text"]),
    "a name among numbers": (with_body("Hi {{name}} there", "a"), ["components[0].text"]),
    "a brace too few": (with_body("Hi {{1} there"), ["components[0].text"]),
    "no example": (with_body("Hi {{1}} there"), ["components[0].example.body_text[0]"]),
    "too many examples": (with_body("Hi {{1}} there", "a", "b"), ["components[0].example.body_text[0]"]),
    "a long header": (
        {**ORDER, "components": [{"type": "HEADER", "format": "TEXT", "text": "x" * 61}, BODY]},
        ["components[0].text"],
    ),
    "two variables in a header": (
        {**ORDER, "components": [{"type": "HEADER", "format": "TEXT", "text": "{{1}} and {{2}}"}, BODY]},
        ["components[0].text"],
    ),
    "a picture without a sample": (
        {**ORDER, "components": [{"type": "HEADER", "format": "IMAGE"}, BODY]},
        ["components[0].example.header_handle"],
    ),
    "a picture with a text": (
        {
            **ORDER,
            "components": [
                {"type": "HEADER", "format": "IMAGE", "text": "x", "example": {"header_handle": ["4::x"]}},
                BODY,
            ],
        },
        ["components[0].text"],
    ),
    "a variable in the footer": (
        {**ORDER, "components": [BODY, {"type": "FOOTER", "text": "By {{1}}"}]},
        ["components[1].text"],
    ),
    "eleven buttons": (with_buttons(*[QUICK] * 11), ["components[1].buttons"]),
    "three addresses": (with_buttons(URL, URL, URL), ["components[1].buttons"]),
    "two numbers to call": (with_buttons(PHONE, PHONE), ["components[1].buttons"]),
    "a long button": (with_buttons({**QUICK, "text": "x" * 26}), ["components[1].buttons[0].text"]),
    "an address that is none": (with_buttons({**URL, "url": "shop.example"}), ["components[1].buttons[0].url"]),
    "a variable inside an address": (
        with_buttons({**URL, "url": "https://x.example/{{1}}/a", "example": ["https://x.example/1/a"]}),
        ["components[1].buttons[0].url"],
    ),
    "an address without its example": (
        with_buttons({**URL, "url": "https://x.example/{{1}}"}),
        ["components[1].buttons[0].example"],
    ),
    "a form without a name": (with_buttons({"type": "FLOW", "text": "Remplir"}), ["components[1].buttons[0]"]),
    "one card": ({**CARDS, "components": [BODY, {"type": "CAROUSEL", "cards": [CARD]}]}, ["components[1].cards"]),
    "cards that differ": (
        {
            **CARDS,
            "components": [
                BODY,
                {"type": "CAROUSEL", "cards": [CARD, {"components": [{"type": "BODY", "text": "x"}]}]},
            ],
        },
        ["components[1].cards[1].components"],
    ),
    "an example of another name": (
        {
            **NAMED,
            "components": [
                {
                    "type": "BODY",
                    "text": "Hi {{first_name}} there",
                    "example": {"body_text_named_params": [{"param_name": "last_name", "example": "Dana"}]},
                }
            ],
        },
        ["components[0].example.body_text_named_params[0].param_name"],
    ),
    "a text of a code's template": (
        {**CODE, "components": [{"type": "BODY", "text": "Your code"}]},
        ["components[0].text"],
    ),
    "an hour and a half too many": (
        {**CODE, "components": [{"type": "BODY"}, {"type": "FOOTER", "code_expiration_minutes": 91}]},
        ["components[1].code_expiration_minutes"],
    ),
    "a moment to live": ({**CODE, "message_send_ttl_seconds": 1}, ["message_send_ttl_seconds"]),
}


@pytest.mark.parametrize(("raw", "paths"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_by_its_place(raw, paths):
    assert faults(raw) == paths


def test_all_faults_are_named_at_once_below_the_body():
    draft = read({**with_body("{{1}} is here"), "name": "Ö"})
    with pytest.raises(Invalid) as caught:
        checked(draft, named=False, is_code=False)
    assert [one["path"] for one in caught.value.errors] == [
        "body.name",
        "body.components[0].text",
        "body.components[0].example.body_text[0]",
    ]


def test_an_edit_has_to_change_something():
    assert [path for path, _ in problems(TemplateEdit(), named=False, is_code=False)] == ["components"]
    assert list(problems(TemplateEdit(category="UTILITY"), named=False, is_code=False)) == []
