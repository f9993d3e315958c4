"""Conversations of an account: list, mark, begin; and the switch of the assistant."""

from typing import Annotated, Final

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.bot import Mode
from inbox.domain.errors import AccountNotFound, ConversationNotFound, Invalid, InvalidReplyMode
from inbox.domain.ids import AccountId, ConversationId, UserId
from inbox.entrypoints.http.answers import Done, page
from inbox.entrypoints.http.parameters import id_in_body, object_id, page_limit, page_size, position, uuid_in
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.entrypoints.http.unchanged import CONDITIONAL, NOT_MODIFIED, Validator
from inbox.ports.queries import Assignee
from inbox.ports.views import ConversationItem, ConversationRow
from inbox.services.composing import Composing
from inbox.services.conversations import Conversations

_ME, _NOBODY = "me", "nobody"
_ASSIGNEE: Final = QueryParameter(
    schema_extra={"anyOf": [{"enum": [_ME, _NOBODY]}, {"type": "string", "format": "uuid"}]}
)
REPLY_MODE: Final = "gemini"
"""The only one of the later front end's words that this service knows."""


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A missing `enabled` counts as false. `mode` says more and counts before it."""

    enabled: bool = False
    mode: Mode | None = None
    reply_mode: Annotated[str, Meta(max_length=20, extra_json_schema={"enum": [REPLY_MODE]})] | None = None


class Switched(msgspec.Struct, frozen=True):
    """`conversation` is the plain row: front ends merge it over their list item."""

    conversation: ConversationRow
    status: str = "ok"


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`user_id` is a person, or null for nobody. It has to be named."""

    user_id: Annotated[str, Meta(max_length=100, extra_json_schema={"format": "uuid"})] | None


class Assigned(msgspec.Struct, frozen=True):
    """`conversation` is the plain row: front ends merge it over their list item."""

    conversation: ConversationRow
    status: str = "ok"


class Favorite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A missing key counts as false."""

    favorite: bool = False


class Favored(msgspec.Struct, frozen=True):
    favorite: bool
    status: str = "ok"


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`phone_number` as people write it: international, or national with a 0 in front."""

    account_id: Annotated[str, Meta(max_length=100, extra_json_schema={"format": "uuid"})]
    phone_number: Annotated[str, Meta(max_length=64, extra_json_schema={"minLength": 7})]


@get(
    "/conversations",
    permission=Permission.CONVERSATIONS_VIEW,
    dependencies=CONDITIONAL,
    responses={**NOT_MODIFIED, **documented(*SIGNED_IN, 404, 422)},
)
@inject
async def list_conversations(
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
    validator: NamedDependency[Validator],
    account_id: Annotated[str | None, QueryParameter()] = None,
    limit: Annotated[str | None, page_limit(default=50, most=200)] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
    assignee: Annotated[str | None, _ASSIGNEE] = None,
) -> Response[list[ConversationItem]]:
    """Newest first; `X-Next-Cursor` and `Link` lead to the next page.

    `assignee` leaves those that one person looks after: the caller (`me`) or another one, or `nobody`.
    """
    if account_id is None:
        raise Invalid("query.account_id", "required")
    actor.require_anywhere(Permission.CONVERSATIONS_VIEW)  # also whoever names no id at all is told this first
    size = page_size(limit, default=50, most=200)
    account = AccountId(object_id(account_id, AccountNotFound))
    if validator.since is not None and await conversations.is_list_unchanged(actor, account, validator.since):
        return validator.unchanged()
    rows = await conversations.list_of(
        actor, account, limit=size + 1, before=position(cursor, "cursor"), assignee=_assignee(assignee, actor)
    )
    query = {"account_id": str(account), "limit": str(size), **({} if assignee is None else {"assignee": assignee})}
    return validator.mark(page(rows, size, lambda row: (row.updated_at, row.id), query))


