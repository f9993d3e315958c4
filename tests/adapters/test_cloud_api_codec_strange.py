"""Deliveries that Meta should never make: nothing is lost that can be read, and nothing is surprised."""

import contextlib
import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inbox.adapters.messaging.cloud_api.codec import LANES, CloudApiCodec
from inbox.domain.content import Text
from inbox.domain.errors import InvalidJson, Undecodable
from inbox.domain.inbound import AccountNotice, InboundEvent, InboundMessage, InboundStatus, Unknown
from inbox.kit.signing import sign

from .webhook_bodies import NUMBER, a_body, a_contact, a_message, a_status, a_value, an_envelope

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CODEC = CloudApiCodec([b"new secret", b"old secret"])


def decoded(body: bytes) -> list[InboundEvent]:
    CODEC.check_object(body)
    return CODEC.decode(body, RECEIVED_AT)


@pytest.mark.parametrize(
    "text",
    ["\\u0000", "half \\ud83d of an emoji", "\\udc00\\ud800", "\\\\\\u0000"],
    ids=["nul", "lone surrogate", "wrong order", "nul behind a backslash"],
)
def test_an_item_that_no_database_can_hold_is_set_aside_alone(text: str) -> None:
    body = a_body(a_message(id="m1"), a_message(text={"body": "HERE"}), a_message(id="m2"), contacts=[a_contact()])
    before, strange, after = decoded(body.replace(b"HERE", text.encode()))
    assert isinstance(strange, Unknown)
    assert strange.reason == "nul_character"
    assert [event.wamid for event in (before, after) if isinstance(event, InboundMessage)] == ["m1", "m2"]


def test_the_letters_of_an_escape_are_a_text_like_any_other() -> None:
    body = a_body(a_message(text={"body": "HERE"})).replace(b"HERE", rb"see \\u0000 and \\ud800")
    (message,) = decoded(body)
    assert isinstance(message, InboundMessage)
    assert message.content == Text(body="see \\u0000 and \\ud800")


def test_a_pair_of_surrogates_is_one_character() -> None:
    body = a_body(a_message(text={"body": "HERE"})).replace(b"HERE", rb"\ud83d\udc4b")
    (message,) = decoded(body)
    assert isinstance(message, InboundMessage)
    assert message.content == Text(body="👋")


@pytest.mark.parametrize("name", ["A\\u0000", "cut \\ud83d"])
def test_a_name_that_no_database_can_hold_is_left_out_alone(name: str) -> None:
    body = a_body(a_message(), contacts=[a_contact(name="HERE")]).replace(b"HERE", name.encode())
    (message,) = decoded(body)
    assert isinstance(message, InboundMessage)
    assert message.profile_name is None


def test_a_number_that_no_database_can_hold_takes_its_value_along_and_no_other() -> None:
    body = json.dumps(an_envelope(a_value(a_message(), number="1\x00"), a_value(a_message()))).encode()
    strange, message = decoded(body)
    assert isinstance(strange, Unknown)
    assert strange.phone_number_id is None
    assert isinstance(message, InboundMessage)


def test_a_field_that_no_database_can_hold_leaves_no_such_reason() -> None:
    (notice,) = decoded(json.dumps(an_envelope({}, field="a\x00b")).encode())
    assert isinstance(notice, AccountNotice)
    assert notice.field == "ab"
    (unknown,) = decoded(json.dumps(an_envelope([], field="a\x00b")).encode())
    assert isinstance(unknown, Unknown)
    assert unknown.reason == "field:ab"


def test_bad_utf8_is_set_aside_alone() -> None:
    body = a_body(a_message(text={"body": "HERE"}), a_message(id="m2")).replace(b"HERE", b"\xff\xfe")
    strange, message = decoded(body)
    assert isinstance(strange, Unknown)
    assert b"\xff\xfe" in strange.raw
    assert isinstance(message, InboundMessage)


def test_a_price_with_bad_utf8_sets_its_status_aside() -> None:
    body = a_body(statuses=[a_status(pricing={"category": "HERE"}), a_status("read")]).replace(b"HERE", b"\xff")
    strange, status = decoded(body)
    assert isinstance(strange, Unknown)
    assert b"delivered" in strange.raw
    assert isinstance(status, InboundStatus)


