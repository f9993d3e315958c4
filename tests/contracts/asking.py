"""The shortest way to ask a model, and how the Gemini assistant is wired for it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal

from inbox.adapters.llm.gemini.client import GeminiAssistant
from inbox.domain.bot import Decision
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import ApiClient, Timeouts
from inbox.kit.resilience import Guard, Policy
from inbox.ports.llm import Answer, Assistant, Prompt, Turn

from .model_side import KEY
from .trust import certificates

MODEL: Final = "gemini-3.5-flash-lite"
DECISION: Final[dict[str, Any]] = {
    "confidence": 0.75,
    "action": "reply",
    "handoff_reason": "none",
    "reply": "Oui, jusqu'à 19 h.",
}


def a_prompt(*said: str, system: str = "Tu réponds aux clients.") -> Prompt:
    """A conversation that the customer begins, turn and turn about."""
    roles: tuple[Literal["customer", "business"], ...] = ("customer", "business")
    said = said or ("Êtes-vous ouverts demain ?",)
    return Prompt(system=system, history=tuple(Turn(role=roles[n % 2], text=text) for n, text in enumerate(said)))


async def decided(assistant: Assistant, *said: str) -> Answer[Decision]:
    async with asyncio.timeout(20):
        return await assistant.complete(a_prompt(*said), schema=Decision)


class WiredAssistant:
    """As in production but for the times."""

    def __init__(
        self, url: str, *, key: str = KEY, model: str = MODEL, total: float = 5.0, attempt: float = 2.0
    ) -> None:
        self.api = ApiClient("gemini", url, timeouts=Timeouts(connect=0.5, read=5, pool=1), tls=certificates())
        self.breakers = Breakers([Circuit(name="gemini", threshold=5, stays_open=60)])
        policy = Policy(total=total, attempt=attempt, attempts=3, wait_initial=0.01, wait_max=0.02)
        guard = Guard("gemini", policy, self.breakers, "gemini")
        self.assistant = GeminiAssistant(self.api, guard, api_key=key, model=model)


StartAssistant = Callable[..., WiredAssistant]
