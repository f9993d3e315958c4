"""What people decide about messages of ours: cancel, send again, give up."""

from typing import Literal

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import MessageNotFound
from inbox.domain.ids import MessageId
from inbox.domain.outbound import State
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.services.decisions import Decisions


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """`delivery_state` is where the message `id` stands now."""

    status: Literal["ok"] = "ok"
    id: str
    delivery_state: Literal["queued", "cancelled", "failed"]


# A path has one name for its parameter and one router, whatever the method: here the id is a message's.
@delete(
    "/messages/{conversation_id:str}",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 404, 409),
)
@inject
async def cancel(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], decisions: FromDishka[Decisions]
) -> Decided:
    """Cancels a message that nobody has begun to send. It stays in the conversation as failed.

    The id in the path is that of the message, although it is called like that of a conversation.
    """
    found = MessageId(object_id(conversation_id, MessageNotFound))
    await decisions.cancel(actor, found)
    return Decided(id=str(found), delivery_state="cancelled")


@post(
    "/messages/{message_id:str}/resend",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 400, 404, 409, 422),
)
@inject
async def resend(message_id: FromPath[str], actor: NamedDependency[Actor], decisions: FromDishka[Decisions]) -> Decided:
    """Sends again what failed, or what may have been sent: that one may reach the customer twice.

    What WhatsApp took and failed later is sent as a message of its own: `id` is the id of that one, and the failed one
    stays as it is. 422 if it does not fit any more: its template has changed since, for one. For people only, and kept
    in the audit trail.
    """
    sent = await decisions.resend(actor, MessageId(object_id(message_id, MessageNotFound)))
    return Decided(id=str(sent), delivery_state="queued")


@post(
    "/messages/{message_id:str}/discard",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=documented(*SIGNED_IN, 404, 409),
)
@inject
async def discard(
    message_id: FromPath[str], actor: NamedDependency[Actor], decisions: FromDishka[Decisions]
) -> Decided:
    """Gives up what failed, or what may have been sent. For people only, and kept in the audit trail.

    What WhatsApp took and failed later stays `failed`: nobody can send it again.
    """
    found = MessageId(object_id(message_id, MessageNotFound))
    state = await decisions.discard(actor, found)
    return Decided(id=str(found), delivery_state="failed" if state is State.FAILED else "cancelled")


decisions_router = Router("/", route_handlers=[resend, discard])
