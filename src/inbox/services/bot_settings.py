"""What an installation says about the assistant; an account may say otherwise (`Behaviour`)."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from inbox.domain.bot import LoopLimits
from inbox.domain.explanations import Language
from inbox.domain.model_usage import Prices
from inbox.ports.bot import Charge

_PLACE: Final = re.compile(r"\{(\w+)\}")


class PromptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file with instructions. `name` holds its version: what is changed gets another one."""

    name: str
    text: str

    def rendered(self, **values: str) -> str:
        """With `values` in their places. What they say themselves stays as it is: braces in them mean nothing."""
        return _PLACE.sub(lambda found: values.get(found[1], found[0]), self.text)


class Prompts(msgspec.Struct, frozen=True, kw_only=True):
    assistant: Mapping[Language, PromptFile]
    summary: Mapping[Language, PromptFile]


class AlertTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """An approved template whose body has two variables: the customer's number, and what they wrote last."""

    name: str
    language: str


class BotSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`backup_number` gets the alerts of hand-overs, as WhatsApp digits, as `alert` where its window is closed.

    The bot answers when the customer was quiet for `quiet`, at the latest `gather` after the first message. A turn ends
    after `turn_seconds`. Of a conversation the model gets `history_tokens`, of its files `media_bytes`, of the
    knowledge base `most_sources`. Budgets are for a day.
    """

    prompts: Prompts
    canary: str
    backup_number: str | None
    alert: AlertTemplate | None = None
    quiet: timedelta = timedelta()
    gather: timedelta = timedelta(seconds=10)
    turn_seconds: float = 25.0
    min_confidence: float = 0.5
    media_bytes: int = 5 << 20
    history_tokens: int = 6_000
    most_sources: int = 5
    loop: LoopLimits = LoopLimits()
    contact_budget: Charge = Charge(turns=200, tokens=1_000_000, cost=2_000_000)
    account_budget: Charge = Charge(turns=5_000, tokens=20_000_000, cost=20_000_000)
    prices: Prices = Prices()
