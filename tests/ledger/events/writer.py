"""A writer: changes conversations in transactions of ours, some slow to commit, some rolled back.

    python -m ledger.events.writer      with an `Order` as one line of JSON

Prints a line for each transaction that committed: when its commit was answered (CLOCK_MONOTONIC, the same for all
processes of the machine) and what it changed.
"""

import asyncio
import random
import sys
import time
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.engine import create_engine, forget_failure
from inbox.adapters.database.postgres.transaction import PostgresTransaction
from inbox.adapters.events.postgres import PostgresEvents
from inbox.domain.bot import Mode
from inbox.domain.events import SERVICE, BotSwitched
from inbox.domain.ids import AccountId, ConversationId
from inbox.kit.sealing import Sealer

_ROLLED_BACK: Final = 0.08
_MOST_AT_ONCE: Final = 4


class Place(msgspec.Struct, frozen=True):
    account: AccountId
    talk: ConversationId


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` in all, in transactions of up to four conversations; `delay` is the longest wait before a commit.

    `rate` are transactions a second, at most; 0 is as many as go. `at_once` run side by side.
    """

    url: str
    keys: str
    places: list[Place]
    changes: int
    delay: float
    seed: int
    rate: float = 0.0
    at_once: int = 3


class Written(msgspec.Struct, frozen=True, array_like=True):
    """One transaction that committed: conversations with the number of their change."""

    at: float
    changes: list[tuple[str, int]]


class _Writer:
    def __init__(self, engine: AsyncEngine, events: PostgresEvents, order: Order) -> None:
        self._engine = engine
        self._events = events
        self._sealer = Sealer.from_setting(order.keys)
        self._order = order
        self._chance = random.Random(order.seed)  # noqa: S311 - a story that can be told again
        self._left = order.changes

    async def write(self) -> None:
        """Until all changes of the order are committed, by whoever."""
        pause = self._order.at_once / self._order.rate if self._order.rate else 0.0
        while self._left > 0:
            some = min(self._left, self._chance.randint(1, _MOST_AT_ONCE))
            # In the order of their ids, as everybody locks them.
            places = sorted(self._chance.sample(self._order.places, some), key=lambda place: place.talk)
            is_kept = self._chance.random() >= _ROLLED_BACK
            if is_kept:
                self._left -= some
            delay = self._chance.random() ** 3 * self._order.delay
            try:
                done = await self._transaction(places, delay, is_kept=is_kept)
            except DBAPIError:
                # It stood behind slow writers for longer than a lock may be waited for: nothing of it was committed.
                self._left += some if is_kept else 0
                continue
            if done is not None:
                print(msgspec.json.encode(done).decode(), flush=True)  # noqa: T201 - what this program is for
            if pause:
                await asyncio.sleep(pause)

    async def _transaction(self, places: list[Place], delay: float, *, is_kept: bool) -> Written | None:
        """As `PostgresDatabase.transaction`, with a wait between the last statement and the commit."""
        async with self._engine.connect() as connection:
            forget_failure(connection)
            tx = PostgresTransaction(connection, self._sealer)
            numbers = [await _changed(tx, place) for place in places]
            for place, number in zip(places, numbers, strict=True):
                ids = {"account_id": place.account, "conversation_id": place.talk}
                await tx.record(BotSwitched(**ids, enabled=False, epoch=number, by=SERVICE))  # type: ignore[arg-type]
            await tx.complete()
            if delay:
                await asyncio.sleep(delay)
            if not is_kept:
                await connection.rollback()
                return None
            await connection.commit()
            at = time.monotonic()
        self._events.publish(*tx.signals)
        return Written(at, [(str(place.talk), number) for place, number in zip(places, numbers, strict=True)])


async def _changed(tx: PostgresTransaction, place: Place) -> int:
    """The switch raises the epoch under the lock of the conversation: it numbers the changes that commit."""
    conversation = await tx.conversations.lock(place.account, place.talk)
    await tx.conversations.switch_bot(place.account, place.talk, Mode.OFF)
    return conversation.epoch + 1


async def _main(order: Order) -> None:
    engine = create_engine(order.url, pool_size=order.at_once)
    events = PostgresEvents(order.url.replace("postgresql+asyncpg://", "postgresql://", 1))
    async with events.running(), asyncio.TaskGroup() as group:
        writer = _Writer(engine, events, order)
        for _ in range(order.at_once):
            group.create_task(writer.write())
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.stdin.readline(), type=Order)))
