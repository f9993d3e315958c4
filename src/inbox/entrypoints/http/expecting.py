"""What the sender of a message saw last: what came behind it in the meantime is a reason to look before one answers."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from inbox.domain.ids import MessageId
from inbox.entrypoints.http.parameters import id_in_body
from inbox.services.unseen import LastSeen

ExpectedLast: TypeAlias = Annotated[str, Meta(max_length=100, extra_json_schema={"format": "uuid"})] | UnsetType | None
"""The newest message of the thread that the sender saw, null for an empty one; without it nothing is compared."""


def last_seen(text: str | UnsetType | None) -> LastSeen | None:
    """Raises `Invalid` for what is no id."""
    if text is UNSET or isinstance(text, UnsetType):
        return None
    return LastSeen(None if text is None else MessageId(id_in_body(text, "body.expected_last_message_id")))
