"""The history follows the order of commits, whoever began first: else a new question would count as answered."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_conversation, a_new_message, an_account, an_inbound_message, received
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId
from inbox.ports.database import Transaction
from inbox.ports.records import InboundBatch

CUSTOMER = "33600000042"
Write = Callable[[Transaction], Awaitable[object]]


async def written(database: PostgresDatabase, account: Channel, *, late: Write, early: Write) -> None:
    """`late` is written by the transaction that began first, after `early` was committed by another."""
    begun, committed = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with database.transaction() as tx:
            await tx.accounts.channel(account.account_id)
            begun.set()
            await committed.wait()
            await late(tx)

    async def second() -> None:
        await begun.wait()
        async with database.transaction() as tx:
            await early(tx)
        committed.set()

    await asyncio.gather(first(), second())


async def order(database: PostgresDatabase, account: Channel, conversation: ConversationId) -> list[bool]:
    """Oldest first: True where the customer wrote."""
    async with database.transaction() as tx:
        return [m.is_inbound for m in await tx.messages.history(account.account_id, conversation, 10)]


def asks(account: Channel) -> Write:
    message = received(an_inbound_message(account.phone_number_id, sender=CUSTOMER, sent_at=NOON))
    return lambda tx: tx.apply(InboundBatch(messages=[message]))


def answers(account: Channel, conversation: ConversationId) -> Write:
    return lambda tx: tx.messages.queue(a_new_message(account.account_id, conversation, at=NOON))


async def test_a_question_that_is_stored_after_an_answer_stands_after_it(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = await an_account(engine)
    conversation = await a_conversation(engine, account.account_id, client_number=CUSTOMER)
    await written(database, account, late=asks(account), early=answers(account, conversation))
    assert await order(database, account, conversation) == [False, True]


async def test_an_answer_that_is_stored_after_a_question_stands_after_it(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = await an_account(engine)
    conversation = await a_conversation(engine, account.account_id, client_number=CUSTOMER)
    await written(database, account, late=answers(account, conversation), early=asks(account))
    assert await order(database, account, conversation) == [True, False]
