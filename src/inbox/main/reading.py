"""Wiring of what customers are told about reading and writing."""

from collections.abc import AsyncIterator

from dishka import Provider, Scope, provide

from inbox.ports.database import Database
from inbox.ports.messaging import Receipts
from inbox.services.composing import Composing
from inbox.services.read_receipts import ReadReceipts
from inbox.services.rights import Rights


class Reading(Provider):
    """Best effort: nothing else depends on it."""

    scope = Scope.APP
    read_receipts = provide(ReadReceipts)

    @provide
    async def composing(self, database: Database, rights: Rights, receipts: Receipts) -> AsyncIterator[Composing]:
        composing = Composing(database, rights, receipts)
        yield composing
        await composing.aclose()
