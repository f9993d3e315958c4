"""The comparison can fail: each of these doctored worlds must be noticed, and for the right reason."""

from collections.abc import Callable

import msgspec
import pytest

from .books import Evidence, Fault, Found, Row, Sent, compared
from .plan import Plan, Said, said_in, text_of

PLAN = Plan(seed=3, sends=84, conversations=42)
HERE, NOWHERE = 0, 39
"""A conversation like others, and that of a customer without WhatsApp."""


def _id(said: Said) -> str:
    return f"id-{said.conversation}-{said.place}"


def _sent(said: Said) -> Sent:
    number, customer = PLAN.number(said.conversation).id, PLAN.customer(said.conversation)
    return Sent(f"wamid.{_id(said)}", _id(said), number, customer, text_of(said))


def _row(said: Said) -> Row:
    number, customer = PLAN.number(said.conversation).id, PLAN.customer(said.conversation)
    failed = said.conversation == NOWHERE
    return Row(
        id=_id(said),
        number=number,
        customer=customer,
        text=text_of(said),
        status="failed" if failed else "read",
        state="failed" if failed else "read",
        reason="Message non distribuable." if failed else None,
        wamid=f"wamid.{_id(said)}",
    )


ALL = [Said(n, place) for n in range(PLAN.conversations) for place in range(PLAN.length(n))]
SOUND = Evidence(
    sends=[_sent(said) for said in ALL],
    rows=[_row(said) for said in ALL],
    answers={said: {_id(said)} for said in ALL},
    unknown=frozenset({_id(ALL[0])}),
)
FIRST, SECOND = ALL[0], ALL[1]
Doctor = Callable[[Evidence], Evidence]


def row(said: Said, **changes: object) -> Doctor:
    """The row of a message looks different."""
    rows = [msgspec.structs.replace(r, **changes) if r.id == _id(said) else r for r in SOUND.rows]
    return lambda e: msgspec.structs.replace(e, rows=rows)


def never_taken(said: Said, **changes: object) -> Doctor:
    """WhatsApp never had the message, and its row looks different."""
    sends = [sent for sent in SOUND.sends if sent.message_id != _id(said)]
    return lambda e: msgspec.structs.replace(row(said, **changes)(e), sends=sends)


def world(**changes: object) -> Doctor:
    return lambda e: msgspec.structs.replace(e, **changes)


def again(said: Said, **changes: object) -> Doctor:
    return world(sends=[*SOUND.sends, msgspec.structs.replace(_sent(said), wamid="wamid.again", **changes)])


def told(*ids: str) -> Doctor:
    return world(answers={**SOUND.answers, FIRST: set(ids)})


UNCONFIRMED = {"status": "pending", "state": "unconfirmed", "wamid": None}
DOCTORED: dict[str, tuple[Fault, Doctor]] = {
    "a message is taken twice": (Fault.DUPLICATES, again(FIRST)),
    "a customer gets one text under two ids": (Fault.DUPLICATES, again(FIRST, message_id=_id(SECOND))),
    "a message has two rows": (Fault.DUPLICATES, world(rows=[*SOUND.rows, _row(FIRST)])),
    "a status found no message": (Fault.LOST, world(parked=[f"1:{_id(FIRST)}:1"])),
    "one key is answered with two ids": (Fault.DUPLICATES, told(_id(FIRST), "another")),
    "a message has no row": (Fault.LOST, world(rows=SOUND.rows[1:])),
    "a message was answered with the id of nothing": (Fault.LOST, told("another")),
    "a message is shown as sent and was never taken": (Fault.LOST, never_taken(FIRST)),
    "a message is called sent because it was accepted for nobody": (
        Fault.LOST,
        row(Said(NOWHERE, 0), status="sent", state="sent"),
    ),
    "a message waits for ever": (Fault.LOST, never_taken(FIRST, status="pending", state="queued")),
    "a message stays on the wire": (Fault.LOST, row(FIRST, status="pending", state="wire")),
    "nobody gives the unknown message to a person": (Fault.LOST, row(FIRST, status="pending", state="unknown")),
    "a message is in no outbox": (Fault.LOST, never_taken(FIRST, status="pending", state=None)),
    "a message that is shown as failed is not at its end": (Fault.LOST, never_taken(FIRST, status="failed")),
    "an unconfirmed message is shown as sent": (Fault.LOST, row(FIRST, state="unconfirmed")),
    "a message fails without a reason": (Fault.LOST, never_taken(FIRST, status="failed", state="failed")),
    "a message has the wamid of another": (Fault.LOST, row(FIRST, wamid="wamid.another")),
    "something is taken that has no row": (Fault.LOST, again(FIRST, message_id="another")),
    "another text than ours is taken": (Fault.LOST, row(FIRST, text=text_of(Said(7, 7)))),
    "another customer gets the message": (Fault.LOST, row(FIRST, customer="33600000000")),
    "another number sends the message": (Fault.LOST, row(FIRST, number="1")),
    "a message is called failed and was received": (Fault.FALSE_FAILED, row(FIRST, status="failed", state="failed")),
    "a message expires and was received": (Fault.FALSE_FAILED, row(FIRST, status="failed", state="expired")),
    "a message overtakes another": (
        Fault.ORDER,
        world(sends=[*SOUND.sends[2:], *reversed(SOUND.sends[:2])]),
    ),
}


def _found(doctor: Doctor = lambda e: e) -> Found:
    return compared(PLAN, doctor(SOUND))


def test_a_sound_world_gets_no_complaint() -> None:
    found = _found()
    assert not found.counts, found
    assert (found.unknown, found.ambiguous, found.closed, found.unconfirmed) == (1, 1, 1, 0)


@pytest.mark.parametrize("what", DOCTORED)
def test_the_books_notice_when(what: str) -> None:
    fault, doctor = DOCTORED[what]
    found = _found(doctor)
    assert found.counts[fault] > 0, found


@pytest.mark.parametrize("changes", [UNCONFIRMED, {"status": "failed", "state": "expired", "reason": "expired"}])
def test_a_message_that_was_never_taken_may_end_before_a_person(changes: dict[str, object]) -> None:
    found = _found(never_taken(FIRST, **changes))
    assert not found.counts, found
    assert (found.unknown, found.ambiguous) == (1, 0)


def test_a_message_that_was_taken_and_stays_unconfirmed_is_ambiguous_and_not_closed() -> None:
    found = _found(row(FIRST, **UNCONFIRMED))
    assert not found.counts, found
    assert (found.ambiguous, found.closed, found.unconfirmed) == (1, 0, 1)


def test_the_plan_says_so_many_messages_and_each_is_known_by_its_text() -> None:
    plan = Plan(seed=1, sends=1_003, conversations=50)
    all_said = [Said(n, place) for n in range(plan.conversations) for place in range(plan.length(n))]
    assert len(all_said) == plan.sends
    assert [said_in(text_of(said)) for said in all_said] == all_said
    assert said_in("Bonjour") is None
    assert len({plan.key(said) for said in all_said}) == plan.sends
