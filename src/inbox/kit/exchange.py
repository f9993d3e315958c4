"""How far one HTTP call came, in words that need no HTTP library.

A send that broke may have been processed or not. Only what the transport did tells: did a connection stand, did writing
begin, was a status line read? `kit/http.py` reports these steps here; adapters read the result.
"""

import asyncio
import time
from enum import StrEnum
from typing import Protocol


class Reach(StrEnum):
    """Nothing left us · bytes may have left · the status line of the answer was read."""

    NOTHING = "nothing"
    BEGUN = "begun"
    ANSWERED = "answered"


class Fence(Protocol):
    async def __call__(self) -> None:
        """Awaited when a connection stands and before the first byte. If it raises, 0 bytes leave.

        Its exception reaches the caller as it is. It runs at most once in a call.
        """


class Progress:
    """How far a call came, readable at any time: pass one to `ApiClient.call` and look at it after a deadline."""

    __slots__ = ("is_begun", "is_connected", "status")

    def __init__(self) -> None:
        self.is_connected = False
        self.is_begun = False
        self.status: int | None = None

    @property
    def reach(self) -> Reach:
        if self.status is not None:
            return Reach.ANSWERED
        return Reach.BEGUN if self.is_begun else Reach.NOTHING


class CallFailed(Exception):
    """There is no whole answer. An adapter turns this into an error of the domain.

    `reason` is one word for logs and metrics: `dns`, `refused`, `tls`, `connect_timeout`, `pool_timeout`,
    `connect_failed`, `fence_expired`, `not_allowed`, `invalid_request` (nothing left us); `read_timeout`, `reset`,
    `closed`, `broken`, `repeated` (begun); `read_timeout`, `broken`, `too_large` and the like (answered).
    `status` is set if the status line was read.
    """

    def __init__(self, reach: Reach, reason: str, status: int | None = None) -> None:
        super().__init__(f"{reason} ({reach})")
        self.reach = reach
        self.reason = reason
        self.status = status


class Exchange:
    """One call as the transport sees it: runs the fence, refuses a second start, writes down how far it came.

    `refusal` is what stopped the call here; transports wrap what looks to them like a broken connection, this is the
    original. `is_queued` while all connections are taken and the call waits for one.
    """

    def __init__(self, fence: Fence | None, fence_valid_for: float, progress: Progress | None) -> None:
        """`fence_valid_for`: seconds from the start of the fence until writing must begin."""
        self.progress = progress or Progress()
        self.refusal: BaseException | None = None
        self.is_queued = False
        self._fence = fence
        self._fence_valid_for = fence_valid_for
        self._write_until: float | None = None

    async def connected(self) -> None:
        """A connection stands. What is raised here stops the call before its first byte."""
        if self.progress.is_connected:
            raise self.stopped("repeated")
        self.progress.is_connected = True
        if self._fence is None:
            return
        write_until = time.monotonic() + self._fence_valid_for
        try:
            await self._fence()
        except asyncio.CancelledError:
            raise
        except BaseException as refusal:
            self.refusal = refusal
            raise
        self._write_until = write_until

    async def writing(self) -> None:
        """Bytes are about to be written; the last moment to stop."""
        if self.progress.is_begun:
            return
        if not self.progress.is_connected:
            await self.connected()
        if self._fence is not None and (self._write_until is None or time.monotonic() > self._write_until):
            raise self.stopped("fence_expired")
        self.progress.is_begun = True

    def stopped(self, reason: str) -> CallFailed:
        """The error to raise in order to stop here."""
        self.refusal = refusal = CallFailed(self.progress.reach, reason, self.progress.status)
        return refusal

    def failed(self, reason: str) -> BaseException:
        """What the caller gets: our own refusal if there was one, else CallFailed with `reason`."""
        return self.refusal or CallFailed(self.progress.reach, reason, self.progress.status)
