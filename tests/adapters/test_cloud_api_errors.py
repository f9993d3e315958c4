"""The table of outcome classes: what each answer of the Graph API to a send means for the message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.adapters.messaging.cloud_api.errors import NotTried, is_outage, of_send
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import (
    AccountProblem,
    FenceRefused,
    NothingSent,
    OutcomeUnknown,
    Refused,
    TryLater,
)


def answered(status: int, code: int | None, *, retry_after: str | None = None, **members: object) -> InboxError:
    error = {"message": "(#1) What Meta says", "type": "OAuthException", "code": code, "fbtrace_id": "A1", **members}
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return of_send(status, headers, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(("code", "scope"), [(4, "app"), (80007, "waba"), (130429, "number"), (131056, "pair")])
@pytest.mark.parametrize("status", [400, 429])
def test_a_throttle_names_its_scope(code: int, scope: str, status: int) -> None:
    error = answered(status, code)
    assert isinstance(error, TryLater)
    assert (error.scope, error.graph_code) == (scope, code)
    assert not is_outage(error)


@pytest.mark.parametrize(("status", "code"), [(500, 2), (500, 131016), (503, 133004), (400, 131016)])
def test_a_busy_service_is_tried_again_later_and_moves_the_breaker(status: int, code: int) -> None:
    error = answered(status, code)
    assert isinstance(error, TryLater)
    assert (error.scope, error.graph_code) == ("service", code)
    assert is_outage(error)


@pytest.mark.parametrize("status", [400, 429, 500])
def test_the_upgrade_of_a_number_is_waited_for_and_moves_no_breaker(status: int) -> None:
    error = answered(status, 131057)
    assert isinstance(error, TryLater)
    assert (error.scope, error.graph_code) == ("upgrade", 131057)
    assert is_outage(error) is False


@pytest.mark.parametrize("code", [1, 131000])
@pytest.mark.parametrize("status", [400, 500])
def test_something_went_wrong_is_never_repeated(code: int, status: int) -> None:
    error = answered(status, code)
    assert isinstance(error, OutcomeUnknown)
    assert error.graph_code == code
    assert is_outage(error)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, 0),
        (403, 3),
        (400, 10),
        (400, 33),
        (400, 104),
        (401, 190),
        (403, 200),
        (403, 299),
        (400, 368),
        (403, 131005),
        (403, 131031),
        (400, 131037),
        (400, 131042),
        (500, 131045),
        (400, 133010),
        (401, 777_777),
    ],
)
def test_the_accounts_fault_pauses_the_account(status: int, code: int) -> None:
    error = answered(status, code)
    assert isinstance(error, AccountProblem)
    assert error.graph_code == code
    assert not is_outage(error)


def test_an_unknown_phone_number_id_is_the_accounts_fault() -> None:
    assert isinstance(answered(400, 100, error_subcode=33), AccountProblem)
    assert isinstance(answered(400, 100, error_subcode=34), Refused)


@pytest.mark.parametrize(
    "code",
    [
        *(100, 131008, 131009, 131021, 131026, 131030, 131047, 131048, 131049, 131051, 131052, 132000, 132001),
        *(132005, 132007, 132012, 132015, 132016, 135000, 137000, 199, 300, 777_777),
    ],
)
def test_a_refused_message_is_refused_for_good(code: int) -> None:
    error = answered(400, code)
    assert isinstance(error, Refused)
    assert error.graph_code == code
    assert not is_outage(error)


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_code_that_nobody_knows_on_a_broken_server_is_unknown(status: int) -> None:
    error = answered(status, 777_777)
    assert isinstance(error, OutcomeUnknown)
    assert error.graph_code == 777_777


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad Gateway</html>",
        b"[]",
        b'{"error":"upstream connect error"}',
        b'{"error":{"message":"bad gateway"}}',
        b'{"error":{"code":"190"}}',
        b'{"error":{"code":190',
        b"\xff\x00",
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((500, OutcomeUnknown), (502, OutcomeUnknown), (504, OutcomeUnknown), (408, OutcomeUnknown)),
        *((425, NothingSent), (429, TryLater), (401, AccountProblem), (301, AccountProblem), (307, AccountProblem)),
        *((400, Refused), (403, AccountProblem), (404, AccountProblem), (407, AccountProblem)),
    ],
)
def test_without_an_error_of_graph_the_status_decides(status: int, kind: type[InboxError], body: bytes) -> None:
    assert type(of_send(status, {}, body)) is kind


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0", 0.0), (None, None)])
def test_a_named_wait_is_handed_on(header: str | None, seconds: float | None) -> None:
    assert answered(429, 130429, retry_after=header).retry_after == seconds
    assert answered(503, 131016, retry_after=header).retry_after == seconds
    assert answered(425, 1, retry_after=header).retry_after == seconds


@pytest.mark.parametrize("header", ["soon", "-1", "1.5", "٣", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
def test_a_wait_that_is_no_number_of_seconds_is_none(header: str) -> None:
    assert answered(429, 130429, retry_after=header).retry_after is None


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"error_data": {"messaging_product": "whatsapp", "details": "The details."}}, "The details."),
        ({"error_data": "A plain string."}, "A plain string."),
        ({"error_data": {}}, "(#1) What Meta says"),
        ({"message": None, "title": "A title"}, "A title"),
        ({"message": None}, "whatsapp_rejected"),
    ],
)
def test_a_refusal_says_what_meta_says(members: dict[str, Any], words: str) -> None:
    assert str(answered(400, 100, **members)) == words


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"error_data": {"details": "The details."}}, "(#1) What Meta says: The details."),
        ({"error_data": {"details": "Meta says"}}, "(#1) What Meta says"),
        ({"message": None, "title": "A title", "details": "The details."}, "A title: The details."),
        ({}, "(#1) What Meta says"),
        ({"message": None, "error_data": {"details": "x" * 400}}, "x" * 300),
    ],
)
def test_a_refusal_with_a_code_that_nobody_knows_says_its_title_and_its_details(
    members: dict[str, Any], words: str
) -> None:
    assert str(answered(400, 777_777, **members)) == words


def test_what_says_nothing_about_whatsapp_moves_no_breaker() -> None:
    for error in (FenceRefused(), NotTried(), ValueError("a bug")):
        assert is_outage(error) is None
    assert is_outage(NothingSent())


@given(
    status=st.integers(min_value=300, max_value=599),
    body=st.binary(max_size=80) | st.integers().map(lambda code: json.dumps({"error": {"code": code}}).encode()),
    retry_after=st.none() | st.text(max_size=20),
)
def test_every_answer_has_one_of_the_classes(status: int, body: bytes, retry_after: str | None) -> None:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    error = of_send(status, headers, body)
    assert type(error) in (NothingSent, TryLater, AccountProblem, Refused, OutcomeUnknown)
    if status >= 500:
        assert type(error) is not Refused  # the operator would send it again
