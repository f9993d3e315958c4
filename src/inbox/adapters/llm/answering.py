"""One answer out of several tries, the same for every vendor: what is asked next, and what all of it cost.

The guard counts tries and time. Here is decided what the next try changes: another model where the first one fails, or
other words where it answered without an answer. Neither speaks against the vendor, so neither moves the circuit. The
meter is asked behind the circuit and before the call: what is never asked is never counted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
import structlog

from inbox.adapters.llm.schemas import read_as
from inbox.adapters.llm.standby import Standby
from inbox.domain.errors import CommitUnknown, DatabaseTimeout, InboxError
from inbox.domain.model_usage import Prices, Usage
from inbox.domain.upstream_errors import (
    ModelMissing,
    ModelRefused,
    ModelSilent,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.kit.resilience import Guard, Policy, provider_failed
from inbox.ports.llm import Answer, Meter, Prompt, Safety

T = TypeVar("T", bound=msgspec.Struct)

_MOST_OUTPUT: Final = 16_384
_LONGEST_NAME: Final = 100
_MOST_COUNTED: Final = 100_000_000
_MOST_REMEMBERED: Final = 100
"""Models without a price: profiles may name their own."""
_METER_SECONDS: Final = 2.0
_BRIEFER: Final = "Your answer was too long and was cut. Answer again in far fewer words."
_OWN_WORDS: Final = "Answer in your own words: do not repeat a source at length."
_SHAPE_ONLY: Final = "Answer with JSON of the given shape and nothing else."

_log = structlog.stdlib.get_logger("inbox.llm")


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What counts where a prompt says nothing. The fallback model is asked when the first one cannot answer.

    A meter that does not answer in `meter_seconds` lets nothing through, and is not put right.
    """

    model: str
    fallback_model: str | None = None
    temperature: float | None = None
    max_output_tokens: int = 2048
    thinking_tokens: int = 0
    safety: Safety = Safety.HIGH
    prices: Prices = Prices()
    meter_seconds: float = _METER_SECONDS


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One try. `nudge` is one more instruction."""

    prompt: Prompt
    schema: type[msgspec.Struct]
    model: str
    temperature: float | None
    max_output_tokens: int
    thinking_tokens: int
    safety: Safety
    nudge: str = ""


class Ending(StrEnum):
    """How an answer ended, in the words of no vendor."""

    WHOLE = "whole"
    EMPTY = "empty"
    CUT = "cut"
    BLOCKED = "blocked"
    RECITED = "recited"
    GARBLED = "garbled"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one try that was answered. `model` is the version that answered."""

    text: str
    model: str
    ending: Ending
    usage: Usage = Usage()


Once: TypeAlias = Callable[[Ask], Awaitable[Said]]


class QuotaSpent(ModelRefused):
    """Waiting some seconds does not help; another model may have a quota of its own."""


class AccountRestricted(ModelRefused):
    """The vendor has shut us out, whatever we ask: this opens the circuit. It came as an answer."""

    may_cost = True


class AskAgain(ModelThrottled):
    """This try failed in a way that the next one need not: it comes at once. `meaning` is raised if none comes."""

    def __init__(self, meaning: InboxError) -> None:
        super().__init__(str(meaning), retry_after=0.0)
        self.meaning = meaning


class NextModel(AskAgain):
    """One model of the vendor failed: that says nothing of the vendor before the other one was asked."""


class OtherWords(AskAgain):
    """The vendor lives: it answered."""


class NotCounted(ModelRefused):
    """The meter let no try through, for `meaning`: nothing was asked, and nothing will be."""

    def __init__(self, meaning: InboxError) -> None:
        super().__init__(str(meaning))
        self.meaning = meaning


def may_cost(error: InboxError) -> bool:
    """False if surely no model was reached, so that nothing is billed."""
    return not isinstance(error, ModelRefused | ModelThrottled | ModelUnavailable) or error.may_cost


async def ended(meter: Meter | None, within: float = _METER_SECONDS) -> None:
    """A try is over. What follows is worth more than a meter that cannot be put right `within` so many seconds."""
    if meter is None:
        return
    try:
        async with asyncio.timeout(within):
            await meter.ends()
    except (InboxError, TimeoutError) as error:
        _stays_counted(error)
    except asyncio.CancelledError as error:
        _stays_counted(error)
        raise


def _stays_counted(error: BaseException) -> None:
    _log.warning("try_stays_counted_as_estimated", error=type(error).__name__)


def is_outage(error: Exception) -> bool | None:
    """What speaks against the vendor: the circuit's view of errors."""
    if isinstance(error, NextModel | NotCounted):
        return None
    return isinstance(error, AccountRestricted) or provider_failed(error)


