"""What happened so far, for the person who goes on: made after a hand-over, which never waits for it."""

import asyncio
from typing import Final

from inbox.domain.bot import Summary
from inbox.domain.bot_guards import leaks
from inbox.domain.clock import Clock
from inbox.domain.conversations import HandoverReason
from inbox.domain.errors import InboxError
from inbox.domain.events import BotSummarised
from inbox.ports.database import Database
from inbox.services.bot_budget import Spending
from inbox.services.bot_context import Contexts, Talk

_AT_ONCE: Final = 2
_SECONDS: Final = 15.0
_LONGEST: Final = 2_000
_WITHOUT: Final = frozenset({HandoverReason.UNAVAILABLE, HandoverReason.BUDGET})
"""Reasons for which the model is not asked again."""


class Summaries:
    """Two at once in a process, so that turns have the other workers; what cannot be made now is not made."""

    def __init__(self, database: Database, contexts: Contexts, clock: Clock) -> None:
        self._database = database
        self._contexts = contexts
        self._spending = Spending(database, contexts.settings, clock)
        self._busy = 0

    async def make(self, talk: Talk, reason: HandoverReason) -> None:
        """Stores a summary with the turn, or leaves it."""
        if reason in _WITHOUT or self._busy >= _AT_ONCE:
            return
        self._busy += 1
        try:
            async with asyncio.timeout(_SECONDS):
                text = await self._written(talk)
                if text:
                    async with self._database.transaction() as tx:
                        found = await tx.bot.summarise(talk.turn, text)
                        if found is not None:
                            told = BotSummarised(account_id=talk.turn.account_id, conversation_id=found)
                            await tx.record(told)
        except (InboxError, TimeoutError):
            return  # the hand-over stands without it
        finally:
            self._busy -= 1

    async def _written(self, talk: Talk) -> str:
        asked = self._contexts.for_summary(talk)
        turn = talk.turn
        call = await self._spending.reserve(turn.account_id, turn.conversation_id, talk.profile.behaviour, asked.tokens)
        if call is None:
            return ""
        try:
            answer = await self._contexts.assistant.complete(asked.prompt, schema=Summary)
        except InboxError as error:
            await self._spending.failed(call, error)
            raise
        await self._spending.settle(call, answer.usage, answer.cost)
        text = answer.value.text.replace("\x00", "").strip()[:_LONGEST]
        return "" if leaks(text, asked.allowed) else text
