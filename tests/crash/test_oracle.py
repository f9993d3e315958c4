"""The oracle can fail: each of these doctored worlds must be noticed, and for the right reason."""

from collections.abc import Callable

import msgspec
import pytest

from .oracle import Books, Evidence, Inbound, Offered, Outbound, Posted, Rows, Sent, complaints

ANNA, MARC = "33600000001", "33600000002"
QUESTION = Offered("wamid.in.1", ANNA, "Question un")
HELLO = Offered("wamid.in.2", MARC, "Question deux")
ANSWER = Outbound(
    id="m1",
    customer=ANNA,
    author="bot",
    text="Vous avez écrit : Question un",
    status="read",
    state="read",
    attempt=1,
    wamid="wamid.out.1",
    trigger=QUESTION.wamid,
)
NOTE = Outbound(
    id="m2",
    customer=MARC,
    author="human",
    text="Bonjour, ici Léa",
    status="delivered",
    state="delivered",
    attempt=1,
    wamid="wamid.out.2",
    key="key-1",
)
LOST_ONE = msgspec.structs.replace(NOTE, id="m3", key="key-2", state="unconfirmed", status="pending", wamid=None)
STATUSES = [("wamid.out.1", "sent"), ("wamid.out.1", "read"), ("wamid.out.2", "sent"), ("wamid.out.2", "delivered")]
SOUND = Evidence(
    books=Books(
        offered=[QUESTION, HELLO],
        sends=[Sent("wamid.out.1", "m1", 1, ANNA, ANSWER.text), Sent("wamid.out.2", "m2", 1, MARC, NOTE.text)],
        statuses=STATUSES,
    ),
    rows=Rows(
        inbound=[Inbound(QUESTION.wamid, ANNA), Inbound(HELLO.wamid, MARC)],
        outbound=[ANSWER, NOTE, LOST_ONE],
        unread={ANNA: 1, MARC: 1},
        statuses=STATUSES,
        shown=[("m1", "pending"), ("m1", "sent"), ("m1", "read"), ("m2", "sent"), ("m2", "delivered")],
        set_aside=0,
        bot_customers=frozenset({ANNA}),
    ),
    posts=[
        Posted(key="key-1", text=NOTE.text, answers=frozenset({"m2"})),
        Posted(key="key-2", text=NOTE.text, answers=frozenset({"m3"})),
    ],
    on_wire=frozenset({"m3"}),
)
Doctor = Callable[[Evidence], Evidence]


def books(**changes: object) -> Doctor:
    return lambda e: msgspec.structs.replace(e, books=msgspec.structs.replace(e.books, **changes))


def rows(**changes: object) -> Doctor:
    return lambda e: msgspec.structs.replace(e, rows=msgspec.structs.replace(e.rows, **changes))


def row(message_id: str, **changes: object) -> Doctor:
    """One of our messages looks different."""
    changed = [msgspec.structs.replace(r, **changes) if r.id == message_id else r for r in SOUND.rows.outbound]
    return rows(outbound=changed)


def again(send: Sent, **changes: object) -> Doctor:
    return books(sends=[*SOUND.books.sends, msgspec.structs.replace(send, wamid="wamid.out.9", **changes)])


