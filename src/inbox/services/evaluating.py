"""Transcripts replayed through what makes and judges a turn: context, prompt, schema, gate, decision. No database.

What is not played: gathering of quick messages, budgets, schedules, files, and the search of PostgreSQL, in whose place
the beginnings of words are compared.
"""

import asyncio
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from inbox.domain.bot import Decision, Said, is_loop
from inbox.domain.bot_verdict import Verdict, handed_over, judged
from inbox.domain.clock import Clock
from inbox.domain.content import Text
from inbox.domain.conversations import HandoverReason
from inbox.domain.errors import InboxError
from inbox.domain.evaluation import Answered, Result, Transcript, scored
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, ConversationId, MessageId, TurnId, uuid7
from inbox.domain.knowledge import Passage, Source, asked, merged, within, words
from inbox.domain.messages import Author
from inbox.ports.llm import Answer, Assistant
from inbox.ports.records import BotTurn, History
from inbox.services.bot_context import Contexts, Talk
from inbox.services.bot_settings import BotSettings

_BETWEEN_TURNS: Final = timedelta(seconds=30)
_BEGINNING: Final = 5
"""Letters by which two forms of a word are taken for the same."""
_NUMBER: Final = "33600000000"


class Passages:
    """The knowledge base of a transcript."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = [(one, Counter(_beginnings(words(f"{one.title} {one.text}")))) for one in passages]

    async def find(
        self, account_id: AccountId, question: str, language: Language | None, *, limit: int, max_chars: int
    ) -> tuple[Source, ...]:
        """As `Knowledge.find`, by words alone: the rarer they are, the more they count."""
        del account_id, language
        wanted = set(_beginnings(asked(question)))
        holders = Counter(word for _, held in self._passages for word in held)
        ranked = [(sum(1 / holders[word] for word in wanted if word in held), one) for one, held in self._passages]
        best = sorted((pair for pair in ranked if pair[0] > 0), key=lambda pair: -pair[0])
        return within(merged([one for _, one in best]), limit=limit, max_chars=max_chars)


async def evaluated(transcript: Transcript, assistant: Assistant, settings: BotSettings, clock: Clock) -> Result:
    """Plays the turns until the transcript or the assistant's part of it is over. Raises nothing of the model."""
    contexts = Contexts(assistant, settings, Passages(transcript.knowledge))
    talk = _Talking(transcript, clock())
    turns: list[Answered] = []
    for text in transcript.customer:
        talk.customer(text)
        answered, is_over = await _turn(talk.turn(), contexts, talk.now)
        turns.append(answered)
        if answered.reply is not None:
            talk.business(answered.reply)
        if is_over:
            break
    return scored(transcript, turns)


async def _turn(talk: Talk, contexts: Contexts, now: datetime) -> tuple[Answered, bool]:
    """What a turn comes to, and whether a person has the conversation now."""
    settings, sentences, behaviour = contexts.settings, talk.sentences, talk.profile.behaviour
    said = [Said(is_inbound=m.is_inbound, author=m.author, text=m.content_text or "", at=m.at) for m in talk.history]
    if is_loop(said, now, settings.loop):
        return _answered(handed_over(HandoverReason.LOOP, "loop", sentences), 0.0, None), True
    began = time.perf_counter()
    answer: Answer[Decision] | None = None
    try:
        async with asyncio.timeout(settings.turn_seconds):
            asked_for = await contexts.of(talk)
            answer = await contexts.assistant.complete(asked_for.prompt, schema=Decision)
    except TimeoutError:
        verdict = handed_over(HandoverReason.UNAVAILABLE, "turn_timeout", sentences)
    except InboxError as error:
        verdict = handed_over(HandoverReason.UNAVAILABLE, f"{error.code}: {error}", sentences)
    else:
        least = settings.min_confidence if behaviour.min_confidence is None else behaviour.min_confidence
        verdict = judged(answer.value, asked_for.allowed, sentences, least)
    return _answered(verdict, time.perf_counter() - began, answer), verdict.handover is not None


def _answered(verdict: Verdict, seconds: float, answer: Answer[Decision] | None) -> Answered:
    return Answered(
        reply=verdict.reply,
        handover=verdict.handover,
        reason=verdict.reason,
        seconds=seconds,
        cost=answer.cost if answer else None,
        model=answer.model if answer else None,
    )


class _Talking:
    """A conversation that grows; half a minute lies between a message and the next one of the customer."""

    def __init__(self, transcript: Transcript, now: datetime) -> None:
        self.now = now
        self._transcript = transcript
        self._history: list[History] = []
        self._conversation = ConversationId(uuid7())

    def customer(self, text: str) -> None:
        self.now += _BETWEEN_TURNS
        self._add(text, None)

    def business(self, text: str) -> None:
        self._add(text, Author.BOT)

    def turn(self) -> Talk:
        waiting: list[History] = []
        for message in reversed(self._history):
            if not message.is_inbound:
                break
            waiting.insert(0, message)
        profile = self._transcript.profile
        return Talk(
            turn=BotTurn(
                id=TurnId(uuid7()),
                account_id=profile.account_id,
                conversation_id=self._conversation,
                trigger_message_id=self._history[-1].id,
                epoch=0,
            ),
            profile=profile,
            client_number=_NUMBER,
            contact_name=self._transcript.contact_name,
            history=tuple(self._history),
            waiting=tuple(waiting),
        )

    def _add(self, text: str, author: Author | None) -> None:
        content = Text(body=text)
        self._history.append(
            History(
                id=MessageId(uuid7()),
                is_inbound=author is None,
                author=author,
                content_text=text,
                content=content,
                at=self.now,
            )
        )


def _beginnings(found: Sequence[str]) -> list[str]:
    return [_unaccented(word)[:_BEGINNING] for word in found]


def _unaccented(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
