"""What webhooks say of templates: about which, since when, and what of it is kept."""

import json
from datetime import UTC, datetime

import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.inbound import AccountNotice
from inbox.domain.templates import TemplateNews

from .webhook_bodies import SENT_AT, Json, an_envelope

AT = datetime.fromtimestamp(SENT_AT, UTC)
CODEC = CloudApiCodec([b"secret"])
NAMED = {
    "message_template_id": 900880000000001,
    "message_template_name": "order_update",
    "message_template_language": "en-US",
}


def said(field: str, **value: object) -> TemplateNews | None:
    envelope = an_envelope({**NAMED, **value}, field=field)
    envelope["entry"][0] |= {"time": SENT_AT}
    (notice,) = CODEC.decode(json.dumps(envelope).encode(), AT)
    assert isinstance(notice, AccountNotice)
    return notice.template


def the_news(field: str, **value: object) -> TemplateNews:
    found = said(field, **value)
    assert found is not None
    return found


STATUS = "message_template_status_update"


def test_news_name_the_template_as_the_list_does_and_their_time() -> None:
    news = the_news(STATUS, event="APPROVED", reason="NONE", message_template_category="UTILITY")
    assert (news.name, news.language, news.meta_id, news.at) == ("order_update", "en_US", "900880000000001", AT)
    assert (news.status, news.category, news.reason, news.components) == ("APPROVED", "UTILITY", None, None)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"event": "REINSTATED"}, "APPROVED"),
        ({"event": "UNARCHIVED"}, "APPROVED"),
        ({"event": "PAUSED", "other_info": {"title": "FIRST_PAUSE"}}, "PAUSED"),
        ({"event": "PAUSED", "other_info": {"title": "UNPAUSE"}}, "APPROVED"),
        ({"event": "SOMETHING_NEW"}, "SOMETHING_NEW"),
        ({"event": "LOCKED", "other_info": {"title": "UNPAUSE"}}, "APPROVED"),
    ],
)
def test_an_event_is_a_status_or_leads_to_one(value: Json, status: str) -> None:
    assert the_news(STATUS, **value).status == status


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (STATUS, {"event": "FLAGGED"}),
        (STATUS, {"event": "LOCKED"}),
        (STATUS, {}),
        (STATUS, {"event": "APPROVED", "message_template_name": ""}),
        (STATUS, {"event": "APPROVED", "message_template_name": "x" * 513}),
        (STATUS, {"event": "APPROVED", "message_template_language": None}),
        ("template_category_update", {"new_category": "UTILITY", "correct_category": "MARKETING"}),
        ("message_template_components_update", {"message_template_footer": "x"}),
        ("some_new_field", {"event": "APPROVED"}),
    ],
)
def test_what_changes_nothing_is_a_notice_only(field: str, value: Json) -> None:
    assert said(field, **value) is None


def test_why_a_template_was_rejected_is_kept() -> None:
    info = {"reason": "Parameters are next to each other.", "recommendation": "Separate them."}
    news = the_news(STATUS, event="REJECTED", reason="INVALID_FORMAT", rejection_info=info)
    assert (news.status, news.reason) == ("REJECTED", "INVALID_FORMAT")
    assert news.details == "Parameters are next to each other. Separate them."


@pytest.mark.parametrize("field", ["message_template_quality_update", STATUS])
def test_a_quality_is_known_by_its_score_in_either_field(field: str) -> None:
    news = the_news(field, previous_quality_score="GREEN", new_quality_score="RED")
    assert (news.quality, news.status) == ("RED", None)


def test_a_category_counts_when_it_has_changed() -> None:
    news = the_news("template_category_update", previous_category="UTILITY", new_category="MARKETING")
    assert (news.category, news.status) == ("MARKETING", None)


def test_an_edited_content_has_the_shape_of_the_list() -> None:
    news = the_news(
        "message_template_components_update",
        message_template_title="Your order",
        message_template_element="Hi {{1}}",
        message_template_footer="Example Shop",
        message_template_buttons=[
            {
                "message_template_button_type": "URL",
                "message_template_button_text": "Track",
                "message_template_button_url": "https://shop.example/t/{{1}}",
            },
            {
                "message_template_button_type": "PHONE_NUMBER",
                "message_template_button_text": "Call",
                "message_template_button_phone_number": "+15550100199",
            },
            "odd",
        ],
    )
    assert not news.is_whole
    assert json.loads(news.components or b"") == [
        {"type": "HEADER", "format": "TEXT", "text": "Your order"},
        {"type": "BODY", "text": "Hi {{1}}"},
        {"type": "FOOTER", "text": "Example Shop"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "URL", "text": "Track", "url": "https://shop.example/t/{{1}}"},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550100199"},
            ],
        },
    ]
