"""Gemini's JSON: whatever comes is an answer or an error with a name, and what goes out is what Gemini takes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.adapters.llm.gemini import wire
from inbox.adapters.llm.gemini.client import _answer, _check, _contents, _refusal
from inbox.domain.upstream_errors import ModelFailed, ModelRefused, ModelSilent, ModelThrottled
from inbox.kit.http import Reply
from inbox.ports.llm import Turn

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
    raw = body.encode() if isinstance(body, str) else body
    error = _refusal(Reply(status, {}, raw))
    assert type(error) in (ModelRefused, ModelThrottled, ModelFailed)
    if status >= 500:
        assert type(error) is ModelFailed


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
def test_any_answer_is_whole_silent_or_unreadable(body: bytes | str) -> None:
    raw = body.encode() if isinstance(body, str) else body
    try:
        answer = _answer(raw)
        _check(answer)
    except (ModelSilent, ModelFailed):
        return
    assert answer.text.strip()


@given(
    turns=st.lists(
        st.builds(Turn, role=st.sampled_from(["customer", "business"]), text=st.text(max_size=30)), max_size=8
    )
)
def test_any_history_alternates_and_begins_and_ends_with_the_customer(turns: list[Turn]) -> None:
    contents = _contents(tuple(turns))
    roles = [content["role"] for content in contents]
    assert roles == ["user", "model"] * (len(roles) // 2) + ["user"]
    said = "".join(part["text"] for content in contents for part in content["parts"])
    for turn in turns:
        shown = turn.text if turn.role == "business" else turn.text.replace("&", "&amp;").replace("<", "&lt;")
        assert shown in said
    assert said.count("</customer_message>") >= sum(turn.role == "customer" for turn in turns)


@given(words=st.text(alphabet="<>/&;custome_mag ltp", max_size=60))
def test_no_words_of_a_customer_open_or_close_a_tag(words: str) -> None:
    (content,) = _contents((Turn(role="customer", text=words),))
    text = content["parts"][0]["text"]
    assert text.startswith("<customer_message>")
    assert text.endswith("</customer_message>")
    assert text.count("<") == 2
