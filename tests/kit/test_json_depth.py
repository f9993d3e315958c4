import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.kit.json_depth import depth_exceeds


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth_of(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(inner) for inner in value), default=0)
    return 0


@pytest.mark.parametrize(("opener", "closer"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_the_limit_itself_is_allowed_and_one_more_is_not(opener: bytes, closer: bytes) -> None:
    assert not depth_exceeds(opener * 64 + b"1" + closer * 64)
    assert depth_exceeds(opener * 65 + b"1" + closer * 65)


def test_brackets_inside_strings_do_not_count() -> None:
    assert not depth_exceeds(json.dumps({"text": "[" * 500 + '\\"' + "{" * 500}).encode())


def test_a_string_that_ends_in_an_escaped_quote_hides_nothing() -> None:
    assert depth_exceeds(b'"\\\\"' + b"[" * 65)
    assert not depth_exceeds(b'"\\"' + b"[" * 65)


def test_a_wide_body_is_not_a_deep_one() -> None:
    assert not depth_exceeds(b"[" + b",".join([b"[[]]"] * 1000) + b"]")


@pytest.mark.parametrize(
    "body", [b'"' + b"\\" * 400_001, b'\\"' * 200_000 + b"[" * 65, b'"a' * 200_001, b"]" * 100_000]
)
def test_hostile_bodies_are_scanned_in_linear_time(body: bytes) -> None:
    depth_exceeds(body + b"[" * 65)  # a quadratic scan would run into the time limit of the suite


nested = st.recursive(
    st.none() | st.text(alphabet='[]{}"\\a\n', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=30,
)


@given(nested, st.integers(min_value=0, max_value=6))
def test_it_agrees_with_a_walk_over_the_decoded_value(value: object, limit: int) -> None:
    assert depth_exceeds(json.dumps(value).encode(), limit) == (depth_of(value) > limit)


@given(st.binary(max_size=300))
def test_any_bytes_are_scanned_without_an_error(body: bytes) -> None:
    depth_exceeds(body, 3)
