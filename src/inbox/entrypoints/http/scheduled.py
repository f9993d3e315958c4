"""Messages for later: when, and which ones wait."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import ConversationNotFound, Invalid
from inbox.domain.ids import ConversationId
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.views import ScheduledItem
from inbox.services.conversations import Conversations

SendAt: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""RFC 3339, with `Z` or an offset."""


def later(send_at: datetime | None) -> datetime | None:
    """In UTC. Raises `Invalid` for a time that UTC cannot name."""
    try:
        return None if send_at is None else send_at.astimezone(UTC)
    except OverflowError:
        raise Invalid("body.send_at", "a time that exists in UTC") from None


@get(
    "/conversations/{conversation_id:str}/scheduled",
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def list_scheduled(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], conversations: FromDishka[Conversations]
) -> list[ScheduledItem]:
    """The messages that wait for their time, the earliest first: never more than 100.

    `DELETE /messages/{id}` cancels one. Another time is a cancelled message and a new one.
    """
    return list(
        await conversations.scheduled_in(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))
    )


scheduled_router = Router("/", route_handlers=[list_scheduled])
