"""Whom an answer speaks against that leaves the outcome of a send open: the number, or WhatsApp."""

from collections.abc import Callable

import pytest

from inbox.domain.errors import CircuitOpen
from inbox.domain.upstream_errors import OutcomeUnknown

from .sending import Sending, StartSender, WiredSender
from .whatsapp_side import GraphSide

Numbers = list[Sending]


@pytest.fixture
def wired(start_sender: StartSender) -> WiredSender:
    return start_sender()


@pytest.fixture
async def numbers(wired: WiredSender, graph: GraphSide) -> Numbers:
    waba = await graph.call("POST", "/wabas", {"numbers": [{"phone": f"3319000001{n}"} for n in range(4)]})
    return [Sending(wired.sender, number["id"]) for number in waba["numbers"]]


@pytest.fixture
def state(wired: WiredSender) -> Callable[[], str]:
    return lambda: wired.breakers.inspect()["whatsapp"].state


async def failing(graph: GraphSide, *numbers: Sending, code: int = 131000) -> None:
    """One after the other, each send is answered with an error of WhatsApp's own."""
    for send in numbers:
        await graph.arm(action="http_error", status=500, code=code)
        with pytest.raises(OutcomeUnknown) as caught:
            await send()
        assert (caught.value.graph_code, caught.value.code) == (code, OutcomeUnknown.code)


@pytest.mark.parametrize("code", [1, 131000])
async def test_two_numbers_in_trouble_are_no_outage_however_often_they_fail(graph, numbers, state, code) -> None:
    await failing(graph, *2 * numbers[:1], *5 * numbers[:2], code=code)
    assert state() == "closed"
    assert (await numbers[2]()).wamid


async def test_three_numbers_in_a_row_are_an_outage(graph, numbers, state) -> None:
    await failing(graph, *numbers[:3], numbers[0])
    assert state() == "closed"
    await failing(graph, numbers[3])
    assert state() == "open"
    with pytest.raises(CircuitOpen):
        await numbers[0]()


async def test_between_them_whatsapp_took_no_message(graph, numbers, state) -> None:
    for _ in range(3):
        await failing(graph, *numbers[:2])
        await numbers[3]()
        await failing(graph, numbers[2])
        await numbers[3]()
    await failing(graph, *4 * numbers[:1])  # would open it, if the others still counted
    assert state() == "closed"


async def test_in_an_outage_each_such_answer_counts_until_a_message_is_taken(graph, numbers, wired, state) -> None:
    await failing(graph, *numbers[:3])
    wired.breakers.reset("whatsapp")
    await failing(graph, *3 * numbers[:1])
    assert state() == "open"
    wired.breakers.reset("whatsapp")
    await numbers[3]()
    await failing(graph, *4 * numbers[:1])
    assert state() == "closed"


async def test_a_cut_of_one_number_is_an_outage_as_before(graph, numbers, state) -> None:
    for _ in range(3):
        await graph.arm(action="html_502")
        with pytest.raises(OutcomeUnknown):
            await numbers[0]()
    assert state() == "open"
