"""The life of an outbound message: no path sends it twice unless a person says so."""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import product
from typing import Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.ids import MessageId
from inbox.domain.messages import Status
from inbox.domain.outbound import PUBLIC, OpId, State, Step, after

Transition = Callable[[State, Step], State | None]

ECHOES: Final = (Step.ECHO_SENT, Step.ECHO_DELIVERED, Step.ECHO_READ, Step.ECHO_FAILED)
NOT_TAKEN: Final[tuple[Step, ...]] = (
    Step.NOTHING_SENT,
    Step.TRY_LATER,
    Step.ACCOUNT_PROBLEM,
    Step.REFUSED,
    Step.UNKNOWN,
)
TAKEN: Final[tuple[Step, ...]] = (Step.ACCEPTED, Step.UNKNOWN)
ANYTIME: Final = (Step.LEASE_OVER, Step.REAPED, Step.GIVEN_UP, Step.EXPIRED, Step.CANCELLED)
MOST_CLAIMS: Final = 3
MOST_HUMANS: Final = 1


class Worker(msgspec.Struct, frozen=True):
    """What one process believes. Its claim may be long over. `is_taken` None: the call to WhatsApp still runs."""

    token: int = 0
    is_past_fence: bool = False
    is_taken: bool | None = None


IDLE: Final = Worker()


class World(msgspec.Struct, frozen=True):
    """The row, two workers, and what really happened: how often WhatsApp took the message."""

    state: State = State.QUEUED
    token: int = 0
    claims: int = 0
    workers: tuple[Worker, Worker] = (IDLE, IDLE)
    taken: int = 0
    resends: int = 0


def with_worker(world: World, place: int, worker: Worker, **changes: object) -> World:
    one, other = world.workers
    return msgspec.structs.replace(world, workers=(worker, other) if place == 0 else (one, worker), **changes)


def moves_of_worker(world: World, place: int, transition: Transition) -> Iterator[World]:
    """A claim, the fence, the call, and the report of its outcome. A worker may die at any point."""
    worker = world.workers[place]
    if worker == IDLE:
        claimed = transition(world.state, Step.CLAIM)
        if claimed is not None and world.claims < MOST_CLAIMS:
            token = world.claims + 1
            yield with_worker(world, place, Worker(token), state=claimed, token=token, claims=token)
        return
    yield with_worker(world, place, IDLE)
    if worker.is_past_fence and worker.is_taken is None:
        yield with_worker(world, place, msgspec.structs.replace(worker, is_taken=False))
        yield with_worker(world, place, msgspec.structs.replace(worker, is_taken=True), taken=world.taken + 1)
    elif worker.token == world.token:
        yield from writes_of_worker(world, place, transition)


def writes_of_worker(world: World, place: int, transition: Transition) -> Iterator[World]:
    """What a worker may write while the row still has its token."""
    worker = world.workers[place]
    if worker.is_past_fence:
        reports = TAKEN if worker.is_taken else NOT_TAKEN
    else:
        reports = (Step.NOTHING_SENT,)
        on_wire = transition(world.state, Step.TO_WIRE)
        if on_wire is not None:
            yield with_worker(world, place, msgspec.structs.replace(worker, is_past_fence=True), state=on_wire)
    for report in reports:
        settled = transition(world.state, report)
        if settled is not None:
            yield with_worker(world, place, IDLE, state=settled)


def moves(world: World, transition: Transition) -> Iterator[World]:
    for place in (0, 1):
        yield from moves_of_worker(world, place, transition)
    for step in (*ANYTIME, *(ECHOES if world.taken else ())):
        state = transition(world.state, step)
        if state is not None:
            yield msgspec.structs.replace(world, state=state)
    for step in (Step.RESENT_BY_HUMAN, Step.DISCARDED_BY_HUMAN):
        state = transition(world.state, step)
        if state is not None and world.resends < MOST_HUMANS:
            resends = world.resends + (step is Step.RESENT_BY_HUMAN)
            yield msgspec.structs.replace(world, state=state, resends=resends)


def search(transition: Transition) -> tuple[set[World], World | None]:
    """All worlds that can be reached, and the first in which a message was sent once too often."""
    start = World()
    seen, waiting = {start}, deque([start])
    while waiting:
        world = waiting.popleft()
        if world.taken > 1 + world.resends:
            return seen, world
        for following in moves(world, transition):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return seen, None


def test_no_path_sends_twice_without_a_person() -> None:
    seen, twice = search(after)
    assert twice is None
    assert {world.state for world in seen} == set(State)
    assert any(world.taken == 2 and world.resends == 1 for world in seen)


@pytest.mark.parametrize(
    ("state", "step", "mistake"),
    [
        (State.WIRE, Step.REAPED, State.QUEUED),
        (State.WIRE, Step.LEASE_OVER, State.QUEUED),
        (State.WIRE, Step.UNKNOWN, State.QUEUED),
        (State.UNKNOWN, Step.GIVEN_UP, State.QUEUED),
        (State.UNKNOWN, Step.CLAIM, State.CLAIMED),
        (State.UNCONFIRMED, Step.CLAIM, State.CLAIMED),
        (State.ACCEPTED, Step.CLAIM, State.CLAIMED),
    ],
)
def test_the_search_finds_the_double_send_of_a_wrong_rule(state: State, step: Step, mistake: State) -> None:
    def wrong(now: State, happened: Step) -> State | None:
        return mistake if (now, happened) == (state, step) else after(now, happened)

    assert search(wrong)[1] is not None


# --- single steps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.FAILED, State.EXPIRED, State.UNCONFIRMED])
def test_what_was_not_confirmed_goes_out_again_by_a_person_only(state: State) -> None:
    ways_back = [step for step in Step if after(state, step) is State.QUEUED]
    assert ways_back == [Step.RESENT_BY_HUMAN]
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
        for step in set(Step) - {Step.RESENT_BY_HUMAN}:
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
