"""Which model is asked first while one of two fails."""

from inbox.adapters.llm.standby import Standby


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_model_that_failed_twice_in_a_row_rests_and_then_one_call_tries() -> None:
    clock = Clock()
    standby = Standby(after=2, rest=30, clock=clock)
    both = ["a", "b"]
    standby.failed("a")
    standby.answered("a")
    standby.failed("a")
    assert standby.in_order(both) == ["a", "b"]
    standby.failed("a")
    assert standby.in_order(both) == ["b", "a"]
    clock.now += 30
    assert [standby.in_order(both) for _ in range(2)] == [["a", "b"], ["b", "a"]]
    standby.failed("a")
    assert standby.in_order(both) == ["b", "a"]
    clock.now += 30
    standby.in_order(both)
    standby.answered("a")
    assert [standby.in_order(both) for _ in range(2)] == [["a", "b"], ["a", "b"]]


def test_a_model_that_is_not_there_rests_at_once_and_both_resting_keep_their_order() -> None:
    standby = Standby(clock=Clock())
    standby.failed("a", for_long=True)
    assert standby.in_order(["a", "b", "a"]) == ["b", "a"]
    standby.failed("b", for_long=True)
    assert standby.in_order(["a", "b"]) == ["a", "b"]


def test_only_so_many_names_are_remembered() -> None:
    standby = Standby(clock=Clock())
    for n in range(101):
        standby.failed(f"m{n}", for_long=True)
    assert standby.in_order(["m0", "x"]) == ["m0", "x"]
    assert standby.in_order(["m1", "x"]) == ["x", "m1"]
