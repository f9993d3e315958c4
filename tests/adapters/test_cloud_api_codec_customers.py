"""What webhooks say about customers beside what they write now: who they are, what the owner wrote, calls, wishes."""

import json
from datetime import UTC, datetime

import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.contacts import Address
from inbox.domain.content import Call, CallStage, Media, MediaKind, Notice
from inbox.domain.inbound import (
    Amendment,
    IdentityChange,
    IdentityLink,
    InboundEvent,
    InboundMessage,
    InboundStatus,
    Preference,
    Reaction,
    Source,
    Unknown,
)

from .webhook_bodies import (
    BSUID,
    CUSTOMER,
    NUMBER,
    SENT_AT,
    Json,
    a_body,
    a_contact,
    a_message,
    a_status,
    a_value,
    an_envelope,
)

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
AT = datetime.fromtimestamp(SENT_AT, UTC)
CODEC = CloudApiCodec([b"secret"])
BUSINESS = "33190000000"
"""The display number of `a_value`."""
NEW_PHONE, NEW_BSUID, PARENT = "33600000009", "FR.999", "FR.ENT.777"


def decoded(field: str = "messages", /, **value) -> list[InboundEvent]:
    return CODEC.decode(json.dumps(an_envelope(a_value(**value), field=field)).encode(), RECEIVED_AT)


def of_messages(*messages: Json, **value: object) -> list[InboundEvent]:
    return CODEC.decode(a_body(*messages, **value), RECEIVED_AT)


# --- who a customer is ------------------------------------------------------------------------------------------------


def test_what_meta_says_about_a_customer_completes_the_address() -> None:
    contact = {**a_contact(user_id=BSUID), "parent_user_id": PARENT, "profile": {"username": "@camille"}}
    (message,) = of_messages(a_message(), contacts=[contact])
    assert isinstance(message, InboundMessage)
    assert message.customer == Address(wa_id=CUSTOMER, bsuid=BSUID, parent_bsuid=PARENT, username="camille")
    assert message.profile_name is None


def test_a_phone_beside_the_bsuid_of_the_sender_is_theirs() -> None:
    (message,) = of_messages(a_message(**{"from": None}, from_user_id=BSUID), contacts=[a_contact(user_id=BSUID)])
    assert isinstance(message, InboundMessage)
    assert (message.customer, message.profile_name) == (Address(wa_id=CUSTOMER, bsuid=BSUID), "Camille")


def test_a_name_is_found_whichever_way_the_number_is_written() -> None:
    (message,) = of_messages(a_message(**{"from": "5511987654321"}), contacts=[a_contact("551187654321", "Bia")])
    assert isinstance(message, InboundMessage)
    assert (message.customer.wa_id, message.profile_name) == ("5511987654321", "Bia")


def test_the_contact_of_another_customer_says_nothing() -> None:
    (message,) = of_messages(a_message(), contacts=[a_contact("33699999999", "Noa", BSUID)])
    assert isinstance(message, InboundMessage)
    assert (message.customer, message.profile_name) == (Address(wa_id=CUSTOMER), None)


@pytest.mark.parametrize(
    ("sender", "system", "old", "new"),
    [
        pytest.param(
            {},
            {"type": "user_changed_number", "wa_id": NEW_PHONE},
            Address(wa_id=CUSTOMER),
            Address(wa_id=NEW_PHONE),
            id="number",
        ),
        pytest.param(
            {"from_user_id": BSUID},
            {"type": "user_changed_number", "wa_id": NEW_PHONE, "user_id": NEW_BSUID, "previous_user_id": BSUID},
            Address(wa_id=CUSTOMER, bsuid=BSUID),
            Address(wa_id=NEW_PHONE, bsuid=NEW_BSUID),
            id="number and BSUID",
        ),
        pytest.param(
            {"from": None, "from_user_id": BSUID},
            {"type": "user_changed_user_id", "user_id": NEW_BSUID},
            Address(bsuid=BSUID),
            Address(bsuid=NEW_BSUID),
            id="BSUID alone",
        ),
        pytest.param(
            {"from_user_id": BSUID},
            {"type": "user_changed_user_id", "user_id": NEW_BSUID, "previous_user_id": BSUID, "wa_id": CUSTOMER},
            Address(bsuid=BSUID),
            Address(bsuid=NEW_BSUID),
            id="BSUID, and the phone stays",
        ),
        pytest.param(
            {},
            {"type": "customer_changed_number", "new_wa_id": NEW_PHONE, "wa_id": "33600000000", "customer": CUSTOMER},
            Address(wa_id=CUSTOMER),
            Address(wa_id=NEW_PHONE),
            id="number, as of old",
        ),
    ],
)
def test_a_customer_who_moves_is_noted_and_followed(sender: Json, system: Json, old: Address, new: Address) -> None:
    notice, change = of_messages(a_message("system", **sender, system=system))
    assert isinstance(notice, InboundMessage)
    assert isinstance(notice.content, Notice)
    assert notice.content.kind == system["type"]
    assert change == IdentityChange(phone_number_id=NUMBER, old=old, new=new, at=AT)


