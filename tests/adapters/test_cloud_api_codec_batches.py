"""Batches of any size: every item comes out once, in order, under its own number, and none harms another."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.errors import InvalidJson, Undecodable
from inbox.domain.inbound import AccountNotice, IdentityChange, IdentityLink, InboundEvent, Unknown
from payloads.outcomes import Json, examples, outcome

from .webhook_bodies import BSUID, a_contact, a_message, a_status, a_value, an_envelope

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CODEC = CloudApiCodec([b"secret"])
BODIES = list(examples().values())
NUMBERS = ("900001", "900002", "900003")
IN_ADDITION = (IdentityLink, IdentityChange)
"""What comes beside an item, and is none itself."""


def an_item(kind: str, wamid: str) -> tuple[str, str, Json]:
    """Field and list that such an item comes in, and the item."""
    message: Json = a_message(id=wamid)
    system = {"type": "user_changed_number", "wa_id": "33600000009"}
    items: dict[str, tuple[str, str, Json]] = {
        "status": ("messages", "statuses", a_status(id=wamid)),
        "linked status": ("messages", "statuses", a_status(id=wamid, recipient_user_id=BSUID)),
        "text": ("messages", "messages", message),
        "image": ("messages", "messages", a_message("image", id=wamid, image={"id": "70"})),
        "hologram": ("messages", "messages", a_message("hologram", id=wamid)),
        "reaction": ("messages", "messages", a_message("reaction", id=wamid, reaction={"message_id": "wamid.x"})),
        "move": ("messages", "messages", a_message("system", id=wamid, system=system)),
        "broken": ("messages", "messages", {"id": wamid, "type": 5}),
        "nul": ("messages", "messages", message | {"text": {"body": "\x00"}}),
        "echo": ("smb_message_echoes", "message_echoes", message | {"to": "33600000003"}),
        "call": ("calls", "calls", {"id": wamid, "event": "connect", "from": "33600000003"}),
    }
    return items[kind]


KINDS = st.sampled_from(
    ["text", "image", "hologram", "status", "linked status", "reaction", "move", "echo", "call", "broken", "nul"]
)


@given(items=st.lists(st.tuples(KINDS, st.sampled_from(NUMBERS)), min_size=1, max_size=60), together=st.booleans())
@example(
    items=[("text", "900001"), ("status", "900002"), ("broken", "900003"), ("echo", "900001")] * 250, together=True
)
@example(items=[("status", "900001")] * 1_000, together=False)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_as_many_items_come_out_as_went_in_each_under_its_number(
    items: list[tuple[str, str]], *, together: bool
) -> None:
    changes: list[Json] = []
    sent = []
    for index, (kind, number) in enumerate(items):
        field, name, item = an_item(kind, f"wamid.{index}")
        sent.append((number, f"wamid.{index}"))
        last = changes[-1] if changes else None
        fits = last is not None and last["field"] == field and last["value"]["metadata"]["phone_number_id"] == number
        if together and fits and last is not None and list(last["value"])[-1] == name:
            last["value"][name].append(item)
        else:
            changes.append({"field": field, "value": a_value(number=number) | {name: [item]}})
    events = CODEC.decode(json.dumps({"entry": [{"id": "800111", "changes": changes}]}).encode(), RECEIVED_AT)
    assert [marked(event) for event in events if not isinstance(event, IN_ADDITION)] == sent


def marked(event: InboundEvent) -> tuple[str | None, str]:
    if isinstance(event, Unknown):
        return (event.phone_number_id, json.loads(event.raw)["id"])
    return (event.phone_number_id, getattr(event, "wamid", ""))


@given(bodies=st.lists(st.sampled_from(BODIES), min_size=1, max_size=8))
def test_deliveries_that_meta_joins_say_the_same_as_apart(bodies: list[Json]) -> None:
    joined = {"entry": [entry for body in bodies for entry in body["entry"]]}
    together = CODEC.decode(json.dumps(joined).encode(), RECEIVED_AT)
    apart = [event for body in bodies for event in CODEC.decode(json.dumps(body).encode(), RECEIVED_AT)]
    assert [outcome(event) for event in together] == [outcome(event) for event in apart]


def test_decoding_again_says_the_same() -> None:
    for body in BODIES:
        text = json.dumps(body).encode()
        first, second = CODEC.decode(text, RECEIVED_AT), CODEC.decode(text, RECEIVED_AT)
        assert [msgspec.json.encode(event) for event in first] == [msgspec.json.encode(event) for event in second]


@pytest.mark.parametrize("strange", [5, "text", None, [], {"changes": 5}, {"changes": [5, {"field": 7}]}], ids=str)
def test_a_strange_entry_harms_no_example_beside_it(strange: object) -> None:
    for body in BODIES:
        alone = CODEC.decode(json.dumps(body).encode(), RECEIVED_AT)
        beside = CODEC.decode(json.dumps({"entry": [*body["entry"], strange]}).encode(), RECEIVED_AT)
        assert [outcome(event) for event in beside[: len(alone)]] == [outcome(event) for event in alone]


# --- mutations --------------------------------------------------------------------------------------------------------

_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)
)
_STRANGE = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def paths(value: object, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where something stands in a body."""
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    else:
        inner = []
    return [place for key, item in inner for place in ((*here, key), *paths(item, (*here, key)))]


