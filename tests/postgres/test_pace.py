"""Who may send now: tokens of numbers, people before programs, accounts in turn."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, an_inbound_message, execute
from inbox.adapters.database.postgres import paces
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain import pacing
from inbox.domain.inbound import Severity, Source
from inbox.domain.pacing import BURST, Priority
from inbox.domain.work import WorkKind
from postgres.effect_scene import a_notice, ingest
from postgres.pace_scene import T0, claim, lanes_of, of, priorities, set_rate

BUCKETS = st.lists(
    st.tuples(
        st.none() | st.integers(-1_000_000, 1_000_000),  # microseconds from now to the moment of the bucket
        st.floats(1, 10_000),
        st.none() | st.floats(1, 10_000),
        st.integers(0, 2_000),
    ),
    min_size=1,
    max_size=50,
)

_SQL = text(f"""
select {paces.rate("p", "u.now")} as rate, {paces.tokens("u.free_at", "u.now", paces.rate("p", "u.now"))} as tokens
from unnest(cast(:free as timestamptz[]), cast(:ceilings as float8[]), cast(:learned as float8[]),
            cast(:since as timestamptz[]), cast(:nows as timestamptz[])) with ordinality
  u(free_at, ceiling, learned, learned_at, now, n)
cross join lateral (select u.ceiling, u.learned, u.learned_at) p
order by n
""")  # noqa: S608 - constants of ours


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(buckets=BUCKETS)
async def test_the_database_counts_tokens_as_the_domain_does(shared_engine: AsyncEngine, buckets: list) -> None:
    free = [None if ahead is None else T0 + timedelta(microseconds=ahead) for ahead, *_ in buckets]
    values = {
        "free": free,
        "ceilings": [ceiling for _, ceiling, _, _ in buckets],
        "learned": [learned for *_, learned, _ in buckets],
        "since": [None if learned is None else T0 - timedelta(seconds=age) for *_, learned, age in buckets],
        "nows": [T0] * len(buckets),
    }
    async with shared_engine.connect() as connection:
        rows = (await connection.execute(_SQL, values)).all()
    for row, free_at, (_, ceiling, learned, age) in zip(rows, free, buckets, strict=True):
        rate = pacing.rate(ceiling, learned, timedelta(seconds=age))
        assert row.rate == pytest.approx(rate)
        # A product that is nearly whole may fall on either side of it.
        assert row.tokens == pytest.approx(pacing.tokens(free_at, T0, rate), abs=1)
        assert row.tokens == pacing.tokens(free_at, T0, row.rate) or _is_nearly_whole(free_at, row.rate)


def _is_nearly_whole(free_at: datetime | None, rate: float) -> bool:
    ahead = max((free_at - T0).total_seconds(), 0) if free_at else 0
    room = (BURST.total_seconds() - ahead) * rate
    return abs(room - round(room)) < 1e-6 or abs(BURST.total_seconds() - ahead) < 1e-9


async def test_a_number_sends_at_its_rate_and_no_faster(database: PostgresDatabase, engine: AsyncEngine) -> None:
    account = await an_account(engine)
    await lanes_of(engine, account, 300)
    counts = [len(await claim(database, 100, T0 + timedelta(milliseconds=50 * n))) for n in range(21)]
    assert counts[0] == 17  # what it may catch up with
    assert sum(counts[1:]) == 80


async def test_three_workers_share_one_limit(database: PostgresDatabase, engine: AsyncEngine) -> None:
    account = await an_account(engine)
    await lanes_of(engine, account, 1_000)
    claimed = []
    for n in range(21):
        now = T0 + timedelta(milliseconds=100 * n)
        for found in await asyncio.gather(*(claim(database, 50, now) for _ in range(3))):
            claimed += found
    assert len({lane.key for lane in claimed}) == len(claimed)
    assert 17 + 160 - 2 <= len(claimed) <= 17 + 160


async def test_a_lane_without_a_token_keeps_its_place(database: PostgresDatabase, engine: AsyncEngine) -> None:
    account = await an_account(engine)
    await set_rate(engine, account, 1)
    await lanes_of(engine, account, 3)
    in_order = [row.key for row in await execute(engine, "select key from lanes order by due")]
    first = await claim(database, 10)
    assert await claim(database, 10) == []
    later = [await claim(database, 10, T0 + timedelta(seconds=n)) for n in (1, 2)]
    assert [lane.key for lane in [*first, *later[0], *later[1]]] == in_order


async def test_the_rate_of_one_number_is_not_that_of_another(database: PostgresDatabase, engine: AsyncEngine) -> None:
    slow, fast = await an_account(engine), await an_account(engine)
    await set_rate(engine, slow, 20)
    await set_rate(engine, fast, 1_000)
    for account in (slow, fast):
        await lanes_of(engine, account, 300)
    claimed = await claim(database, 600)
    assert (of(claimed, slow), of(claimed, fast)) == (5, 201)


async def test_people_go_before_the_bot_and_the_bot_before_programs(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = await an_account(engine)
    for priority, since in ((Priority.BULK, 300), (Priority.BOT, 200), (Priority.PERSON, 100)):
        await lanes_of(engine, account, 3, priority=priority, since=since)
    found = await priorities(engine, await claim(database, 9))
    assert found == [Priority.PERSON] * 3 + [Priority.BOT] * 3 + [Priority.BULK] * 3


async def test_each_tenth_message_is_the_one_that_waits_longest(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = await an_account(engine)
    await lanes_of(engine, account, 5, priority=Priority.BULK, since=3_600)
    await lanes_of(engine, account, 100)
    found = []
    for n in range(50):
        found += await priorities(engine, await claim(database, 1, T0 + n * BURST))
    assert [n for n, priority in enumerate(found, 1) if priority is Priority.BULK] == [10, 20, 30, 40, 50]


@pytest.mark.parametrize("room", [1, 2, 7, 32])
async def test_a_backlog_of_one_account_starves_no_other(
    database: PostgresDatabase, engine: AsyncEngine, room: int
) -> None:
    noisy, quiet, third = [await an_account(engine) for _ in range(3)]
    for account in (noisy, quiet, third):
        await set_rate(engine, account, 1_000)
    await lanes_of(engine, noisy, 2_000, since=3_600)
    await lanes_of(engine, quiet, 5)
    await lanes_of(engine, third, 5, priority=Priority.BULK)
    rounds = [await claim(database, room, T0 + n * timedelta(milliseconds=20)) for n in range(40 // room + 4)]
    found = [lane for lanes in rounds for lane in lanes][:17]
    assert (of(found, quiet), of(found, third)) == (5, 5)


async def test_a_lane_whose_worker_died_comes_alone_and_pays_no_second_time(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = await an_account(engine)
    await lanes_of(engine, account, 3)
    [dead] = await claim(database, 1)
    await execute(engine, "update lanes set due = now() - interval '1 s' where key = :key", key=dead.key)
    [paid] = await execute(engine, "select free_at, taken from number_paces")
    again = await database.work.claim(WorkKind.SEND, 10)
    assert [(lane.key, lane.is_suspect) for lane in again] == [(dead.key, True)]
    assert await execute(engine, "select free_at, taken from number_paces") == [paid]


async def test_a_number_that_whatsapp_refuses_slows_down_once_for_all_that_was_under_way(
    engine: AsyncEngine, database: PostgresDatabase
) -> None:
    account, other = await an_account(engine), await an_account(engine)
    for _ in range(3):
        async with engine.begin() as connection:
            await paces.slow(connection, {account.account_id})
    [row] = await execute(engine, "select account_id, learned from number_paces")
    assert (row.account_id, row.learned) == (account.account_id, 40)
    await execute(engine, "update number_paces set learned_at = learned_at - interval '100 s', free_at = null")
    for one in (account, other):
        await lanes_of(engine, one, 100)
    claimed = await database.work.claim(WorkKind.SEND, 200)
    assert (of(claimed, account), of(claimed, other)) == (11, 17)  # 50/s by now, and 80/s


async def test_a_number_that_rests_sends_nothing_meanwhile_and_keeps_its_rate(
    engine: AsyncEngine, database: PostgresDatabase
) -> None:
    account, other = await an_account(engine), await an_account(engine)
    for one in (account, other):
        await lanes_of(engine, one, 100)
    for seconds in (20, 5):  # the last one counts
        async with engine.begin() as connection:
            await paces.rest(connection, {account.account_id: timedelta(seconds=seconds)})
    [row] = await execute(engine, "select now() as now, learned from number_paces")
    claimed = await claim(database, 200, row.now + timedelta(seconds=4.9))
    assert (of(claimed, account), of(claimed, other), row.learned) == (0, 17, None)
    assert of(await claim(database, 200, row.now + timedelta(seconds=5.5)), account) == 17


async def test_a_claim_among_many_thousand_lanes_looks_at_few(database: PostgresDatabase, engine: AsyncEngine) -> None:
    noisy, quiet = await an_account(engine), await an_account(engine)
    await lanes_of(engine, noisy, 20_000)
    await lanes_of(engine, quiet, 1)
    await execute(engine, "analyze lanes")
    await claim(database, 8)  # the row of each number is there
    async with engine.begin() as connection:
        values = {"limit": 8, "lease": timedelta(seconds=30), "untried": False, "now": T0 + timedelta(seconds=1)}
        explained = text("explain (analyze, buffers, timing off) " + paces.CLAIM_SENDS.text)
        plan = [str(line) for line in (await connection.execute(explained, values)).scalars()]
        await connection.rollback()
    assert not [line for line in plan if "Seq Scan on lanes" in line], "\n".join(plan)
    buffers = next(line for line in plan if "Buffers: shared" in line)
    touched = sum(int(part.partition("=")[2]) for part in buffers.split() if part.startswith(("hit=", "read=")))
    assert touched < 3_000, "\n".join(plan)


async def ceilings(engine: AsyncEngine) -> dict[object, float]:
    return {
        row.account_id: row.ceiling for row in await execute(engine, "select account_id, ceiling from number_paces")
    }


async def test_a_number_that_whatsapp_upgrades_sends_faster_and_no_other(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    upgraded, other = await an_account(engine), await an_account(engine)
    about = partial(a_notice, field="phone_number_quality_update", severity=Severity.INFO)
    for account, name in ((upgraded, "THROUGHPUT_UPGRADE"), (other, "ONBOARDING")):
        await ingest(database, about(name, phone_number_id=account.phone_number_id))
    assert await ceilings(engine) == {upgraded.account_id: 1_000}


async def test_a_number_that_somebody_uses_in_the_app_sends_twenty_a_second_for_good(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account, other = await an_account(engine), await an_account(engine)
    for one, source in ((account, Source.PHONE), (other, Source.CUSTOMER)):
        said = msgspec.structs.replace(an_inbound_message(one.phone_number_id), source=source)
        await ingest(database, said)
    assert await ceilings(engine) == {account.account_id: 20}