@pytest.mark.parametrize(
    "system",
    [
        {"type": "user_changed_number"},
        {"type": "user_changed_number", "wa_id": CUSTOMER},
        {"type": "user_changed_user_id", "user_id": NEW_BSUID},
        {"type": "customer_identity_changed", "wa_id": NEW_PHONE},
    ],
    ids=str,
)
def test_a_move_from_or_to_nowhere_is_a_notice_only(system: Json) -> None:
    (notice,) = of_messages(a_message("system", system=system))
    assert isinstance(notice, InboundMessage)


def test_a_status_tells_that_phone_and_bsuid_are_one_person() -> None:
    contact = {**a_contact(user_id=BSUID), "profile": {"name": "Camille", "username": "camille"}}
    status, link = decoded(
        statuses=[a_status(recipient_user_id=BSUID, parent_recipient_user_id=PARENT)], contacts=[contact]
    )
    assert isinstance(status, InboundStatus)
    who = Address(wa_id=CUSTOMER, bsuid=BSUID, parent_bsuid=PARENT, username="camille")
    assert link == IdentityLink(phone_number_id=NUMBER, customer=who, profile_name="Camille", at=AT)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"recipient_id": None, "recipient_user_id": BSUID},
        {"recipient_id": "group", "recipient_type": "group", "recipient_user_id": BSUID},
        {"recipient_id": "group", "recipient_type": "group", "recipient_participant_id": CUSTOMER},
    ],
)
def test_a_status_that_tells_one_of_the_two_links_nothing(members: Json) -> None:
    (status,) = decoded(statuses=[a_status(**members)])
    assert isinstance(status, InboundStatus)


def test_the_participant_of_a_group_is_linked_and_not_the_group() -> None:
    members = {"recipient_participant_id": CUSTOMER, "recipient_participant_user_id": BSUID}
    _, link = decoded(statuses=[a_status(recipient_id="group", recipient_type="group", **members)])
    assert isinstance(link, IdentityLink)
    assert link.customer == Address(wa_id=CUSTOMER, bsuid=BSUID)


# --- reactions, edits, revokes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "emoji"), [({"emoji": "👍🏽"}, "👍🏽"), ({}, None), ({"emoji": ""}, None)])
def test_a_reaction_belongs_to_its_message_and_can_be_taken_back(section: Json, emoji: str | None) -> None:
    (event,) = of_messages(a_message("reaction", reaction={"message_id": "wamid.out.1", **section}))
    who = Address(wa_id=CUSTOMER)
    assert event == Reaction(
        phone_number_id=NUMBER, customer=who, wamid="wamid.in.1", target="wamid.out.1", emoji=emoji, at=AT
    )


def test_an_edit_names_the_original_and_ignores_the_context_inside() -> None:
    inner = {"context": {"id": "M0"}, "type": "image", "image": {"id": "70", "caption": "À droite"}}
    (event,) = of_messages(a_message("edit", edit={"original_message_id": "wamid.in.0", "message": inner}))
    content = Media(kind=MediaKind.IMAGE, media_id="70", caption="À droite")
    who = Address(wa_id=CUSTOMER)
    assert event == Amendment(
        phone_number_id=NUMBER, customer=who, wamid="wamid.in.1", target="wamid.in.0", content=content, at=AT
    )


