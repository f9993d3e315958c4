"""What the assistant may spend in a day: no limit is passed by more than one call."""

import asyncio
from datetime import UTC, date
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from builders import an_account, execute
from inbox.adapters.llm.answering import Answering, Ask, Defaults, Ending, Said
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.domain.bot_profile import Behaviour, Budget
from inbox.domain.errors import CircuitOpen, DatabaseUnavailable, InboxError
from inbox.domain.ids import AccountId, ConversationId, uuid7
from inbox.domain.model_usage import MICRO, Price, Prices, Usage
from inbox.domain.upstream_errors import (
    ModelFailed,
    ModelRefused,
    ModelSilent,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.kit.resilience import Guard, Policy
from inbox.ports.bot import Charge, Reservation
from inbox.ports.database import Database
from inbox.ports.llm import Answer, Meter, Prompt
from ledger.mutating import Around, AroundDatabase
from services.bot_scene import Scene, a_decision
from services.test_bot_context import VOICE, stored

T = TypeVar("T", bound=msgspec.Struct)

TODAY = date(2026, 11, 20)
MUCH = Charge(turns=1_000, tokens=10**9, cost=10**9)
ONE = Charge(turns=1, tokens=100, cost=30)
PRICES = Prices(table={"m": Price(input=1.0, output=10.0), "cheap": Price(input=0.1, output=0.1)})


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    return await Scene(database, engine, account, clock).begin()


async def spent(engine: AsyncEngine, holder: UUID) -> tuple[int, int, int]:
    rows = await execute(engine, "select turns, tokens, cost from bot_spending where holder = :id", id=holder)
    return tuple(rows[0]) if rows else (0, 0, 0)


async def reserve(database: Database, of: AccountId, customer: UUID, **limits: Charge) -> bool:
    call = Reservation(account_id=of, conversation_id=ConversationId(customer), day=TODAY, charge=ONE)
    limits = {"contact": MUCH, "account": MUCH} | limits
    async with database.transaction() as tx:
        return await tx.bot.reserve(call, **limits)


@pytest.mark.parametrize(
    ("limit", "calls"),
    [
        (Charge(turns=5, tokens=10**9, cost=10**9), 5),
        (Charge(turns=100, tokens=301, cost=10**9), 4),
        (Charge(turns=100, tokens=10**9, cost=100), 4),
        (Charge(turns=0, tokens=10**9, cost=10**9), 0),
    ],
)
async def test_many_at_once_pass_the_limit_of_an_account_by_the_last_call_only(
    engine: AsyncEngine, database: Database, limit: Charge, calls: int
) -> None:
    account = (await an_account(engine)).account_id
    asked = [reserve(database, account, uuid7(), account=limit) for _ in range(12)]
    assert sum(await asyncio.gather(*asked)) == calls
    assert await spent(engine, account) == (calls, calls * 100, calls * 30)


async def test_what_is_refused_to_a_customer_is_not_counted_for_the_account(
    engine: AsyncEngine, database: Database
) -> None:
    account, customer, other = (await an_account(engine)).account_id, uuid7(), uuid7()
    once = Charge(turns=1, tokens=10**9, cost=10**9)
    assert [await reserve(database, account, one, contact=once) for one in (customer, customer, other)] == [
        True,
        False,
        True,
    ]
    assert [await spent(engine, one) for one in (account, customer, other)] == [
        (2, 200, 60),
        (1, 100, 30),
        (1, 100, 30),
    ]


async def test_each_day_begins_with_nothing_and_old_days_are_forgotten(engine: AsyncEngine, database: Database) -> None:
    account, customer = (await an_account(engine)).account_id, uuid7()
    await reserve(database, account, customer)
    await execute(engine, "update bot_spending set day = day - 91")
    await reserve(database, account, customer)
    rows = await execute(engine, "select distinct day from bot_spending")
    assert [row.day for row in rows] == [TODAY]


# --- turns ------------------------------------------------------------------------------------------------------------


async def test_after_the_last_call_of_a_day_a_person_goes_on_and_tomorrow_the_bot(scene: Scene) -> None:
    await scene.business_says(behaviour=Behaviour(contact_budget=Budget(turns=2)))
    assert [await scene.turn_after(text) for text in ("un", "deux", "trois")] == ["answered", "answered", "handed_over"]
    row = await scene.row()
    assert (row.handover_reason, row.bot_enabled) == ("budget_spent", True)
    assert len(scene.assistant.prompts) == 2
    scene.clock.forward(days=1)
    assert await scene.turn_after("quatre") == "answered"
    assert (await scene.row()).handed_over_at is None


async def test_what_was_reserved_is_put_right_by_what_was_used(scene: Scene) -> None:
    scene.settings = {"prices": PRICES}
    scene.assistant.then(a_decision())
    await scene.turn_after("Bonjour")
    (turn,) = await execute(scene.engine, "select tokens_in, tokens_out from bot_turns")
    # Nobody said what the model `fake` costs: it is counted as the dearest one.
    used = (1, turn.tokens_in + turn.tokens_out, turn.tokens_in + 10 * turn.tokens_out)
    assert await spent(scene.engine, scene.account.account_id) == used
    assert await spent(scene.engine, scene.conversation) == used


def unheard() -> InboxError:
    error = ModelUnavailable("The connection was refused.")
    error.may_cost = False
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModelSilent("cut", usage=Usage(input=300, output=20)), (1, 320, 500)),
        (ModelThrottled(), (0, 0, 0)),
        (ModelRefused(), (0, 0, 0)),
        (unheard(), (0, 0, 0)),
        (CircuitOpen("gemini", retry_after=1.0), (0, 0, 0)),
    ],
    ids=lambda one: getattr(one, "code", ""),
)
async def test_a_call_without_an_answer_costs_what_is_billed(scene: Scene, error: InboxError, expected) -> None:
    scene.settings = {"prices": PRICES}
    scene.assistant.then(error)
    await scene.turn_after("Bonjour")
    assert await spent(scene.engine, scene.conversation) == expected


