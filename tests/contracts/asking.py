"""The shortest way to ask a model, and how assistants are wired for it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal

from inbox.adapters.llm.answering import Defaults, NextModel, is_outage
from inbox.adapters.llm.gemini.client import GeminiAssistant
from inbox.adapters.llm.openai.client import Dialect, OpenAiAssistant
from inbox.domain.bot import Decision
from inbox.domain.copilot_errors import BudgetSpent
from inbox.domain.model_usage import Price, Prices, Usage
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import ApiClient, Limits, Timeouts
from inbox.kit.resilience import Guard, Observation, Policy
from inbox.ports.llm import Answer, Assistant, Prompt, Turn

from .model_side import KEY
from .trust import certificates

MODEL: Final = "gemini-3.5-flash-lite"
OTHER_MODEL: Final = "gemini-3.1-flash-lite"
OPENAI_MODEL: Final = "emulated-large"
OTHER_OPENAI_MODEL: Final = "emulated-small"
DECISION: Final[dict[str, Any]] = {
    "confidence": 0.75,
    "action": "reply",
    "handoff_reason": "none",
    "reply": "Oui, jusqu'à 19 h.",
}
PRICES: Final = Prices(
    table={MODEL: Price(input=0.3, output=2.5, cached=0.03), OPENAI_MODEL: Price(input=0.3, output=2.5, cached=0.03)}
)


def a_prompt(*said: str, system: str = "Tu réponds aux clients.", **more: Any) -> Prompt:  # noqa: ANN401
    """A conversation that the customer begins, turn and turn about."""
    roles: tuple[Literal["customer", "business"], ...] = ("customer", "business")
    said = said or ("Êtes-vous ouverts demain ?",)
    turns = tuple(Turn(role=roles[n % 2], text=text) for n, text in enumerate(said))
    return Prompt(system=system, history=turns, **more)


async def decided(assistant: Assistant, *said: str, **more: Any) -> Answer[Decision]:  # noqa: ANN401
    async with asyncio.timeout(20):
        return await assistant.complete(a_prompt(*said, **more), schema=Decision)


class Notebook:
    """A meter that lets `most` tries through and says what it heard of each: `used`, `free`, or nothing."""

    def __init__(self, most: int = 9, refusal: Exception | None = None) -> None:
        self.heard: list[str] = []
        self.begun: list[tuple[str, int]] = []
        self._most = most
        self._refusal = refusal or BudgetSpent()

    async def begins(self, model: str, output_tokens: int) -> None:
        if len(self.heard) == self._most:
            raise self._refusal
        self.heard.append("")
        self.begun.append((model, output_tokens))

    def used(self, usage: Usage, *models: str) -> None:
        assert usage.input > 0
        assert models[-1] == self.begun[-1][0]
        self.heard[-1] = "used"

    def unheard(self) -> None:
        self.heard[-1] = "free"

    async def ends(self) -> None:
        pass


class WiredAssistant:
    """As in production but for the times. With a fallback model it is the other one that the emulator knows."""

    def __init__(
        self,
        url: str,
        *,
        vendor: Literal["gemini", "openai"] = "gemini",
        key: str | None = KEY,
        model: str | None = None,
        fallback: str | None = None,
        total: float = 5.0,
        attempt: float = 2.0,
        dialect: Dialect | None = None,
        **defaults: Any,  # noqa: ANN401 - as Defaults takes them
    ) -> None:
        times = Timeouts(connect=0.5, read=5, pool=1)
        limits = Limits(body=256 * 1024)
        self.api = ApiClient(vendor, url, timeouts=times, limits=limits, tls=certificates())
        self.breakers = Breakers([Circuit(name=vendor, threshold=5, stays_open=60)])
        self.seen: list[Observation] = []
        policy = Policy(total=total, attempt=attempt, attempts=3, wait_initial=0.01, wait_max=0.02)
        guard = Guard(vendor, policy, self.breakers, vendor, is_outage, self.seen.append, (NextModel,))
        chosen = model or (MODEL if vendor == "gemini" else OPENAI_MODEL)
        given = Defaults(model=chosen, fallback_model=fallback, prices=PRICES, **defaults)
        self.assistant: GeminiAssistant | OpenAiAssistant
        if vendor == "gemini":
            self.assistant = GeminiAssistant(self.api, guard, api_key=key or "", defaults=given)
        else:
            self.assistant = OpenAiAssistant(
                self.api, guard, api_key=key, defaults=given, dialect=dialect or Dialect(reads_images=True)
            )


StartAssistant = Callable[..., WiredAssistant]