@post(
    "/conversations/{conversation_id:str}/bot",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 400, 404, 413, 415, 422),
)
@inject
async def switch_bot(
    conversation_id: FromPath[str],
    data: JSONBody[Switch],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
) -> Switched:
    """Turns the assistant on or off; no answer that was computed before a switch to off is sent after it.

    `mode` is `off`, `auto` (the same as `enabled`) or `suggest`: then the assistant writes for the team, who read it at
    `GET /conversations/{conversation_id}/suggestion`, and customers get nothing of it.
    `reply_mode` names who answers: 400 `invalid_reply_mode` for anybody but `gemini`.
    """
    if data.reply_mode not in (None, REPLY_MODE):
        raise InvalidReplyMode
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    return Switched(await conversations.switch_bot(actor, found, enabled=data.enabled, mode=data.mode))


@post(
    "/conversations/{conversation_id:str}/assign",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 400, 404, 413, 415, 422),
)
@inject
async def assign(
    conversation_id: FromPath[str],
    data: JSONBody[Assignment],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
) -> Assigned:
    """Gives the conversation to one person to look after, or to nobody; who has it already keeps it.

    No answer of the assistant that was computed before somebody got it is sent after it. The person is active and may
    read the messages of the account: 422 for anybody else.
    """
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    user = None if data.user_id is None else UserId(id_in_body(data.user_id, "body.user_id"))
    return Assigned(await conversations.assign(actor, found, user))


@post(
    "/conversations/{conversation_id:str}/read",
    status_code=200,
    permission=Permission.CONVERSATIONS_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def mark_read(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], conversations: FromDishka[Conversations]
) -> Done:
    """Sets `unread_count` to 0. Needs no body. An account with `read_receipts` tells the customer, a moment later."""
    await conversations.mark_read(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))
    return Done()


@post(
    "/conversations/{conversation_id:str}/unread",
    status_code=200,
    permission=Permission.CONVERSATIONS_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def mark_unread(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], conversations: FromDishka[Conversations]
) -> Done:
    """Makes `unread_count` at least 1. Needs no body."""
    await conversations.mark_unread(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))
    return Done()


@post(
    "/conversations/{conversation_id:str}/typing",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def show_typing(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], composing: FromDishka[Composing]
) -> Done:
    """Shows the customer for 25 s that somebody writes, if the account has `typing_indicators` and `read_receipts`.

    To be called while somebody writes, as often as one likes: WhatsApp is told every 20 s at most. What it answers is
    not waited for. It also marks the customer's messages as read. Needs no body.
    """
    await composing.by_person(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))
    return Done()


@post(
    "/conversations/{conversation_id:str}/favorite",
    status_code=200,
    permission=Permission.CONVERSATIONS_VIEW,
    responses=documented(*SIGNED_IN, 400, 404, 413, 415, 422),
)
@inject
async def set_favorite(
    conversation_id: FromPath[str],
    data: JSONBody[Favorite],
    actor: NamedDependency[Actor],
    conversations: FromDishka[Conversations],
) -> Favored:
    """Sets or clears the mark, which is one for the whole team."""
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    await conversations.set_favorite(actor, found, favorite=data.favorite)
    return Favored(data.favorite)


@post(
    "/conversations/find-or-create",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 400, 404, 413, 415, 422),
)
@inject
async def find_or_create(
    data: JSONBody[Recipient], actor: NamedDependency[Actor], conversations: FromDishka[Conversations]
) -> ConversationRow:
    """The conversation of an account with a phone number; an empty one is made where there is none."""
    account = AccountId(object_id(data.account_id, AccountNotFound))
    return await conversations.find_or_create(actor, account, data.phone_number)


def _assignee(text: str | None, actor: Actor) -> Assignee:
    """Whose conversations are asked for."""
    if text is None:
        return UNSET
    if text == _ME:
        return actor.user_id
    if text == _NOBODY:
        return None
    found = uuid_in(text)
    if found is None:
        raise Invalid("query.assignee", f"{_ME}, {_NOBODY} or the id of a person")
    return UserId(found)


conversations_router = Router(
    "/",
    route_handlers=[
        list_conversations,
        switch_bot,
        assign,
        mark_read,
        mark_unread,
        show_typing,
        set_favorite,
        find_or_create,
    ],
)
