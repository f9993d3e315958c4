"""When a message to the bot makes a turn, and when the turn is due."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_client_number, a_conversation, an_inbound_message, execute
from database_fixtures import RecordedSignals
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.content import Content, Other, Text
from inbox.domain.inbound import Source
from inbox.domain.signals import WorkWaiting
from inbox.domain.work import WorkKind
from postgres.ingest_scene import apply


async def turns(engine: AsyncEngine) -> Sequence[Any]:
    return await execute(
        engine,
        """select key, account_id, ver, done, attempts, extract(epoch from due - now())::float8 as seconds
           from lanes where kind = 'turn' order by key""",
    )


async def test_a_message_to_the_bot_makes_one_turn_due_after_the_quiet_period(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, signals: RecordedSignals
) -> None:
    number = a_client_number()
    conversation = await a_conversation(engine, account.account_id, client_number=number, bot_enabled=True)
    quick = [an_inbound_message(account.phone_number_id, sender=number) for _ in range(3)]

    await apply(database, *quick, quiet_for=timedelta(seconds=60))

    [turn] = await turns(engine)
    assert (turn.key, turn.account_id, turn.ver, turn.done) == (str(conversation), account.account_id, 1, 0)
    assert 50 < turn.seconds <= 60
    assert WorkWaiting(WorkKind.TURN) in signals.published


@pytest.mark.parametrize(
    ("bot_enabled", "content"), [(False, Text(body="?")), (True, Other(kind="system", text="[system] numéro changé"))]
)
async def test_a_conversation_without_bot_or_a_mere_notice_makes_no_turn(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, *, bot_enabled: bool, content: Content
) -> None:
    number = a_client_number()
    await a_conversation(engine, account.account_id, client_number=number, bot_enabled=bot_enabled)
    await apply(database, an_inbound_message(account.phone_number_id, sender=number, content=content))
    assert await turns(engine) == []


async def test_a_redelivered_message_makes_no_second_turn(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    number = a_client_number()
    await a_conversation(engine, account.account_id, client_number=number, bot_enabled=True)
    message = an_inbound_message(account.phone_number_id, sender=number)
    await apply(database, message)
    await execute(engine, "update lanes set done = ver")

    await apply(database, message)

    assert [(turn.ver, turn.done) for turn in await turns(engine)] == [(1, 1)]


async def test_the_quiet_period_starts_again_with_each_message_but_not_for_ever(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    number = a_client_number()
    await a_conversation(engine, account.account_id, client_number=number, bot_enabled=True)
    seen = []
    for _ in range(6):
        message = an_inbound_message(account.phone_number_id, sender=number)
        await apply(database, message, quiet_for=timedelta(seconds=100), gather_for=timedelta(seconds=300))
        [turn] = await turns(engine)
        seen.append(turn.seconds)
        past = "update lanes set due = due - interval '90 s', put_off_until = put_off_until - interval '90 s'"
        await execute(engine, past)

    # 90 s pass between the messages. 300 s after the first one the turn is due, whatever comes.
    assert [round(seconds / 10) for seconds in seen] == [10, 10, 10, 3, -6, -15]


async def test_a_conversation_with_suggestions_makes_turns_as_well(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    number = a_client_number()
    await a_conversation(engine, account.account_id, client_number=number)
    await execute(engine, "update conversations set bot_suggests = true")
    await apply(database, an_inbound_message(account.phone_number_id, sender=number))
    assert len(await turns(engine)) == 1


@pytest.mark.parametrize("auto_on", [False, True])
async def test_whether_the_bot_answers_a_new_customer_is_said_by_the_account(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, *, auto_on: bool
) -> None:
    await execute(engine, "update whatsapp_accounts set bot_auto_on = :on", on=auto_on)
    await apply(database, an_inbound_message(account.phone_number_id, sender=a_client_number()))
    past = an_inbound_message(account.phone_number_id, sender=a_client_number())
    await apply(database, msgspec.structs.replace(past, source=Source.PAST_CUSTOMER))
    rows = await execute(engine, "select bot_enabled from conversations order by created_at, id")
    assert [row.bot_enabled for row in rows] == [auto_on, False]
    assert len(await turns(engine)) == int(auto_on)


async def test_a_message_during_a_turn_leaves_its_lease_alone(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    number = a_client_number()
    await a_conversation(engine, account.account_id, client_number=number, bot_enabled=True)
    await apply(database, an_inbound_message(account.phone_number_id, sender=number), quiet_for=timedelta())
    [lane] = await database.work.claim(WorkKind.TURN, 1)

    await apply(database, an_inbound_message(account.phone_number_id, sender=number), quiet_for=timedelta(seconds=1000))

    [turn] = await turns(engine)
    assert turn.ver == 2
    assert 20 < turn.seconds <= 30
    await database.work.finish([lane])
    assert [again.ver for again in await database.work.claim(WorkKind.TURN, 1)] == [2]


async def test_a_message_never_shortens_the_back_off_of_a_turn(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    number = a_client_number()
    await a_conversation(engine, account.account_id, client_number=number, bot_enabled=True)
    await apply(database, an_inbound_message(account.phone_number_id, sender=number), quiet_for=timedelta())
    [lane] = await database.work.claim(WorkKind.TURN, 1)
    await database.work.retry(lane, timedelta(seconds=200))

    await apply(database, an_inbound_message(account.phone_number_id, sender=number), quiet_for=timedelta(seconds=3))

    [turn] = await turns(engine)
    assert 190 < turn.seconds <= 200
