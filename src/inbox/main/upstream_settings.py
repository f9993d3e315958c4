"""How long things may take and how many run at once, at the door and towards others; and what contradicts itself."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from inbox.main.media_settings import Media

_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Count = Annotated[int, Meta(ge=1, le=1000)]


class Intake(Struct, frozen=True, forbid_unknown_fields=True):
    """Webhooks, which are answered within `timeout` seconds in all. The limits of their connections are parts of it."""

    timeout: Annotated[float, Meta(ge=2, le=15)] = 3.0


class Outgoing(Struct, frozen=True, forbid_unknown_fields=True):
    """Calls to other services, for each of them. `concurrency` run at a time, `waiting` more may wait for their turn.

    Between attempts pass `backoff` seconds at first, with jitter, growing up to `backoff_max`; or what the other side
    asks for, up to `retry_after_max`.
    """

    connections: _Count = 100
    kept_alive: _Count = 20
    pool_timeout: _Seconds = 4.0
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    concurrency: _Count = 64
    waiting: Annotated[int, Meta(ge=0, le=10_000)] = 256
    backoff: _Seconds = 0.1
    backoff_max: _Seconds = 2.0
    retry_after_max: _Seconds = 5.0


class Breaker(Struct, frozen=True, forbid_unknown_fields=True):
    """Circuit breakers: failures in a row that open one, and seconds for which it stays open.

    While one is open, the other side is asked every `probe_seconds` whether it lives; 0 is never.
    """

    whatsapp_threshold: _Count = 3
    whatsapp_stays_open: _Seconds = 30.0
    media_threshold: _Count = 5
    media_stays_open: _Seconds = 30.0
    gemini_threshold: _Count = 5
    gemini_stays_open: _Seconds = 60.0
    openai_threshold: _Count = 5
    openai_stays_open: _Seconds = 60.0
    supabase_threshold: _Count = 5
    supabase_stays_open: _Seconds = 30.0
    probe_seconds: Annotated[float, Meta(ge=0, le=3600)] = 2.0


class Timed(Protocol):
    """The section of one service, with its times in seconds."""

    @property
    def connect_timeout(self) -> float: ...

    @property
    def read_timeout(self) -> float: ...

    @property
    def total_timeout(self) -> float: ...


def contradiction(outgoing: Outgoing, media: Media, timed: Mapping[str, Timed]) -> str | None:
    """What cannot be meant, in words with the remedy. `timed` by the section's name."""
    found = next(chain(_too_many(outgoing, media), _too_long(outgoing, media, timed)), None)
    return None if found is None else f"{found} See .env.example for what they mean."


def _too_many(outgoing: Outgoing, media: Media) -> Iterator[str]:
    if outgoing.kept_alive > outgoing.connections:
        yield "INBOX_OUTGOING_KEPT_ALIVE, setting outgoing.kept_alive: no more than INBOX_OUTGOING_CONNECTIONS."
    if outgoing.concurrency > outgoing.connections:
        yield "INBOX_OUTGOING_CONCURRENCY, setting outgoing.concurrency: no more than INBOX_OUTGOING_CONNECTIONS."
    if media.readers + media.fetches >= outgoing.connections:
        yield (
            "INBOX_MEDIA_READERS, setting media.readers: with INBOX_MEDIA_FETCHES below INBOX_OUTGOING_CONNECTIONS, or "
            "no connection is left to open a file."
        )


def _too_long(outgoing: Outgoing, media: Media, timed: Mapping[str, Timed]) -> Iterator[str]:
    if outgoing.backoff > outgoing.backoff_max:
        yield "INBOX_OUTGOING_BACKOFF, setting outgoing.backoff: no more than INBOX_OUTGOING_BACKOFF_MAX."
    if media.attempt_timeout > media.opening_timeout:
        yield (
            "INBOX_MEDIA_ATTEMPT_TIMEOUT, setting media.attempt_timeout: must not be above INBOX_MEDIA_OPENING_TIMEOUT."
        )
    for section, times in timed.items():
        name = f"INBOX_{section}".upper()
        if times.connect_timeout >= outgoing.pool_timeout:
            yield (
                f"{name}_CONNECT_TIMEOUT, setting {section}.connect_timeout: must be below "
                "INBOX_OUTGOING_POOL_TIMEOUT, which covers the wait for a free connection and connecting."
            )
        if max(times.read_timeout, times.connect_timeout) > times.total_timeout:
            yield (
                f"{name}_READ_TIMEOUT, setting {section}.read_timeout: must not be above {name}_TOTAL_TIMEOUT, "
                "and the connect timeout neither."
            )
