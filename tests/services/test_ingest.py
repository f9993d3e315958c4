"""From stored deliveries to messages: everything that can be applied is, and what cannot is set aside alone."""

import json
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import CUSTOMER, OTHER_CUSTOMER, a_body, a_message, a_status
from builders import a_conversation, execute
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.domain.accounts import Channel
from inbox.domain.errors import CommitUnknown, DatabaseTimeout, DatabaseUnavailable, LeaseLost
from inbox.domain.inbound import InboundMessage
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from inbox.services import ingest as module
from services.ingest_scene import Codec, Narrow, deliver, heard, ingest, set_aside, states, texts
from services.scenes import all_rows, claimed, is_done, lose_lease, run_twice

TOO_BIG_FOR_INT4 = 2**40


async def test_a_delivery_becomes_messages_statuses_and_a_turn(
    database: Database, engine: AsyncEngine, account: Channel
) -> None:
    await a_conversation(engine, account.account_id, client_number=CUSTOMER, bot_enabled=True)
    await deliver(engine, a_body(a_message(), statuses=[a_status()], number=account.phone_number_id))
    assert await ingest(database).work([await claimed(database, WorkKind.INGEST)]) == 1
    assert await heard(engine) == ["Avez-vous encore des cerises ?"]
    assert [row.status for row in await execute(engine, "select status from message_statuses")] == ["delivered"]
    (timer,) = await execute(engine, "select due - now() as due_in from lanes where kind = 'turn'")
    assert timedelta(seconds=2) < timer.due_in < timedelta(seconds=3)
    assert await states(engine) == [("done", None)]
    assert await is_done(database, WorkKind.INGEST)


async def test_run_twice_the_second_run_changes_no_row(database: Database, engine: AsyncEngine, number: str) -> None:
    await deliver(engine, texts(number, "un", "deux"), a_body(statuses=[a_status()], number=number))
    service = ingest(database)
    await run_twice(lambda lane: service.work([lane]), await claimed(database, WorkKind.INGEST), engine)


async def test_a_delivery_that_is_open_again_changes_nothing(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, "un", "deux"))
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    before = await all_rows(engine)
    await execute(engine, "update deliveries set state = 'open'")
    await execute(engine, "update lanes set ver = ver + 1")
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    after = await all_rows(engine)
    assert {**after, "deliveries": ()} == {**before, "deliveries": ()}


async def test_a_commit_of_which_nobody_knows_is_repeated_without_effect(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, "un"))
    faulty = FaultyDatabase(database, Failpoints.parse("commit:after=raise@1"))
    with pytest.raises(CommitUnknown):
        await ingest(faulty).work([await claimed(faulty, WorkKind.INGEST)])
    assert await heard(engine) == ["un"]
    assert await is_done(database, WorkKind.INGEST)


async def test_whoever_lost_the_lease_applies_nothing(database: Database, engine: AsyncEngine, number: str) -> None:
    await deliver(engine, texts(number, "un"))
    slow = await claimed(database, WorkKind.INGEST)
    await lose_lease(engine)
    await claimed(database, WorkKind.INGEST)
    with pytest.raises(LeaseLost):
        await ingest(database).work([slow])
    assert await heard(engine) == []
    assert await states(engine) == [("open", None)]


async def test_a_database_that_is_down_leaves_everything_as_it_was(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, "un"))
    faulty = FaultyDatabase(database, Failpoints.parse("commit:before=raise@1"))
    lane = await claimed(faulty, WorkKind.INGEST)
    with pytest.raises(DatabaseUnavailable):
        await ingest(faulty).work([lane])
    assert (await heard(engine), await states(engine)) == ([], [("open", None)])
    await ingest(faulty).work([lane])
    assert (await heard(engine), await states(engine)) == (["un"], [("done", None)])


# --- poison -----------------------------------------------------------------------------------------------------------


async def test_a_value_that_postgresql_refuses_is_alone_in_quarantine(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    poison = a_status("failed", id="wamid.poison", errors=[{"code": TOO_BIG_FOR_INT4, "title": "Odd"}])
    beside = a_body(a_message(id="wamid.b"), statuses=[a_status(id="wamid.c"), poison, a_status()], number=number)
    await deliver(engine, texts(number, "before"), beside, texts(number, "after"))
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == ["Avez-vous encore des cerises ?", "after", "before"]
    kept = await execute(engine, "select wamid from message_statuses order by wamid")
    assert [row.wamid for row in kept] == ["wamid.c", "wamid.out.1"]
    assert await set_aside(engine) == [(2, "unstorable")]
    assert await states(engine) == [("done", None)] * 3
    assert await is_done(database, WorkKind.INGEST)


async def test_the_quarantined_item_is_kept_whole(database: Database, engine: AsyncEngine, number: str) -> None:
    poison = a_status("failed", id="wamid.poison", errors=[{"code": TOO_BIG_FOR_INT4, "title": "Odd"}])
    await deliver(engine, a_body(statuses=[poison], number=number))
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    (row,) = await execute(engine, "select raw from quarantined_items")
    kept = json.loads(row.raw)
    assert (kept["wamid"], kept["error_code"]) == ("wamid.poison", TOO_BIG_FOR_INT4)


async def test_poison_is_found_with_few_transactions(database: Database, engine: AsyncEngine, number: str) -> None:
    await deliver(engine, *(texts(number, f"{n:02d}") for n in range(32)))
    narrow = Narrow(database, refused=["07", "21"])
    await ingest(narrow).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == [f"{n:02d}" for n in range(32) if n not in (7, 21)]
    assert await set_aside(engine) == [(0, "unstorable")] * 2
    assert len(narrow.sizes) < 32


async def test_the_same_poison_twice_is_set_aside_once(database: Database, engine: AsyncEngine, number: str) -> None:
    await deliver(engine, texts(number, "good", "bad"))
    for _ in range(2):
        await ingest(Narrow(database, refused=["bad"])).work([await claimed(database, WorkKind.INGEST)])
        assert (await heard(engine), await set_aside(engine)) == (["good"], [(1, "unstorable")])
        await execute(engine, "update deliveries set state = 'open'")
        await execute(engine, "update lanes set ver = ver + 1")


async def test_a_page_that_is_too_much_at_once_is_applied_in_parts(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, *"abc"), texts(number, *"defgh"), texts(number, "i"))
    narrow = Narrow(database, most=3)
    await ingest(narrow).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == list("abcdefghi")
    assert await set_aside(engine) == []
    assert await is_done(database, WorkKind.INGEST)


