"""Workers and circuits: what is claimed while WhatsApp is out of reach, and how it flows when it is there again."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest

from builders import a_queued_message, execute
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.domain.content import Text
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import ModelUnavailable, TryLater
from inbox.domain.work import WorkKind
from inbox.entrypoints.worker import Worker
from inbox.kit.breaker import Breakers, Circuit
from worker.house import QUICK, Holding, House, running

DOWN = TryLater("service", graph_code=2)


class Guarded(Holding):
    """Behind a circuit, like the real one."""

    def __init__(self, breakers: Breakers) -> None:
        super().__init__()
        self._breakers = breakers
        self.is_down = False
        self.tries = 0

    async def send(self, *given: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the port says
        with self._breakers.guard("whatsapp", lambda _: True):
            self.tries += 1
            if self.is_down:
                raise DOWN
            return await super().send(*given, **options)


class World:
    """A worker whose WhatsApp and model stand behind circuits that open at once and stay open for half a minute."""

    def __init__(self, house: House, account) -> None:
        self.house = house
        self.at = 0.0
        self._account = account
        circuits = [
            Circuit(name=name, threshold=1, stays_open=30.0, early_trial=2.0) for name in ("whatsapp", "gemini")
        ]
        self.breakers = Breakers(circuits, clock=lambda: self.at)
        self.sender = house.sender = Guarded(self.breakers)
        self._looked = Failpoints()

    def worker(self) -> Worker:
        gates = {WorkKind.SEND: self.breakers.gate("whatsapp"), WorkKind.TURN: self.breakers.gate("gemini")}
        limits = msgspec.structs.replace(QUICK, gates=gates)
        return self.house.worker(limits, database=FaultyDatabase(self.house.database, self._looked))

    def opens(self, name: str, error: InboxError = DOWN) -> None:
        with suppress(InboxError), self.breakers.guard(name, lambda _: True):
            raise error

    def answers_again(self, name: str) -> None:
        """The harmless question was answered, at a time at which that counts."""
        self.at += 29.0
        self.breakers.try_early(name)
        assert self.state(name) == "half_open"

    def state(self, name: str) -> str:
        return self.breakers.inspect()[name].state

    async def queue(self, *texts: str) -> None:
        for text in texts:
            conversation, _ = await self.house.a_talk(self._account, bot_enabled=False)
            content = Text(body=text)
            await a_queued_message(self.house.engine, self._account.account_id, conversation, content=content)

    async def postponed(self, count: int) -> None:
        """Waits until so many lanes were given back, and makes them due."""
        statement = "select 1 from lanes where kind = 'send' and retries > 0 and attempts = 0 and ver > done"
        await self.house.until(f"{statement} having count(*) = {count}")
        await execute(self.house.engine, "update lanes set due = now() where attempts = 0")

    async def claims(self) -> int:
        """How often lanes were claimed, all together."""
        (row,) = await execute(self.house.engine, "select coalesce(sum(fence), 0) as claims from lanes")
        return int(row.claims)

    async def looks_again(self) -> None:
        """The worker looks for work twenty times more."""
        before = self._looked.hits("work.claim:before")
        await self.house.until_true(lambda: self._looked.hits("work.claim:before") >= before + 20)

    async def accepted(self, count: int) -> None:
        statement = f"select 1 from outbox where state = 'accepted' having count(*) = {count}"  # noqa: S608 - a number
        await self.house.until(statement)


@pytest.fixture
def world(database, engine, signals, clock, account) -> World:
    return World(House(database, engine, signals, clock), account)


# --- sends ------------------------------------------------------------------------------------------------------------


async def test_while_the_circuit_is_open_each_lane_hears_once_that_it_has_to_wait(world: World) -> None:
    world.opens("whatsapp")
    await world.queue("1", "2", "3", "4", "5")
    async with running(world.worker()):
        await world.postponed(5)
        await world.looks_again()
        assert (await world.claims(), world.sender.tries) == (5, 0)
        await world.queue("new")
        await world.postponed(6)
        await world.looks_again()
        assert (await world.claims(), world.sender.tries) == (6, 0)


async def test_when_whatsapp_is_there_again_everything_flows(world: World) -> None:
    world.opens("whatsapp")
    await world.queue("1", "2", "3", "4", "5")
    async with running(world.worker()):
        await world.postponed(5)
        world.answers_again("whatsapp")
        await world.accepted(5)
    assert world.state("whatsapp") == "closed"
    assert await world.claims() == 10


async def test_one_message_tries_while_the_others_stay_where_they_are(world: World) -> None:
    world.opens("whatsapp")
    await world.queue("1", "2", "3", "4", "5")
    async with running(world.worker()):
        await world.postponed(5)
        world.sender.behind |= {"1", "2", "3", "4", "5"}
        world.answers_again("whatsapp")
        await world.sender.holds.wait()
        await world.looks_again()
        assert (len(world.sender.held), await world.claims()) == (1, 6)
        world.sender.let_go.set()
        await world.accepted(5)


async def test_a_trial_that_fails_costs_one_claim(world: World) -> None:
    world.opens("whatsapp")
    await world.queue("1", "2", "3", "4", "5")
    async with running(world.worker()):
        await world.postponed(5)
        world.sender.is_down = True
        world.answers_again("whatsapp")
        await world.house.until_true(lambda: world.state("whatsapp") == "open")
        await world.looks_again()
        assert (world.sender.tries, await world.claims()) == (1, 6)
        world.sender.is_down = False
        world.answers_again("whatsapp")
        await world.accepted(5)


async def test_without_any_question_the_regular_time_still_lets_a_trial_through(world: World) -> None:
    world.opens("whatsapp")
    await world.queue("1", "2")
    async with running(world.worker()):
        await world.postponed(2)
        world.at += 31.0
        await world.accepted(2)


async def test_what_failed_at_the_opening_is_due_when_the_circuit_lets_something_through(
    world: World, database, engine
) -> None:
    await world.queue("first")
    await execute(engine, "update outbox set attempt = 20")
    world.sender.is_down = True
    async with running(world.worker()):
        await world.house.until_true(lambda: world.state("whatsapp") == "open")
        await world.house.until_true(lambda: world.house.done("send", "queued") == 1)
        world.sender.is_down = False
        world.answers_again("whatsapp")
        # `accepted` would make it due; here nobody does.
        await world.house.until_true(lambda: world.house.done("send", "accepted") == 1)


# --- turns ------------------------------------------------------------------------------------------------------------


class Model:
    """The model of the house, behind its circuit."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._inner = world.house.assistant

    async def complete(self, *given: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the port says
        with self._world.breakers.guard("gemini", lambda _: True):
            return await self._inner.complete(*given, **options)


async def test_turns_wait_for_the_model_and_are_answered_when_it_is_there_again(world: World, account) -> None:
    house = world.house
    numbers = [(await house.a_talk(account))[1] for _ in range(3)]
    house.assistant = Model(world)  # type: ignore[assignment]
    world.opens("gemini", ModelUnavailable())
    async with running(world.worker()):
        for number in numbers:
            await house.customer_writes(account, number, "Avez-vous des cerises ?")
        await house.until_true(lambda: house.done("turn", "waits") == 3)
        await world.looks_again()
        assert await execute(house.engine, "select 1 from lanes where kind = 'turn' having sum(fence) = 3")
        world.answers_again("gemini")
        await house.until_true(lambda: house.done("turn", "answered") == 3)
    assert world.state("gemini") == "closed"
    assert not await execute(house.engine, "select 1 from conversations where handed_over_at is not null")
