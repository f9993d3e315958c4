"""Rows that somebody changed after a statement saw them, and before it has them locked.

PostgreSQL looks at such a row once more (READ COMMITTED, `EvalPlanQual`), and must still find what it stood beside.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from builders import LOCK_WAIT, a_conversation, a_queued_message, a_status, an_account, execute, until
from inbox.adapters.database.postgres import statuses, threads
from inbox.domain.outbound import OpId, State
from postgres.ingest_scene import op
from postgres.own_engines import an_engine


@asynccontextmanager
async def changing(engine: AsyncEngine, *statements: str) -> AsyncIterator[None]:
    """At the end of the block, which begins something that waits for them, the changes are committed."""
    async with engine.connect() as other:
        for statement in statements:
            await other.execute(text(statement))
        yield
        await until(engine, LOCK_WAIT)
        await other.commit()


async def plan_as_a_busy_installation(connection: AsyncConnection) -> None:
    """Whether rows are missing depends on the plan: with row after row, by their keys, most of them are."""
    for way in ("hashjoin", "mergejoin", "material"):
        await connection.execute(text(f"set local enable_{way} = off"))


async def test_no_status_of_a_batch_misses_its_message(fresh_url: str) -> None:
    async with an_engine(fresh_url, pool_size=4) as engine:
        account = await an_account(engine)
        talk = await a_conversation(engine, account.account_id)
        messages = [
            await a_queued_message(engine, account.account_id, talk, state=State.WIRE, attempt=1) for _ in range(200)
        ]
        echoes = [
            a_status(account.phone_number_id, f"wamid.{n}", "failed", op_id=op(one))
            for n, one in enumerate(reversed(messages))
        ]
        await execute(engine, "analyze messages, outbox, whatsapp_accounts")
        async with engine.connect() as connection:
            await plan_as_a_busy_installation(connection)
            async with changing(engine, "update messages set status = 'sent'", "update outbox set state = 'accepted'"):
                ops = [OpId.parse(one.op_id) for one in echoes]
                found = asyncio.create_task(statuses._find(connection, echoes, ops))
            assert [target and target.id for target in await found] == [*reversed(messages)]


async def test_no_status_misses_its_message_because_another_one_of_the_batch_finds_it(fresh_url: str) -> None:
    async with an_engine(fresh_url, pool_size=4) as engine:
        account = await an_account(engine)
        talk = await a_conversation(engine, account.account_id)
        message = await a_queued_message(engine, account.account_id, talk, state=State.WIRE, attempt=1)
        echoes = [
            a_status(account.phone_number_id, "wamid.1", word, op_id=op(message))
            for word in ("sent", "delivered", "read")
        ]
        async with engine.connect() as connection:
            async with changing(engine, "update messages set status = 'sent'"):
                ops = [OpId.parse(one.op_id) for one in echoes]
                found = asyncio.create_task(statuses._find(connection, echoes, ops))
            assert [target and target.id for target in await found] == [message] * 3


async def test_no_conversation_of_several_people_is_missed(fresh_url: str) -> None:
    async with an_engine(fresh_url, pool_size=4) as engine:
        account = await an_account(engine)
        talks = [await a_conversation(engine, account.account_id) for _ in range(100)]
        contacts = [row.contact_id for row in await execute(engine, "select contact_id from conversations order by id")]
        values = {"accounts": [account.account_id] * 50, "contacts": contacts[:50], "more": contacts[50:]}
        await execute(engine, "analyze conversations")
        async with engine.connect() as connection:
            await plan_as_a_busy_installation(connection)
            async with changing(engine, "update conversations set is_favorite = true"):
                locked = asyncio.create_task(connection.execute(threads._LOCK_MORE, values))
            assert {row.id for row in (await locked).all()} == set(talks)
