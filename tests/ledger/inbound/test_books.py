"""The comparison can fail: each of these doctored databases must be noticed, and for the right reason."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from .batches import Batch, windows
from .books import WINDOW, Books, Fault, Found, HeardRow, ReactedRow, SaidRow, Talk, owns_of
from .items import RANK, Heard, Plan, Reacted, Said, expected, moment, own_wamid, own_words

PLAN = Plan(seed=3, items=40, base=1_700_000_000, customers=4)
QUIET = datetime(2020, 1, 1, tzinfo=UTC)
ROWS = [expected(PLAN, n) for n in range(PLAN.items)]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a database would hold."""

    said: list[SaidRow]
    heard: list[HeardRow]
    reacted: list[ReactedRow]
    shown: dict[str, str | None]
    talks: list[Talk]
    strangers: int = 0


def _talk(number: str, customer: str, times: list[int]) -> Talk:
    newest = moment(max(times))
    return Talk(number, customer, customer, len(times), newest, newest, newest + WINDOW)


def _last_reactions() -> list[ReactedRow]:
    reactions = sorted((row for row in ROWS if isinstance(row, Reacted)), key=lambda row: (row.at, row.wamid))
    last = {row.target: row for row in reactions}
    return [ReactedRow(r.target, r.number, r.customer, r.wamid, r.emoji, moment(r.at)) for r in last.values()]


def _sound() -> World:
    said = [row for row in ROWS if isinstance(row, Said)]
    written: dict[tuple[str, str], list[int]] = {}
    for row in said:
        written.setdefault((row.number, row.customer), []).append(row.at)
    return World(
        said=[SaidRow(r.wamid, r.number, r.number, r.customer, r.customer, moment(r.at), r.kind, r.text) for r in said],
        heard=[
            HeardRow(r.wamid, r.number, r.customer, moment(r.at), r.word, r.wamid) for r in ROWS if isinstance(r, Heard)
        ],
        reacted=_last_reactions(),
        shown={own_wamid(own): max(("sent", *own_words(PLAN, own)), key=RANK.__getitem__) for own in owns_of(PLAN)},
        talks=[_talk(*owner, times) for owner, times in written.items()],
    )


SOUND = _sound()
FIRST, TALK = SOUND.said[0], SOUND.talks[0]
STATUS = SOUND.heard[0]
OTHER_NUMBER = next(row.number for row in SOUND.said if row.number != FIRST.number)
Doctor = Callable[[World], World]


def said(**changes: object) -> Doctor:
    """The first message of a customer looks different."""
    return lambda w: msgspec.structs.replace(w, said=[msgspec.structs.replace(FIRST, **changes), *w.said[1:]])


def heard(**changes: object) -> Doctor:
    return lambda w: msgspec.structs.replace(w, heard=[msgspec.structs.replace(STATUS, **changes), *w.heard[1:]])


def reacted(**changes: object) -> Doctor:
    return lambda w: msgspec.structs.replace(
        w, reacted=[msgspec.structs.replace(SOUND.reacted[0], **changes), *w.reacted[1:]]
    )


def talk(**changes: object) -> Doctor:
    return lambda w: msgspec.structs.replace(w, talks=[msgspec.structs.replace(TALK, **changes), *w.talks[1:]])


def world(**changes: object) -> Doctor:
    return lambda w: msgspec.structs.replace(w, **changes)


