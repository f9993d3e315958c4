"""Whoever tells of something waits for nothing from then on, so nobody's events wait for a lock."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import (
    LOCK_WAIT,
    a_conversation,
    a_message,
    a_new_message,
    a_queued_message,
    a_status,
    an_inbound_message,
    execute,
    until,
)
from event_builders import created, the_log
from inbox.adapters.database.postgres.event_feed import PostgresEventLog
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.access import Reach
from inbox.domain.accounts import Channel
from inbox.domain.events import SERVICE, FavoriteSet
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.media import MediaState
from inbox.domain.outbound import State
from inbox.domain.work import WorkKind
from inbox.ports.media import MediaKey
from inbox.ports.records import MediaOutcome
from postgres.effect_scene import a_reaction
from postgres.effect_scene import ingest as ingested
from postgres.ingest_scene import apply
from postgres.outbox_scene import on_wire, settled

CUSTOMER = "33612345678"

Step = Callable[[], Awaitable[object]]


class Scene:
    """A customer has written. Each step is prepared first, so that it can be taken behind somebody's lock."""

    def __init__(self, engine: AsyncEngine, database: PostgresDatabase, account: Channel, talk: ConversationId) -> None:
        self.engine, self.database, self.account, self.talk = engine, database, account, talk
        self.account_id = account.account_id

    async def accept(self) -> Step:
        await a_queued_message(self.engine, self.account_id, self.talk)
        new = a_new_message(self.account_id, self.talk)

        async def step() -> None:
            async with self.database.transaction() as tx:
                await tx.conversations.lock(self.account_id, self.talk, to_send_last=True)
                await tx.messages.queue(new, created(new))

        return step

    async def settle(self) -> Step:
        head, lane = await on_wire(self.database, self.engine, self.account, self.talk)
        return lambda: self.database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.1"), lane)

    async def ingest(self) -> Step:
        await a_queued_message(self.engine, self.account_id, self.talk, state=State.UNKNOWN, wamid="wamid.1")
        await execute(self.engine, "update lanes set due = now() + interval '1 hour'")
        message = an_inbound_message(self.account.phone_number_id, sender=CUSTOMER)
        status = a_status(self.account.phone_number_id, "wamid.1", "delivered")
        return lambda: apply(self.database, message, statuses=[status])

    async def mark(self) -> Step:
        async def step() -> None:
            async with self.database.transaction() as tx:
                reach = Reach(everywhere=True, accounts=())
                assert await tx.conversations.mark(reach, self.talk, is_favorite=True)
                told = FavoriteSet(account_id=self.account_id, conversation_id=self.talk, is_favorite=True, by=SERVICE)
                await tx.record(told)

        return step

    async def file(self) -> Step:
        message = await self.a_file()
        async with self.database.transaction() as tx:
            await tx.enqueue(WorkKind.MEDIA, str(message), account_id=self.account_id)
        lanes = await self.database.work.claim(WorkKind.MEDIA, 1)

        async def step() -> None:
            async with self.database.transaction() as tx:
                await tx.media_files.hold(self.account_id, message)
                await tx.finish(lanes)
                told = await tx.media_files.settle(self.account_id, message, MediaOutcome(state=MediaState.EXPIRED))
                assert told is not None
                await tx.record(told)

        return step

    async def expiry(self) -> Step:
        key = MediaKey(self.account_id, await self.a_file())

        async def step() -> None:
            async with self.database.transaction() as tx:
                overdue = await tx.media_files.overdue([key], datetime.now(UTC) + timedelta(days=1))
                await tx.record(*await tx.media_files.expire(overdue))

        return step

    async def tap(self) -> Step:
        """In the WhatsApp Business app."""
        await a_message(self.engine, self.account_id, self.talk, wamid="wamid.2")
        tapped = a_reaction(by=None, target="wamid.2", number=self.account.phone_number_id)
        return lambda: ingested(self.database, tapped)

    async def a_file(self) -> MessageId:
        message = await a_message(self.engine, self.account_id, self.talk)
        await execute(
            self.engine,
            """insert into media_files (message_id, account_id, media_id, expires_at)
               values (:id, :account, '700', now())""",
            id=message,
            account=self.account_id,
        )
        return message


@pytest.fixture
async def scene(engine: AsyncEngine, database: PostgresDatabase, account: Channel) -> Scene:
    await apply(database, an_inbound_message(account.phone_number_id, sender=CUSTOMER))
    (row,) = await execute(engine, "select id from conversations")
    return Scene(engine, database, account, ConversationId(row.id))


@pytest.mark.parametrize(
    ("prepare", "table"),
    [
        (Scene.accept, "conversations"),
        (Scene.accept, "lanes"),
        (Scene.settle, "messages"),
        (Scene.settle, "lanes"),
        (Scene.settle, "outbox"),
        (Scene.ingest, "conversations"),
        (Scene.ingest, "messages"),
        (Scene.ingest, "lanes"),
        (Scene.mark, "conversations"),
        (Scene.file, "messages"),
        (Scene.file, "lanes"),
    ],
)
async def test_whoever_waits_for_a_row_holds_up_the_events_of_nobody(
    scene: Scene, prepare: Callable[[Scene], Awaitable[Step]], table: str
) -> None:
    log = PostgresEventLog(scene.engine)
    step = await prepare(scene)
    before = (await log.end()).last
    async with scene.engine.begin() as holder:
        await holder.execute(text(f"select from {table} for update"))
        waiting = asyncio.ensure_future(step())
        await until(scene.engine, LOCK_WAIT)
        assert (await log.end()).writers == frozenset()
    await waiting
    assert (await log.end()).last > before


@pytest.mark.parametrize("prepare", [Scene.file, Scene.expiry, Scene.tap])
async def test_what_is_told_of_a_message_that_a_merge_moves_names_its_new_conversation(
    scene: Scene, prepare: Callable[[Scene], Awaitable[Step]]
) -> None:
    step = await prepare(scene)
    heir = await a_conversation(scene.engine, scene.account_id)
    await execute(scene.engine, "delete from event_log")
    async with scene.engine.begin() as merge:
        await merge.execute(text("select from messages order by id for update"))
        await merge.execute(text("update messages set conversation_id = :heir"), {"heir": heir})
        telling = asyncio.ensure_future(step())
        await until(scene.engine, LOCK_WAIT)
    await telling
    assert {event.conversation_id for event in await the_log(scene.engine)} == {heir}
