"""Which trace the work at hand belongs to. While tracing is off this is one look at a context variable.

A trace goes on through the database: what is stored keeps the `traceparent` (W3C Trace Context) of the work that stored
it, and whoever works on it later goes on from there.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_current: ContextVar[str | None] = ContextVar("inbox_traceparent", default=None)


def current() -> str | None:
    """The `traceparent` of the span around the caller; None while tracing is off, and outside of spans."""
    return _current.get()


@contextmanager
def entered(traceparent: str) -> Iterator[None]:
    """`current()` inside the block."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)


def trace_id(traceparent: str) -> str | None:
    """The 32 digits of the trace; None for what is no `traceparent` of version 00."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else None


class Span(Protocol):
    """A piece of work under way."""

    def note(self, name: str, value: str | int) -> None:
        """An attribute. Never an id of a person, a text, a number or a URL."""
        ...


class Spans(Protocol):
    """Where pieces of work are reported. Names and attributes come from fixed sets."""

    @property
    def is_on(self) -> bool: ...

    def span(self, name: str, parent: str | None) -> AbstractContextManager[Span]:
        """Around a piece of work, which is `current()` inside. Without a `parent` that can be read a trace begins."""
        ...

    def record(self, name: str, parent: str | None, seconds: float, **attributes: str | int) -> None:
        """A piece of work that has just ended after `seconds`. Without a `parent` it is not reported."""
        ...


class _NoSpan(AbstractContextManager["_NoSpan"]):
    def note(self, name: str, value: str | int) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class NoSpans:
    """Tracing is off."""

    is_on = False

    def __init__(self) -> None:
        self._nothing = _NoSpan()

    def span(self, name: str, parent: str | None) -> AbstractContextManager[Span]:  # noqa: ARG002
        """One object for all, that does nothing."""
        return self._nothing

    def record(self, name: str, parent: str | None, seconds: float, **attributes: str | int) -> None:
        pass
