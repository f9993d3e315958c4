"""What an answer of a model costs."""

from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.model_usage import Price, Prices, Usage

PRICES = Prices(table={"small": Price(input=0.3, output=2.5, cached=0.03), "plain": Price(input=1, output=2)})


def test_a_million_tokens_cost_their_price_in_micro_units():
    million = 1_000_000
    assert PRICES.cost(Usage(input=million), "small") == 300_000
    assert PRICES.cost(Usage(output=million), "small") == 2_500_000
    assert PRICES.cost(Usage(input=million, cached=million), "small") == 30_000
    assert PRICES.cost(Usage(input=million, cached=million), "plain") == million


def test_parts_of_a_micro_unit_are_rounded_up():
    assert PRICES.cost(Usage(input=1), "small") == 1
    assert PRICES.cost(Usage(input=10), "small") == 3
    assert PRICES.cost(Usage(), "small") == 0


def test_the_model_that_answered_goes_before_the_one_that_was_asked():
    assert PRICES.cost(Usage(input=10), "plain", "small") == 10
    assert PRICES.cost(Usage(input=10), "of-tomorrow", "small") == 3


def test_a_model_without_a_price_costs_nobody_knows_what():
    assert PRICES.cost(Usage(input=1), "of-tomorrow") is None
    assert PRICES.cost(Usage(input=1)) is None


def test_a_budget_counts_an_unknown_model_as_the_dearest_one_of_the_table():
    assert PRICES.counted(Usage(input=1_000, output=10), "small") == 325
    assert PRICES.counted(Usage(input=1_000, output=10), "of-tomorrow") == 1_020
    assert PRICES.counted(Usage(input=10, output=1_000), "of-tomorrow") == 2_503
    free = Prices(table={**PRICES.table, "mine": Price(input=0, output=0)})
    assert free.counted(Usage(input=1_000), "mine") == 0
    assert Prices().counted(Usage(input=1_000), "mine") == 0


counts = st.integers(min_value=0, max_value=10**7)
usages = st.builds(Usage, input=counts, output=counts, cached=counts)


@given(one=usages, other=usages)
def test_two_calls_cost_what_they_cost_together_but_for_the_rounding(one, other):
    if one.cached > one.input or other.cached > other.input:
        return
    apart = (PRICES.cost(one, "small") or 0) + (PRICES.cost(other, "small") or 0)
    assert 0 <= apart - (PRICES.cost(one + other, "small") or 0) <= 1
