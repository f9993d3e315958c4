"""Meta's webhooks, as they are and as they must not be: every item is read or kept, and nothing is surprised."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.contacts import Address
from inbox.domain.content import Text
from inbox.domain.inbound import AccountNotice, InboundEvent, InboundMessage, InboundStatus, Unknown

from .webhook_bodies import (
    BSUID,
    CUSTOMER,
    NUMBER,
    OTHER_CUSTOMER,
    SENT_AT,
    a_body,
    a_contact,
    a_message,
    a_status,
    a_value,
    an_envelope,
)

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CODEC = CloudApiCodec([b"new secret", b"old secret"])


def decoded(body: bytes) -> list[InboundEvent]:
    CODEC.check_object(body)
    return CODEC.decode(body, RECEIVED_AT)


def the_message(body: bytes) -> InboundMessage:
    (event,) = decoded(body)
    assert isinstance(event, InboundMessage), event
    return event


def the_status(body: bytes) -> InboundStatus:
    (event,) = decoded(body)
    assert isinstance(event, InboundStatus), event
    return event


def the_unknown(body: bytes) -> Unknown:
    (event,) = decoded(body)
    assert isinstance(event, Unknown), event
    return event


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_text_is_read_with_its_sender_name_and_time() -> None:
    assert decoded(a_body(a_message(), contacts=[a_contact()])) == [
        InboundMessage(
            phone_number_id=NUMBER,
            customer=Address(wa_id=CUSTOMER),
            profile_name="Camille",
            wamid="wamid.in.1",
            sent_at=datetime.fromtimestamp(SENT_AT, UTC),
            content=Text(body="Avez-vous encore des cerises ?"),
        )
    ]


def test_a_reply_names_the_message_that_it_answers() -> None:
    message = a_message(context={"from": "33190000000", "id": "wamid.out.7"})
    assert the_message(a_body(message)).reply_to_wamid == "wamid.out.7"


def test_a_forwarded_message_answers_none() -> None:
    assert the_message(a_body(a_message(context={"forwarded": True}))).reply_to_wamid is None


def test_a_customer_who_hides_the_phone_is_named_by_the_bsuid() -> None:
    body = a_body(a_message(**{"from": None}, from_user_id=BSUID), contacts=[a_contact(None, "Sacha", BSUID)])
    message = the_message(body)
    assert message.customer == Address(bsuid=BSUID)
    assert message.profile_name == "Sacha"


def test_a_customer_may_have_a_phone_and_a_bsuid() -> None:
    message = the_message(a_body(a_message(from_user_id=BSUID)))
    assert message.customer == Address(wa_id=CUSTOMER, bsuid=BSUID)


def test_a_bsuid_in_place_of_the_phone_is_a_bsuid() -> None:
    assert the_message(a_body(a_message(**{"from": BSUID}))).customer == Address(bsuid=BSUID)


def test_names_belong_to_their_wa_id_whatever_the_order() -> None:
    messages = [a_message(), a_message(**{"from": OTHER_CUSTOMER}, id="wamid.in.2")]
    contacts = [a_contact(OTHER_CUSTOMER, "Noa"), a_contact(CUSTOMER, "Camille")]
    events = decoded(a_body(*messages, contacts=contacts))
    assert [(event.customer.wa_id, event.profile_name) for event in events if isinstance(event, InboundMessage)] == [
        (CUSTOMER, "Camille"),
        (OTHER_CUSTOMER, "Noa"),
    ]


@pytest.mark.parametrize("contacts", [[], [a_contact(name="")], [{"wa_id": CUSTOMER}], [7], [a_contact("33999")]])
def test_without_a_readable_name_the_message_is_read_all_the_same(contacts: list[object]) -> None:
    assert the_message(a_body(a_message(), contacts=contacts)).profile_name is None


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        (str(SENT_AT), datetime.fromtimestamp(SENT_AT, UTC)),
        (SENT_AT, datetime.fromtimestamp(SENT_AT, UTC)),
        (str(SENT_AT * 1000 + 999), datetime.fromtimestamp(SENT_AT, UTC)),
        (SENT_AT * 1000, datetime.fromtimestamp(SENT_AT, UTC)),
        (None, RECEIVED_AT),
        ("", RECEIVED_AT),
        ("soon", RECEIVED_AT),
        ("0", RECEIVED_AT),
        ("-5", RECEIVED_AT),
        ("9" * 30, RECEIVED_AT),
        ("9" * 5_000, RECEIVED_AT),
    ],
    ids=["text", "number", "ms text", "ms number", "none", "empty", "word", "zero", "negative", "far", "endless"],
)
def test_a_time_is_read_in_seconds_or_milliseconds_and_else_is_that_of_receipt(stamp: object, moment: datetime) -> None:
    assert the_message(a_body(a_message(timestamp=stamp))).sent_at == moment
    assert the_status(a_body(statuses=[a_status(timestamp=stamp)])).occurred_at == moment


# --- statuses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["sent", "delivered", "read", "played", "deleted", "teleported"])
def test_a_status_is_read_whatever_its_word(word: str) -> None:
    assert the_status(a_body(statuses=[a_status(word)])) == InboundStatus(
        phone_number_id=NUMBER,
        wamid="wamid.out.1",
        status=word,
        occurred_at=datetime.fromtimestamp(SENT_AT, UTC),
        recipient=CUSTOMER,
    )


def test_a_status_brings_our_operation_back() -> None:
    status = the_status(a_body(statuses=[a_status("sent", biz_opaque_callback_data="1:some-message:2")]))
    assert status.op_id == "1:some-message:2"


def test_a_status_keeps_its_price_as_it_came() -> None:
    price = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
    status = the_status(a_body(statuses=[a_status(pricing=price)]))
    assert status.pricing is not None
    assert json.loads(bytes(status.pricing)) == price
    assert the_status(a_body(statuses=[a_status(pricing={})])).pricing is None


@pytest.mark.parametrize(
    ("error", "title", "details"),
    [
        (
            {"code": 131026, "title": "Message undeliverable", "error_data": {"details": "No such user."}},
            "Message undeliverable",
            "No such user.",
        ),
        ({"code": 470, "title": "Too late"}, "Too late", None),
        ({"code": 471, "message": "Only a message", "details": "At the top."}, "Only a message", "At the top."),
        ({"code": 472, "title": "Old", "error_data": "A plain string."}, "Old", "A plain string."),
        ({"title": "No code at all"}, "No code at all", None),
    ],
)
def test_a_failure_says_why(error: dict[str, Any], title: str, details: str | None) -> None:
    status = the_status(a_body(statuses=[a_status("failed", errors=[error])]))
    assert status.error_code == error.get("code")
    assert status.error_title == title
    assert status.error_details == details


@pytest.mark.parametrize(
    ("members", "recipient"),
    [
        ({"recipient_id": None, "recipient_user_id": BSUID}, BSUID),
        ({"recipient_id": "some group", "recipient_participant_id": CUSTOMER}, CUSTOMER),
        ({"recipient_id": "some group", "participant_recipient_id": CUSTOMER}, CUSTOMER),
        ({"recipient_id": None}, None),
    ],
)
def test_the_recipient_is_the_person(members: dict[str, Any], recipient: str | None) -> None:
    assert the_status(a_body(statuses=[a_status(**members)])).recipient == recipient


# --- envelopes --------------------------------------------------------------------------------------------------------


def name_of(event: InboundEvent) -> str | None:
    match event:
        case InboundMessage() | InboundStatus():
            return event.wamid
        case AccountNotice():
            return event.event
    return None


def test_a_batch_gives_all_its_items_in_order() -> None:
    first = an_envelope(
        a_value(a_message(id="m1"), a_message(id="m2"), statuses=[a_status(id="s1")], errors=[{"code": 131000}]),
        a_value(a_message(id="m3"), number="900999"),
    )
    second = an_envelope(a_value(statuses=[a_status(id="s2"), a_status("read", id="s2")]))
    events = decoded(json.dumps({**first, "entry": first["entry"] + second["entry"]}).encode())
    seen = [(event.phone_number_id, name_of(event)) for event in events]
    numbered = [(NUMBER, "m1"), (NUMBER, "m2"), (NUMBER, "s1"), (NUMBER, "ERROR_131000"), ("900999", "m3")]
    assert seen == [*numbered, (NUMBER, "s2"), (NUMBER, "s2")]


def test_the_statuses_of_another_field_are_no_statuses_of_messages() -> None:
    body = json.dumps(an_envelope(a_value(statuses=[a_status()]), field="calls")).encode()
    assert the_unknown(body).reason == "call:delivered"


@pytest.mark.parametrize("field", ["history", "user_preferences"])
def test_a_list_that_does_not_belong_to_its_field_is_set_aside(field: str) -> None:
    body = json.dumps(an_envelope(a_value(statuses=[a_status()]), field=field)).encode()
    assert the_unknown(body).reason == f"misplaced:{field}"


def test_a_value_with_nothing_but_unknown_lists_is_set_aside() -> None:
    body = json.dumps(an_envelope(a_value(polls=[{"id": "1"}]))).encode()
    unknown = the_unknown(body)
    assert unknown.reason == "value:messages"
    assert json.loads(unknown.raw)["polls"] == [{"id": "1"}]


def test_the_sample_of_the_dashboard_is_read_like_any_other() -> None:
    body = json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "0",
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": {"display_phone_number": "16505551111", "phone_number_id": "123456123"},
                                "contacts": [{"profile": {"name": "test user name"}, "wa_id": "16315551181"}],
                                "messages": [
                                    {
                                        "from": "16315551181",
                                        "id": "ABGGFlA5Fpa",
                                        "timestamp": "1504902988",
                                        "type": "text",
                                        "text": {"body": "this is a text message"},
                                    }
                                ],
                            },
                        }
                    ],
                }
            ],
        }
    ).encode()
    message = the_message(body)
    assert message.phone_number_id == "123456123"
    assert message.profile_name == "test user name"


@pytest.mark.parametrize("body", [b"{}", b'{"object":"page"}', b'{"entry":[]}', b'{"entry":[{"id":"1"}]}'])
def test_a_delivery_of_nothing_has_no_items(body: bytes) -> None:
    assert decoded(body) == []


def test_an_item_without_id_or_sender_is_set_aside() -> None:
    for message in (a_message(**{"from": None}), a_message(**{"from": ""})):
        assert the_unknown(a_body(message)).reason == "no_sender"
    assert the_unknown(a_body(a_message(id=""))).reason == "no_id"


@pytest.mark.parametrize(
    "broken",
    [
        7,
        "text",
        None,
        [],
        {},
        {"id": "wamid.in.9"},
        a_message(text={"body": 5}),
        a_message(timestamp=[]),
        a_message(context="none"),
    ],
    ids=str,
)
def test_a_broken_message_is_set_aside_alone(broken: object) -> None:
    before, broken_one, after = decoded(a_body(a_message(id="m1"), broken, a_message(id="m2")))
    assert isinstance(before, InboundMessage)
    assert isinstance(broken_one, Unknown)
    assert json.loads(broken_one.raw) == broken
    assert broken_one.phone_number_id == NUMBER
    assert isinstance(after, InboundMessage)


def test_a_broken_status_a_broken_value_and_a_broken_entry_are_set_aside_alone() -> None:
    values = an_envelope(a_value(statuses=[a_status(), {"status": "read"}]), {"no": "metadata"}, a_value(a_message()))
    body = json.dumps({**values, "entry": [*values["entry"], 5, {"changes": [6, {"value": {}}]}]}).encode()
    kinds = [type(event).__name__ for event in decoded(body)]
    assert kinds == ["InboundStatus", "Unknown", "Unknown", "InboundMessage", "Unknown", "Unknown", "Unknown"]


def test_a_group_message_is_kept_aside_because_an_answer_would_go_to_one_participant() -> None:
    message = a_message("text", text={"body": "Bonjour à tous"}, group_id="Y2FwaV9ncm91cA")
    assert the_unknown(a_body(message)).reason == "group_message"