async def test_a_database_that_is_slow_with_everything_ends_the_round(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, *"ab"), texts(number, "c"))
    with pytest.raises(DatabaseTimeout):
        await ingest(Narrow(database, most=0)).work([await claimed(database, WorkKind.INGEST)])
    assert await set_aside(engine) == []
    assert await states(engine) == [("open", None)] * 2


async def test_an_item_that_is_always_too_slow_holds_up_nobody_and_is_set_aside_in_the_end(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, "slow", "after"), texts(number, "b"))
    for n in range(5):
        await deliver(engine, texts(number, f"c{n}"), lane="08")
        await execute(engine, "update lanes set due = now()")
        slow = Narrow(database, slow=["slow"])
        await ingest(slow).work(await database.work.claim(WorkKind.INGEST, 10))
        assert (await heard(engine), await set_aside(engine)) == (["b", *(f"c{k}" for k in range(n + 1))], [])
        lanes = await execute(engine, "select key, ver > done as waits, retries from lanes where kind = 'ingest'")
        assert {(row.key, row.waits, row.retries) for row in lanes} == {("07", True, n + 1), ("08", False, 0)}
    await execute(engine, "update lanes set due = now()")
    await ingest(Narrow(database, slow=["slow"])).work(await database.work.claim(WorkKind.INGEST, 10))
    assert (await heard(engine))[:3] == ["after", "b", "c0"]
    assert await set_aside(engine) == [(0, "database_timeout")]
    assert await is_done(database, WorkKind.INGEST)


async def test_an_item_that_is_slow_alone_is_never_set_aside_for_it(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, "slow"))
    for _ in range(8):
        await execute(engine, "update lanes set due = now()")
        lane = await claimed(database, WorkKind.INGEST)
        with pytest.raises(DatabaseTimeout):
            await ingest(Narrow(database, slow=["slow"])).work([lane])
        await database.work.retry(lane, timedelta())
    assert await set_aside(engine) == []
    assert await states(engine) == [("open", None)]


async def test_a_delivery_that_nobody_can_read_does_not_stop_its_lane(
    database: Database, engine: AsyncEngine, number: str, codec: Codec
) -> None:
    await deliver(engine, texts(number, "un"), b'{"of": "no use"}', texts(number, "deux"))
    codec.undecodable.add(b'{"of": "no use"}')
    await ingest(database, codec).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == ["deux", "un"]
    assert await states(engine) == [("done", None), ("quarantined", "of no use"), ("done", None)]


async def test_messages_of_a_number_that_nobody_has_are_kept(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts("404", "lost"), texts(number, "found"))
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == ["found"]
    assert await set_aside(engine) == [(0, "unknown_number")]
    (row,) = await execute(engine, "select raw from quarantined_items")
    assert msgspec.json.decode(row.raw, type=InboundMessage).wamid == "wamid.lost"


# --- order and pages --------------------------------------------------------------------------------------------------


async def test_a_lane_with_more_than_a_page_is_not_done(database: Database, engine: AsyncEngine, number: str) -> None:
    many = module.PAGE + 2
    await deliver(engine, texts(number, "first"))
    await execute(
        engine,
        """insert into deliveries (lane, body, sha256)
           select '07', convert_to('{"n":' || n || '}', 'utf8'), sha256(convert_to(n::text, 'utf8'))
           from generate_series(1, :n) n""",
        n=many - 1,
    )
    assert await ingest(database).work([await claimed(database, WorkKind.INGEST)]) == module.PAGE
    assert await ingest(database).work([await claimed(database, WorkKind.INGEST)]) == 2
    assert await is_done(database, WorkKind.INGEST)
    assert {state for state, _ in await states(engine)} == {"done"}


async def test_many_lanes_are_one_transaction(database: Database, engine: AsyncEngine, number: str) -> None:
    await deliver(engine, texts(number, "un"), lane="01")
    await deliver(engine, texts(number, "deux", sender=OTHER_CUSTOMER), lane="02")
    narrow = Narrow(database)
    await ingest(narrow).work(await database.work.claim(WorkKind.INGEST, 10))
    assert (await heard(engine), narrow.sizes) == (["deux", "un"], [2])


async def test_what_arrives_during_the_work_is_not_forgotten(
    database: Database, engine: AsyncEngine, number: str
) -> None:
    await deliver(engine, texts(number, "un"))
    lane = await claimed(database, WorkKind.INGEST)
    await deliver(engine, texts(number, "deux"))
    await ingest(database).work([lane])
    await deliver(engine, texts(number, "trois"))
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == ["deux", "trois", "un"]
