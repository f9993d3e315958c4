"""Each example of an error, in answer to a send over HTTP, ends in its class: nothing on the way changes it."""

import pytest

from inbox.domain.graph_error_rows import Verdict
from inbox.domain.upstream_errors import AccountProblem, OutcomeUnknown, Refused, TryLater
from payloads import refusals

from .sending import Sending

EXAMPLES = refusals.examples()
EXPECTED = refusals.expected()
CLASSES = {
    Verdict.REFUSED: Refused,
    Verdict.WINDOW: Refused,
    Verdict.LATER: TryLater,
    Verdict.ACCOUNT: AccountProblem,
    Verdict.UNKNOWN: OutcomeUnknown,
}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_send_that_is_answered_so_ends_in_its_class(graph, start_sender, name):
    example, meaning = EXAMPLES[name], EXPECTED[name]
    send = Sending(start_sender().sender, graph.phone_number_id)
    body = example.text if example.json is None else example.json
    await graph.arm(action="http_error", status=example.status, headers=example.headers, body=body)
    with pytest.raises(CLASSES[meaning.verdict]) as caught:
        await send()
    assert getattr(caught.value, "graph_code", None) == meaning.code
    assert getattr(caught.value, "scope", None) == meaning.scope
    assert send.fence.runs == 1
    assert await graph.arrived() == []
