"""What an answer of a language model costs: tokens, and money by a table of prices."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

MICRO: Final = 1_000_000
"""Micro-units of a currency are one unit, as tokens are priced by the million."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, thinking included in `output`. Those in `cached` are a part of `input`, at a lower price."""

    input: int = 0
    output: int = 0
    cached: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input, output=self.output + other.output, cached=self.cached + other.cached
        )


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Units of the currency for a million tokens; None is the price of uncached input."""

    input: float
    output: float
    cached: float | None = None


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """By the exact name of a model."""

    currency: str = "USD"
    table: Mapping[str, Price] = MappingProxyType({})

    def cost(self, usage: Usage, *models: str) -> int | None:
        """Micro-units of the currency, rounded up; None if nobody said what the model costs.

        The first of `models` that has a price counts: an answer is billed as the model that gave it.
        """
        price = next((self.table[model] for model in models if model in self.table), None)
        return None if price is None else _cost(usage, price)

    def counted(self, usage: Usage, *models: str) -> int:
        """What counts against a budget: `cost`, or without a price what the dearest model of the table would cost.

        0 if the table is empty: then nobody wants money to be counted.
        """
        known = self.cost(usage, *models)
        return max((_cost(usage, price) for price in self.table.values()), default=0) if known is None else known


def _cost(usage: Usage, price: Price) -> int:
    cached = min(usage.cached, usage.input)
    # A price by the million in units is one by the token in micro-units.
    spent = (usage.input - cached) * price.input + usage.output * price.output
    return _rounded_up(spent + cached * (price.input if price.cached is None else price.cached))


def _rounded_up(amount: float) -> int:
    """A hair above a whole number is the noise of binary fractions."""
    return -int(-round(amount, 6) // 1)