DOCTORED: dict[str, tuple[Fault, Doctor]] = {
    "a message is missing": (Fault.LOST, world(said=SOUND.said[1:])),
    "a message is there twice": (Fault.DUPLICATED, world(said=[*SOUND.said, FIRST])),
    "a message is there that nobody offered": (Fault.DUPLICATED, said(wamid="wamid.in.000000009")),
    "a row lies outside of all that was offered": (Fault.DUPLICATED, world(strangers=1)),
    "a message is in the other account": (Fault.MISATTRIBUTED, said(number=OTHER_NUMBER)),
    "a message is in a conversation of the other account": (Fault.MISATTRIBUTED, said(talk=OTHER_NUMBER)),
    "a message is in no conversation": (Fault.MISATTRIBUTED, said(talk=None, customer=None, contact=None)),
    "a message is in the conversation of another customer": (Fault.MISATTRIBUTED, said(customer="1")),
    "a message belongs to another contact": (Fault.MISATTRIBUTED, said(contact="1")),
    "a message has the time of its processing": (Fault.MISATTRIBUTED, said(at=datetime.now(UTC))),
    "a message is of another kind": (Fault.MISATTRIBUTED, said(kind="sticker")),
    "a status is missing": (Fault.LOST, world(heard=SOUND.heard[1:])),
    "a status is there twice": (Fault.DUPLICATED, world(heard=[*SOUND.heard, STATUS])),
    "a status is parked although its message is there": (Fault.LOST, heard(own=None)),
    "a status belongs to another message": (Fault.MISATTRIBUTED, heard(own="wamid.own.000000099")),
    "a status names another number": (Fault.MISATTRIBUTED, heard(number="1")),
    "a reaction is missing": (Fault.LOST, world(reacted=SOUND.reacted[1:])),
    "a reaction is there twice": (Fault.DUPLICATED, world(reacted=[*SOUND.reacted, SOUND.reacted[0]])),
    "a reaction is of another customer": (Fault.MISATTRIBUTED, reacted(customer="1")),
    "a reaction is in the other account": (Fault.MISATTRIBUTED, reacted(number="1")),
    "an earlier reaction is shown": (Fault.REGRESSION, reacted(emoji="\N{GRINNING FACE}")),
    "a message of ours shows less than was said": (
        Fault.REGRESSION,
        world(shown={**SOUND.shown, own_wamid(0): "pending"}),
    ),
    "a message of ours is missing": (Fault.REGRESSION, world(shown={})),
    "one message too many is unread": (Fault.UNREAD, talk(unread=TALK.unread + 1)),
    "one message too few is unread": (Fault.UNREAD, talk(unread=TALK.unread - 1)),
    "a conversation is older than its last message": (Fault.UNREAD, talk(updated_at=QUIET)),
    "the window closes too late": (Fault.UNREAD, talk(window_expires_at=TALK.updated_at + timedelta(hours=25))),
    "the last message of a customer is unknown": (Fault.UNREAD, talk(last_inbound_at=None)),
    "a conversation is missing": (Fault.LOST, world(talks=SOUND.talks[1:])),
    "a conversation belongs to another contact": (Fault.MISATTRIBUTED, talk(contact="1")),
    "a conversation of somebody who did not write has something to read": (
        Fault.UNREAD,
        world(talks=[*SOUND.talks, Talk(FIRST.number or "", "1", "1", 1, QUIET, None, None)]),
    ),
}


def _found(world: World) -> Found:
    books = Books(PLAN)
    books.compare_slice(range(PLAN.items), world.said, world.heard, world.reacted)
    books.compare_shown(owns_of(PLAN), world.shown)
    books.compare_talks(world.talks, QUIET)
    books.strangers(len(world.said) + len(world.heard) + len(world.reacted) + world.strangers)
    return books.found


def test_a_sound_database_gets_no_complaint() -> None:
    assert not _found(SOUND).counts, _found(SOUND)


@pytest.mark.parametrize("what", DOCTORED)
def test_the_books_notice_when(what: str) -> None:
    fault, doctor = DOCTORED[what]
    found = _found(doctor(SOUND))
    assert found.counts[fault] > 0, found


def test_a_text_of_another_message_is_noticed() -> None:
    place = next(n for n, row in enumerate(SOUND.said) if row.text)
    doctored = [*SOUND.said]
    doctored[place] = msgspec.structs.replace(SOUND.said[place], text="Autre chose")
    assert _found(msgspec.structs.replace(SOUND, said=doctored)).counts[Fault.MISATTRIBUTED] == 1


def _offered(plan: Plan) -> list[Batch]:
    return [batch for _, batches in windows(plan) for batch in batches]


def test_every_item_is_offered_and_many_of_them_twice() -> None:
    plan = msgspec.structs.replace(PLAN, items=12_000)
    numbers = [n for batch in _offered(plan) for n in batch.numbers]
    assert {n for n in numbers if n >= 0} == set(range(plan.items))
    assert len(numbers) > 1.05 * plan.items


def test_some_messages_are_offered_as_unreadable_too() -> None:
    plan = msgspec.structs.replace(PLAN, items=2_000)
    placeholders = {~n for batch in _offered(plan) for n in batch.numbers if n < 0}
    assert len(placeholders) > 20
    assert all(isinstance(expected(plan, n), Said) for n in placeholders)


def test_the_same_start_number_makes_the_same_bodies_and_another_one_others() -> None:
    bodies = [[batch.body(plan) for batch in _offered(plan)] for plan in (PLAN, PLAN)]
    assert bodies[0] == bodies[1]
    other = msgspec.structs.replace(PLAN, seed=PLAN.seed + 1)
    assert [batch.body(other) for batch in _offered(other)] != bodies[0]
