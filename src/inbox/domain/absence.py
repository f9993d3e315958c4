"""When the service itself may send once more what nobody confirmed: on the proof that it never arrived.

That no echo came is no proof. It is one if echoes of later messages came, nothing that could be it waits anywhere, and
the attempt is surely over. Off unless an operator switches it on.
"""

from datetime import timedelta
from typing import Final

import msgspec

SILENT_FOR: Final = timedelta(minutes=10)
"""How long no echo came. With a minute, one message in ten thousand that waited would arrive twice."""
CANARIES: Final = 3
"""Later messages of the same number whose echo came: the way of the echoes is open."""
BACKLOG: Final = timedelta(seconds=30)
"""Webhooks that wait longer may hold the echo."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a message that is `unconfirmed`.

    `is_over`: its worker itself reported the end of the attempt, so that no byte of it can follow. `is_first`: nobody,
    neither a person nor the service, sent it again before. `strays`: statuses of this number, webhooks and parts of
    them that nobody could place since the attempt; one of them may be the echo. `is_free_form`: no template, whose
    price and pacing are WhatsApp's. `is_timely`: neither its time to live nor the window is over.
    """

    silent_for: timedelta
    canaries: int
    backlog: timedelta
    strays: int
    is_over: bool
    is_first: bool
    is_free_form: bool
    is_timely: bool


def is_absent(evidence: Evidence) -> bool:
    """True if the message surely never arrived, and is worth sending once more."""
    return (
        evidence.silent_for >= SILENT_FOR
        and evidence.canaries >= CANARIES
        and evidence.backlog < BACKLOG
        and evidence.strays == 0
        and evidence.is_over
        and evidence.is_first
        and evidence.is_free_form
        and evidence.is_timely
    )
