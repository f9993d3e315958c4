"""Everything that can happen to one message: the API, the row, two workers, WhatsApp, a person; and all crashes.

Small enough to be explored exhaustively. `Rules` are what the code keeps to beside its transition function; breaking
one of them is a mistake that other systems make.
"""

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.messages import Status
from inbox.domain.outbound import PUBLIC, State, Step, after

Transition = Callable[[State, Step], State | None]

ECHOES: Final = (Step.ECHO_SENT, Step.ECHO_DELIVERED, Step.ECHO_READ, Step.ECHO_FAILED)
MOST_CLAIMS: Final = 3
MOST_HUMANS: Final = 1
ENDS: Final = frozenset(
    {
        State.ACCEPTED,
        State.SENT,
        State.DELIVERED,
        State.READ,
        State.FAILED,
        State.EXPIRED,
        State.CANCELLED,
        State.UNCONFIRMED,
    }
)
"""Where a message may stay: what became of it is known, or a person is shown that it is not."""
_NOT_TAKEN: Final[tuple[Step, ...]] = (
    Step.NOTHING_SENT,
    Step.TRY_LATER,
    Step.ACCOUNT_PROBLEM,
    Step.REFUSED,
    Step.UNKNOWN,
)
_TAKEN: Final[tuple[Step, ...]] = (Step.ACCEPTED, Step.UNKNOWN)
_TIME: Final = (Step.DUE, Step.WINDOW_CLOSED, Step.LEASE_OVER, Step.REAPED, Step.GIVEN_UP, Step.EXPIRED)
_GIVEN_UP: Final = frozenset({State.FAILED, State.EXPIRED, State.CANCELLED})


class Wrong(StrEnum):
    """What may never be."""

    SENT_TWICE = "sent twice without a person"
    LOST = "answered, and never stored"
    STRANDED = "with all workers dead, time alone does not bring it to an end"
    NEVER_SENT = "shown as sent, and WhatsApp never took it"
    FALSE_FAILED = "shown as failed by the service, and WhatsApp took it"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """As they are in the product, unless said otherwise."""

    transition: Transition = after
    has_fence: bool = True
    """The row says `wire` before the call begins; else together with the outcome."""
    checks_token: bool = True
    """A worker whose claim is over writes nothing."""
    commits_first: bool = True
    """The API answers when the row is stored, not before."""
    calls_once: bool = True
    """Whatever comes of a call, the worker does not repeat it under the same claim."""
    proves_absence: "Callable[[World], bool]" = lambda _: False
    """Whether the service itself sends once more what is unconfirmed: switched off."""


class Api(StrEnum):
    """The request that makes the message."""

    ASKED = "asked"
    ANSWERED_EARLY = "answered early"
    STORED = "stored"
    DIED = "died"
    DIED_AFTER_ANSWER = "died after its answer"


class Worker(msgspec.Struct, frozen=True):
    """What one process believes. Its claim may be long over. `is_taken` None: the call to WhatsApp still runs."""

    token: int = 0
    is_past_fence: bool = False
    is_taken: bool | None = None


IDLE: Final = Worker()


class World(msgspec.Struct, frozen=True):
    """The row, two workers, and what really happened: how often WhatsApp took the message, and what people decided."""

    api: Api = Api.ASKED
    state: State = State.SCHEDULED
    token: int = 0
    claims: int = 0
    workers: tuple[Worker, Worker] = (IDLE, IDLE)
    taken: int = 0
    resends: int = 0
    proofs: int = 0
    has_person: bool = False
    has_failed_there: bool = False


def is_over(world: World) -> bool:
    """No call to WhatsApp runs."""
    return not any(worker.is_past_fence and worker.is_taken is None for worker in world.workers)


def is_absent(world: World) -> bool:
    """What `domain.absence` demands, if the canaries are right: nothing was taken, and nothing can be any more."""
    return not world.taken and not world.resends and not world.proofs and is_over(world)


def search(rules: Rules) -> tuple[set[World], dict[Wrong, World]]:
    """All worlds that can be reached, and of each kind that may not be the first. Two sends are the end of a path."""
    start = World()
    seen, waiting = {start}, deque([start])
    wrongs: dict[Wrong, World] = {}
    while waiting:
        world = waiting.popleft()
        wrong = _wrong(world, rules)
        if wrong is not None:
            wrongs.setdefault(wrong, world)
        if wrong is Wrong.SENT_TWICE:
            continue
        for following in _moves(world, rules):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return seen, wrongs


