"""A reaction of ours that fails after WhatsApp took it is shown no more; what it replaced is shown again."""

import asyncio

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, SEALER, a_conversation, a_message, a_new_message, a_status, an_account, until
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.outbound import OpId, State
from inbox.domain.outgoing import Reaction, ReactionRemoval
from inbox.ports.records import InboundBatch
from member_builders import EVERYWHERE
from postgres.effect_scene import CUSTOMER, PNID, TARGET, events
from postgres.outbox_scene import settled, soon, take_one


@pytest.fixture
async def account(engine: AsyncEngine):
    return await an_account(engine, phone_number_id=PNID, access_token="EAA-secret")


@pytest.fixture
async def conversation(engine: AsyncEngine, account):
    return await a_conversation(engine, account.account_id, client_number=CUSTOMER, window_expires_at=soon(hours=20))


@pytest.fixture
async def question(engine: AsyncEngine, account, conversation):
    return await a_message(
        engine, account.account_id, conversation, direction="inbound", author=None, status=None, wamid=TARGET
    )


@pytest.fixture
def shown(engine: AsyncEngine, conversation, question):
    async def read() -> list[str]:
        items = await PostgresQueries(Reader(engine), SEALER).messages(EVERYWHERE, conversation, limit=9, before=None)
        (item,) = [one for one in items or [] if one.id == question]
        return [one.emoji for one in item.reactions]

    return read


@pytest.fixture
def tap(engine: AsyncEngine, database: PostgresDatabase, account, conversation, question):
    """Sends a reaction of ours: None takes it back; without a wamid nothing comes of the call yet."""

    async def send(emoji: str | None, wamid: str | None = None) -> OpId:
        content = ReactionRemoval(wamid=TARGET) if emoji is None else Reaction(wamid=TARGET, emoji=emoji)
        new = msgspec.structs.replace(a_new_message(account.account_id, conversation), content=content)
        async with database.transaction() as tx:
            await tx.conversations.lock(account.account_id, conversation)
            await tx.messages.queue(new)
        head, lane = await take_one(database)
        await database.outbox.to_wire(head.id, head.token)
        if wamid is not None:
            await database.outbox.settle(settled(head, State.ACCEPTED, wamid=wamid), lane)
        else:
            await database.outbox.settle(settled(head, State.FAILED, error_code=131009), lane)
        return OpId(head.id, 1)

    return send


@pytest.fixture
def hear(database: PostgresDatabase):
    async def apply(word: str, wamid: str) -> None:
        status = a_status(PNID, wamid, word, error_code=131026 if word == "failed" else None)
        async with database.transaction() as tx:
            await tx.apply(InboundBatch(statuses=[status]))

    return apply


async def told(engine: AsyncEngine) -> list[object]:
    return [event["emoji"] for event in await events(engine, "message.reaction")]


async def test_a_reaction_that_fails_later_disappears_and_everybody_is_told(engine, tap, hear, shown) -> None:
    await tap("👍", "wamid.tap.1")
    assert await shown() == ["👍"]
    await hear("failed", "wamid.tap.1")
    assert await shown() == []
    assert await told(engine) == ["👍", None]


async def test_what_it_replaced_is_shown_again(engine, tap, hear, shown) -> None:
    await tap("👍", "wamid.tap.1")
    await tap("❤️", "wamid.tap.2")
    await hear("failed", "wamid.tap.2")
    assert await shown() == ["👍"]
    assert await told(engine) == ["👍", "❤️", "👍"]


async def test_what_it_replaced_is_not_shown_again_if_it_fails_at_the_same_moment(engine, tap, hear, shown) -> None:
    await tap("👍", "wamid.tap.1")
    await tap("❤️", "wamid.tap.2")
    async with engine.connect() as other:
        await other.execute(text("update messages set status = 'failed' where wa_message_id = 'wamid.tap.1'"))
        hearing = asyncio.create_task(hear("failed", "wamid.tap.2"))
        await until(engine, LOCK_WAIT)
        await other.commit()
    await hearing
    assert await shown() == []


async def test_a_removal_that_fails_brings_back_what_it_took_away(tap, hear, shown) -> None:
    await tap("👍", "wamid.tap.1")
    await tap(None, "wamid.tap.2")
    assert await shown() == []
    await hear("failed", "wamid.tap.2")
    assert await shown() == ["👍"]


async def test_one_that_is_no_longer_shown_fails_without_a_trace(engine, tap, hear, shown) -> None:
    await tap("👍", "wamid.tap.1")
    await tap("❤️", "wamid.tap.2")
    await hear("failed", "wamid.tap.1")
    assert await shown() == ["❤️"]
    assert await told(engine) == ["👍", "❤️"]
    await hear("failed", "wamid.tap.2")
    assert await shown() == []


async def test_a_proof_of_delivery_after_the_failure_shows_it_again(tap, hear, shown) -> None:
    await tap("👍", "wamid.tap.1")
    await hear("failed", "wamid.tap.1")
    await hear("delivered", "wamid.tap.1")
    assert await shown() == ["👍"]


async def test_one_whose_failure_comes_before_its_answer_is_never_shown(engine, tap, hear, shown) -> None:
    await hear("failed", "wamid.tap.1")
    await tap("👍", "wamid.tap.1")
    assert await shown() == []
    assert (await told(engine))[-1:] == [None]


async def test_one_that_is_refused_leaves_the_earlier_one(engine, tap, shown) -> None:
    await tap("👍", "wamid.tap.1")
    await tap("❤️")
    assert await shown() == ["👍"]
    assert await told(engine) == ["👍"]
