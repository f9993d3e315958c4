"""Two contacts turn out to be one person."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, NOON, a_message, a_new_message, a_queued_message, an_account, execute, received, until
from event_builders import the_log, updated
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.access import Reach
from inbox.domain.accounts import Channel
from inbox.domain.content import Text
from inbox.domain.errors import ConversationNotFound
from inbox.domain.events import Cause
from inbox.domain.ids import ConversationId, uuid7
from inbox.domain.outbound import State
from inbox.domain.work import WorkKind
from inbox.ports.records import InboundBatch
from postgres.identity_scene import (
    BSUID,
    PHONE,
    happens,
    identities_of,
    link,
    one_by_one,
    people,
    said,
    threads,
    who,
)
from postgres.ingest_scene import SECOND, rows
from postgres.outbox_scene import lanes_due, outbox_row, settled, take_one

T = TypeVar("T")
LANE = text("select 1 from lanes where kind = :kind and key = :key for update nowait")
EVERYWHERE = Reach(everywhere=True, accounts=())


def meanwhile(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Begins `work` as somebody else would, who is in no transaction."""
    return asyncio.get_running_loop().create_task(work, context=Context())


async def two_threads(database: PostgresDatabase, engine: AsyncEngine, account: Channel) -> tuple[Any, Any]:
    """The thread under the number and the one under the BSUID, which is going to vanish."""
    await one_by_one(
        database,
        said(account, who(PHONE), at=NOON, content=Text(body="avec numéro")),
        said(account, who(None, BSUID), at=NOON + SECOND, content=Text(body="sans numéro")),
    )
    by_number, by_id = await threads(engine)
    assert (by_number.number, by_id.number) == (PHONE, BSUID)
    return by_number, by_id


