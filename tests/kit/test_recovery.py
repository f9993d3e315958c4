"""While a circuit is open its other side is asked whether it lives, and an answer lets the trial come early."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from inbox.domain.errors import CircuitOpen, InboxError
from inbox.domain.upstream_errors import WhatsAppError
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.recovery import Recovery

OPEN = 30.0


class Time:
    """A clock that goes on only when a rest is over, and a rest is over when the test says so."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.rests: list[float] = []
        self._resting = asyncio.Event()
        self._goes_on = asyncio.Semaphore(0)

    def __call__(self) -> float:
        return self.at

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self._resting.set()
        await self._goes_on.acquire()
        self.at += seconds

    async def passes(self) -> None:
        """One rest ends, and the asker rests again or has nothing more to ask."""
        await self.begins()
        self._resting.clear()
        self._goes_on.release()
        await settled()

    async def begins(self) -> None:
        async with asyncio.timeout(5):
            await self._resting.wait()


class Side:
    """The other side: whether it answers the harmless question, and how often it was asked."""

    def __init__(self) -> None:
        self.answer: bool | BaseException = WhatsAppError("503")
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.hangs = False

    async def probe(self) -> bool:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hangs:
                await asyncio.Event().wait()
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer
        finally:
            self.at_once -= 1


class Bench:
    def __init__(self, every: float = 2.0, within: float = 2.0) -> None:
        self.time = Time()
        self.side = Side()
        self.breakers = Breakers(
            [Circuit(name="whatsapp", threshold=1, stays_open=OPEN, early_trial=every)], clock=self.time
        )
        probes = {"whatsapp": self.side.probe}
        self.recovery = Recovery(
            self.breakers, probes, every=every, within=within, clock=self.time, rest=self.time.rest
        )

    def call(self, error: InboxError | None = None) -> bool:
        """A real call; whether it was let through."""
        try:
            with self.breakers.guard("whatsapp", lambda _: True):
                if error is not None:
                    raise error
        except CircuitOpen:
            return False
        except WhatsAppError:
            return True
        return True

    def fail(self) -> bool:
        return self.call(WhatsAppError("503"))

    @property
    def state(self) -> str:
        return self.breakers.inspect()["whatsapp"].state