@pytest.mark.parametrize("depth", [65, 1_200, 100_000])
@pytest.mark.parametrize("opener", [b"[", b'{"a":'])
def test_a_delivery_that_is_too_deep_is_kept_and_undecodable(depth: int, opener: bytes) -> None:
    body = b'{"entry":' + opener * depth
    closed = body + b"1" + (b"]" if opener == b"[" else b"}") * depth + b"}"
    CODEC.check_object(closed)
    with pytest.raises(Undecodable, match="too_deep"):
        CODEC.decode(closed, RECEIVED_AT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"nothing",
        b"[]",
        b"5",
        b"null",
        b'"text"',
        b"{",
        b'{"a":1',
        b'{"a":1}x',
        b'["\xff"]',
        b"\xff",
        b"{'a':1}",
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_json_object_is_refused_at_the_door(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        CODEC.check_object(body)


@pytest.mark.parametrize(
    "body", [b'{"a":"\xff"}', b'{"\xff":1}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b' {"a":NaN}']
)
def test_a_strange_object_is_let_in(body: bytes) -> None:
    CODEC.check_object(body)


# --- the rest of the port ---------------------------------------------------------------------------------------------


def test_a_signature_of_any_of_the_secrets_is_authentic() -> None:
    body = a_body(a_message())
    assert CODEC.authentic(sign(b"new secret", body), body)
    assert CODEC.authentic(sign(b"old secret", body), body)
    assert not CODEC.authentic(sign(b"another secret", body), body)
    assert not CODEC.authentic(sign(b"new secret", body), body + b" ")


def test_without_a_secret_nothing_is_authentic() -> None:
    codec = CloudApiCodec([])
    assert not codec.has_secret
    assert not codec.authentic(sign(b"", b"{}"), b"{}")
    assert CODEC.has_secret


def test_deliveries_of_one_number_share_a_lane() -> None:
    lanes = {CODEC.lane(a_body(a_message(), number=NUMBER)), CODEC.lane(a_body(statuses=[a_status()], number=NUMBER))}
    assert len(lanes) == 1


def test_numbers_are_spread_over_the_lanes() -> None:
    lanes = {CODEC.lane(a_body(a_message(), number=str(number))) for number in range(2_000)}
    assert len(lanes) == LANES


@pytest.mark.parametrize("body", [b"", b"{}", b'{"phone_number_id":5}', b"\xff\x00"])
def test_a_delivery_without_a_number_has_a_lane_too(body: bytes) -> None:
    assert CODEC.lane(body) == "00"


# --- anything at all --------------------------------------------------------------------------------------------------

_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_KEYS = st.sampled_from(
    [
        "from",
        "from_user_id",
        "id",
        "type",
        "timestamp",
        "text",
        "image",
        "audio",
        "voice",
        "button",
        "interactive",
        "location",
        "context",
        "status",
        "errors",
        "pricing",
        "recipient_id",
        "metadata",
        "contacts",
        "messages",
        "statuses",
        "field",
        "value",
        "changes",
        "entry",
        "profile",
        "wa_id",
    ]
)
_WORDS = st.sampled_from(
    ["text", "image", "audio", "voice", "button", "interactive", "location", "unsupported", "read"]
)
_ITEMS = st.dictionaries(_KEYS, _JSON | _WORDS, max_size=8)
_SURROGATES = st.text(st.characters(categories=["Cs", "Lu", "Cc"]), max_size=6)


@given(items=st.lists(_ITEMS | _JSON, max_size=4), statuses=st.lists(_ITEMS, max_size=3), contacts=_JSON)
def test_any_items_are_read_or_kept_one_by_one(items: list[object], statuses: list[object], contacts: object) -> None:
    body = json.dumps(an_envelope(a_value(*items, statuses=statuses, contacts=[contacts]))).encode()
    events = CODEC.decode(body, RECEIVED_AT)
    assert len(events) == len(items) + len(statuses)
    for event in events:
        assert_storable(event)


@given(messages=_JSON, changes=_JSON, entry=_JSON)
def test_any_value_of_any_level_is_read_kept_or_undecodable(messages: object, changes: object, entry: object) -> None:
    for envelope in (
        an_envelope({"metadata": {"phone_number_id": "1"}, "messages": messages}),
        {"entry": [{"changes": changes}]},
        {"entry": entry},
        entry,
    ):
        assert_unsurprised(json.dumps(envelope).encode())


@given(text=_SURROGATES)
def test_any_character_anywhere_harms_its_own_item_at_most(text: str) -> None:
    strange = a_message(text={"body": text}, id=f"wamid{text}")
    body = json.dumps(an_envelope(a_value(strange, a_message(), contacts=[a_contact(name=text)]))).encode()
    first, second = decoded(body)
    assert_storable(first)
    assert isinstance(second, InboundMessage)


@given(body=st.binary(max_size=200))
@example(b"\x00{}")
@example(b'{"\\ud800":NaN}')
@example("{}".encode("utf-16"))
@example(b"\xef\xbb\xbf{}")
@example(b'{"entry":[{"changes":[{"field":"messages","value":' + b"9" * 5_000 + b"}]}]}")
def test_any_bytes_are_judged_and_never_surprise(body: bytes) -> None:
    assert_unsurprised(body)


@given(before=st.binary(max_size=20), at=st.integers(min_value=0, max_value=600))
def test_any_spoiled_delivery_is_judged_and_never_surprises(before: bytes, at: int) -> None:
    body = a_body(a_message(), statuses=[a_status(pricing={"category": "service"})], contacts=[a_contact()])
    assert_unsurprised(body[:at] + before + body[at:])
    assert_unsurprised(body[:at] + before)


def assert_unsurprised(body: bytes) -> None:
    with contextlib.suppress(InvalidJson):
        CODEC.check_object(body)
    try:
        events = CODEC.decode(body, RECEIVED_AT)
    except Undecodable:
        return
    for event in events:
        assert_storable(event)
    assert 0 <= int(CODEC.lane(body)) < LANES


def assert_storable(event: InboundEvent) -> None:
    """PostgreSQL takes every text of it."""
    if isinstance(event, Unknown):
        texts = [event.reason, event.phone_number_id or ""]
    else:
        texts = [msgspec.json.encode(msgspec.structs.replace(event)).decode()]
        assert "\\u0000" not in texts[0].replace("\\\\", "")
    for text in texts:
        assert "\x00" not in text
        text.encode()
