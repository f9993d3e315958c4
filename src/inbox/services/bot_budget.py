"""What the assistant may use in a day: asked for before each call of the model, put right after it."""

from datetime import UTC
from typing import Final

from inbox.domain.bot_profile import Behaviour, Budget
from inbox.domain.clock import Clock
from inbox.domain.errors import InboxError
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.model_usage import MICRO, Usage
from inbox.domain.upstream_errors import ModelSilent, ModelTimeout
from inbox.ports.bot import Charge, Reservation
from inbox.ports.database import Database
from inbox.services.bot_settings import BotSettings

_NOTHING: Final = Charge(turns=0, tokens=0, cost=0)


class Spending:
    """Nothing of it runs inside another transaction."""

    def __init__(self, database: Database, settings: BotSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._now = clock

    async def reserve(
        self, account_id: AccountId, conversation_id: ConversationId, behaviour: Behaviour, tokens: int
    ) -> Reservation | None:
        """For a call that reads up to `tokens`; None if the customer or the account used up the day's budget.

        What this process does not come to put right, because it dies, stays counted.
        """
        most = self._settings.output_tokens
        expected = Usage(input=tokens, output=most)
        cost = self._settings.prices.cost(expected, behaviour.model or self._settings.model)
        call = Reservation(
            account_id=account_id,
            conversation_id=conversation_id,
            day=self._now().astimezone(UTC).date(),
            charge=Charge(turns=1, tokens=tokens + most, cost=cost or 0),
        )
        contact = _limits(behaviour.contact_budget, self._settings.contact_budget)
        account = _limits(behaviour.account_budget, self._settings.account_budget)
        async with self._database.transaction() as tx:
            is_free = await tx.bot.reserve(call, contact=contact, account=account)
        return call if is_free else None

    async def settle(self, call: Reservation, usage: Usage, cost: int | None) -> None:
        """After an answer. Without a price money is not counted: the limits of turns and tokens hold."""
        await self._put_right(call, Charge(turns=1, tokens=usage.input + usage.output, cost=cost or 0))

    async def failed(self, call: Reservation, error: InboxError) -> None:
        """After a call without an answer. One that ran out of time may be billed: it stays counted."""
        if isinstance(error, ModelSilent):
            await self.settle(call, error.usage, error.cost)
        elif not isinstance(error, ModelTimeout):
            await self._put_right(call, _NOTHING)

    async def _put_right(self, call: Reservation, used: Charge) -> None:
        async with self._database.transaction() as tx:
            await tx.bot.settle(call, used)


def _limits(told: Budget, usual: Charge) -> Charge:
    cost = usual.cost if told.cost is None else round(told.cost * MICRO)
    return Charge(
        turns=usual.turns if told.turns is None else told.turns,
        tokens=usual.tokens if told.tokens is None else told.tokens,
        cost=cost,
    )