def test_a_revoke_leaves_nothing_of_its_message() -> None:
    (event,) = of_messages(a_message("revoke", revoke={"original_message_id": "wamid.in.0"}))
    who = Address(wa_id=CUSTOMER)
    assert event == Amendment(
        phone_number_id=NUMBER, customer=who, wamid="wamid.in.1", target="wamid.in.0", content=None, at=AT
    )


@pytest.mark.parametrize("kind", ["edit", "revoke", "reaction"])
def test_a_change_without_its_section_is_set_aside(kind: str) -> None:
    (event,) = of_messages(a_message(kind))
    assert isinstance(event, Unknown)


# --- calls and preferences --------------------------------------------------------------------------------------------


def a_call(event: str, /, **members: object) -> Json:
    call = {"id": "wacid.1", "event": event, "from": CUSTOMER, "to": BUSINESS, "timestamp": str(SENT_AT), **members}
    return {key: value for key, value in call.items() if value is not None}


@pytest.mark.parametrize(
    ("call", "content"),
    [
        (a_call("connect"), Call(by_customer=True, stage=CallStage.RINGING)),
        (a_call("connect", direction="USER_INITIATED"), Call(by_customer=True, stage=CallStage.RINGING)),
        (
            a_call("connect", **{"from": BUSINESS, "to": CUSTOMER}),
            Call(by_customer=False, stage=CallStage.RINGING),
        ),
        (
            a_call("terminate", direction="BUSINESS_INITIATED", to=CUSTOMER, status="COMPLETED", duration="60"),
            Call(by_customer=False, stage=CallStage.ENDED, seconds=60),
        ),
        (a_call("terminate", duration=120), Call(by_customer=True, stage=CallStage.ENDED, seconds=120)),
        (a_call("terminate", status="FAILED"), Call(by_customer=True, stage=CallStage.FAILED)),
        (a_call("terminate"), Call(by_customer=True, stage=CallStage.FAILED)),
    ],
)
def test_a_call_is_a_message_with_a_stage(call: Json, content: Call) -> None:
    (event,) = decoded("calls", calls=[call], contacts=[a_contact()])
    assert isinstance(event, InboundMessage)
    assert (event.wamid, event.content, event.customer) == ("wacid.1", content, Address(wa_id=CUSTOMER))
    assert (event.source, event.profile_name, event.sent_at) == (
        Source.CUSTOMER if content.by_customer else Source.PHONE,
        "Camille",
        AT,
    )


@pytest.mark.parametrize(
    ("word", "stage"),
    [("RINGING", CallStage.RINGING), ("ACCEPTED", CallStage.ACCEPTED), ("REJECTED", CallStage.REJECTED)],
)
def test_the_statuses_of_calls_raise_the_stage(word: str, stage: CallStage) -> None:
    (event,) = decoded("calls", statuses=[a_status(word, id="wacid.1")])
    assert isinstance(event, InboundMessage)
    assert (event.wamid, event.content) == ("wacid.1", Call(by_customer=False, stage=stage))


def test_calls_that_nobody_understands_are_set_aside() -> None:
    calls = [a_call("teleport"), a_call("connect", **{"from": None}), a_call("connect", id="")]
    events = decoded("calls", calls=calls)
    assert [event.reason for event in events if isinstance(event, Unknown)] == [
        "call:teleport",
        "no_sender",
        "no_sender",
    ]


def test_a_wish_about_marketing_is_kept_and_links_who_wishes_it() -> None:
    wish = {
        "wa_id": CUSTOMER,
        "user_id": BSUID,
        "category": "marketing_messages",
        "value": "stop",
        "timestamp": SENT_AT,
    }
    preference, link = decoded("user_preferences", user_preferences=[{**wish, "detail": "Stop"}])
    who = Address(wa_id=CUSTOMER, bsuid=BSUID)
    assert preference == Preference(
        phone_number_id=NUMBER, customer=who, category="marketing_messages", value="stop", detail="Stop", at=AT
    )
    assert isinstance(link, IdentityLink)
    assert link.customer == who


def test_a_wish_of_nobody_is_set_aside() -> None:
    (event,) = decoded("user_preferences", user_preferences=[{"category": "marketing_messages", "value": "stop"}])
    assert isinstance(event, Unknown)
