"""Shows customers that somebody writes: a person of the team, or the bot. Never stored, never repeated."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import ConversationNotFound, InboxError
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.receipts import REPEATED_AFTER
from inbox.ports.database import Database
from inbox.ports.messaging import Receipts
from inbox.services.rights import Rights

MOST_AT_ONCE: Final = 32
"""So many customers are told at the same time; beyond that nobody is: it would be too late anyway."""
_MOST_REMEMBERED: Final = 10_000


class Composing:
    """One per process. Whoever says that they write is answered at once; WhatsApp hears of it meanwhile, or not."""

    def __init__(
        self, database: Database, rights: Rights, receipts: Receipts, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` in seconds, never set back."""
        self._database = database
        self._rights = rights
        self._receipts = receipts
        self._clock = clock
        self._said: dict[ConversationId, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """True while customers are being told."""
        return bool(self._tasks)

    async def by_person(self, actor: Actor, conversation_id: ConversationId) -> None:
        """Somebody of the team writes. Raises `ConversationNotFound`, `PermissionDenied`."""
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_SEND, account_id, ConversationNotFound)
        self.begins(account_id, conversation_id)

    def begins(self, account_id: AccountId, conversation_id: ConversationId) -> None:
        """Somebody writes. Dropped if it was said less than 20 s ago, or if too many customers are being told."""
        now, said = self._clock(), self._said.get(conversation_id)
        if len(self._tasks) >= MOST_AT_ONCE or (said is not None and now - said < REPEATED_AFTER):
            return
        self._remember(conversation_id, now)
        task = asyncio.create_task(self._tell(account_id, conversation_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Ends what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remember(self, conversation_id: ConversationId, now: float) -> None:
        self._said.pop(conversation_id, None)
        self._said[conversation_id] = now
        if len(self._said) > _MOST_REMEMBERED:
            del self._said[next(iter(self._said))]  # the oldest

    async def _tell(self, account_id: AccountId, conversation_id: ConversationId) -> None:
        try:
            async with self._database.transaction() as tx:
                incoming = await tx.receipts.incoming(account_id, conversation_id)
            if incoming is not None:
                await self._receipts.mark_read(incoming.channel, incoming.wamid, typing=True)
        except InboxError:
            return  # the call itself was counted and logged; nobody waits for it
