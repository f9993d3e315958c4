from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from inbox.domain.upstream_errors import Refused
from inbox.kit.redaction import HIDDEN, redacted, scrub

CANARY = "C4NARYc4naryC4NARYc4nary"


@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "Authorization", "X-Hub-Signature-256", "password", "new_password", "app_secret"),
        *("api_key", "apikey", "x-goog-api-key", "set-cookie", "credentials", "jwt", "verify_token"),
        *("text", "body", "Content", "caption", "prompt", "display_name", "email", "payload"),
    ],
)
@pytest.mark.parametrize("value", [CANARY, CANARY.encode(), [CANARY], {"inner": CANARY}])
def test_a_field_with_a_telling_name_shows_nothing(name: str, value: object) -> None:
    assert redacted({name: value}) == {name: HIDDEN}
    assert redacted({"outer": [{name: value}]}) == {"outer": [{name: HIDDEN}]}


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"GET https://graph.facebook.com/v24.0/1?access_token={CANARY}&fields=id",
        f"https://host/v1/models?key={CANARY}",
        f"https://lookaside.fbsbx.com/x?mid=1&ext=2&hash={CANARY}",
        f"postgresql://inbox:{CANARY}@db/inbox",
        f"AIza{CANARY} was refused",
        f"AQ.{CANARY}",
        f"sk-proj-{CANARY}",
        f"EAAG{CANARY}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJ{CANARY}.{CANARY}",
        f'{{"access_token": "{CANARY}"}}',
        f'{{"text": {{"body": "say \\"hi\\" {CANARY}"}}}}',
        f"{{'password': '{CANARY}', 'a': 1}}",
        f"INSERT INTO x\n[parameters: ('{CANARY}',)]\n(Background)",
        f"duplicate key\nDETAIL: Key (name)=({CANARY}) already exists.\nend",
        f"{{'headers': {{'x-goog-api-key': '{CANARY}'}}}}",
    ],
)
def test_a_secret_inside_a_string_is_hidden_wherever_it_stands(text: str) -> None:
    assert CANARY not in scrub(text)
    assert CANARY not in str(redacted({"event": text, "list": [text], text: 1}))


@pytest.mark.parametrize(
    "number",
    [
        *("33612345678", "+33612345678", "+33 6 12 34 56 78", "(555) 123-4567"),
        *("06.12.34.56.78", "٣٣٦١٢٣٤٥٦٧٨", "1-202-555-0143"),
    ],
)
def test_a_phone_number_shows_its_last_four_digits(number: str) -> None:
    shown = scrub(f"message for {number}, again")
    digits = "".join(filter(str.isdecimal, number))
    assert "".join(filter(str.isdecimal, shown)) == digits[-4:]
    assert shown.startswith("message for ")
    assert shown.endswith(f"{HIDDEN}{digits[-4:]}, again")


def test_a_phone_number_as_a_number_is_masked_and_counts_are_not() -> None:
    assert redacted({"n": 33612345678, "count": 123456, "prompt_tokens": 12, "took": 0.25}) == {
        "n": "***5678",
        "count": 123456,
        "prompt_tokens": 12,
        "took": 0.25,
    }


def test_a_wamid_shows_its_end_only_because_it_contains_the_number() -> None:
    shown = scrub("wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA is known")
    assert shown == "wamid.***Y3RTcA is known"


def test_what_is_needed_to_find_things_again_stays() -> None:
    row = UUID("01970000-0000-7000-8000-000000000001")
    fields = {
        "message_id": row,
        "also": str(row),
        "at": datetime(2026, 11, 21, 12, tzinfo=UTC),
        "timestamp": "2026-11-21T12:00:00.123456Z",
        "phone_number_id": "106540352242922",
        "event": "sent in 2026-11-21T12:00:00.123456Z",
        "ok": True,
        "none": None,
    }
    assert redacted(fields) == fields | {"message_id": str(row), "at": "2026-11-21 12:00:00+00:00"}


class Contact(msgspec.Struct):
    name: str


class Colour(StrEnum):
    RED = "red"


def test_objects_are_shown_by_their_type_only() -> None:
    shown = redacted({"a": Contact(CANARY), "b": CANARY.encode(), "c": ValueError(CANARY), "d": Colour.RED})
    assert shown == {"a": "<Contact>", "b": "<bytes>", "c": "<ValueError>", "d": "red"}


def test_our_own_errors_are_shown_with_their_scrubbed_message() -> None:
    assert redacted({"error": Refused("no such template")}) == {"error": "Refused: no such template"}
    assert CANARY not in str(redacted({"error": Refused(f"access_token={CANARY}")}))


def test_wide_deep_and_long_values_are_cut() -> None:
    deep: object = "end"
    for _ in range(50):
        deep = [deep]
    shown = redacted({"wide": list(range(10_000)), "deep": deep, "long": "x " * 100_000})
    assert len(msgspec.json.encode(shown)) < 20_000


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.uuids() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), anything, max_size=5))
def test_everything_becomes_plain_data_that_can_be_written(fields: dict[str, object]) -> None:
    msgspec.json.encode(redacted(fields))


@given(st.text(max_size=40), st.from_regex(r"\+?[1-9][0-9]{9,13}", fullmatch=True), st.text(max_size=40))
def test_no_whole_phone_number_survives(before: str, number: str, after: str) -> None:
    most = number.lstrip("+")[:-4]
    assume(most not in before + after)
    assert most not in scrub(f"{before} {number} {after}")