def replaced(value: Any, path: tuple[str | int, ...], new: object) -> Any:  # noqa: ANN401 - any JSON
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@given(data=st.data(), body=st.sampled_from(BODIES), strange=_STRANGE)
@settings(max_examples=400)
def test_an_example_with_something_strange_in_it_is_read_or_kept(
    data: st.DataObject, body: Json, strange: object
) -> None:
    where = data.draw(st.sampled_from(paths(body)))
    assert_unsurprised(json.dumps(replaced(body, where, strange)).encode())


@given(body=st.sampled_from(BODIES), before=st.binary(max_size=8), data=st.data())
@settings(max_examples=300)
def test_a_spoiled_example_is_judged_and_never_surprises(body: Json, before: bytes, data: st.DataObject) -> None:
    text = json.dumps(body).encode()
    at = data.draw(st.integers(min_value=0, max_value=len(text)))
    assert_unsurprised(text[:at] + before + text[at:])
    assert_unsurprised(text[:at] + before + text[at + len(before) :])


@given(field=st.sampled_from([b["entry"][0]["changes"][0]["field"] for b in BODIES]) | st.text(), value=_STRANGE)
def test_any_value_of_any_field_is_read_or_kept(field: str, value: object) -> None:
    body = json.dumps(an_envelope(value, field=field)).encode()
    assert_unsurprised(body)
    assert CODEC.decode(body, RECEIVED_AT)  # a list of alerts is as many


@given(value=_STRANGE)
def test_any_list_of_any_field_is_read_or_kept(value: object) -> None:
    names = ("messages", "statuses", "errors", "message_echoes", "history", "state_sync", "calls", "user_preferences")
    for field in ("messages", "smb_message_echoes", "history", "smb_app_state_sync", "calls", "user_preferences"):
        for name in names:
            body = json.dumps(an_envelope(a_value(contacts=[a_contact()]) | {name: [value]}, field=field)).encode()
            assert_unsurprised(body)
            assert CODEC.decode(body, RECEIVED_AT)


def test_a_number_of_five_thousand_digits_surprises_nobody() -> None:
    for body in BODIES:
        text = json.dumps(body).replace("1790000000", "9" * 5_000)
        assert_unsurprised(text.replace('"' + "9" * 5_000 + '"', "9" * 5_000).encode())
        assert_unsurprised(text.encode())


def assert_unsurprised(body: bytes) -> None:
    with contextlib.suppress(InvalidJson):
        CODEC.check_object(body)
    try:
        events = CODEC.decode(body, RECEIVED_AT)
    except Undecodable:
        return
    for event in events:
        assert_storable(event)


def assert_storable(event: InboundEvent) -> None:
    """PostgreSQL takes every text of it, and JSON that is kept is whole."""
    texts = (
        [event.reason, event.phone_number_id or ""]
        if isinstance(event, Unknown)
        else [msgspec.json.encode(event).decode()]
    )
    for text in texts:
        assert "\x00" not in text
        assert "\\u0000" not in text.replace("\\\\", "")
        text.encode()
    if not isinstance(event, Unknown):
        msgspec.json.decode(texts[0])
    if isinstance(event, AccountNotice):
        assert event.text
