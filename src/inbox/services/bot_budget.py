"""What the assistant may use in a day: asked for before each try at the model, put right after it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import msgspec

from inbox.domain.bot_profile import Behaviour, Budget, Profile
from inbox.domain.clock import Clock
from inbox.domain.copilot_errors import BudgetSpent
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.model_usage import MICRO, Prices, Usage
from inbox.ports.bot import Charge, Reservation
from inbox.ports.database import Database
from inbox.ports.llm import Answer, Assistant, Prompt
from inbox.services.bot_settings import BotSettings

T = TypeVar("T", bound=msgspec.Struct)

_NOTHING: Final = Charge(turns=0, tokens=0, cost=0)
_LEAST_OUTPUT: Final = 1_024
"""Tokens: models that think are given so much room, whatever was asked for."""


class Spender(msgspec.Struct, frozen=True, kw_only=True):
    """Whose budgets a call counts against: the customer's, and those of all of the account together."""

    account_id: AccountId
    conversation_id: ConversationId
    behaviour: Behaviour

    @classmethod
    def of(cls, profile: Profile, conversation_id: ConversationId) -> "Spender":
        return cls(account_id=profile.account_id, conversation_id=conversation_id, behaviour=profile.behaviour)


class Spending:
    """Nothing of it runs inside another transaction."""

    def __init__(self, database: Database, settings: BotSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._now = clock

    async def complete(
        self,
        assistant: Assistant,
        prompt: Prompt,
        schema: type[T],
        *,
        spender: Spender,
        tokens: int,
        begins: Callable[[], None] | None = None,
    ) -> Answer[T]:
        """The answer to a prompt that is about `tokens` long; `begins` is called when the model is first asked.

        What this process does not come to put right, because it dies, stays counted. Raises `BudgetSpent` if the
        customer or the account used up the day's budget, what `Assistant.complete` raises, and errors of the database.
        """
        purse = _Purse(self, spender, tokens, begins)
        return await assistant.complete(prompt, schema=schema, meter=purse)

    @property
    def prices(self) -> Prices:
        return self._settings.prices

    async def reserve(self, spender: Spender, charge: Charge) -> Reservation:
        """Raises `BudgetSpent`."""
        now, behaviour = self._now().astimezone(UTC), spender.behaviour
        call = Reservation(
            account_id=spender.account_id,
            conversation_id=spender.conversation_id,
            day=now.date(),
            charge=charge,
        )
        contact = _limits(behaviour.contact_budget, self._settings.contact_budget)
        account = _limits(behaviour.account_budget, self._settings.account_budget)
        async with self._database.transaction() as tx:
            is_free = await tx.bot.reserve(call, contact=contact, account=account)
        if not is_free:
            raise BudgetSpent(retry_after=_until_midnight(now))
        return call

    async def settle(self, call: Reservation, used: Charge) -> None:
        """Replaces what was reserved."""
        async with self._database.transaction() as tx:
            await tx.bot.settle(call, used)


class _Purse:
    """The meter of one answer. Each try is a call: it is reserved before it is made.

    One that broke off or ran out of time may be billed: it stays counted as reserved, as does one of which the vendor
    says no tokens.
    """

    def __init__(self, spending: Spending, spender: Spender, tokens: int, begins: Callable[[], None] | None) -> None:
        self._spending = spending
        self._spender = spender
        self._tokens = tokens
        self._begins = begins
        self._call: Reservation | None = None
        self._used: Charge | None = None

    async def begins(self, model: str, output_tokens: int) -> None:
        most = Usage(input=self._tokens, output=max(output_tokens, _LEAST_OUTPUT))
        self._call = await self._spending.reserve(self._spender, self._charge(most, model))
        if self._begins is not None:
            self._begins()
            self._begins = None

    def used(self, usage: Usage, *models: str) -> None:
        if usage.input + usage.output > 0:
            self._used = self._charge(usage, *models)

    def unheard(self) -> None:
        self._used = _NOTHING

    async def ends(self) -> None:
        """Puts the try right, if anything is known of it: once, for a second time would take off as much again."""
        call, used, self._call, self._used = self._call, self._used, None, None
        if call is not None and used is not None:
            await self._spending.settle(call, used)

    def _charge(self, usage: Usage, *models: str) -> Charge:
        cost = self._spending.prices.counted(usage, *models)
        return Charge(turns=1, tokens=usage.input + usage.output, cost=cost)


def _limits(told: Budget, usual: Charge) -> Charge:
    cost = usual.cost if told.cost is None else round(told.cost * MICRO)
    return Charge(
        turns=usual.turns if told.turns is None else told.turns,
        tokens=usual.tokens if told.tokens is None else told.tokens,
        cost=cost,
    )


def _until_midnight(now: datetime) -> float:
    """Seconds until a new day begins; `now` is in UTC."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1) - now).total_seconds()
