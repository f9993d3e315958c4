"""Each example of a webhook has one outcome, written down; and what a body says is found in what became of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.inbound import AccountNotice, Effect, InboundMessage, InboundStatus, Unknown
from payloads.outcomes import Json, examples, expected, outcome

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CODEC = CloudApiCodec([b"secret"])
EXAMPLES = examples()
EXPECTED = expected()
SET_ASIDE = {
    # An answer would go to one participant: groups have no conversations yet.
    "inbound/group_text": "group_message",
    "inbound/group_unsupported": "group_message",
    # Somebody opened the chat and wrote nothing. Meta does not send it any more.
    "inbound/request_welcome_legacy": "type:request_welcome",
}
"""The examples that nothing comes of, with the reason."""
_LISTS = ("messages", "statuses", "message_echoes", "calls", "state_sync", "user_preferences", "groups", "errors")


def test_every_example_has_its_outcome_written_down() -> None:
    assert EXAMPLES.keys() == EXPECTED.keys()
    assert len(EXAMPLES) >= 204


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_becomes_what_is_written_down(name: str) -> None:
    events = CODEC.decode(json.dumps(EXAMPLES[name]).encode(), RECEIVED_AT)
    assert [outcome(event) for event in events] == EXPECTED[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_meta_may_escape_what_it_likes(name: str) -> None:
    body = EXAMPLES[name]
    escaped = json.dumps(body, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/")
    plain = json.dumps(body, ensure_ascii=False, indent=1)
    first, second = (CODEC.decode(text.encode(), RECEIVED_AT) for text in (escaped, plain))
    assert [outcome(event) for event in first] == [outcome(event) for event in second]


def test_only_what_nobody_can_answer_is_set_aside() -> None:
    reasons = {
        name: event.reason
        for name, body in EXAMPLES.items()
        for event in CODEC.decode(json.dumps(body).encode(), RECEIVED_AT)
        if isinstance(event, Unknown)
    }
    assert reasons == SET_ASIDE


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_item_of_an_example_is_found_again(name: str) -> None:
    """Compared with the body itself: numbers, ids and times of the items, in their order."""
    events = CODEC.decode(json.dumps(EXAMPLES[name]).encode(), RECEIVED_AT)
    told = [mark for event in events if (mark := _mark(event)) is not None]
    for mark in _items(EXAMPLES[name]):
        assert told[:1] == [mark]
        del told[0]
    assert told == []


def _mark(event: Effect | InboundMessage | InboundStatus | Unknown) -> tuple[str | None, str | None] | None:
    """Number and id of what an item became; None for what came in addition."""
    match event:
        case InboundMessage() | InboundStatus():
            return (event.phone_number_id, event.wamid)
        case Unknown():
            return (event.phone_number_id, json.loads(event.raw)["id"])
        case AccountNotice():
            return (event.phone_number_id, None)
        case _:
            return (event.phone_number_id, event.wamid) if hasattr(event, "wamid") else _unnumbered(event)


def _unnumbered(event: Effect) -> tuple[str | None, str | None] | None:
    return (event.phone_number_id, None) if type(event).__name__ in ("ContactName", "Preference") else None


def _items(body: Json) -> Iterator[tuple[str | None, str | None]]:
    for entry in body["entry"]:
        for change in entry["changes"]:
            value = change["value"]
            number = value.get("metadata", {}).get("phone_number_id")
            items = [item for name in _LISTS for item in value.get(name, []) if "metadata" in value]
            for chunk in value.get("history", []):
                items += [item for thread in chunk.get("threads", []) for item in thread["messages"]]
                items += chunk.get("errors", [])
            items += value.get("automatic_events", []) if change["field"] == "automatic_events" else []
            for item in items or [value]:
                yield (number, item.get("id") if change["field"] != "automatic_events" else None)