async def settled() -> None:
    """Lets the asker go as far as it can without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with bench.recovery.running():
        await settled()
        yield bench


async def test_while_the_circuit_is_closed_nothing_is_asked_and_nobody_looks(bench: Bench) -> None:
    bench.call()
    await settled()
    assert (bench.side.asked, bench.time.rests) == (0, [])


async def test_an_answer_lets_one_trial_through_before_the_time_is_over(bench: Bench) -> None:
    bench.fail()
    await bench.time.passes()
    assert (bench.state, bench.side.asked) == ("open", 1)
    bench.side.answer = True
    await bench.time.passes()
    assert (bench.state, bench.side.asked) == ("half_open", 2)
    assert bench.time.at < 1005.0
    assert bench.call()
    assert bench.call()
    assert bench.state == "closed"


async def test_once_there_is_an_answer_nothing_more_is_asked(bench: Bench) -> None:
    bench.fail()
    bench.side.answer = True
    await bench.time.passes()
    await settled()
    assert (bench.side.asked, len(bench.time.rests)) == (1, 1)


@pytest.mark.parametrize("silence", [WhatsAppError("503"), False])
async def test_what_is_no_answer_counts_for_nothing_and_is_asked_again(bench: Bench, silence) -> None:
    bench.fail()
    before = bench.breakers.inspect()["whatsapp"]
    bench.side.answer = silence
    for _ in range(3):
        await bench.time.passes()
    assert bench.side.asked == 3
    assert bench.breakers.inspect()["whatsapp"] == before
    assert all(1.9 <= rest <= 2.5 for rest in bench.time.rests)


async def test_a_question_that_hangs_is_given_up_and_none_is_asked_beside_it() -> None:
    bench = Bench(within=0.01)
    bench.side.hangs = True
    async with bench.recovery.running():
        await settled()
        bench.fail()
        for _ in range(3):
            await bench.time.passes()
            await bench.time.begins()
    assert (bench.side.asked, bench.side.most_at_once, bench.state) == (3, 1, "open")


async def test_when_the_trial_fails_although_the_question_was_answered_the_next_one_waits_twice_as_long(
    bench: Bench,
) -> None:
    bench.side.answer = True
    bench.fail()
    for _ in range(6):
        await bench.time.passes()
        assert bench.state == "half_open"
        assert bench.fail()
        assert bench.state == "open"
        await settled()
    waits = bench.time.rests[1:]
    assert all(least <= wait <= 1.2 * least for least, wait in zip([4, 8, 16, 30, 30, 30], waits, strict=True))


async def test_a_trial_that_hung_is_followed_by_another_one_soon(bench: Bench) -> None:
    bench.side.answer = True
    bench.fail()
    await bench.time.passes()
    with pytest.raises(WhatsAppError), bench.breakers.guard("whatsapp", lambda _: True) as is_early:
        assert is_early
        bench.time.at += 5.0
        raise WhatsAppError("hung")
    await bench.time.begins()
    assert (bench.state, bench.time.rests[-1]) == ("open", 0.0)
    await bench.time.passes()
    assert bench.state == "half_open"


async def test_after_the_circuit_closed_the_waits_begin_anew(bench: Bench) -> None:
    bench.side.answer = True
    bench.fail()
    await bench.time.passes()
    bench.fail()
    await bench.time.passes()
    bench.call()
    bench.call()
    assert bench.state == "closed"
    bench.fail()
    await bench.time.begins()
    assert bench.time.rests[-1] <= 2.4


async def test_the_regular_time_still_applies(bench: Bench) -> None:
    bench.fail()
    await bench.time.begins()
    assert not bench.call()
    bench.time.at += OPEN
    with bench.breakers.guard("whatsapp", lambda _: True) as is_early:
        assert not is_early
    assert (bench.state, bench.side.asked) == ("half_open", 0)


async def test_an_operators_trip_lasts_its_usual_time(bench: Bench) -> None:
    bench.side.answer = True
    bench.breakers.trip("whatsapp")
    await settled()
    assert (bench.time.rests, bench.state) == ([], "open")


async def test_switched_off_nothing_is_ever_asked() -> None:
    bench = Bench(every=0.0)
    async with bench.recovery.running():
        bench.fail()
        await settled()
    assert (bench.side.asked, bench.time.rests, bench.state) == (0, [], "open")


async def test_asking_ends_with_the_process() -> None:
    bench = Bench()
    bench.side.hangs = True
    async with bench.recovery.running():
        await settled()
        bench.fail()
        await bench.time.passes()
        assert bench.side.at_once == 1
    assert bench.side.at_once == 0


# --- the gate ---------------------------------------------------------------------------------------------------------


def rooms(bench: Bench) -> Callable[[], int | None]:
    return bench.breakers.gate("whatsapp").room


def test_a_gate_shows_how_many_would_be_let_through() -> None:
    bench = Bench()
    room = rooms(bench)
    assert room() is None
    bench.fail()
    assert room() == 0
    bench.time.at += OPEN
    assert room() == 1
    with contextlib.suppress(WhatsAppError), bench.breakers.guard("whatsapp", lambda _: True):
        assert room() == 0
    assert room() == 1
    bench.call()
    assert room() is None


async def test_who_waits_at_a_gate_hears_of_each_state_and_of_the_end_of_each_trial() -> None:
    bench = Bench()
    gate = bench.breakers.gate("whatsapp")
    heard = []

    async def listen() -> None:
        seen = 0
        while True:
            seen = await gate.moved(seen)
            heard.append(gate.room())

    listener = asyncio.create_task(listen())
    bench.fail()
    await settled()
    bench.time.at += 2.0
    bench.breakers.try_early("whatsapp")
    await settled()
    for _ in range(2):
        bench.call()
        await settled()
    listener.cancel()
    assert heard == [0, 1, 1, None]