@pytest.mark.parametrize(
    "error",
    [ModelTimeout(), ModelFailed("It broke off."), ModelUnavailable(), ModelSilent("empty")],
    ids=lambda one: one.code,
)
async def test_a_call_of_which_nobody_knows_what_was_billed_stays_counted(scene: Scene, error: InboxError) -> None:
    scene.settings = {"prices": PRICES}
    scene.assistant.then(error)
    await scene.turn_after("Bonjour")
    turns, tokens, cost = await spent(scene.engine, scene.conversation)
    assert (turns, tokens > 2_048, cost > 20_480) == (1, True, True)


class Stumbling(FakeAssistant):
    """Answers at the second try; the first one broke off."""

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        assert meter is not None
        await meter.begins("fake", 16_384)
        return await super().complete(prompt, schema=schema, meter=meter)


async def test_each_try_is_a_call_and_none_is_made_that_the_budget_has_no_room_for(scene: Scene) -> None:
    scene.assistant = Stumbling()
    await scene.business_says(behaviour=Behaviour(contact_budget=Budget(turns=3)))
    assert await scene.turn_after("Bonjour") == "answered"
    turns, tokens, _ = await spent(scene.engine, scene.conversation)
    assert (turns, tokens > 16_384) == (2, True)
    assert await scene.turn_after("Encore") == "handed_over"
    assert (await scene.row()).handover_reason == "budget_spent"
    assert len(scene.assistant.prompts) == 1
    assert (await spent(scene.engine, scene.conversation))[0] == 3


async def test_a_voice_note_is_reserved_by_its_length(scene: Scene) -> None:
    scene.store, scene.settings = MemoryMediaStore(), {"prices": PRICES}
    [voice] = await scene.customer_writes(VOICE)
    await stored(scene, voice, b"OggS" + bytes(600_000), "audio/ogg")
    scene.assistant.then(ModelTimeout())
    await scene.turn()
    assert len(scene.assistant.prompts[-1].history[-1].media) == 1
    assert (await spent(scene.engine, scene.conversation))[1] > 300 * 32


