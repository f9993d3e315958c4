"""Broken variants of our code, each wrong in one way that other systems are: what the ledger has to notice."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text

from inbox.domain.ids import MessageId, TurnId
from inbox.ports.bot import Charge, Reservation, TurnEnd
from inbox.ports.records import BotTurn, NewMessage
from ledger.mutating import Around, AroundDatabase, Parts, under

from . import limits, races
from .books import Counts
from .stage import Desk

_OVER_THE_FENCE: Final = text("""
update outbox set state = 'wire', attempt = attempt + 1, wire_at = clock_timestamp(), updated_at = clock_timestamp()
where id = :id and token = :token and state = 'claimed' returning attempt
""")
_SPENT: Final = text("select coalesce(max(turns), 0) from bot_spending where holder = :holder and day = :day")


class ComparesNoEpoch(Around):
    """What was queued is sent: who took over meanwhile comes too late."""

    async def to_wire(self, message_id: MessageId, token: UUID) -> int | None:
        async with under(self._inner, "_engine").begin() as connection:
            values = {"id": message_id, "token": token}
            attempt: int | None = (await connection.execute(_OVER_THE_FENCE, values)).scalar()
        return attempt


class ClosesFirst(AroundDatabase):
    """The turn is done when its answer is there; then the answer is queued."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any database
        super().__init__(inner, transaction_of=lambda tx: _ClosingFirst(tx, inner))


class _ClosingFirst(Around):
    def __init__(self, inner: Any, database: Any) -> None:  # noqa: ANN401 - any transaction
        super().__init__(inner)
        self.messages = _Messages(inner.messages, database)


class _Messages(Around):
    def __init__(self, inner: Any, database: Any) -> None:  # noqa: ANN401 - any repository
        super().__init__(inner)
        self._database = database

    async def queue(self, new: NewMessage, created: Any = None) -> Any:  # noqa: ANN401 - passed on
        if new.turn_id is not None:
            # In a transaction of its own, of which this one knows nothing.
            await asyncio.create_task(self._closed(new), context=Context())
        return await self._inner.queue(new, created)

    async def _closed(self, new: NewMessage) -> None:
        async with self._database.transaction() as tx:
            await tx.bot.close_turn(_turn(new), TurnEnd(state="answered"))


def _turn(new: NewMessage) -> BotTurn:
    """As much of it as closing looks at."""
    return BotTurn(
        id=TurnId(new.turn_id or UUID(int=0)),
        account_id=new.account_id,
        conversation_id=new.conversation_id,
        trigger_message_id=new.id,
        epoch=new.epoch or 0,
    )


class LooksBeforeItSpends(AroundDatabase):
    """The budget is looked at before a call and counted after it."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any database
        super().__init__(inner, transaction_of=_Looking)


class _Looking(Around):
    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any transaction
        super().__init__(inner)
        self.bot = _Purse(inner.bot)


class _Purse(Around):
    async def reserve(self, call: Reservation, *, contact: Charge, account: Charge) -> bool:
        if contact.turns < 1:
            return False
        values = {"holder": call.account_id, "day": call.day}
        spent = (await under(self._inner, "_connection").execute(_SPENT, values)).scalar()
        return bool(spent < account.turns)

    async def settle(self, call: Reservation, used: Charge) -> None:
        unlimited = Charge(turns=10**9, tokens=10**12, cost=10**12)
        await self._inner.reserve(call, contact=unlimited, account=unlimited)
        await self._inner.settle(call, used)


class CountsFirstTries(AroundDatabase):
    """The budget is asked for the first try of a turn only."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any database
        asked: set[UUID] = set()
        super().__init__(inner, transaction_of=lambda tx: _Counting(tx, asked))


class _Counting(Around):
    def __init__(self, inner: Any, asked: set[UUID]) -> None:  # noqa: ANN401 - any transaction
        super().__init__(inner)
        self.bot = _FirstTries(inner.bot, asked)


class _FirstTries(Around):
    def __init__(self, inner: Any, asked: set[UUID]) -> None:  # noqa: ANN401 - any repository
        super().__init__(inner)
        self._asked = asked

    async def reserve(self, call: Reservation, *, contact: Charge, account: Charge) -> bool:
        if call.conversation_id in self._asked:
            return True
        self._asked.add(call.conversation_id)
        return bool(await self._inner.reserve(call, contact=contact, account=account))


class GivesBackWhatBroke(AroundDatabase):
    """A try of which nobody said what it took is taken for one that took nothing."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any database
        held: dict[UUID, Reservation] = {}
        super().__init__(inner, transaction_of=lambda tx: _GivingBack(tx, held))


class _GivingBack(Around):
    def __init__(self, inner: Any, held: dict[UUID, Reservation]) -> None:  # noqa: ANN401 - any transaction
        super().__init__(inner)
        self.bot = _Held(inner.bot, held)


class _Held(Around):
    def __init__(self, inner: Any, held: dict[UUID, Reservation]) -> None:  # noqa: ANN401 - any repository
        super().__init__(inner)
        self._held = held

    async def reserve(self, call: Reservation, *, contact: Charge, account: Charge) -> bool:
        before = self._held.pop(call.conversation_id, None)
        if before is not None:
            await self._inner.settle(before, Charge(turns=0, tokens=0, cost=0))
        self._held[call.conversation_id] = call
        return bool(await self._inner.reserve(call, contact=contact, account=account))

    async def settle(self, call: Reservation, used: Charge) -> None:
        self._held.pop(call.conversation_id, None)
        await self._inner.settle(call, used)


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """`story` is the shortest in which the variant does harm, `fault` the count that has to show it."""

    parts: Parts
    story: Callable[[Desk], Awaitable[Counts]]
    fault: str


async def _at_the_fence(desk: Desk) -> Counts:
    return await races.taken_over(desk, ("outbox.to_wire:before", 1), races.switches_off)


async def _between_closing_and_queueing(desk: Desk) -> Counts:
    return await races.died(desk, ("tx.queue:after", 1))


async def _many_at_once(desk: Desk) -> Counts:
    return await limits.capped(desk, cap=1, crowd=6)


async def _of_a_model_that_stumbles(desk: Desk) -> Counts:
    return await limits.capped(desk, cap=1, crowd=2, limit="tokens", stumbles=True)


MUTANTS: Final[Mapping[str, Broken]] = {
    "fence_without_epoch": Broken(
        parts=Parts(database=lambda inner: AroundDatabase(inner, outbox_of=ComparesNoEpoch)),
        story=_at_the_fence,
        fault="spoke_after_takeover",
    ),
    "closed_before_queueing": Broken(
        parts=Parts(database=ClosesFirst), story=_between_closing_and_queueing, fault="lost_turns"
    ),
    "cap_without_reservation": Broken(
        parts=Parts(database=LooksBeforeItSpends), story=_many_at_once, fault="cap_overruns"
    ),
    "cap_on_first_tries": Broken(
        parts=Parts(database=CountsFirstTries), story=_of_a_model_that_stumbles, fault="cap_overruns"
    ),
    "broken_tries_for_free": Broken(
        parts=Parts(database=GivesBackWhatBroke), story=_of_a_model_that_stumbles, fault="cap_overruns"
    ),
}


async def is_caught(desk: Desk, name: str) -> tuple[Counts, Counts]:
    """What the story of a variant gives with it, and with our code as it is."""
    broken = MUTANTS[name]
    return await broken.story(desk.as_variant(broken.parts)), await broken.story(desk)
