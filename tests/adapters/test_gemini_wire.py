"""Gemini's JSON: whatever comes is an answer or an error with a name, and what goes out is what Gemini takes."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.adapters.llm.answering import Ask, Ending, QuotaSpent, Said
from inbox.adapters.llm.gemini import wire
from inbox.adapters.llm.gemini.client import _piece, _said
from inbox.adapters.llm.gemini.errors import refusal
from inbox.adapters.llm.gemini.events import Events
from inbox.adapters.llm.quoting import Spoken, spoken
from inbox.adapters.llm.waits import seconds
from inbox.domain.upstream_errors import ModelFailed, ModelRefused, ModelThrottled
from inbox.ports.llm import MOST_MEDIA_BYTES, MediaPart, Prompt, Safety, Source, Turn

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def a_status(message: str = "", *details: dict[str, Any]) -> wire.Status:
    error = wire.error_of(json.dumps({"error": {"code": 429, "message": message, "details": details}}).encode())
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        *(("56s", 56.0), ("0.539477544s", 0.539477544), ("900ms", 0.9), ("68940s", 68940.0), ("0s", 0.0)),
        *(("soon", None), ("1.2.3s", None), ("s", None), ("-1s", None), ("", None)),
    ],
)
def test_a_delay_is_read_in_seconds(delay: str, seconds: float | None) -> None:
    assert wire.retry_after(a_status("", {"@type": "google.rpc.RetryInfo", "retryDelay": delay})) == seconds


def test_a_delay_may_be_spoken_of_only() -> None:
    assert wire.retry_after(a_status("Too much. Please retry in 44.09s.")) == 44.09
    assert wire.retry_after(a_status("Please retry in 812.5ms.")) == 0.8125
    assert wire.retry_after(a_status("Please retry later.")) is None


@pytest.mark.parametrize(
    ("message", "quota", "is_spent"),
    [
        ("limit: 0, model: x", "PerMinute", True),
        ("limit:0", "", True),
        ("limit: 0.5", "", False),
        ("limit: 05", "", False),
        ("limit: 15", "GenerateRequestsPerMinutePerProject", False),
        ("", "GenerateRequestsPerDayPerProjectPerModel", True),
        ("", "DailyTokens", True),
    ],
)
def test_a_quota_is_used_up_for_the_day_or_was_never_there(message: str, quota: str, *, is_spent: bool) -> None:
    assert wire.is_quota_spent(a_status(message, {"violations": [{"quotaId": quota}]})) is is_spent


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error":"text"}', b"\xff", b"[" * 5_000])
def test_a_page_of_a_proxy_is_no_error_of_gemini(body: bytes) -> None:
    assert wire.error_of(body) is None


@given(status=st.integers(min_value=201, max_value=599), body=st.binary(max_size=60) | _JSON.map(json.dumps))
def test_every_refusal_has_a_name(status: int, body: bytes | str) -> None:
    error = refusal(status, {}, body.encode() if isinstance(body, str) else body)
    assert isinstance(error, ModelRefused | ModelThrottled | ModelFailed)
    if status >= 500:
        assert type(error) is ModelFailed


def test_a_quota_for_the_day_is_not_a_throttle() -> None:
    violation = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}
    body = json.dumps({"error": {"code": 429, "details": [violation, {"retryDelay": "38211s"}]}})
    assert type(refusal(429, {}, body.encode())) is QuotaSpent


def test_a_wait_of_the_headers_counts_where_the_error_names_none() -> None:
    headers = {"retry-after": "12"}
    assert refusal(429, headers, b"<html>").retry_after == 12.0
    assert refusal(503, headers, b"").retry_after == 12.0
    named = json.dumps({"error": {"code": 429, "details": [{"retryDelay": "7s"}]}})
    assert refusal(429, headers, named.encode()).retry_after == 7.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("20", 20.0), (" 1.5 ", 1.5), ("6m0s", 360.0), ("1h2m3.5s", 3723.5), ("350ms", 0.35), ("1m6s", 66.0)),
        *(("", None), ("Sun, 22 Nov 2026 10:00:00 GMT", None), ("-1", None), ("1e9", None), ("9" * 400, None)),
    ],
)
def test_a_wait_of_a_header_is_read_in_seconds(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


@given(
    body=st.binary(max_size=80)
    | _JSON.map(json.dumps)
    | st.fixed_dictionaries(
        {},
        optional={
            "candidates": _JSON
            | st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "content": _JSON | st.fixed_dictionaries({"parts": _JSON}),
                        "finishReason": st.none() | st.sampled_from(["STOP", "SAFETY", "MAX_TOKENS", "OF_TOMORROW"]),
                    },
                ),
                max_size=2,
            ),
            "promptFeedback": _JSON,
            "usageMetadata": _JSON,
            "modelVersion": _JSON,
        },
    ).map(json.dumps)
)
def test_any_answer_has_an_end_or_is_unreadable(body: bytes | str) -> None:
    raw = body.encode() if isinstance(body, str) else body
    try:
        answer = wire.GenerateAnswer().followed_by(_piece(raw))
    except (ModelFailed, ModelRefused, ModelThrottled):
        return
    said = _said_of(answer)
    assert said.ending in Ending
    assert said.model


def _said_of(answer: wire.GenerateAnswer) -> Said:
    asked = Ask(
        prompt=Prompt(system="", history=()),
        schema=Source,
        model="m",
        temperature=None,
        max_output_tokens=1,
        thinking_tokens=0,
        safety=Safety.HIGH,
    )
    return _said(asked, answer)


# --- streams ----------------------------------------------------------------------------------------------------------

PAYLOADS = [b'{"t":"a\xe2\x80\xa8b"}', b'{"t":"\xc3\xa9"}', b'{\n"error":1}']
STREAM = b"data: " + PAYLOADS[0] + b"\r\n\r\ndata:" + PAYLOADS[1] + b"\r\r" + PAYLOADS[2]


@given(
    cuts=st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12), end=st.sampled_from(["", "\n", "\r\n"])
)
def test_a_stream_is_the_same_however_it_is_cut(cuts: list[int], end: str) -> None:
    data = STREAM.replace(b"\r\n", end.encode() or b"\r\n")
    points = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    events = Events()
    found = [payload for start, stop in pairwise(points) for payload in events.feed(data[start:stop])]
    assert [*found, *events.end()] == PAYLOADS


def test_pieces_make_one_answer_and_the_last_counts_hold() -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "Claro, "}]}}], "usageMetadata": {"promptTokenCount": 52}}
    usage = {"promptTokenCount": 52, "candidatesTokenCount": 7, "thoughtsTokenCount": 68}
    second = {"candidates": [{"content": {"parts": [{"text": "lo miro."}]}}], "usageMetadata": usage}
    last = {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}], "modelVersion": "m"}
    answer = wire.GenerateAnswer()
    for piece in (first, second):
        answer = answer.followed_by(_piece(json.dumps(piece).encode()))
    assert answer.is_torn
    answer = answer.followed_by(_piece(json.dumps(last).encode()))
    assert (answer.text, answer.finish_reason, answer.model_version) == ("Claro, lo miro.", "STOP", "m")
    assert (answer.usage.input, answer.usage.output) == (52, 75)
    assert not answer.is_torn


# --- what is said -----------------------------------------------------------------------------------------------------


def said_to_a_model(*turns: Turn) -> list[Spoken]:
    return spoken(Prompt(system="", history=turns), lambda _: True)


@given(
    turns=st.lists(
        st.builds(Turn, role=st.sampled_from(["customer", "business"]), text=st.text(max_size=30)), max_size=8
    )
)
def test_any_history_alternates_and_begins_and_ends_with_the_customer(turns: list[Turn]) -> None:
    found = said_to_a_model(*turns)
    sides = [one.is_customer for one in found]
    assert sides == [True, False] * (len(sides) // 2) + [True]
    said = "".join(str(part) for one in found for part in one.parts)
    for turn in turns:
        shown = turn.text if turn.role == "business" else turn.text.replace("&", "&amp;")
        assert re.sub("[<\uff1c\ufe64]", "&lt;", shown) in said
    assert said.count("</customer_message>") >= sum(turn.role == "customer" for turn in turns)


@given(words=st.text(alphabet='<>/&;"custome_mag ltp', max_size=60))
def test_no_words_of_a_customer_open_or_close_a_tag(words: str) -> None:
    source = Source(id=words, title=words, text=words)
    (one,) = spoken(Prompt(system="", history=(Turn(role="customer", text=words),), sources=(source,)), lambda _: True)
    shown, text = map(str, one.parts)
    assert text.startswith("<customer_message>")
    assert text.endswith("</customer_message>")
    assert text.count("<") == 2
    assert shown.count("<") == 2
    assert shown.partition(">")[0].count('"') in (0, 4)


def test_files_are_given_while_there_is_room() -> None:
    half = MediaPart(mime_type="image/png", data=bytes(MOST_MEDIA_BYTES // 2))
    empty = MediaPart(mime_type="image/png", data=b"")
    turns = [Turn(role="customer", text=str(n), media=(half, empty)) for n in range(3)]
    (one,) = said_to_a_model(*turns)
    assert [part if isinstance(part, str) else len(part.data) for part in one.parts] == [
        "<customer_message>0</customer_message>",
        "<customer_message>1</customer_message>",
        MOST_MEDIA_BYTES // 2,
        "<customer_message>2</customer_message>",
        MOST_MEDIA_BYTES // 2,
    ]