class Answering:
    """One per assistant, for the life of the process."""

    def __init__(self, guard: Guard, defaults: Defaults, standby: Standby | None = None) -> None:
        self._guard = guard
        self._defaults = defaults
        self._standby = standby or Standby()
        self._unpriced: set[str] = set()

    async def answer(self, prompt: Prompt, schema: type[T], once: Once, meter: Meter | None) -> Answer[T]:
        """`once` makes one call, and raises errors of the domain or says what came. Raises as `Assistant.complete`."""
        metered = _Metered(once, meter, self._defaults.meter_seconds)
        call = _Call(schema, self._asks(prompt, schema), metered, self._standby, self._defaults, self._guard.policy)
        try:
            found = await self._guard.call(call.attempt, on_timeout=call.timed_out)
        except (AskAgain, NotCounted) as stopped:
            raise call.final(stopped.meaning) from stopped
        except InboxError as error:
            raise call.final(error) from error.__cause__
        finally:
            await ended(meter, self._defaults.meter_seconds)
        if isinstance(found, ModelSilent):
            raise call.final(found)
        if found.cost is None:
            self._warn_of(found.model)
        return found

    def _warn_of(self, model: str) -> None:
        """Once for each model: what it costs is told nowhere, and budgets count it as the dearest one."""
        if model not in self._unpriced and len(self._unpriced) < _MOST_REMEMBERED:
            self._unpriced.add(model)
            _log.warning("model_without_price", model=model, counted_as="the dearest of INBOX_LLM_PRICES")

    def _asks(self, prompt: Prompt, schema: type[T]) -> list[Ask]:
        """The same question to each model in question, in the order in which they are asked."""
        tuning, own = prompt.tuning, self._defaults
        models = [model for model in (tuning.model, own.model, own.fallback_model) if model is not None]
        temperature = own.temperature if tuning.temperature is None else tuning.temperature
        thinking = own.thinking_tokens if tuning.thinking_tokens is None else tuning.thinking_tokens
        return [
            Ask(
                prompt=prompt,
                schema=schema,
                model=model,
                temperature=temperature,
                max_output_tokens=tuning.max_output_tokens or own.max_output_tokens,
                thinking_tokens=thinking,
                safety=tuning.safety or own.safety,
            )
            for model in self._standby.in_order(models)
        ]


class _Metered:
    """One call at a time, counted before it is made and told what became of it."""

    def __init__(self, once: Once, meter: Meter | None, patience: float) -> None:
        self._once = once
        self._patience = patience
        self._meter = meter

    async def __call__(self, ask: Ask) -> Said:
        """Raises `NotCounted`, and what the call raises."""
        if self._meter is None:
            return _sane(await self._once(ask))
        await ended(self._meter, self._patience)
        await self._begin(self._meter, ask)
        try:
            said = _sane(await self._once(ask))
        except InboxError as error:
            if not may_cost(error):
                self._meter.unheard()
            raise
        self._meter.used(said.usage, said.model, ask.model)
        return said

    async def _begin(self, meter: Meter, ask: Ask) -> None:
        """Raises `NotCounted`."""
        try:
            # Time that the meter takes is not the vendor's: the guard would count it against them.
            async with asyncio.timeout(self._patience):
                await meter.begins(ask.model, ask.max_output_tokens)
        except (TimeoutError, CommitUnknown, asyncio.CancelledError) as error:
            # Nothing is asked, and nobody knows whether it was counted.
            _stays_counted(error)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise NotCounted(error if isinstance(error, CommitUnknown) else DatabaseTimeout()) from error
        except InboxError as error:
            raise NotCounted(error) from error