_LATE = Offered("wamid.in.3", ANNA, "Question zéro")
_LATE_ROW = Inbound(_LATE.wamid, ANNA)
FIRST, SECOND = SOUND.books.sends
DOCTORED: dict[str, tuple[str, Doctor]] = {
    "a message of a customer is not stored": (
        "lost: message of a customer wamid.in.1 is not",
        rows(inbound=SOUND.rows.inbound[1:]),
    ),
    "a message of a customer is stored twice": (
        "doubled: message of a customer wamid.in.2 is stored more",
        rows(inbound=[*SOUND.rows.inbound, Inbound(HELLO.wamid, MARC)]),
    ),
    "a message that nobody wrote is stored": (
        "doubled: message of a customer x is stored more",
        rows(inbound=[*SOUND.rows.inbound, Inbound("x", MARC)]),
    ),
    "unread is counted twice": ("doubled: 33600000001 wrote 1 messages, 2 are", rows(unread={ANNA: 2, MARC: 1})),
    "unread is not counted": ("lost: 33600000001 wrote 1 messages, 0 are", rows(unread={ANNA: 0, MARC: 1})),
    "a delivery is in quarantine": ("lost: 1 deliveries or items were set aside", rows(set_aside=1)),
    "a status is not stored": ("lost: status ('wamid.out.1', 'sent') is not", rows(statuses=STATUSES[1:])),
    "a status is stored twice": (
        "doubled: status ('wamid.out.1', 'sent') is stored more",
        rows(statuses=[*STATUSES, STATUSES[0]]),
    ),
    "an answer is accepted twice": ("doubled: message m1 was accepted 2 times", again(FIRST)),
    "an answer is accepted twice, at the next attempt": (
        "doubled: message m2 was accepted 2 times",
        again(SECOND, attempt=2),
    ),
    "something is sent without a row": ("doubled: wamid.out.9 was sent without", again(SECOND, message_id="m9")),
    "another text than ours is sent": ("wrong: message m2 is not what was sent", row("m2", text="Autre chose")),
    "the wamid is not the one that was given": (
        "wrong: message m1 is not what was sent",
        row("m1", wamid="wamid.out.7"),
    ),
    "a message waits for ever": ("lost: message m2 never ended: queued", row("m2", state="queued")),
    "a message stays on the wire": ("lost: message m3 never ended: wire", row("m3", state="wire")),
    "nobody gives the unknown message to a person": (
        "lost: message m3 never ended: unknown",
        row("m3", state="unknown"),
    ),
    "a message is called sent and never was": (
        "lost: message m1 is read, and WhatsApp never got it",
        books(sends=[SECOND]),
    ),
    "a message is called failed and was sent": (
        "lost: message m2 is failed, at WhatsApp it is wamid.out.2",
        row("m2", state="failed"),
    ),
    "a message expires": ("lost: message m3 is expired, at WhatsApp it is unknown", row("m3", state="expired")),
    "an echo does not close the unconfirmed message": (
        "lost: message m3 is unconfirmed although its echo",
        again(SECOND, message_id="m3"),
    ),
    "a message is unconfirmed that was not on the wire": (
        "lost: message m3 is unconfirmed and was not on the wire",
        lambda e: msgspec.structs.replace(e, on_wire=frozenset()),
    ),
    "the status is lower than what WhatsApp said": (
        "wrong: message m1 shows sent, WhatsApp said read",
        row("m1", status="sent"),
    ),
    "the agent's message has no row": ("lost: the agent's message key-2 has no row", rows(outbound=[ANSWER, NOTE])),
    "the agent's message has two rows": (
        "doubled: the agent's message key-2 has 2 rows",
        rows(outbound=[*SOUND.rows.outbound, msgspec.structs.replace(LOST_ONE, id="m4")]),
    ),
    "a row by a person under a key that nobody used": (
        "doubled: 1 rows by people under the key key-9",
        row("m2", key="key-9"),
    ),
    "a repeated POST is answered with another id": (
        "wrong: the agent's message key-1 is not the row",
        lambda e: msgspec.structs.replace(
            e, posts=[msgspec.structs.replace(e.posts[0], answers=frozenset({"m2", "m8"})), e.posts[1]]
        ),
    ),
    "the bot has two rows for one message": (
        "doubled: 2 answers of the bot to wamid.in.1",
        rows(outbound=[*SOUND.rows.outbound, msgspec.structs.replace(ANSWER, id="m5")]),
    ),
    "the bot answers one message twice": (
        "doubled: 33600000001 got 2 answers to 'Question un'",
        again(FIRST, message_id="m5"),
    ),
    "a message that came late gets no answer": (
        "lost: 33600000001 got no answer to the last message",
        lambda e: books(offered=[_LATE, *e.books.offered])(rows(inbound=[*e.rows.inbound, _LATE_ROW])(e)),
    ),
    "the customer gets no answer": (
        "lost: 33600000001 got no answer to the last message",
        row("m1", trigger="wamid.in.0"),
    ),
    "messages overtake each other": (
        "wrong: 33600000002 got m0 after m2",
        lambda e: again(SECOND, message_id="m0")(rows(outbound=[_older(NOTE), *SOUND.rows.outbound])(e)),
    ),
    "a status goes down": (
        "wrong: message m1 went from read down to delivered",
        rows(shown=[*SOUND.rows.shown, ("m1", "delivered")]),
    ),
}


def _older(message: Outbound) -> Outbound:
    return msgspec.structs.replace(message, id="m0", wamid="wamid.out.9", key=None)


def test_a_sound_world_gets_no_complaint() -> None:
    assert complaints(SOUND) == []


@pytest.mark.parametrize("what", DOCTORED)
def test_the_oracle_complains_when(what: str) -> None:
    expected, doctor = DOCTORED[what]
    found = [str(complaint) for complaint in complaints(doctor(SOUND))]
    assert any(complaint.startswith(expected) for complaint in found), found
