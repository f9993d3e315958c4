"""Messages for later: how far ahead, and what becomes of one whose time has come.

The customer service window is judged then, and not when the message is written: the customer may write meanwhile.
"""

from datetime import datetime, timedelta
from typing import Final

from inbox.domain.outbound import WINDOW_MARGIN, Step

MOST_AHEAD: Final = timedelta(days=28)
"""WhatsApp keeps a file that was uploaded for a message for 30 days."""
MOST_WAITING: Final = 100
"""Messages of one conversation that wait for their time."""


def when_due(
    now: datetime, *, expires_at: datetime, window_expires_at: datetime | None, is_free: bool
) -> tuple[Step, datetime]:
    """What becomes of a message whose time has come, and until when it may be sent.

    `expires_at` is the end of its time to live, counted from the time for which it was scheduled. `is_free` says that
    it needs no window: a template. The last minute of the window is too short for a send.
    """
    if is_free:
        until = expires_at
    elif window_expires_at is None or window_expires_at - WINDOW_MARGIN <= now:
        return Step.WINDOW_CLOSED, expires_at
    else:
        until = min(expires_at, window_expires_at - WINDOW_MARGIN)
    return (Step.DUE if now < until else Step.EXPIRED), until
