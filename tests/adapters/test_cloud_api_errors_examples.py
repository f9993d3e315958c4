"""Each example of an error has one class, whichever way it comes: read here, over HTTP in the contract of sending."""

import json
from datetime import UTC, datetime

import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.adapters.messaging.cloud_api.errors import of_send
from inbox.domain.graph_error_rows import Verdict
from inbox.domain.graph_errors import GRAPH_ERRORS, WINDOW_CODES, find, sentence
from inbox.domain.inbound import InboundStatus
from inbox.domain.upstream_errors import AccountProblem, OutcomeUnknown, Refused, TryLater
from payloads import outcomes, refusals

EXAMPLES = refusals.examples()
EXPECTED = refusals.expected()
CLASSES = {
    Verdict.REFUSED: Refused,
    Verdict.WINDOW: Refused,
    Verdict.LATER: TryLater,
    Verdict.ACCOUNT: AccountProblem,
    Verdict.UNKNOWN: OutcomeUnknown,
}


def failures():
    """The statuses of the examples that say `failed`, by name."""
    codec = CloudApiCodec([b"secret"])
    for name, body in outcomes.examples().items():
        for event in codec.decode(json.dumps(body).encode(), datetime(2026, 11, 21, tzinfo=UTC)):
            if isinstance(event, InboundStatus) and event.status == "failed":
                yield pytest.param(event, id=name)


FAILURES = list(failures())


def test_every_example_of_a_refusal_has_its_class_written_down():
    assert EXAMPLES.keys() == EXPECTED.keys()
    assert len(EXAMPLES) == 73
    assert {one.verdict for one in EXPECTED.values()} == set(Verdict)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_into_its_class(name):
    example, meaning = EXAMPLES[name], EXPECTED[name]
    headers = {key.lower(): value for key, value in example.headers.items()}
    error = of_send(example.status, headers, example.body)
    assert type(error) is CLASSES[meaning.verdict]
    assert getattr(error, "graph_code", None) == meaning.code
    assert getattr(error, "scope", None) == meaning.scope


@pytest.mark.parametrize("name", [name for name, one in EXPECTED.items() if one.code is not None])
def test_an_example_has_a_row_of_its_class_with_texts(name):
    told = EXAMPLES[name].json
    assert told is not None
    said = told["error"]
    row = find(said["code"], said.get("error_subcode"))
    assert row is not None
    assert (row.verdict, row.scope) == (EXPECTED[name].verdict, EXPECTED[name].scope)
    assert row.code in (said["code"], said.get("error_subcode"))


@pytest.mark.parametrize("status", FAILURES)
def test_a_failure_that_comes_later_is_explained(status):
    row = GRAPH_ERRORS[status.error_code]
    assert sentence(status.error_code, status.error_details or "").startswith(row.what.fr)
    assert (status.error_code in WINDOW_CODES) == (row.verdict is Verdict.WINDOW)


def test_the_examples_of_later_failures_are_there():
    assert len(FAILURES) >= 21