def _wrong(world: World, rules: Rules) -> Wrong | None:
    if world.api is not Api.STORED:
        return Wrong.LOST if world.api is Api.DIED_AFTER_ANSWER else None
    if world.taken > 1 + world.resends:
        return Wrong.SENT_TWICE
    if not _ends(world.state, rules.transition):
        return Wrong.STRANDED
    if not world.taken and PUBLIC[world.state] in {Status.SENT, Status.DELIVERED, Status.READ}:
        return Wrong.NEVER_SENT
    if world.taken and world.state in _GIVEN_UP and not (world.has_person or world.has_failed_there):
        return Wrong.FALSE_FAILED
    return None


def _ends(state: State, transition: Transition, passed: frozenset[State] = frozenset()) -> bool:
    """Whether time alone, whatever it does first, brings the message to an end."""
    if state in ENDS:
        return True
    following = {moved for step in _TIME if (moved := transition(state, step)) is not None}
    passed |= {state}
    return bool(following) and not following & passed and all(_ends(one, transition, passed) for one in following)


# --- moves ------------------------------------------------------------------------------------------------------------


def _moves(world: World, rules: Rules) -> Iterator[World]:
    if world.api is not Api.STORED:
        yield from _of_api(world, rules)
        return
    for place in (0, 1):
        yield from _of_worker(world, place, rules)
    for step in (*_TIME, Step.CANCELLED, *(ECHOES if world.taken else ())):
        state = rules.transition(world.state, step)
        if state is not None:
            failed = world.has_failed_there or step is Step.ECHO_FAILED
            yield msgspec.structs.replace(world, state=state, has_failed_there=failed)
    again = rules.transition(world.state, Step.RESENT_ON_PROOF)
    if again is not None and world.proofs < MOST_HUMANS and rules.proves_absence(world):
        yield msgspec.structs.replace(world, state=again, proofs=world.proofs + 1)
    for step in (Step.RESENT_BY_HUMAN, Step.DISCARDED_BY_HUMAN):
        state = rules.transition(world.state, step)
        if state is not None and world.resends < MOST_HUMANS:
            resends = world.resends + (step is Step.RESENT_BY_HUMAN)
            yield msgspec.structs.replace(world, state=state, resends=resends, has_person=True)


def _of_api(world: World, rules: Rules) -> Iterator[World]:
    """The commit, the answer, and a death before or between."""
    if world.api in {Api.ASKED, Api.ANSWERED_EARLY}:
        died = Api.DIED if world.api is Api.ASKED else Api.DIED_AFTER_ANSWER
        yield msgspec.structs.replace(world, api=Api.STORED)
        yield msgspec.structs.replace(world, api=died)
    if world.api is Api.ASKED and not rules.commits_first:
        yield msgspec.structs.replace(world, api=Api.ANSWERED_EARLY)


def _of_worker(world: World, place: int, rules: Rules) -> Iterator[World]:
    """A claim, the fence, the call, and the report of its outcome. A worker may die at any point."""
    worker = world.workers[place]
    if worker == IDLE:
        claimed = rules.transition(world.state, Step.CLAIM)
        if claimed is not None and world.claims < MOST_CLAIMS:
            token = world.claims + 1
            yield _with(world, place, Worker(token), state=claimed, token=token, claims=token)
        return
    yield _with(world, place, IDLE)
    if worker.is_past_fence and worker.is_taken is None:
        yield _with(world, place, msgspec.structs.replace(worker, is_taken=False))
        yield _with(world, place, msgspec.structs.replace(worker, is_taken=True), taken=world.taken + 1)
        return
    if worker.is_past_fence and not rules.calls_once:
        yield _with(world, place, msgspec.structs.replace(worker, is_taken=None))
    if worker.token == world.token or not rules.checks_token:
        yield from _writes(world, place, rules)


def _writes(world: World, place: int, rules: Rules) -> Iterator[World]:
    """What a worker may write while the row still has its token."""
    worker = world.workers[place]
    if worker.is_past_fence:
        reports = _TAKEN if worker.is_taken else _NOT_TAKEN
    else:
        reports = (Step.NOTHING_SENT,)
        on_wire = rules.transition(world.state, Step.TO_WIRE)
        if on_wire is not None:
            behind = msgspec.structs.replace(worker, is_past_fence=True)
            yield _with(world, place, behind, state=on_wire if rules.has_fence else world.state)
    is_late = worker.is_past_fence and not rules.has_fence and world.state is State.CLAIMED
    for report in reports:
        settled = rules.transition(State.WIRE if is_late else world.state, report)
        if settled is not None:
            yield _with(world, place, IDLE, state=settled)


def _with(world: World, place: int, worker: Worker, **changes: object) -> World:
    one, other = world.workers
    return msgspec.structs.replace(world, workers=(worker, other) if place == 0 else (one, worker), **changes)
