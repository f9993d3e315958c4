"""The ids of the events of one conversation are in the order in which their transactions commit."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, a_conversation, a_new_message, an_account, until
from event_builders import created, the_log, updated
from inbox.adapters.database.postgres import event_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.contacts import ContactChange
from inbox.domain.events import Cause, kind_of
from inbox.domain.ids import AccountId, ContactId, ConversationId
from postgres.identity_scene import PHONE, happens, people, said, who


async def test_a_send_that_waits_for_its_conversation_is_told_after_what_it_waited_for(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    account = (await an_account(engine)).account_id
    conversation = await a_conversation(engine, account)

    async def send() -> None:
        new = a_new_message(account, conversation)
        async with database.transaction() as tx:
            await tx.messages.queue(new, created(new))

    async with engine.begin() as first:
        await first.execute(text("update conversations set is_favorite = true"))
        sending = asyncio.create_task(send())
        await until(engine, LOCK_WAIT)
        await event_log.record(first, [updated(account, conversation, Cause.CONTACT)])
    await sending
    assert [kind_of(event) for event in await the_log(engine)] == [
        *("conversation.updated", "message.created", "conversation.updated")
    ]


async def test_another_name_waits_for_the_conversations_of_every_account(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    mine, other = await an_account(engine), await an_account(engine)
    await happens(database, said(mine, who(PHONE)))
    await happens(database, said(other, who(PHONE)))
    (contact,) = await people(engine)

    async def rename() -> None:
        async with database.transaction() as tx:
            await tx.contacts.change(ContactId(contact.id), ContactChange(display_name="Léa"))

    async with engine.begin() as first:
        rows = await first.execute(
            text("update conversations set is_favorite = true where account_id = :other returning account_id, id"),
            {"other": other.account_id},
        )
        ((account, conversation),) = rows.all()
        renaming = asyncio.create_task(rename())
        await until(engine, LOCK_WAIT)
        held = updated(AccountId(account), ConversationId(conversation), Cause.WINDOW)
        await event_log.record(first, [held])
    await renaming
    told = [event for event in await the_log(engine, "conversation.updated") if event.conversation_id == conversation]
    assert [event.cause for event in told] == [Cause.MESSAGE, Cause.WINDOW, Cause.CONTACT]