class Odd(AroundDatabase):
    """A database in which a method of the budget fails."""

    def __init__(self, inner: Database, method: str) -> None:
        super().__init__(inner, transaction_of=lambda tx: self._broken(tx, method))

    def _broken(self, tx: Any, method: str) -> Any:  # noqa: ANN401 - any transaction
        async def fails(*_: object, **__: object) -> bool:
            raise DatabaseUnavailable

        whole, bot = Around(tx), Around(tx.bot)
        setattr(bot, method, fails)
        setattr(whole, "bot", bot)  # noqa: B010 - it has what it is around
        return whole


async def test_a_budget_that_cannot_be_put_right_keeps_no_answer_back(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    assert await scene.bot(database=Odd(scene.database, "settle")).work(await scene.lane()) == "answered"
    assert (await spent(scene.engine, scene.conversation))[1] > 2_048


class Reached(FakeAssistant):
    """At the second try, of another model: there is no connection for the first one."""

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        async def once(ask: Ask) -> Said:
            if ask.model == "m":
                raise unheard()
            text = msgspec.json.encode(a_decision()).decode()
            return Said(text=text, model=ask.model, ending=Ending.WHOLE, usage=Usage(input=70, output=30))

        guard = Guard("model", Policy(total=5.0, attempt=5.0, attempts=2, wait_initial=0.001, wait_max=0.001))
        return await Answering(guard, Defaults(model="m", fallback_model="n")).answer(prompt, schema, once, meter)


async def test_each_of_several_tries_is_put_right(scene: Scene) -> None:
    scene.assistant = Reached()
    assert await scene.turn_after("Bonjour") == "answered"
    assert (await spent(scene.engine, scene.conversation))[:2] == (1, 100)


async def test_a_try_that_cannot_be_put_right_keeps_no_other_back_and_each_is_told(scene: Scene) -> None:
    scene.assistant = Reached()
    await scene.customer_writes("Bonjour")
    with capture_logs() as logs:
        assert await scene.bot(database=Odd(scene.database, "settle")).work(await scene.lane()) == "answered"
    assert [one["event"] for one in logs].count("try_stays_counted_as_estimated") == 2
    turns, tokens, _ = await spent(scene.engine, scene.conversation)
    assert (turns, tokens > 4_096) == (2, True)


async def test_a_budget_that_cannot_be_asked_is_no_fault_of_the_model(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    with pytest.raises(DatabaseUnavailable):
        await scene.bot(database=Odd(scene.database, "reserve")).work(await scene.lane())
    assert (await scene.turns(), len(scene.assistant.prompts)) == ([("open", None)], 0)


async def test_an_answer_of_another_model_than_the_one_asked_for_says_so(scene: Scene) -> None:
    class Replaced(FakeAssistant):
        async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
            answer = await super().complete(prompt, schema=schema, meter=meter)
            return msgspec.structs.replace(answer, is_fallback=True)

    scene.assistant = Replaced()
    assert await scene.turn_after("Bonjour") == "answered"
    assert await scene.turns() == [("answered", "other_model")]


async def test_the_day_is_that_of_utc(scene: Scene) -> None:
    await scene.turn_after("Bonjour")
    rows = await execute(scene.engine, "select distinct day from bot_spending")
    assert [row.day for row in rows] == [scene.clock().astimezone(UTC).date()]


async def test_a_limit_of_money_of_an_account_is_in_units_of_its_currency(scene: Scene) -> None:
    scene.settings = {"prices": PRICES}
    await scene.business_says(behaviour=Behaviour(account_budget=Budget(cost=2.0)))
    await scene.turn_after("Bonjour")
    await execute(scene.engine, "update bot_spending set cost = :c", c=2 * MICRO - 1)
    assert await scene.turn_after("Encore") == "answered"
    await execute(scene.engine, "update bot_spending set cost = :c", c=2 * MICRO)
    assert await scene.turn_after("Encore") == "handed_over"