async def test_a_link_makes_one_person_with_one_thread_of_two(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await two_threads(database, engine, account)

    await happens(database, link(account, who(PHONE, BSUID)))

    [thread] = await threads(engine)
    assert (thread.number, thread.client_number, thread.unread_count) == (PHONE, PHONE, 2)
    assert thread.texts == ["avec numéro", "sans numéro"]
    assert thread.updated_at == thread.last_inbound_at == NOON + SECOND
    assert thread.window_expires_at == NOON + SECOND + timedelta(hours=24)
    [contact] = await people(engine)
    assert contact.whatsapp_number == PHONE
    assert await identities_of(engine, PHONE) == {("phone", PHONE), ("bsuid", BSUID)}


async def test_a_message_that_names_both_makes_one_person_of_two(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await two_threads(database, engine, account)

    await happens(database, said(account, who(PHONE, BSUID), at=NOON + 2 * SECOND, content=Text(body="les deux")))

    [thread] = await threads(engine)
    assert thread.texts == ["avec numéro", "sans numéro", "les deux"]
    assert thread.unread_count == 3


async def test_who_watches_the_vanishing_thread_is_told_where_it_went(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    stays, vanishes = await two_threads(database, engine, account)

    await happens(database, link(account, who(PHONE, BSUID)))

    [event] = await the_log(engine, "conversation.merged")
    assert (event.conversation_id, event.account_id, event.into) == (vanishes.id, account.account_id, stays.id)
    assert updated(account.account_id, stays.id, Cause.THREAD) in await the_log(engine)


async def test_a_repeated_link_changes_nothing(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await two_threads(database, engine, account)
    await happens(database, link(account, who(PHONE, BSUID)))
    tables = ("contacts", "contact_identities", "conversations", "messages", "event_log", "lanes")
    before = {table: await rows(engine, table, order="1, 2") for table in tables}

    await happens(database, link(account, who(PHONE, BSUID)), link(account, who(PHONE, BSUID)))

    assert {table: await rows(engine, table, order="1, 2") for table in tables} == before


@pytest.mark.parametrize(("one", "other", "both"), [(True, True, True), (True, False, False), (False, True, False)])
async def test_the_bot_goes_on_only_where_it_was_on_in_both(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    one: bool,  # noqa: FBT001 - a case
    other: bool,  # noqa: FBT001 - a case
    both: bool,  # noqa: FBT001 - a case
) -> None:
    stays, vanishes = await two_threads(database, engine, account)
    switch = "update conversations set bot_enabled = :on, epoch = :epoch, is_favorite = :on where id = :id"
    await execute(engine, switch, id=stays.id, on=one, epoch=4)
    await execute(engine, switch, id=vanishes.id, on=other, epoch=7)

    await happens(database, link(account, who(PHONE, BSUID)))

    [thread] = await threads(engine)
    assert (thread.bot_enabled, thread.epoch, thread.is_favorite) == (both, 8, one or other)


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [("ana", None, ("ana", 1)), ("ana", "bea", ("ana", 1)), (None, "bea", ("bea", 2)), (None, None, (None, None))],
)
async def test_whoever_looks_after_the_thread_that_stays_keeps_it_or_else_whoever_has_the_other(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    one: str | None,
    other: str | None,
    kept: tuple[str | None, int | None],
) -> None:
    stays, vanishes = await two_threads(database, engine, account)
    people = {"ana": uuid7(), "bea": uuid7(), None: None}
    give = "update conversations set assignee_id = :user, assigned_at = :at where id = :id"
    for hour, thread, name in ((1, stays, one), (2, vanishes, other)):
        at = name and NOON + timedelta(hours=hour)
        await execute(engine, give, id=thread.id, user=people[name], at=at)

    await happens(database, link(account, who(PHONE, BSUID)))

    [thread] = await threads(engine)
    keeper, since = kept
    assert (thread.assignee_id, thread.assigned_at) == (people[keeper], since and NOON + timedelta(hours=since))


async def test_threads_with_other_accounts_stay_threads_of_their_own(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    other = await an_account(engine)
    await one_by_one(database, said(account, who(PHONE)), said(other, who(None, BSUID)))

    await happens(database, link(account, who(PHONE, BSUID)))

    assert {(row.account_id, row.number, row.client_number) for row in await threads(engine)} == {
        (account.account_id, PHONE, PHONE),
        (other.account_id, PHONE, PHONE),
    }


async def test_the_newer_preference_of_the_two_counts(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await two_threads(database, engine, account)
    for number, value, hour in ((PHONE, "resume", 1), (BSUID, "stop", 2)):
        await execute(
            engine,
            """insert into contact_preferences (account_id, contact_id, category, value, changed_at)
               select :account, id, 'marketing_messages', :value, :at from contacts where whatsapp_number = :number""",
            account=account.account_id,
            number=number,
            value=value,
            at=NOON + timedelta(hours=hour),
        )

    await happens(database, link(account, who(PHONE, BSUID)))

    [preference] = await rows(engine, "contact_preferences", order="1")
    assert preference["value"] == "stop"


# --- what is on its way -----------------------------------------------------------------------------------------------


async def test_what_waits_in_the_vanishing_thread_is_sent_from_the_other(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    stays, vanishes = await two_threads(database, engine, account)
    message = await a_queued_message(engine, account.account_id, ConversationId(vanishes.id))

    await happens(database, link(account, who(PHONE, BSUID)))

    await lanes_due(engine)
    head, lane = await take_one(database)
    assert (head.id, head.to.wa_id, lane.key) == (message, PHONE, str(stays.id))
    assert (await outbox_row(engine, message)).conversation_id == stays.id
    assert not await execute(engine, "select 1 from lanes where key = :key", key=str(vanishes.id))


async def test_what_is_on_the_wire_is_settled_and_the_next_one_follows(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    stays, vanishes = await two_threads(database, engine, account)
    first = await a_queued_message(engine, account.account_id, ConversationId(vanishes.id))
    head, lane = await take_one(database)
    assert await database.outbox.to_wire(head.id, head.token) == 1
    second = await a_queued_message(engine, account.account_id, ConversationId(vanishes.id))

    await happens(database, link(account, who(PHONE, BSUID)))
    await database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.out"), lane)

    assert (await outbox_row(engine, first)).state == "accepted"
    await lanes_due(engine)
    taken = await database.outbox.take_heads(await database.work.claim(WorkKind.SEND, 10))
    heads = {one.lane.key: one.head and one.head.id for one in taken}
    assert heads[str(stays.id)] == second
    assert heads.get(str(vanishes.id)) is None


async def test_a_turn_of_the_vanishing_thread_is_one_of_the_other(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    stays, _ = await two_threads(database, engine, account)
    await execute(engine, "update conversations set bot_enabled = true")
    await happens(database, said(account, who(None, BSUID), at=NOON + 2 * SECOND))

    await happens(database, link(account, who(PHONE, BSUID)))

    turns = await execute(engine, "select key, ver > done as is_open from lanes where kind = 'turn'")
    assert [(row.key, row.is_open) for row in turns] == [(str(stays.id), True)]


# --- at the same time -------------------------------------------------------------------------------------------------


async def test_a_message_during_a_merge_lands_in_the_thread_that_stays(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await two_threads(database, engine, account)
    late = said(account, who(None, BSUID), at=NOON + 9 * SECOND, content=Text(body="pendant"))
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(messages=[received(said(account, who(PHONE, BSUID), at=NOON + SECOND))]))
        attempt = meanwhile(happens(database, late))
        await until(engine, LOCK_WAIT)
    assert (await attempt).new_messages == 1
    [thread] = await threads(engine)
    assert (thread.number, thread.unread_count, thread.texts[-1]) == (PHONE, 4, "pendant")


async def test_a_merge_waits_for_a_send_and_takes_its_message_along(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    stays, vanishes = await two_threads(database, engine, account)
    new = a_new_message(account.account_id, ConversationId(vanishes.id))
    async with database.transaction() as tx:
        await tx.conversations.lock(account.account_id, ConversationId(vanishes.id))
        merge = meanwhile(happens(database, link(account, who(PHONE, BSUID))))
        await until(engine, LOCK_WAIT)
        await tx.messages.queue(new)
    await merge
    assert (await outbox_row(engine, new.id)).conversation_id == stays.id
    head, _ = await take_one(database)
    assert head.id == new.id


async def test_a_merge_that_waits_for_a_send_holds_no_turn_up(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    """Whoever settles that send may want the turn."""
    stays, vanishes = await two_threads(database, engine, account)
    await execute(engine, "update conversations set bot_enabled = true")
    await happens(database, said(account, who(PHONE), at=NOON + 2 * SECOND))
    await a_queued_message(engine, account.account_id, ConversationId(vanishes.id))
    async with engine.begin() as settling:
        await settling.execute(LANE, {"kind": "send", "key": str(vanishes.id)})
        merge = meanwhile(happens(database, said(account, who(PHONE, BSUID), at=NOON + 3 * SECOND)))
        await until(engine, LOCK_WAIT)
        assert (await settling.execute(LANE, {"kind": "turn", "key": str(stays.id)})).rowcount == 1
    assert (await merge).new_messages == 1


async def test_who_wants_the_thread_while_it_vanishes_does_not_find_it(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    _, vanishes = await two_threads(database, engine, account)
    gone = ConversationId(vanishes.id)

    async def send() -> None:
        async with database.transaction() as tx:
            await tx.conversations.lock(account.account_id, gone)

    async def read() -> object:
        async with database.transaction() as tx:
            return await tx.conversations.mark(EVERYWHERE, gone, is_read=True)

    async with database.transaction() as tx:
        await tx.apply(InboundBatch(messages=[received(said(account, who(PHONE, BSUID)))]))
        sending, reading = meanwhile(send()), meanwhile(read())
        await until(engine, LOCK_WAIT)
    with pytest.raises(ConversationNotFound):
        await sending
    assert await reading is None


async def test_two_batches_with_one_new_customer_under_two_names_make_one_contact(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(messages=[received(said(account, who(PHONE, BSUID)))]))
        other = meanwhile(happens(database, said(account, who(None, BSUID), at=NOON + SECOND)))
        await until(engine, LOCK_WAIT)
    await other
    [thread] = await threads(engine)
    assert (thread.number, thread.unread_count) == (PHONE, 2)
    assert len(await people(engine)) == 1


async def test_many_merges_and_messages_at_once_end_with_one_person_and_every_message(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    addresses = [who(PHONE), who(None, BSUID), who(PHONE, BSUID), who(None, BSUID), who(PHONE)]
    await asyncio.gather(
        *(happens(database, said(account, addresses[n % 5], at=NOON + n * SECOND)) for n in range(10)),
        happens(database, link(account, who(PHONE, BSUID))),
    )
    [thread] = await threads(engine)
    assert (thread.number, thread.unread_count, len(thread.texts)) == (PHONE, 10, 10)


async def test_a_message_without_outbox_moves_too(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    stays, vanishes = await two_threads(database, engine, account)
    message = await a_message(engine, account.account_id, ConversationId(vanishes.id), wamid="wamid.ours")
    await happens(database, link(account, who(PHONE, BSUID)))
    [row] = await execute(engine, "select conversation_id from messages where id = :id", id=message)
    assert row.conversation_id == stays.id