class _Call(Generic[T]):
    """One answer under way."""

    def __init__(
        self,
        schema: type[T],
        asks: Sequence[Ask],
        once: Once,
        standby: Standby,
        defaults: Defaults,
        policy: Policy,
    ) -> None:
        self._schema = schema
        self._ask, *self._others = asks
        self._once = once
        self._standby = standby
        self._own = defaults.model
        self._wanted = self._ask.prompt.tuning.model or defaults.model
        self._prices = defaults.prices
        self._longest_wait = policy.retry_after_max
        self._may_reword = True
        self._silence: ModelSilent | None = None
        self._usage = Usage()
        self._cost: int | None = 0

    async def attempt(self) -> Answer[T] | ModelSilent:
        """One try. A final silence is returned, not raised: the guard would ask for the same once more."""
        try:
            said = await self._once(self._ask)
        except InboxError as error:
            if not self._turns_to_next(error):
                raise
            raise NextModel(error) from error
        self._standby.answered(self._ask.model)
        self._count(said)
        try:
            value = self._value(said)
        except ModelSilent as silence:
            if not self._may_reword or (ask := _reworded(self._ask, said)) is None:
                return silence
            self._may_reword, self._ask, self._silence = False, ask, silence
            raise OtherWords(silence) from silence
        return Answer(
            value=value,
            model=said.model,
            usage=self._usage,
            cost=self._cost,
            is_fallback=self._ask.model != self._wanted,
        )

    def timed_out(self) -> InboxError:
        error = ModelTimeout("The model did not answer in time.")
        return NextModel(error) if self._turns_to_next(error) else error

    def final(self, error: InboxError) -> InboxError:
        """The error as callers get it: silence says what it cost, also if what came after it failed in another way.

        Only time that ran out stays that: what it cost nobody knows.
        """
        found = error if self._silence is None or isinstance(error, ModelSilent | ModelTimeout) else self._silence
        if isinstance(found, ModelSilent):
            found.usage, found.cost = self._usage, self._cost
        return found

    def _turns_to_next(self, error: InboxError) -> bool:
        """True if the next try asks the next model."""
        is_gone = self._is_unfit(error) or isinstance(error, ModelMissing | QuotaSpent)
        is_busy = isinstance(error, ModelThrottled) and (
            error.retry_after is None or error.retry_after > self._longest_wait
        )
        if not (is_gone or is_busy or isinstance(error, ModelUnavailable)):
            return False
        self._standby.failed(self._ask.model, for_long=is_gone)
        if not self._others:
            return False
        _log.warning("model_skipped", model=self._ask.model, then=self._others[0].model, error=type(error).__name__)
        self._ask = msgspec.structs.replace(self._others.pop(0), nudge=self._ask.nudge)
        return True

    def _is_unfit(self, error: InboxError) -> bool:
        """True if the model that a profile names is refused: whatever the reason, that of the settings may be taken."""
        is_profiles = self._ask.model == self._wanted != self._own
        is_of_model = isinstance(error, ModelRefused) and not isinstance(error, AccountRestricted | NotCounted)
        if is_profiles and is_of_model:
            _log.error("model_of_profile_refused", model=self._wanted, then=self._own, reason=str(error))
        return is_profiles and is_of_model

    def _count(self, said: Said) -> None:
        self._usage += said.usage
        cost = self._prices.cost(said.usage, said.model, self._ask.model)
        self._cost = None if cost is None or self._cost is None else self._cost + cost
        _log.info(
            "model_answered",
            asked=self._ask.model,
            model=said.model,
            ending=said.ending,
            input=said.usage.input,
            output=said.usage.output,
            cached=said.usage.cached,
        )

    def _value(self, said: Said) -> T:
        """Raises `ModelSilent` unless the answer is whole and fits the schema."""
        match said.ending:
            case Ending.BLOCKED | Ending.RECITED:
                raise ModelSilent("blocked")
            case Ending.CUT:
                raise ModelSilent("cut")
            case Ending.GARBLED:
                raise ModelSilent("malformed")
            case Ending.EMPTY:
                raise ModelSilent("empty")
            case Ending.WHOLE if not said.text.strip():
                raise ModelSilent("empty")
        return read_as(said.text, self._schema)


def _sane(said: Said) -> Said:
    """Names and numbers as they can be stored, whatever came."""
    name = "".join(filter(str.isprintable, said.model))[:_LONGEST_NAME]
    counts = (said.usage.input, said.usage.output, said.usage.cached)
    put_in, put_out, cached = (min(max(count, 0), _MOST_COUNTED) for count in counts)
    usage = Usage(input=put_in, output=put_out, cached=cached)
    return msgspec.structs.replace(said, model=name, usage=usage)


def _reworded(ask: Ask, said: Said) -> Ask | None:
    """The same question so that it may be answered; None where asking again does not help."""
    match said.ending:
        case Ending.BLOCKED:
            return None
        case Ending.CUT if not said.text.strip():
            # Thinking has used up the budget.
            more = min(4 * ask.max_output_tokens, max(_MOST_OUTPUT, ask.max_output_tokens))
            return msgspec.structs.replace(ask, max_output_tokens=more, thinking_tokens=0)
        case Ending.CUT:
            return msgspec.structs.replace(ask, nudge=_BRIEFER)
        case Ending.RECITED:
            return msgspec.structs.replace(ask, nudge=_OWN_WORDS)
        case Ending.WHOLE if said.text.strip():
            return msgspec.structs.replace(ask, nudge=_SHAPE_ONLY)
        case _:
            return ask
