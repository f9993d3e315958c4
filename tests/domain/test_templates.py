"""What is known of a template does not depend on the order in which it was told; what may be sent; what is read."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from inbox.domain.failure_cases import CASES
from inbox.domain.outgoing_template import BodyComponent, ButtonComponent, Component, HeaderComponent, TextParameter
from inbox.domain.template_errors import (
    TemplateDisabled,
    TemplatePaused,
    TemplatePending,
    TemplateRejected,
    TemplateUnavailable,
    TemplateUnknown,
)
from inbox.domain.template_preview import rendered
from inbox.domain.templates import KnownTemplate, Standing, TemplateNews, refusal, told

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOTHING = KnownTemplate(name="commande", language="fr")


def news(seconds: int = 0, **said) -> TemplateNews:
    return TemplateNews(name="commande", language="fr", at=NOON + timedelta(seconds=seconds), **said)


def parts(*texts: tuple[str, str]) -> bytes:
    return json.dumps([{"type": kind, "text": text} for kind, text in texts]).encode()


def after(*many: TemplateNews) -> KnownTemplate:
    known = NOTHING
    for one in many:
        known = told(known, one)
    return known


def test_what_was_said_last_counts_in_any_order_and_however_often():
    many = [
        news(0, status="PENDING", category="UTILITY", meta_id="7"),
        news(3, status="APPROVED"),
        news(9, status="PAUSED", reason="LOW_QUALITY", details="Paused for 3 hours."),
        news(4, quality="GREEN"),
        news(8, quality="RED"),
        news(5, category="MARKETING"),
        news(6, components=parts(("BODY", "Bonjour"))),
    ]
    for order in itertools.islice(itertools.permutations(many), 0, None, 97):
        known = after(*order, *reversed(order))
        assert (known.status, known.reason, known.details) == ("PAUSED", "LOW_QUALITY", "Paused for 3 hours.")
        assert (known.quality, known.category, known.meta_id) == ("RED", "MARKETING", "7")
        assert json.loads(known.components or b"") == [{"type": "BODY", "text": "Bonjour"}]
        assert known.status_at == NOON + timedelta(seconds=9)


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        ({"status": "PENDING"}, {"status": "APPROVED"}, {"status": "APPROVED"}),
        ({"status": "APPROVED"}, {"status": "DISABLED"}, {"status": "DISABLED"}),
        ({"status": "DELETED"}, {"status": "PAUSED"}, {"status": "DELETED"}),
        ({"quality": "GREEN"}, {"quality": "RED"}, {"quality": "RED"}),
        ({"category": "MARKETING"}, {"category": "UTILITY"}, {"category": "UTILITY"}),
    ],
)
def test_of_two_words_of_the_same_second_one_counts_in_either_order(one, other, counts):
    for pair in ((one, other), (other, one)):
        known = after(*(news(1, **said) for said in pair))
        assert {name: getattr(known, name) for name in counts} == counts


def test_what_is_not_spoken_of_stays():
    known = after(news(1, status="APPROVED", quality="GREEN", meta_id="7"), news(2, category="UTILITY", meta_id="8"))
    assert (known.status, known.quality, known.category, known.meta_id) == ("APPROVED", "GREEN", "UTILITY", "7")


def test_a_reason_goes_with_the_status_that_had_it():
    known = after(news(1, status="REJECTED", reason="INVALID_FORMAT", details="Adjacent."), news(2, status="APPROVED"))
    assert (known.reason, known.details) == (None, None)


def test_a_webhook_about_the_content_keeps_files_and_takes_texts_away():
    picture = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::x"]}}
    whole = json.dumps([picture, {"type": "BODY", "text": "Avant"}, {"type": "FOOTER", "text": "Pied"}]).encode()
    known = after(news(1, components=whole), news(2, components=parts(("BODY", "Après")), is_whole=False))
    assert json.loads(known.components or b"") == [picture, {"type": "BODY", "text": "Après"}]
    titled = after(
        news(1, components=json.dumps([{"type": "HEADER", "format": "TEXT", "text": "Titre"}]).encode()),
        news(2, components=parts(("BODY", "Après")), is_whole=False),
    )
    assert json.loads(titled.components or b"") == [{"type": "BODY", "text": "Après"}]


def test_the_same_content_in_other_words_of_json_is_no_news():
    first = after(news(1, components=b'[{"type":"BODY","text":"A"}]'))
    again = told(first, news(1, components=b'[ {"text": "A", "type": "BODY"} ]'))
    assert again.components == first.components


REFUSED = {
    "PENDING": TemplatePending,
    "IN_APPEAL": TemplatePending,
    "REJECTED": TemplateRejected,
    "PAUSED": TemplatePaused,
    "DISABLED": TemplateDisabled,
    "ARCHIVED": TemplateUnavailable,
    "LIMIT_EXCEEDED": TemplateUnavailable,
    "PENDING_DELETION": TemplateUnavailable,
    "DELETED": TemplateUnknown,
    "APPROVED": None,
    "SOMETHING_NEW": None,
    None: None,
}


@pytest.mark.parametrize(("status", "error"), REFUSED.items())
def test_what_whatsapp_would_refuse_is_refused_with_the_reason(status, error):
    for is_listed in (True, False):
        known = msgspec.structs.replace(NOTHING, status=status)
        found = refusal(Standing(is_listed=is_listed, template=known))
        assert (found and type(found)) is error


@pytest.mark.parametrize(
    ("status", "reason", "details", "case", "words"),
    [
        (
            "REJECTED",
            "INVALID_FORMAT",
            "Parameters are next to each other.",
            None,
            "INVALID_FORMAT: Parameters are next to each other.",
        ),
        ("PAUSED", None, "Paused for 3 hours.", None, "Paused for 3 hours."),
        ("DISABLED", "ABUSIVE_CONTENT", None, None, "ABUSIVE_CONTENT"),
        ("LIMIT_EXCEEDED", None, None, "template_over_limit", ""),
        ("ARCHIVED", None, None, "template_archived", ""),
        ("PENDING_DELETION", None, None, "template_being_deleted", ""),
    ],
)
def test_a_refusal_says_why_whatsapp_does_not_send_the_template_and_in_which_state_it_is(
    status, reason, details, case, words
):
    known = msgspec.structs.replace(NOTHING, status=status, reason=reason, details=details)
    error = refusal(Standing(is_listed=True, template=known))
    assert error is not None
    assert (error.case, error.words) == (case, words)
    assert case is None or case in CASES


def test_a_template_that_is_not_known_is_refused_only_if_the_list_was_read():
    assert isinstance(refusal(Standing(is_listed=True, template=None)), TemplateUnknown)
    assert refusal(Standing(is_listed=False, template=None)) is None


POSITIONAL = json.dumps(
    [
        {"type": "HEADER", "format": "TEXT", "text": "Commande {{1}}"},
        {"type": "BODY", "text": "Bonjour {{1}}, votre colis {{2}} est parti. À bientôt {{1}} !"},
        {"type": "FOOTER", "text": "Atelier Lyon"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "URL", "text": "Suivre", "url": "https://shop.example/t/{{1}}"},
                {"type": "QUICK_REPLY", "text": "Stop"},
            ],
        },
    ]
).encode()


def text(value: str, name: str | None = None) -> TextParameter:
    return TextParameter(text=value, parameter_name=name)


def test_a_preview_has_the_values_in_their_places():
    given: list[Component] = [
        HeaderComponent(parameters=(text("42"),)),
        BodyComponent(parameters=(text("Léa"), text("A7"))),
        ButtonComponent(sub_type="url", index="0", parameters=(text("42?a=1"),)),
    ]
    shown = rendered(POSITIONAL, given)
    assert shown is not None
    assert (shown.header_format, shown.header, shown.footer) == ("TEXT", "Commande 42", "Atelier Lyon")
    assert shown.body == "Bonjour Léa, votre colis A7 est parti. À bientôt Léa !"
    assert [(one.text, one.url) for one in shown.buttons] == [
        ("Suivre", "https://shop.example/t/42?a=1"),
        ("Stop", None),
    ]
    assert shown.missing == ()
    assert shown.text == (
        "Commande 42\nBonjour Léa, votre colis A7 est parti. À bientôt Léa !\nAtelier Lyon\n[boutons : Suivre, Stop]"
    )


def test_what_is_missing_is_named_and_stands_as_it_is():
    shown = rendered(POSITIONAL, [BodyComponent(parameters=(text("Léa"),))])
    assert shown is not None
    assert "votre colis {{2}} est parti" in shown.body
    assert shown.missing == ("header.1", "body.2", "buttons[0].1")


def test_named_variables_are_filled_by_name_whatever_their_order():
    components = json.dumps([{"type": "body", "text": "{{ jour }} : rendez-vous de {{prenom}}."}]).encode()
    given = [BodyComponent(parameters=(text("Léa", "prenom"), text("Mardi", "jour")))]
    shown = rendered(components, given)
    assert shown is not None
    assert shown.body == "Mardi : rendez-vous de Léa."


def test_a_value_is_never_read_as_a_variable():
    shown = rendered(
        b'[{"type":"BODY","text":"A {{1}} b {{2}} c"}]', [BodyComponent(parameters=(text("{{2}}"), text("x")))]
    )
    assert shown is not None
    assert shown.body == "A {{2}} b x c"


def test_a_header_with_a_file_shows_its_kind_and_cards_show_their_texts():
    components = json.dumps(
        [
            {"type": "HEADER", "format": "VIDEO"},
            {"type": "BODY", "text": "Voici"},
            {"type": "CAROUSEL", "cards": [{"components": [{"type": "BODY", "text": "Vélo {{1}}"}]}]},
        ]
    ).encode()
    shown = rendered(components, [])
    assert shown is not None
    assert shown.text == "[video]\nVoici\nVélo {{1}}"
    assert shown.missing == ("cards[0].body.1",)


@pytest.mark.parametrize("odd", [b'{"type":"BODY"}', b'[{"type":7}]', b'[{"buttons":"x"}]', b"nonsense"])
def test_a_template_of_an_unknown_shape_has_no_preview(odd):
    assert rendered(odd, []) is None
