"""Tells customers that their messages were read, apart from the reading itself: WhatsApp is asked by the worker."""

from uuid import UUID

from inbox.domain.errors import SecretUnreadable
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.upstream_errors import AccountProblem, Refused
from inbox.domain.work import MAX_ATTEMPTS, Lane
from inbox.ports.database import Database
from inbox.ports.messaging import Receipts


class ReadReceipts:
    """One lane per conversation. It takes no part in the pace of messages: none of them waits for a receipt."""

    def __init__(self, database: Database, receipts: Receipts) -> None:
        self._database = database
        self._receipts = receipts

    async def work(self, lane: Lane) -> str:
        """Tells the customer of the conversation that the lane names. Returns how it ended, for the metrics.

        What may pass is raised: the lane is due again later, and given up a day after the reading. Nobody is alarmed
        of the rest: what is wrong with an account is found out, and told, by its messages.
        """
        if lane.account_id is None:
            raise LookupError(f"receipt lane without account: {lane.key}")
        conversation_id = ConversationId(UUID(lane.key))
        try:
            async with self._database.transaction() as tx:
                pending = await tx.receipts.pending(lane.account_id, conversation_id)
        except SecretUnreadable:
            return await self._over(lane, "dropped")
        if pending is None:
            return await self._over(lane, "nothing_to_tell")
        if pending.channel is None or lane.attempts > MAX_ATTEMPTS:
            return await self._drop(lane, lane.account_id, conversation_id, pending.wamid)
        try:
            await self._receipts.mark_read(pending.channel, pending.wamid)
        except Refused:
            # It stays noted: WhatsApp would refuse this message again each time that somebody reads.
            return await self._over(lane, "refused")
        except AccountProblem:
            return await self._drop(lane, lane.account_id, conversation_id, pending.wamid)
        return await self._over(lane, "told")

    async def _over(self, lane: Lane, outcome: str) -> str:
        await self._database.work.finish([lane])
        return outcome

    async def _drop(self, lane: Lane, account_id: AccountId, conversation_id: ConversationId, wamid: str) -> str:
        """The next reading wants it anew."""
        async with self._database.transaction() as tx:
            await tx.finish([lane])
            await tx.receipts.forget(account_id, conversation_id, wamid)
        return "dropped"
