"""What is old, and goes."""

from typing import Annotated

from msgspec import Meta, Struct


class Retention(Struct, frozen=True, forbid_unknown_fields=True):
    """How long things are kept that nobody looks at any more. The worker removes old rows, a few at a time."""

    deliveries_days: Annotated[int, Meta(ge=8, le=3650)] = 30
    parked_statuses_days: Annotated[int, Meta(ge=1, le=365)] = 7
    idempotency_hours: Annotated[int, Meta(ge=24, le=8760)] = 48
    events_days: Annotated[int, Meta(ge=1, le=365)] = 7
    unused_uploads_days: Annotated[int, Meta(ge=1, le=365)] = 7
