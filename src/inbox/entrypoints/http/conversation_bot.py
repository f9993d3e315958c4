"""One conversation, with what the assistant says about it and would say in it."""

from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import ConversationNotFound
from inbox.domain.ids import ConversationId
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.bot import ConversationDetails, Suggested
from inbox.services.bot_views import BotViews


@get(
    "/conversations/{conversation_id:str}",
    permission=Permission.CONVERSATIONS_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def get_conversation(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], views: FromDishka[BotViews]
) -> ConversationDetails:
    """As in the list. After a hand-over `handover_summary` says what happened so far, to callers with `messages.view`.

    It is written by the model a moment later, and stays null if that cannot be reached.
    """
    return await views.conversation(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))


@get(
    "/conversations/{conversation_id:str}/suggestion",
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def get_suggestion(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], views: FromDishka[BotViews]
) -> Suggested:
    """What the assistant would answer, where its mode is `suggest`. Nothing of it is ever sent by itself."""
    return await views.suggestion(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))


conversation_bot_router = Router("/", route_handlers=[get_conversation, get_suggestion])
