"""The life of an outbound message: no path sends it twice unless a person says so, and none strands it."""

from collections.abc import Callable
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.ids import MessageId
from inbox.domain.messages import Status
from inbox.domain.outbound import PUBLIC, OpId, State, Step, after

from .sending_model import ECHOES, Api, Rules, Transition, World, Wrong, is_absent, is_over, search


def mistaken(state: State, step: Step, mistake: State) -> Transition:
    """The transition function with one line that is wrong."""
    return lambda now, happened: mistake if (now, happened) == (state, step) else after(now, happened)


BROKEN = {
    "re-queue on read timeout": (
        Rules(transition=mistaken(State.WIRE, Step.UNKNOWN, State.QUEUED)),
        Wrong.SENT_TWICE,
    ),
    "reaper re-queues wire": (Rules(transition=mistaken(State.WIRE, Step.REAPED, State.QUEUED)), Wrong.SENT_TWICE),
    "no fence": (Rules(has_fence=False), Wrong.SENT_TWICE),
    "no token check": (Rules(checks_token=False), Wrong.SENT_TWICE),
    "ack without commit": (Rules(commits_first=False), Wrong.LOST),
    "retry decorator on send": (Rules(calls_once=False), Wrong.SENT_TWICE),
}
"""As in `tests/ledger/outbound/mutants.py`, where the same six are made of the real code."""


def test_no_path_sends_twice_without_a_person_strands_a_message_or_tells_an_untruth():
    seen, wrongs = search(Rules())
    assert not wrongs
    assert {world.state for world in seen if world.api is Api.STORED} == set(State)
    assert any(world.taken == 2 and world.resends == 1 for world in seen)
    assert not any(world.proofs for world in seen)


def test_with_the_proof_of_absence_no_path_sends_twice_either():
    seen, wrongs = search(Rules(proves_absence=is_absent))
    assert not wrongs
    assert any(world.taken and world.proofs and not world.resends for world in seen)


@pytest.mark.parametrize(
    "too_little", [is_over, lambda world: not world.taken], ids=["no echo alone", "a worker may still be sending"]
)
def test_the_search_finds_the_double_send_of_a_proof_that_is_none(too_little: Callable[[World], bool]):
    _, wrongs = search(Rules(proves_absence=too_little))
    assert Wrong.SENT_TWICE in wrongs


@pytest.mark.parametrize("what", BROKEN)
def test_the_search_catches(what: str):
    rules, expected = BROKEN[what]
    _, wrongs = search(rules)
    assert expected in wrongs


@pytest.mark.parametrize(
    ("state", "step", "mistake", "expected"),
    [
        (State.WIRE, Step.DUE, State.QUEUED, Wrong.SENT_TWICE),
        (State.SCHEDULED, Step.DUE, State.SCHEDULED, Wrong.STRANDED),
        (State.WIRE, Step.LEASE_OVER, State.QUEUED, Wrong.SENT_TWICE),
        (State.UNKNOWN, Step.GIVEN_UP, State.QUEUED, Wrong.SENT_TWICE),
        (State.UNKNOWN, Step.CLAIM, State.CLAIMED, Wrong.SENT_TWICE),
        (State.UNCONFIRMED, Step.CLAIM, State.CLAIMED, Wrong.SENT_TWICE),
        (State.ACCEPTED, Step.CLAIM, State.CLAIMED, Wrong.SENT_TWICE),
        (State.WIRE, Step.REAPED, State.WIRE, Wrong.STRANDED),
        (State.UNKNOWN, Step.GIVEN_UP, State.UNKNOWN, Wrong.STRANDED),
        (State.CLAIMED, Step.LEASE_OVER, State.CLAIMED, Wrong.STRANDED),
        (State.WIRE, Step.UNKNOWN, State.ACCEPTED, Wrong.NEVER_SENT),
        (State.UNKNOWN, Step.GIVEN_UP, State.FAILED, Wrong.FALSE_FAILED),
        (State.WIRE, Step.REAPED, State.EXPIRED, Wrong.FALSE_FAILED),
    ],
)
def test_the_search_finds_what_a_wrong_rule_does(state: State, step: Step, mistake: State, expected: Wrong):
    _, wrongs = search(Rules(transition=mistaken(state, step, mistake)))
    assert expected in wrongs


# --- single steps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.FAILED, State.EXPIRED, State.UNCONFIRMED])
def test_what_was_not_confirmed_goes_out_again_by_a_person_only(state: State) -> None:
    ways_back = {step for step in Step if after(state, step) is State.QUEUED}
    assert ways_back - {Step.RESENT_ON_PROOF} == {Step.RESENT_BY_HUMAN}
    assert (Step.RESENT_ON_PROOF in ways_back) is (state is State.UNCONFIRMED)
    assert after(state, Step.DISCARDED_BY_HUMAN) is State.CANCELLED


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SENT, State.DELIVERED, State.READ])
def test_what_is_settled_moves_by_echoes_only(state: State) -> None:
    assert [step for step in Step if after(state, step) is not None and step not in ECHOES] == []


@pytest.mark.parametrize(("state", "echo"), list(product(State, ECHOES)))
def test_an_echo_never_lowers_the_public_status(state: State, echo: Step) -> None:
    height = {Status.PENDING: 0, Status.SENT: 1, Status.FAILED: 2, Status.DELIVERED: 3, Status.READ: 4}
    seen = after(state, echo)
    if seen is not None and state not in (State.EXPIRED, State.CANCELLED):
        assert height[PUBLIC[seen]] >= height[PUBLIC[state]]


@pytest.mark.parametrize("state", [State.WIRE, State.UNKNOWN, State.UNCONFIRMED, State.EXPIRED, State.CANCELLED])
def test_an_echo_is_proof_in_every_state(state: State) -> None:
    assert after(state, Step.ECHO_DELIVERED) is State.DELIVERED


def test_a_message_that_may_have_touched_the_wire_never_goes_back_to_the_queue_by_itself() -> None:
    for state in (State.UNKNOWN, State.UNCONFIRMED, State.ACCEPTED):
        for step in set(Step) - {Step.RESENT_BY_HUMAN, Step.RESENT_ON_PROOF}:
            assert after(state, step) not in (State.QUEUED, State.CLAIMED, State.WIRE)


def test_front_ends_are_told_one_of_five_words_in_every_state() -> None:
    assert set(PUBLIC) == set(State)
    assert set(PUBLIC.values()) == set(Status) - {Status.RECEIVED}


# --- op ids -----------------------------------------------------------------------------------------------------------


@given(st.uuids(), st.integers(min_value=0, max_value=2**31))
def test_an_op_id_comes_back_as_it_went(message_id: UUID, attempt: int) -> None:
    op = OpId(MessageId(message_id), attempt)
    assert OpId.parse(str(op)) == op


@pytest.mark.parametrize("foreign", [None, "", "1:", "2:x:1", f"1:{UUID(int=1)}", f"1:{UUID(int=1)}:x", "abc", "1:x:1"])
def test_what_we_did_not_write_is_no_op_id(foreign: str | None) -> None:
    assert OpId.parse(foreign) is None


@given(st.text())
def test_any_text_is_read_without_failing(foreign: str) -> None:
    OpId.parse(foreign)
    OpId.parse(f"1:{foreign}")
