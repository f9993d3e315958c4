"""The assistant beside a person who writes to a customer: it drafts, sums up and translates, and sends nothing."""

from typing import Annotated, Final

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.copilot import MAX_TEXT, ConversationSummary, SuggestedReply, Translation
from inbox.domain.errors import ConversationNotFound, Invalid
from inbox.domain.ids import ConversationId, MessageId
from inbox.entrypoints.http.parameters import id_in_body, object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.services.copilot import Copilot

_READING: Final = documented(*SIGNED_IN, 404, 409, 429)


class ToTranslate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `text` or `message_id`, a message of the conversation. `target_language` is a tag like `en` or `pt-BR`."""

    target_language: Annotated[str, Meta(max_length=20, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$")]
    text: Annotated[str, Meta(max_length=MAX_TEXT)] | None = None
    message_id: Annotated[str, Meta(max_length=100, extra_json_schema={"format": "uuid"})] | None = None

    def said(self) -> str | MessageId:
        """Raises `Invalid` if there is nothing to translate, or if it is not clear what."""
        text = self.text if self.text is not None and self.text.strip() else None
        if text is not None and self.message_id is not None:
            raise Invalid("body.message_id", "either text or message_id, not both")
        if self.message_id is not None:
            return MessageId(id_in_body(self.message_id, "body.message_id"))
        if text is None:
            raise Invalid("body.text", "text or message_id is required")
        return text


@post(
    "/conversations/{conversation_id:str}/copilot/suggest",
    status_code=200,
    permission=Permission.MESSAGES_SEND,
    responses=_READING,
)
@inject
async def suggest_reply(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], copilot: FromDishka[Copilot]
) -> SuggestedReply:
    """A reply for the caller to look at, made of the conversation, the profile and the knowledge base.

    Needs `messages.view` as well, and no body. Nothing of it is sent or stored; what it costs counts against the
    budgets of the assistant (429 `budget_spent`, until midnight UTC). 409 `nothing_to_read` for an empty conversation,
    502 `model_silent` also for a draft that may not be shown, and 504 after 15 s at the latest.
    """
    return await copilot.suggest(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))


@post(
    "/conversations/{conversation_id:str}/copilot/summarise",
    status_code=200,
    permission=Permission.MESSAGES_VIEW,
    responses=_READING,
)
@inject
async def summarise_conversation(
    conversation_id: FromPath[str], actor: NamedDependency[Actor], copilot: FromDishka[Copilot]
) -> ConversationSummary:
    """What a person has to know of the newest 60 messages, in the language of the account. Needs no body.

    Costs and failures are those of a suggested reply.
    """
    return await copilot.summarise(actor, ConversationId(object_id(conversation_id, ConversationNotFound)))


@post(
    "/conversations/{conversation_id:str}/copilot/translate",
    status_code=200,
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 400, 404, 409, 413, 415, 422, 429),
)
@inject
async def translate_text(
    conversation_id: FromPath[str],
    data: JSONBody[ToTranslate],
    actor: NamedDependency[Actor],
    copilot: FromDishka[Copilot],
) -> Translation:
    """A text, or a message of the conversation, in another language. What it says is data: nobody follows it.

    409 `nothing_to_read` for a message without words. Costs and failures are those of a suggested reply.
    """
    found = ConversationId(object_id(conversation_id, ConversationNotFound))
    return await copilot.translate(actor, found, data.said(), data.target_language)


copilot_router = Router("/", route_handlers=[suggest_reply, summarise_conversation, translate_text])
