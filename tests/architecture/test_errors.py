"""Every failure has a name, a place in both boundary tables, and a line in the operator's documentation."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import inbox
from inbox.domain.errors import InboxError, Kind
from inbox.entrypoints.http.problems import STATUS
from inbox.entrypoints.worker import RETRIED

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
ROW = re.compile(r"\| `(?P<code>[^`]+)` \| (?P<kind>[a-z_]+|-) \| (?P<status>\d{3}) \| (?P<text>.+) \|")

SETTLED = {
    Kind.MALFORMED,
    Kind.REFUSED,
    Kind.UNAUTHENTICATED,
    Kind.FORBIDDEN,
    Kind.NOT_FOUND,
    Kind.TOO_LARGE,
    Kind.CONFLICT,
    Kind.GONE,
    Kind.MISCONFIGURED,
}
"""Kinds that no repetition heals: the lease runs out, the attempt counts, and the item is set aside in the end."""

FRAMEWORK = {
    ("not_found", 404),
    ("method_not_allowed", 405),
    ("request_timeout", 408),
    ("unsupported_media_type", 415),
    ("bad_request", 400),
    ("internal_error", 500),
}
"""Words of `problems.py` for failures that the framework finds, and for bugs; no class stands for them."""

CONTRACT = {
    400: {
        "conversation_id_required",
        "invalid_payload",
        "whatsapp_not_configured",
        "whatsapp_rejected",
        "invalid_json",
    },
    401: {"missing_token", "invalid_token", "missing_signature", "invalid_signature"},
    403: {"permission_denied", "no_account_access", "user_disabled", "webhook_verification_failed"},
    404: {"account_not_found", "conversation_not_found", "message_not_found", "role_not_found", "user_not_found"},
    409: {"slug_taken", "phone_number_id_taken", "window_closed"},
    410: {"media_not_found"},
    413: {"payload_too_large"},
    422: {"validation_error", "idempotency_key_reused"},
    429: {"rate_limited"},
    500: {"supabase_not_configured", "webhook_signature_not_configured"},
    502: {"supabase_unreachable", "whatsapp_api_error"},
    503: {"database_unavailable", "whatsapp_unavailable"},
    504: {"supabase_timeout", "database_timeout", "whatsapp_timeout"},
}
"""What front ends and other clients of the REST API may compare with."""


def descendants(error: type[InboxError]) -> Iterator[type[InboxError]]:
    for child in error.__subclasses__():
        yield child
        yield from descendants(child)


ERRORS = sorted(
    {error for error in descendants(InboxError) if error.__module__.startswith("inbox.domain.")},
    key=lambda error: error.__name__,
)


def documented() -> list[tuple[str, str, int]]:
    rows = (ROW.fullmatch(line) for line in OPERATIONS.read_text(encoding="utf-8").splitlines())
    return [(row["code"], row["kind"], int(row["status"])) for row in rows if row]


def test_every_kind_has_a_status():
    assert set(STATUS) == set(Kind)


def test_every_kind_is_either_tried_again_or_settled():
    assert not RETRIED & SETTLED
    assert set(Kind) == RETRIED | SETTLED


def test_an_error_defined_elsewhere_has_no_word_of_its_own():
    """An adapter may tell two cases apart for itself; whoever catches it sees an error of the domain."""
    for module in pkgutil.walk_packages(inbox.__path__, "inbox."):
        if module.name != "inbox.__main__":
            importlib.import_module(module.name)
    known = {(error.code, error.kind) for error in ERRORS}
    assert len(ERRORS) > 40
    assert {(error.code, error.kind) for error in descendants(InboxError)} == known


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_each_error_says_its_kind_and_a_word_for_machines(error):
    assert isinstance(error.kind, Kind)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_each_error_is_documented_with_its_status(error):
    assert (error.code, error.kind.value, STATUS[error.kind]) in documented()


def test_nothing_is_documented_that_does_not_exist_and_nothing_twice():
    rows = documented()
    assert len(rows) == len(set(rows))
    assert {(code, status) for code, kind, status in rows if kind == "-"} == FRAMEWORK
    known = {(error.code, error.kind.value) for error in ERRORS}
    assert {(code, kind) for code, kind, _ in rows if kind != "-"} == known


@pytest.mark.parametrize("status", sorted(CONTRACT))
def test_the_codes_of_the_rest_contract_have_their_status(status):
    assert {error.code for error in ERRORS if STATUS[error.kind] == status} >= CONTRACT[status]
