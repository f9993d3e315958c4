"""How a process is told to stop."""

import asyncio
import signal
import sys
from types import FrameType
from typing import NoReturn


def stopped_by_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT. To be called on the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def leave_orderly_on_sigterm() -> None:
    """Until `stopped_by_signals`, and for commands that never call it: an embedded server must not stay behind."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
