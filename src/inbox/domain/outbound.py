"""The life of an outbound message, as one pure function.

The rule that everything serves: a message that may have touched the wire is never sent again by the service itself,
unless somebody switched that on, and then only once and on the proof that it never arrived (`domain.absence`).
"""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain import failure_texts
from inbox.domain.ids import MessageId
from inbox.domain.messages import Status


class State(StrEnum):
    """Where a message stands. `scheduled` waits for its time, `wire` is committed just before the first byte leaves."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    CLAIMED = "claimed"
    WIRE = "wire"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNCONFIRMED = "unconfirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What can happen to a message. The letters are the outcome classes of a send."""

    DUE = "due"
    WINDOW_CLOSED = "window_closed"
    CLAIM = "claim"
    LEASE_OVER = "lease_over"
    TO_WIRE = "to_wire"
    NOTHING_SENT = "N"
    TRY_LATER = "R"
    ACCOUNT_PROBLEM = "P"
    REFUSED = "F"
    ACCEPTED = "A"
    UNKNOWN = "U"
    REAPED = "reaped"
    GIVEN_UP = "given_up"
    ECHO_SENT = "echo_sent"
    ECHO_DELIVERED = "echo_delivered"
    ECHO_READ = "echo_read"
    ECHO_FAILED = "echo_failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RESENT_BY_HUMAN = "resent_by_human"
    RESENT_ON_PROOF = "resent_on_proof"
    DISCARDED_BY_HUMAN = "discarded_by_human"


PUBLIC: Final = {
    State.SCHEDULED: Status.PENDING,
    State.QUEUED: Status.PENDING,
    State.CLAIMED: Status.PENDING,
    State.WIRE: Status.PENDING,
    State.UNKNOWN: Status.PENDING,
    State.UNCONFIRMED: Status.PENDING,
    State.ACCEPTED: Status.SENT,
    State.SENT: Status.SENT,
    State.DELIVERED: Status.DELIVERED,
    State.READ: Status.READ,
    State.FAILED: Status.FAILED,
    State.EXPIRED: Status.FAILED,
    State.CANCELLED: Status.FAILED,
}
"""What front ends are told."""

NOT_SENT: Final = {
    State.EXPIRED: failure_texts.EXPIRED.sentence(),
    State.CANCELLED: failure_texts.OVERTAKEN.sentence(),
}
"""What an operator reads for a message that was given up before it was sent."""

DECIDED: Final = {
    Step.CANCELLED: failure_texts.CANCELLED.sentence(),
    Step.DISCARDED_BY_HUMAN: failure_texts.DISCARDED.sentence(),
}
"""What an operator reads for a message that a person gave up."""

LEASE: Final = timedelta(seconds=30)
REAP_AFTER: Final = timedelta(seconds=20)
"""`wire` this long becomes `unknown`; more than the 15 s that a send may take."""
UNCONFIRMED_AFTER: Final = timedelta(minutes=10)
UNCONFIRMED_AFTER_CODE: Final = timedelta(minutes=2)
"""For Graph codes 1 and 131000, which say that something went wrong."""
FOLLOWER_WAITS: Final = timedelta(seconds=15)
"""The next message of the conversation waits this long for one whose outcome is unknown."""
PAUSED_FOR: Final = timedelta(minutes=5)
"""An account at fault (its token, its permission) is left alone this long; then one message is tried."""
TTL_HUMAN: Final = timedelta(hours=4)
TTL_BOT: Final = timedelta(minutes=2)
TTL_TEMPLATE: Final = timedelta(hours=24)
WINDOW_MARGIN: Final = timedelta(seconds=60)

_ALLOWED: Final[dict[tuple[State, Step], State]] = {
    (State.SCHEDULED, Step.DUE): State.QUEUED,
    (State.SCHEDULED, Step.WINDOW_CLOSED): State.FAILED,
    (State.SCHEDULED, Step.EXPIRED): State.EXPIRED,
    (State.SCHEDULED, Step.CANCELLED): State.CANCELLED,
    (State.QUEUED, Step.CLAIM): State.CLAIMED,
    (State.QUEUED, Step.EXPIRED): State.EXPIRED,
    (State.QUEUED, Step.CANCELLED): State.CANCELLED,
    (State.CLAIMED, Step.LEASE_OVER): State.QUEUED,
    (State.CLAIMED, Step.TO_WIRE): State.WIRE,
    (State.CLAIMED, Step.NOTHING_SENT): State.QUEUED,
    (State.CLAIMED, Step.REFUSED): State.FAILED,
    (State.CLAIMED, Step.CANCELLED): State.CANCELLED,
    (State.WIRE, Step.NOTHING_SENT): State.QUEUED,
    (State.WIRE, Step.TRY_LATER): State.QUEUED,
    (State.WIRE, Step.ACCOUNT_PROBLEM): State.QUEUED,
    (State.WIRE, Step.REFUSED): State.FAILED,
    (State.WIRE, Step.ACCEPTED): State.ACCEPTED,
    (State.WIRE, Step.UNKNOWN): State.UNKNOWN,
    (State.WIRE, Step.REAPED): State.UNKNOWN,
    (State.UNKNOWN, Step.ACCEPTED): State.ACCEPTED,
    (State.UNKNOWN, Step.GIVEN_UP): State.UNCONFIRMED,
    (State.UNCONFIRMED, Step.ACCEPTED): State.ACCEPTED,
    (State.UNCONFIRMED, Step.RESENT_BY_HUMAN): State.QUEUED,
    (State.UNCONFIRMED, Step.RESENT_ON_PROOF): State.QUEUED,
    (State.UNCONFIRMED, Step.DISCARDED_BY_HUMAN): State.CANCELLED,
    (State.FAILED, Step.RESENT_BY_HUMAN): State.QUEUED,
    (State.FAILED, Step.DISCARDED_BY_HUMAN): State.CANCELLED,
    (State.EXPIRED, Step.RESENT_BY_HUMAN): State.QUEUED,
    (State.EXPIRED, Step.DISCARDED_BY_HUMAN): State.CANCELLED,
}

_ECHOES: Final = {
    Step.ECHO_SENT: State.SENT,
    Step.ECHO_DELIVERED: State.DELIVERED,
    Step.ECHO_READ: State.READ,
    Step.ECHO_FAILED: State.FAILED,
}

_HEIGHT: Final = {State.ACCEPTED: 1, State.SENT: 2, State.FAILED: 3, State.DELIVERED: 4, State.READ: 5}


def after(state: State, step: Step) -> State | None:
    """The state after `step`, or None if the step has no effect.

    An echo (a status webhook that names the message) is proof and counts in any state, but never lowers one.
    """
    if step in _ECHOES:
        seen = _ECHOES[step]
        return seen if _HEIGHT[seen] > _HEIGHT.get(state, 0) else None
    return _ALLOWED.get((state, step))


_WRITTEN: Final = re.compile(r"1:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(0|[1-9][0-9]{0,18})")


class OpId(msgspec.Struct, frozen=True):
    """Our name for one attempt of one message; WhatsApp returns it in every status of it."""

    message_id: MessageId
    attempt: int

    def __str__(self) -> str:
        """The wire form, `1:<message uuid>:<attempt>`."""
        return f"1:{self.message_id}:{self.attempt}"

    @classmethod
    def parse(cls, text: str | None) -> "OpId | None":
        """None for anything that we did not write."""
        # Every status has one, twice: comparing with what `__str__` writes cost three times as much.
        match = _WRITTEN.fullmatch(text or "")
        return cls(MessageId(UUID(match[1])), int(match[2])) if match else None
