"""Reactions of ours to a message of the conversation."""

from typing import Annotated, Any

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Request, Response, Router, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import MessageNotFound
from inbox.domain.ids import MessageId
from inbox.entrypoints.http.messages import QUEUED, SendAnswer, SendWait, outcome_of, sent_once
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.services.outbound import Outbound
from inbox.services.reacting import Reacting

_ANSWERS = {202: QUEUED, **documented(*SIGNED_IN, 400, 404, 409, 413, 422)}
Emoji = Annotated[str, Meta(max_length=64)]
MessageName = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Number = Annotated[str, Meta(max_length=40)]


class Tapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    emoji: Emoji


class ReactionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`message_id` is our id of the message. `from_number` is taken and means nothing: who reacts is the account."""

    message_id: MessageName
    emoji: Emoji
    from_number: Number | None = None


class ReactionRemovalBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`message_id` is our id of the message. There is one reaction of ours: `emoji` need not be named."""

    message_id: MessageName
    emoji: Emoji | None = None
    from_number: Number | None = None


@post("/messages/{message_id:str}/reactions", status_code=200, permission=Permission.MESSAGES_SEND, responses=_ANSWERS)
@inject
async def react(
    message_id: FromPath[str],
    data: JSONBody[Tapped],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    reacting: FromDishka[Reacting],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """Reacts to a message, in the place of an earlier reaction of ours.

    The message shows it once WhatsApp took it.
    """
    found = MessageId(object_id(message_id, MessageNotFound))
    accepted = await reacting.react(actor, found, data.emoji, key=sent_once(request))
    return await outcome_of(accepted, request, outbound, wait)


@delete(
    "/messages/{message_id:str}/reactions", status_code=200, permission=Permission.MESSAGES_SEND, responses=_ANSWERS
)
@inject
async def take_reaction_back(
    message_id: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    reacting: FromDishka[Reacting],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """Takes our reaction to a message back."""
    found = MessageId(object_id(message_id, MessageNotFound))
    accepted = await reacting.react(actor, found, None, key=sent_once(request))
    return await outcome_of(accepted, request, outbound, wait)


@post("/messages/reactions/add", status_code=200, permission=Permission.MESSAGES_SEND, responses=_ANSWERS)
@inject
async def add_reaction(
    data: JSONBody[ReactionBody],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    reacting: FromDishka[Reacting],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """The same as `POST /messages/{message_id}/reactions`."""
    found = MessageId(object_id(data.message_id, MessageNotFound))
    accepted = await reacting.react(actor, found, data.emoji, key=sent_once(request))
    return await outcome_of(accepted, request, outbound, wait)


@post("/messages/reactions/remove", status_code=200, permission=Permission.MESSAGES_SEND, responses=_ANSWERS)
@inject
async def remove_reaction(
    data: JSONBody[ReactionRemovalBody],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    reacting: FromDishka[Reacting],
    outbound: FromDishka[Outbound],
    wait: FromDishka[SendWait],
) -> Response[SendAnswer]:
    """The same as `DELETE /messages/{message_id}/reactions`."""
    found = MessageId(object_id(data.message_id, MessageNotFound))
    accepted = await reacting.react(actor, found, None, key=sent_once(request))
    return await outcome_of(accepted, request, outbound, wait)


reactions_router = Router("/", route_handlers=[react, take_reaction_back, add_reaction, remove_reaction])
