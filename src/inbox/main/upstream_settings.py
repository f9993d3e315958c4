"""How calls to other services are bounded: the settings that all of them share, and what contradicts itself."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Protocol

from msgspec import Meta, Struct

_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Count = Annotated[int, Meta(ge=1, le=1000)]


class Outgoing(Struct, frozen=True, forbid_unknown_fields=True):
    """Calls to other services, for each of them."""

    connections: _Count = 100
    kept_alive: _Count = 20
    pool_timeout: _Seconds = 4.0
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3


class Breaker(Struct, frozen=True, forbid_unknown_fields=True):
    """Circuit breakers: failures in a row that open one, and seconds for which it stays open."""

    whatsapp_threshold: _Count = 3
    whatsapp_stays_open: _Seconds = 30.0
    media_threshold: _Count = 5
    media_stays_open: _Seconds = 30.0
    gemini_threshold: _Count = 5
    gemini_stays_open: _Seconds = 60.0
    supabase_threshold: _Count = 5
    supabase_stays_open: _Seconds = 30.0


class Timed(Protocol):
    """The section of one service, with its times in seconds."""

    @property
    def connect_timeout(self) -> float: ...

    @property
    def read_timeout(self) -> float: ...

    @property
    def total_timeout(self) -> float: ...


def contradiction(outgoing: Outgoing, timed: Mapping[str, Timed]) -> str | None:
    """What cannot be meant, in words with the remedy. `timed` by the section's name."""
    found = next(_contradictions(outgoing, timed), None)
    return None if found is None else f"{found} See .env.example for what they mean."


def _contradictions(outgoing: Outgoing, timed: Mapping[str, Timed]) -> Iterator[str]:
    if outgoing.kept_alive > outgoing.connections:
        yield "INBOX_OUTGOING_KEPT_ALIVE, setting outgoing.kept_alive: no more than INBOX_OUTGOING_CONNECTIONS."
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
