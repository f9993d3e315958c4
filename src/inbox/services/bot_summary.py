"""What happened so far, for the person who goes on: made after a hand-over, which never waits for it.

It is work of the conversation's lane: whoever dies with it leaves it to the next worker.
"""

import asyncio
from datetime import timedelta
from typing import Final

from inbox.domain.bot import Summary
from inbox.domain.bot_guards import as_meant, leaks
from inbox.domain.clock import Clock
from inbox.domain.errors import CommitUnknown, DatabaseTimeout, DatabaseUnavailable, InboxError
from inbox.domain.events import BotSummarised
from inbox.domain.work import MAX_ATTEMPTS, Lane
from inbox.ports.database import Database
from inbox.services.bot_budget import Spender, Spending
from inbox.services.bot_context import Contexts, Talk

_AT_ONCE: Final = 2
_NEXT_LOOK: Final = timedelta(seconds=1)
_SECONDS: Final = 15.0
_LONGEST: Final = 2_000
_OUTAGE: Final = (DatabaseUnavailable, DatabaseTimeout, CommitUnknown)


class Summaries:
    """Two at once in a process, so that turns have the other workers. The model is asked once for each."""

    def __init__(self, database: Database, contexts: Contexts, clock: Clock) -> None:
        self._database = database
        self._contexts = contexts
        self._spending = Spending(database, contexts.settings, clock)
        self._busy = 0

    async def make(self, talk: Talk, lane: Lane) -> str:
        """Stores a summary with the turn of `talk`, or that there is none. Returns how it ended, for the metrics."""
        if self._busy >= _AT_ONCE:
            await self._database.work.put_off(lane, _NEXT_LOOK)
            return "waits"
        self._busy += 1
        try:
            # Worker after worker died with it: the hand-over stands without.
            text = await self._tried(talk) if lane.attempts <= MAX_ATTEMPTS else ""
        finally:
            self._busy -= 1
        async with self._database.transaction() as tx:
            found = await tx.bot.summarise(talk.turn, text)
            if found is not None and text:
                await tx.record(BotSummarised(account_id=talk.turn.account_id, conversation_id=found))
            await tx.finish([lane])
        return "summarised" if text else "not_summarised"

    async def _tried(self, talk: Talk) -> str:
        """Empty if the model has nothing to say, or does not answer. Raises errors of the database."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._written(talk)
        except _OUTAGE:
            raise
        except (InboxError, TimeoutError):
            return ""

    async def _written(self, talk: Talk) -> str:
        asked = self._contexts.for_summary(talk)
        spender = Spender.of(talk.profile, talk.turn.conversation_id)
        assistant, tokens = self._contexts.assistant, asked.tokens
        answer = await self._spending.complete(assistant, asked.prompt, Summary, spender=spender, tokens=tokens)
        text = as_meant(answer.value.text).replace("\x00", "").strip()[:_LONGEST]
        return "" if leaks(text, asked.allowed) else text
