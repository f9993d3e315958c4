"""Files that customers send: how long WhatsApp keeps them, and when to ask again."""

import base64
import binascii
import hmac
from datetime import timedelta
from enum import StrEnum
from typing import Final

MEDIA_ID_LIVES: Final = timedelta(days=7)
"""The id of a webhook's file (Meta, media; since October 2025)."""
MOST_FAILURES: Final = 15
FAILURES_WITHIN: Final = timedelta(hours=1)
"""Calls about files that may fail for one number: 20 in an hour block it at WhatsApp for half an hour."""
_WAITS: Final = (5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600)
"""Seconds after the first, second, ... failure; the last one from then on."""
_HEX_DIGITS: Final = 64


class MediaState(StrEnum):
    """What became of a file. `expired` and `refused` are final; an operator may have `failed` ones tried again."""

    PENDING = "pending"
    STORED = "stored"
    EXPIRED = "expired"
    REFUSED = "refused"
    FAILED = "failed"


def wait_after(tries: int) -> timedelta:
    """The wait after `tries` failures in a row, at least one."""
    return timedelta(seconds=_WAITS[min(tries, len(_WAITS)) - 1])


def is_same_hash(expected: str | None, sha256: bytes) -> bool:
    """True if Meta's SHA-256 is that of the file. It comes in base64, in the history as hex digits; none proves all."""
    if not expected:
        return True
    try:
        if len(expected) == _HEX_DIGITS:
            known = bytes.fromhex(expected)
        else:
            known = base64.b64decode(expected + "=" * (-len(expected) % 4), validate=True)
    except (ValueError, binascii.Error):
        return True  # not a hash at all: nothing to compare with
    return len(known) != len(sha256) or hmac.compare_digest(known, sha256)
