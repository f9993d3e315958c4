"""Numbers that are used in the WhatsApp Business app as well: what the owner writes there, and what it remembers."""

import json
from datetime import UTC, datetime

import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.contacts import Address
from inbox.domain.content import Media, MediaKind, Other, Text
from inbox.domain.inbound import (
    AccountNotice,
    Amendment,
    ContactName,
    InboundEvent,
    InboundMessage,
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
    a_contact,
    a_message,
    a_value,
    an_envelope,
)

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
AT = datetime.fromtimestamp(SENT_AT, UTC)
CODEC = CloudApiCodec([b"secret"])
BUSINESS = "33190000000"
"""The display number of `a_value`."""


def decoded(field: str, /, **value) -> list[InboundEvent]:
    return CODEC.decode(json.dumps(an_envelope(a_value(**value), field=field)).encode(), RECEIVED_AT)


# --- the owner's phone ------------------------------------------------------------------------------------------------


def an_echo(kind: str = "text", /, **members: object) -> Json:
    return a_message(kind, **{"from": BUSINESS, "to": CUSTOMER, **members})


def test_what_the_owner_wrote_on_the_phone_is_outgoing_to_the_customer() -> None:
    (event,) = decoded("smb_message_echoes", message_echoes=[an_echo(to_user_id=BSUID)], contacts=[a_contact()])
    assert isinstance(event, InboundMessage)
    assert event.source is Source.PHONE
    assert event.customer == Address(wa_id=CUSTOMER, bsuid=BSUID)
    assert event.profile_name == "Camille"
    assert not event.source.is_inbound


def test_the_owner_reacts_edits_and_revokes_too() -> None:
    edit = {"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "Mieux"}}}
    reaction, edited, revoked = decoded(
        "smb_message_echoes",
        message_echoes=[
            an_echo("reaction", reaction={"message_id": "wamid.in.1", "emoji": "🍒"}),
            an_echo("edit", edit=edit),
            an_echo("revoke", revoke={"original_message_id": "wamid.0"}),
        ],
    )
    assert isinstance(reaction, Reaction)
    assert (reaction.customer, reaction.emoji) == (None, "🍒")
    assert isinstance(edited, Amendment)
    assert edited.by_business
    assert (edited.customer, edited.by_business) == (Address(wa_id=CUSTOMER), True)
    assert edited.content == Text(body="Mieux")
    assert isinstance(revoked, Amendment)
    assert revoked.content is None


def test_an_echo_to_nobody_or_to_a_group_is_set_aside() -> None:
    echoes = [an_echo(to=None), an_echo(group_id="group")]
    events = decoded("smb_message_echoes", message_echoes=echoes)
    assert [event.reason for event in events if isinstance(event, Unknown)] == ["no_recipient", "group_message"]


def test_the_owners_address_book_names_customers() -> None:
    book = [
        {"contact": {"full_name": "Camille M.", "phone_number": "+33 6 00 00 00 01"}, "action": "add"},
        {"contact": {"first_name": "Sacha", "user_id": BSUID}, "action": "edit", "metadata": {"timestamp": SENT_AT}},
        {"contact": {"full_name": "Noa", "phone_number": "33600000002"}, "action": "remove"},
        {"contact": {"full_name": "Nobody"}, "action": "add"},
        {"type": "label", "action": "add"},
    ]
    *named, nobody, label = decoded("smb_app_state_sync", state_sync=book)
    assert [(event.customer.key, event.name, event.at) for event in named if isinstance(event, ContactName)] == [
        (CUSTOMER, "Camille M.", RECEIVED_AT),
        (BSUID, "Sacha", AT),
        ("33600000002", None, RECEIVED_AT),
    ]
    assert isinstance(nobody, Unknown)
    assert isinstance(label, Unknown)
    assert (nobody.reason, label.reason) == ("no_sender", "type:label")


# --- history ----------------------------------------------------------------------------------------------------------


def a_thread(*messages: object, who: str = CUSTOMER) -> Json:
    return {"metadata": {"phase": 0, "progress": 55}, "threads": [{"id": who, "messages": list(messages)}]}


def test_the_history_tells_both_sides_apart() -> None:
    theirs = a_message("media_placeholder", history_context={"status": "PLAYED"})
    ours = an_echo(history_context={"status": "READ"})
    past, sent = decoded("history", history=[a_thread(theirs, ours)])
    assert isinstance(past, InboundMessage)
    assert (past.source, past.status) == (Source.PAST_CUSTOMER, None)
    assert past.content == Other(kind="media_placeholder", text="[media_placeholder]")
    assert isinstance(sent, InboundMessage)
    assert (sent.source, sent.status, sent.customer) == (Source.PAST_BUSINESS, "read", Address(wa_id=CUSTOMER))


def test_a_strange_item_of_a_chat_harms_neither_chat_nor_history() -> None:
    thread = a_thread(a_message(id="m1"), a_message(text={"body": "\x00"}), 5, a_message(id="m2"))
    chunk = {**thread, "threads": [7, *thread["threads"], {"id": "", "messages": []}, {"id": "9\x00"}]}
    events = decoded("history", history=[chunk, 8])
    kinds = [event.wamid if isinstance(event, InboundMessage) else type(event).__name__ for event in events]
    assert kinds == ["Unknown", "m1", "Unknown", "Unknown", "m2", "Unknown", "Unknown", "Unknown"]


@pytest.mark.parametrize(
    ("writer", "source"), [({}, Source.PAST_CUSTOMER), ({"from": BUSINESS, "to": CUSTOMER}, Source.PAST_BUSINESS)]
)
def test_the_file_of_a_placeholder_comes_later_under_its_wamid(writer: Json, source: Source) -> None:
    (event,) = CODEC.decode(
        json.dumps(an_envelope(a_value(a_message("image", image={"id": "70"}, **writer)), field="history")).encode(),
        RECEIVED_AT,
    )
    assert isinstance(event, InboundMessage)
    assert (event.source, event.customer, event.wamid) == (source, Address(wa_id=CUSTOMER), "wamid.in.1")
    assert event.content == Media(kind=MediaKind.IMAGE, media_id="70")


@pytest.mark.parametrize(
    ("chunk", "event"),
    [
        ({"errors": [{"code": 2593109, "title": "Off"}]}, "DECLINED"),
        ({"errors": [{"code": 5, "title": "Broken"}]}, "ERROR_5"),
        ({"metadata": {"phase": 2, "progress": 100}}, "PROGRESS"),
    ],
)
def test_history_without_messages_is_a_notice(chunk: Json, event: str) -> None:
    (notice,) = decoded("history", history=[chunk])
    assert isinstance(notice, AccountNotice)
    assert (notice.event, notice.phone_number_id) == (event, NUMBER)
