"""What the assistant may spend in a day: no limit is passed by more than one call."""

import asyncio
from datetime import UTC, date
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.domain.bot_profile import Behaviour, Budget
from inbox.domain.errors import CircuitOpen, InboxError
from inbox.domain.ids import AccountId, ConversationId, uuid7
from inbox.domain.model_usage import MICRO, Price, Prices, Usage
from inbox.domain.upstream_errors import ModelFailed, ModelSilent, ModelThrottled, ModelTimeout
from inbox.ports.bot import Charge, Reservation
from inbox.ports.database import Database
from services.bot_scene import Scene, a_decision

TODAY = date(2026, 11, 20)
MUCH = Charge(turns=1_000, tokens=10**9, cost=10**9)
ONE = Charge(turns=1, tokens=100, cost=30)


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
    scene.settings = {"prices": Prices(table={"m": Price(input=1.0, output=10.0)}), "model": "m"}
    scene.assistant.then(a_decision())
    await scene.turn_after("Bonjour")
    (turn,) = await execute(scene.engine, "select tokens_in, tokens_out from bot_turns")
    assert await spent(scene.engine, scene.account.account_id) == (1, turn.tokens_in + turn.tokens_out, 0)
    assert await spent(scene.engine, scene.conversation) == (1, turn.tokens_in + turn.tokens_out, 0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModelSilent("cut", usage=Usage(input=300, output=20), cost=77), (1, 320, 77)),
        (ModelThrottled(), (0, 0, 0)),
        (ModelFailed(), (0, 0, 0)),
        (CircuitOpen("gemini", retry_after=1.0), (0, 0, 0)),
    ],
    ids=lambda one: getattr(one, "code", ""),
)
async def test_a_call_without_an_answer_costs_what_is_billed(scene: Scene, error: InboxError, expected) -> None:
    scene.assistant.then(error)
    await scene.turn_after("Bonjour")
    assert await spent(scene.engine, scene.conversation) == expected


async def test_a_call_that_ran_out_of_time_may_be_billed(scene: Scene) -> None:
    scene.settings = {"prices": Prices(table={"m": Price(input=1.0, output=10.0)}), "model": "m"}
    scene.assistant.then(ModelTimeout())
    await scene.turn_after("Bonjour")
    turns, tokens, cost = await spent(scene.engine, scene.conversation)
    assert (turns, tokens > 2_048, cost > 20_480) == (1, True, True)


async def test_the_day_is_that_of_utc(scene: Scene) -> None:
    await scene.turn_after("Bonjour")
    rows = await execute(scene.engine, "select distinct day from bot_spending")
    assert [row.day for row in rows] == [scene.clock().astimezone(UTC).date()]


async def test_a_limit_of_money_of_an_account_is_in_units_of_its_currency(scene: Scene) -> None:
    scene.settings = {"prices": Prices(table={"m": Price(input=1.0, output=10.0)}), "model": "m"}
    await scene.business_says(behaviour=Behaviour(account_budget=Budget(cost=2.0)))
    await scene.turn_after("Bonjour")
    await execute(scene.engine, "update bot_spending set cost = :c", c=2 * MICRO - 1)
    assert await scene.turn_after("Encore") == "answered"
    await execute(scene.engine, "update bot_spending set cost = :c", c=2 * MICRO)
    assert await scene.turn_after("Encore") == "handed_over"
