"""Conversations of an account, and the switch of the assistant."""

from typing import Annotated

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound, ConversationNotFound, Invalid
from inbox.domain.ids import AccountId, ConversationId
from inbox.entrypoints.http.parameters import next_page, object_id, page_size, position
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import parse_time
from inbox.ports.views import ConversationItem, ConversationRow
from inbox.services.conversations import Conversations


class Switch(msgspec.Struct, frozen=True):
    """A missing key counts as false."""

    enabled: bool = False


class Switched(msgspec.Struct, frozen=True):
    """`conversation` is the plain row: front ends merge it over their list item."""

    conversation: ConversationRow
    status: str = "ok"


@get(
    "/conversations",
    permission=Permission.CONVERSATIONS_VIEW,
    responses=documented(*SIGNED_IN, 404, 422),
)
@inject
async def list_conversations(
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
    account_id: Annotated[str | None, QueryParameter()] = None,
    limit: Annotated[str | None, QueryParameter()] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
) -> Response[list[ConversationItem]]:
    """Newest first; `X-Next-Cursor` and `Link` lead to the next page."""
    if account_id is None:
        raise Invalid("query.account_id", "required")
    size = page_size(limit, default=50, most=200)
    account = AccountId(object_id(account_id, AccountNotFound))
    rows = list(await conversations.list_of(actor, account, limit=size + 1, before=position(cursor, "cursor")))
    headers = {}
    if len(rows) > size:
        rows = rows[:size]
        at = parse_time(rows[-1].updated_at, name="updated_at")
        headers = next_page(at, rows[-1].id, {"account_id": str(account), "limit": str(size)}, "cursor")
    return Response(rows, headers=headers)


@post(
    "/conversations/{conversation_id:str}/bot",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 404, 413, 422),
)
@inject
async def switch_bot(
    conversation_id: FromPath[str],
    data: JSONBody[Switch],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
) -> Switched:
    """Turns the assistant on or off; no answer that was computed before a switch to off is sent after it."""
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    return Switched(await conversations.switch_bot(actor, found, enabled=data.enabled))


conversations_router = Router("/", route_handlers=[list_conversations, switch_bot])
