"""A number that sends and hears no webhook: found out, warned of once an hour, and forgotten when it hears again."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from builders import a_conversation, a_queued_message, an_account, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import MessageId
from inbox.domain.outbound import State
from inbox.entrypoints.queue_gauges import QueueGauges
from inbox.kit.telemetry import Metrics


@pytest.fixture
async def account(engine: AsyncEngine) -> Channel:
    return await an_account(engine)


async def sent(engine: AsyncEngine, account: Channel, ago: str, state: State = State.ACCEPTED) -> MessageId:
    """WhatsApp took a message so long ago."""
    conversation = await a_conversation(engine, account.account_id)
    message = await a_queued_message(engine, account.account_id, conversation, state=state)
    await execute(
        engine,
        "update outbox set updated_at = now() - cast(:ago as text)::interval where id = :id",
        ago=ago,
        id=message,
    )
    return message


async def hear(engine: AsyncEngine, account: Channel, ago: str) -> None:
    await execute(
        engine,
        "update whatsapp_accounts set last_webhook_at = now() - cast(:ago as text)::interval where id = :id",
        ago=ago,
        id=account.account_id,
    )


async def silent(database: PostgresDatabase) -> list[str]:
    return [number.phone_number_id for number in await database.operations.silent_numbers()]


async def test_a_number_that_sends_and_hears_nothing_is_silent(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await sent(engine, account, "11 min")
    assert await silent(database) == [account.phone_number_id]
    await hear(engine, account, "1 h")
    (found,) = await database.operations.silent_numbers()
    assert found.account_id == account.account_id
    assert found.last_webhook_at is not None
    assert found.last_webhook_at < found.sent_at


async def test_any_webhook_since_the_send_ends_the_silence(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await sent(engine, account, "11 min")
    await hear(engine, account, "5 min")
    assert await silent(database) == []


async def test_the_webhooks_of_another_number_do_not_help(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    other = await an_account(engine)
    await sent(engine, account, "11 min")
    await hear(engine, other, "1 min")
    assert await silent(database) == [account.phone_number_id]


@pytest.mark.parametrize(
    ("ago", "state"),
    [("9 min", State.ACCEPTED), ("11 min", State.DELIVERED), ("11 min", State.QUEUED), ("8 days", State.ACCEPTED)],
)
async def test_what_is_new_or_answered_or_not_sent_or_long_ago_is_no_silence(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, ago: str, state: State
) -> None:
    await sent(engine, account, ago, state)
    assert await silent(database) == []


async def test_a_send_that_has_a_status_is_no_silence(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    message = await sent(engine, account, "11 min")
    await execute(
        engine,
        """insert into message_statuses (message_id, phone_number_id, wamid, status, occurred_at)
           values (:id, '1', 'wamid.1', 'odd', now())""",
        id=message,
    )
    assert await silent(database) == []


async def test_it_is_warned_of_once_an_hour_and_counted_always(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await sent(engine, account, "11 min")
    metrics, now = Metrics(), [0.0]
    gauges = QueueGauges(database, metrics, lambda: now[0])
    warned = []
    for seconds in (0, 5, 3595, 3605, 3610):
        now[0] = float(seconds)
        with capture_logs() as logs:
            await gauges.read()
        warned.append([line["account_id"] for line in logs if line["event"] == "number_is_silent"])
        assert metrics.registry.get_sample_value("inbox_silent_numbers") == 1
    assert warned == [[str(account.account_id)], [], [], [str(account.account_id)], []]
    await hear(engine, account, "0 s")
    await gauges.read()
    assert metrics.registry.get_sample_value("inbox_silent_numbers") == 0
