"""What a send asks of the planner: nothing, once a connection has seen its statements."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, a_conversation, a_new_message, an_account, execute
from database_fixtures import RecordedSignals
from event_builders import created
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.outbound import State
from postgres.outbox_scene import on_wire, settled
from postgres.own_engines import an_engine

_CUSTOM_AT_MOST = 5
"""PostgreSQL plans the first five executions of a prepared statement for their values, and then decides."""

_OLD_MESSAGES = """
with c as (
  insert into conversations (id, account_id, client_number)
  select gen_random_uuid(), :account, 'old-' || n from generate_series(1, 500) n returning id
), l as (
  insert into lanes (kind, key, account_id, ver, done) select 'send', id::text, :account, 8, 8 from c
), m as (
  insert into messages (id, account_id, conversation_id, direction, author, content_text, message_type, status,
                        "timestamp", wa_message_id)
  select gen_random_uuid(), :account, c.id, 'outbound', 'human', 'Bonjour', 'text', 'read', now(),
         'wamid.' || c.id || n
  from c cross join generate_series(1, 8) n returning id, conversation_id
)
insert into outbox (id, account_id, conversation_id, state, expires_at, token)
select id, :account, conversation_id, 'read', now(), gen_random_uuid() from m
"""

_UNSENT = 2_000
_BACKLOG = f"""
insert into messages (id, account_id, conversation_id, direction, author, content_text, message_type, status,
                      "timestamp")
select gen_random_uuid(), :account, c.id, 'outbound', 'human', 'Bonjour', 'text', 'pending', now()
from (select id from conversations limit 1) c cross join generate_series(1, {_UNSENT}) n
"""  # noqa: S608 - a figure of this module

_READ = """
select (select idx_tup_read from pg_stat_user_indexes where indexrelname = 'messages_wamid_account') as by_wamid,
       (select seq_tup_read from pg_stat_user_tables where relname = 'messages') as one_after_the_other
"""


async def test_the_statements_of_a_send_are_not_planned_again_and_again(
    engine: AsyncEngine, database_url: str, account: Channel
) -> None:
    await execute(engine, _OLD_MESSAGES, account=account.account_id)
    async with engine.connect() as connection:
        await connection.execute(text("analyze outbox, lanes, messages, conversations"))
        await connection.commit()
    async with an_engine(database_url) as own, an_engine(database_url) as intake:
        database = PostgresDatabase(own, intake, SEALER, RecordedSignals())
        async with database.running():
            for turn in range(2 * _CUSTOM_AT_MOST):
                until = datetime.now(UTC) + timedelta(hours=20)
                conversation = await a_conversation(engine, account.account_id, window_expires_at=until)
                new = a_new_message(account.account_id, conversation)
                assert await database.outbox.post(new, created(new), claims=bool(turn))
                await execute(engine, "delete from outbox where id = :id", id=new.id)
                await execute(engine, "update lanes set done = ver, attempts = 0, due = now()")
                head, lane = await on_wire(database, engine, account, conversation)
                await database.outbox.settle(settled(head, State.ACCEPTED, wamid=f"wamid.{head.id}"), lane)
            plans = await execute(own, "select custom_plans, statement from pg_prepared_statements")
    ours = [row.statement for row in plans if "outbox" in row.statement or "lanes" in row.statement]
    assert len(ours) >= len({"message", "claim", "heads", "fence", "outcome"})
    assert [row.statement for row in plans if row.custom_plans > _CUSTOM_AT_MOST] == []


async def test_an_outcome_reads_no_messages_but_its_own(fresh_url: str) -> None:
    """A backlog that came after PostgreSQL last looked: for all it knows, hardly a message is without a wamid."""
    async with an_engine(fresh_url) as own, an_engine(fresh_url) as intake:
        account = await an_account(own)
        await execute(own, _OLD_MESSAGES, account=account.account_id)
        await execute(own, "analyze outbox, lanes, messages, conversations")
        await execute(own, _BACKLOG, account=account.account_id)
        until = datetime.now(UTC) + timedelta(hours=20)
        database = PostgresDatabase(own, intake, SEALER, RecordedSignals())
        async with database.running():
            for _ in range(2 * _CUSTOM_AT_MOST):
                conversation = await a_conversation(own, account.account_id, window_expires_at=until)
                head, lane = await on_wire(database, own, account, conversation)
                await database.outbox.settle(settled(head, State.ACCEPTED, wamid=f"wamid.{head.id}"), lane)
        await execute(own, "select pg_stat_force_next_flush()")
        (read,) = await execute(own, _READ)
    assert (read.by_wamid < _UNSENT, read.one_after_the_other) == (True, 0)
