"""Who of the team looks at a conversation or writes in it."""

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import ConversationNotFound
from inbox.domain.ids import ConversationId
from inbox.domain.presence import Presence
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.services.presence import Colleague, Colleagues


class Here(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the caller does. Say it again every 20 s while it is true, `typing` every 5 s."""

    state: Presence


class Others(msgspec.Struct, frozen=True):
    """Who else is there."""

    colleagues: list[Colleague]


@post(
    "/conversations/{conversation_id:str}/presence",
    status_code=200,
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404, 413, 415, 422),
)
@inject
async def tell_presence(
    conversation_id: FromPath[str],
    data: JSONBody[Here],
    actor: NamedDependency[Actor],
    colleagues: FromDishka[Colleagues],
) -> Others:
    """Tells colleagues that the caller looks at the conversation, writes, or left it, and answers who else is there.

    The customer hears nothing of it. Nothing is stored: what is not said again is forgotten.
    """
    of = ConversationId(object_id(conversation_id, ConversationNotFound))
    return Others(await colleagues.tell(actor, of, data.state))


presence_router = Router("/", route_handlers=[tell_presence])
