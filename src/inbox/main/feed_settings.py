"""How many listen to what changes, and for how long."""

from typing import Annotated

from msgspec import Meta, Struct


class Feed(Struct, frozen=True, forbid_unknown_fields=True):
    """Listeners of one process: all, those of one person or program, and the seconds until they sign in once more."""

    connections: Annotated[int, Meta(ge=1, le=100_000)] = 5_000
    per_user: Annotated[int, Meta(ge=1, le=100_000)] = 50
    lifetime: Annotated[float, Meta(ge=10, le=86_400)] = 900.0
