"""The assistant beside a person: drafts, summaries, translations. It sends nothing, and what it wrote is not kept.

Each call costs what a turn costs and counts against the same budgets. What the model wrote passes the checks of answers
to customers, for a person may send it with one click.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.bot_context import tokens_of
from inbox.domain.bot_guards import Allowed, as_meant, gate, leaks
from inbox.domain.bot_profile import Profile
from inbox.domain.clock import Clock
from inbox.domain.content import Media
from inbox.domain.copilot import (
    MAX_SUMMARY,
    MAX_TRANSLATION,
    ConversationSummary,
    Digest,
    Draft,
    DraftSource,
    Rendering,
    SuggestedReply,
    Translation,
)
from inbox.domain.copilot_errors import NothingToRead
from inbox.domain.errors import ConversationNotFound, MessageNotFound, Overloaded
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, ConversationId, MessageId, TurnId, uuid7
from inbox.domain.upstream_errors import ModelSilent, ModelTimeout
from inbox.ports.database import Database
from inbox.ports.llm import Answer, Prompt, Tuning, Turn
from inbox.ports.records import BotTurn, History
from inbox.services.bot_budget import Spender, Spending
from inbox.services.bot_context import Asked, Contexts, Talk
from inbox.services.bot_profiles import BotProfiles
from inbox.services.bot_settings import PromptFile
from inbox.services.rights import Rights

T = TypeVar("T", bound=msgspec.Struct)

TOTAL_SECONDS: Final = 15.0
_AT_ONCE: Final = 4
_MOST_MESSAGES: Final = 60
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Copilot:
    """At most four calls at once in a process, so that customers' turns find the model free.

    Every method takes 15 s at most and raises `ConversationNotFound`, `PermissionDenied`, `BudgetSpent`, `Overloaded`
    and what `Assistant.complete` raises; what may not be shown of an answer is `ModelSilent`.
    """

    def __init__(
        self,
        database: Database,
        rights: Rights,
        contexts: Contexts,
        translating: Mapping[Language, PromptFile],
        clock: Clock,
    ) -> None:
        """`contexts` has the prompts for drafts and summaries, `translating` is that for translations."""
        self._database = database
        self._rights = rights
        self._profiles = BotProfiles(database, rights)
        self._contexts = contexts
        self._translating = translating
        self._spending = Spending(database, contexts.settings, clock)
        self._busy = 0

    async def suggest(self, actor: Actor, conversation_id: ConversationId) -> SuggestedReply:
        """What a person could answer. Raises `NothingToRead`."""
        async with self._bounded():
            account_id = await self._allowed(actor, conversation_id, Permission.MESSAGES_VIEW, Permission.MESSAGES_SEND)
            talk = await self._talk(account_id, conversation_id)
            asked = await self._contexts.of(talk)
            answer = await self._complete(talk.profile, conversation_id, asked.prompt, asked.tokens, Draft)
        text = as_meant(answer.value.reply).strip()
        closed = gate(text, asked.allowed)
        if closed is not None:
            raise ModelSilent("blocked", f"The draft may not be shown ({closed.value}).")
        return SuggestedReply(
            text=text,
            confidence=min(1.0, max(0.0, answer.value.confidence)),
            sources=_sources(answer.value, asked),
            message_id=talk.history[-1].id,
            model=answer.model,
        )

    async def summarise(self, actor: Actor, conversation_id: ConversationId) -> ConversationSummary:
        """What a person has to know of a conversation. Raises `NothingToRead`."""
        async with self._bounded():
            account_id = await self._allowed(actor, conversation_id, Permission.MESSAGES_VIEW)
            talk = await self._talk(account_id, conversation_id)
            asked = self._contexts.for_summary(talk)
            answer = await self._complete(talk.profile, conversation_id, asked.prompt, asked.tokens, Digest)
        text = _shown(answer.value.text, asked.allowed)[:MAX_SUMMARY]
        return ConversationSummary(text=text, message_id=talk.history[-1].id, model=answer.model)

    async def translate(
        self, actor: Actor, conversation_id: ConversationId, said: str | MessageId, target: str
    ) -> Translation:
        """`said`, a text or a message of the conversation, in the language with the tag `target`.

        Raises `MessageNotFound`, `NothingToRead`.
        """
        async with self._bounded():
            account_id = await self._allowed(actor, conversation_id, Permission.MESSAGES_VIEW)
            text = said if isinstance(said, str) else await self._text(account_id, conversation_id, said)
            profile = await self._profiles.of(account_id)
            file = self._translating[profile.behaviour.language]
            prompt = Prompt(
                system=file.rendered(language=target, canary=self._contexts.settings.canary),
                history=(Turn(role="customer", text=text),),
                tuning=Tuning(model=profile.behaviour.model, temperature=profile.behaviour.temperature),
            )
            tokens = tokens_of(prompt.system) + tokens_of(text)
            answer = await self._complete(profile, conversation_id, prompt, tokens, Rendering)
        allowed = Allowed(canary=self._contexts.settings.canary, instructions=file.text)
        translated = _shown(answer.value.text, allowed)
        if len(translated) > MAX_TRANSLATION:
            raise ModelSilent("malformed", "The translation is far longer than a message.")
        source = answer.value.source_language.strip()
        return Translation(
            text=translated,
            source_language=source if _TAG.fullmatch(source) else None,
            target_language=target,
            model=answer.model,
        )

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        if self._busy >= _AT_ONCE:
            raise Overloaded("The assistant helps as many people as it can at once.")
        self._busy += 1
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                yield
        except TimeoutError:
            raise ModelTimeout from None
        finally:
            self._busy -= 1

    async def _allowed(self, actor: Actor, conversation_id: ConversationId, *codes: Permission) -> AccountId:
        account_id = await self._rights.account_of(actor, conversation_id)
        for code in codes:
            actor.require(code, account_id, ConversationNotFound)
        return account_id

    async def _text(self, account_id: AccountId, conversation_id: ConversationId, message_id: MessageId) -> str:
        text = await self._database.bot.text_of(account_id, conversation_id, message_id)
        if text is None:
            raise MessageNotFound
        if not text.strip():
            raise NothingToRead
        return text

    async def _talk(self, account_id: AccountId, conversation_id: ConversationId) -> Talk:
        """All of the newest messages, those of people and of the assistant alike."""
        profile = await self._profiles.of(account_id)
        async with self._database.transaction() as tx:
            conversation = await tx.conversations.lock(account_id, conversation_id)
            history = [
                message
                for message in await tx.messages.history(account_id, conversation_id, _MOST_MESSAGES)
                if (message.content_text or "").strip()
            ]
            if not history:
                raise NothingToRead
            waiting = _last_of_customer(history)
            files = await tx.bot.files(account_id, [one.id for one in waiting if isinstance(one.content, Media)])
            name = await tx.conversations.contact_name(account_id, conversation_id)
        turn = BotTurn(
            id=TurnId(uuid7()),  # of no row: what is asked for here is nobody's turn
            account_id=account_id,
            conversation_id=conversation_id,
            trigger_message_id=history[-1].id,
            epoch=conversation.epoch,
        )
        return Talk(
            turn=turn,
            profile=profile,
            client_number=conversation.client_number,
            contact_name=name,
            history=history,
            waiting=waiting,
            files=files,
        )

    async def _complete(
        self, profile: Profile, conversation_id: ConversationId, prompt: Prompt, tokens: int, schema: type[T]
    ) -> Answer[T]:
        spender = Spender.of(profile, conversation_id)
        return await self._spending.complete(self._contexts.assistant, prompt, schema, spender=spender, tokens=tokens)


def _last_of_customer(history: Sequence[History]) -> list[History]:
    """What the customer wrote last, oldest first, whether it was answered or not."""
    found: list[History] = []
    for message in reversed(history):
        if message.is_inbound:
            found.append(message)
        elif found:
            break
    return found[::-1]


def _sources(draft: Draft, asked: Asked) -> list[DraftSource]:
    """Those that the model names and was really given."""
    named = (asked.offered[name] for name in dict.fromkeys(draft.sources) if name in asked.offered)
    return [
        DraftSource(article_id=one.article_id, version=one.version, title=one.title, text=one.text) for one in named
    ]


def _shown(text: str, allowed: Allowed) -> str:
    """What people may see of an answer. Raises `ModelSilent` if nothing is left or our instructions are in it."""
    shown = _CONTROL.sub("", as_meant(text)).strip()
    if not shown:
        raise ModelSilent("empty")
    if leaks(shown, allowed):
        raise ModelSilent("blocked", "The answer repeats our instructions.")
    return shown
