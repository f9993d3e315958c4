"""Over what the processes tell each other to look."""

from typing import Final, Literal

from msgspec import Struct

NO_REDIS: Final = (
    "INBOX_EVENTS_BUS=redis needs INBOX_CACHE_REDIS_URL, the address of that Redis. "
    "Set it, or INBOX_EVENTS_BUS=postgres."
)


class Events(Struct, frozen=True, forbid_unknown_fields=True):
    """Hints between processes. While they do not arrive everything is right all the same, only a little later."""

    bus: Literal["postgres", "redis"] = "postgres"
