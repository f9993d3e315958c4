"""Which rule strikes which request, how often, and the same each time under one seed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.emulators.faults import MAX_RULES, Action, FaultRule, Faults, RequestFacts

SEND = RequestFacts(kind="send", method="POST", path="/5001/messages", to="15550142001", type="text")
WEBHOOK = RequestFacts(kind="webhook", method="POST", path="http://localhost/webhook", type="sent")


def hits(faults: Faults, facts: RequestFacts, times: int) -> list[bool]:
    return [faults.pick(facts) is not None for _ in range(times)]


def test_without_rules_nothing_strikes() -> None:
    assert Faults().pick(SEND) is None


def test_a_rule_strikes_as_often_as_its_count_after_its_skip() -> None:
    faults = Faults()
    faults.add(FaultRule(action=Action.HANG, skip=2, count=2))

    assert hits(faults, SEND, 6) == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule(action=Action.HANG, kind="media"),
        FaultRule(action=Action.HANG, method="GET"),
        FaultRule(action=Action.HANG, path="^/media"),
        FaultRule(action=Action.HANG, to="15550142002"),
        FaultRule(action=Action.HANG, type="image"),
        FaultRule(action=Action.HANG, kind="send", type="image"),
    ],
)
def test_a_rule_that_names_something_else_does_not_strike_and_is_not_used_up(rule: FaultRule) -> None:
    faults = Faults()
    faults.add(rule)

    assert faults.pick(SEND) is None
    assert faults.list()[0].seen == 0


def test_only_a_drop_concerns_webhooks_and_it_concerns_nothing_else() -> None:
    faults = Faults()
    faults.add(FaultRule(action=Action.HANG))
    drop = FaultRule(action=Action.DROP_WEBHOOK)
    faults.add(drop)

    assert faults.pick(WEBHOOK) is drop
    assert faults.pick(SEND) is not drop


def test_the_first_rule_that_fits_and_is_not_used_up_strikes() -> None:
    faults = Faults()
    first = FaultRule(action=Action.HANG, count=1)
    second = FaultRule(action=Action.HTML_502)
    faults.add(first)
    faults.add(second)

    assert [faults.pick(SEND), faults.pick(SEND)] == [first, second]


@given(seed=st.integers(0, 2**32), probability=st.floats(0.05, 0.95))
def test_chance_is_the_same_under_one_seed_whatever_happens_in_between(seed: int, probability: float) -> None:
    rule = FaultRule(action=Action.HANG, kind="send", probability=probability)
    quiet, busy = Faults(seed), Faults(seed)
    quiet.add(rule)
    busy.add(rule)
    expected = hits(quiet, SEND, 50)
    found = []
    for _ in range(50):
        busy.pick(WEBHOOK)
        found.extend(hits(busy, SEND, 1))

    assert found == expected


def test_chance_strikes_about_as_often_as_it_says() -> None:
    faults = Faults(seed=1)
    faults.add(FaultRule(action=Action.HANG, probability=0.25))

    assert 200 < sum(hits(faults, SEND, 1000)) < 300


def test_rules_come_in_and_go_out_as_json() -> None:
    rule = msgspec.json.decode(b'{"action":"http_error","status":429,"body":{"a":[1,"b"]},"count":3}', type=FaultRule)
    faults = Faults()
    faults.add(rule)

    assert bytes(rule.body) == b'{"a":[1,"b"]}'
    assert msgspec.json.decode(msgspec.json.encode(faults.list()))[0]["rule"]["body"] == {"a": [1, "b"]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"action":"hang","colour":"red"}', type=FaultRule)


def test_rules_are_cleared_by_name_or_all() -> None:
    faults = Faults()
    for name in ("a", "b", "a"):
        faults.add(FaultRule(action=Action.HANG, name=name))

    assert faults.clear("a") == 2
    assert [armed.rule.name for armed in faults.list()] == ["b"]
    assert faults.clear() == 1


def test_a_bad_pattern_and_too_many_rules_are_refused() -> None:
    faults = Faults()
    with pytest.raises(ValueError, match="regular expression"):
        faults.add(FaultRule(action=Action.HANG, path="("))
    for _ in range(MAX_RULES):
        faults.add(FaultRule(action=Action.HANG))
    with pytest.raises(ValueError, match="at most"):
        faults.add(FaultRule(action=Action.HANG))
