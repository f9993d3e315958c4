"""Vectors of passages: made of what is approved, never lost, compared with and without the extension; what was used."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, an_account, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.ids import AccountId, MessageId, TurnId, uuid7
from inbox.domain.knowledge import merged
from inbox.domain.messages import Author
from inbox.ports.records import BotTurn
from knowledge_builders import ANA, a_text, an_article, articles
from member_builders import EVERYWHERE, only

HOLD, MODEL = timedelta(minutes=2), "topics-1/8"


async def claim(database: PostgresDatabase, limit: int = 50) -> list:
    async with database.transaction() as tx:
        return await tx.knowledge.claim(limit, HOLD)


async def embed(database: PostgresDatabase, vectors: dict, model: str = MODEL) -> None:
    """Gives each article in `vectors` its own."""
    waiting = await claim(database, 1000)
    async with database.transaction() as tx:
        await tx.knowledge.embedded(waiting, [vectors[one.article_id] for one in waiting], model)


async def nearest(database, account, vector, *, least=0.0, limit=5, model=MODEL) -> list:
    found = await database.knowledge.by_vector(account, vector, model, least=least, limit=limit)
    return [passage.article_id for passage in found]


@pytest.fixture(params=["signs", "extension"])
async def _comparing(engine: AsyncEngine, request: pytest.FixtureRequest):
    """Without the extension `vector`, and with it."""
    if request.param == "signs":
        yield
        return
    if not await execute(engine, "select 1 from pg_available_extensions where name = 'vector'"):
        pytest.skip("this PostgreSQL does not have the extension")
    await execute(engine, "create extension vector")
    yield
    await execute(engine, "drop extension vector")


async def a_crowd(engine: AsyncEngine, database: PostgresDatabase, account: AccountId) -> dict:
    """300 articles with vectors of 64 numbers."""
    dice = random.Random(7)  # noqa: S311 - no secret
    ids = await articles(engine, account, [a_text(f"Article {n}") for n in range(300)])
    vectors = {article: [dice.gauss(0, 1) for _ in range(64)] for article in ids}
    await embed(database, vectors)
    return vectors


def cosine(one: list[float], other: list[float]) -> float:
    def dot(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    return dot(one, other) / (dot(one, one) * dot(other, other)) ** 0.5


@pytest.mark.usefixtures("_comparing")
async def test_the_nearest_are_found_in_the_order_of_their_cosines(engine, database, account):
    account_id = account.account_id
    vectors = await a_crowd(engine, database, account_id)
    dice = random.Random(8)  # noqa: S311 - no secret
    for base in list(vectors.values())[:5]:
        asked = [value + dice.gauss(0, 0.4) for value in base]
        truth = sorted(vectors, key=lambda article: -cosine(vectors[article], asked))
        assert await nearest(database, account_id, asked, limit=3) == truth[:3]
        near = [article for article in truth if cosine(vectors[article], asked) >= 0.3]
        assert await nearest(database, account_id, asked, least=0.3, limit=5) == near[:5]


@pytest.mark.usefixtures("_comparing")
async def test_only_approved_passages_of_the_account_with_vectors_of_the_model_are_compared(engine, database, account):
    mine, theirs = account.account_id, (await an_account(engine)).account_id
    good = await an_article(engine, mine)
    await embed(database, {good: [1.0, 0.1]})
    longer = await an_article(engine, mine)
    await embed(database, {longer: [1.0, 0.1, 0.0]})
    zero = await an_article(engine, mine)
    await embed(database, {zero: [0.0, 0.0]})
    foreign = await an_article(engine, theirs)
    await embed(database, {foreign: [1.0, 0.1]})
    older = await an_article(engine, mine)
    await embed(database, {older: [1.0, 0.1]}, "topics-0/2")
    gone = await an_article(engine, mine)
    await embed(database, {gone: [1.0, 0.1]})
    async with database.transaction() as tx:
        await tx.knowledge.archive(mine, gone)
    assert await nearest(database, mine, [1.0, 0.0]) == [good]
    assert await nearest(database, theirs, [1.0, 0.0]) == [foreign]


async def test_what_is_approved_waits_for_its_vector_until_it_has_one(engine, database, account):
    account_id = account.account_id
    article = await an_article(engine, account_id, a_text("Titre", "Texte."), approved=False)
    assert await claim(database) == []
    async with database.transaction() as tx:
        await tx.knowledge.approve(account_id, article, ANA)
    (waiting,) = await claim(database)
    assert (waiting.title, waiting.text, waiting.account_id) == ("Titre", "Texte.", account_id)
    assert await claim(database) == []  # somebody has it
    await execute(engine, "update knowledge_passages set embed_at = now()")  # ... who died
    assert await claim(database) == [waiting]
    async with database.transaction() as tx:
        await tx.knowledge.embedded([waiting], [[1.0]], MODEL)
    await execute(engine, "update knowledge_passages set embed_at = now() where embed_at is not null")
    assert await claim(database) == []
    async with database.transaction() as tx:
        assert await tx.knowledge.renew(MODEL) == 0
        assert await tx.knowledge.renew("topics-2/8") == 1
    assert await claim(database) == [waiting]


async def test_what_is_archived_keeps_no_vector_of_others_waiting(engine, database, account):
    gone, good = [await an_article(engine, account.account_id) for _ in range(2)]
    async with database.transaction() as tx:
        await tx.knowledge.archive(account.account_id, gone)
    # Whoever renews vectors at the moment of the archiving leaves it in the queue.
    await execute(
        engine, "update knowledge_passages set embed_at = now() - interval '1 day' where article_id = :gone", gone=gone
    )
    assert [waiting.article_id for waiting in await claim(database, 1)] == [good]


async def test_a_vector_of_an_older_version_is_dropped(engine, database, account):
    article = await an_article(engine, account.account_id)
    waiting = await claim(database)
    async with database.transaction() as tx:
        await tx.knowledge.rewrite(account.account_id, article, a_text(body="Autre."), approved_by=ANA)
    async with database.transaction() as tx:
        await tx.knowledge.embedded(waiting, [[1.0]], MODEL)
    (again,) = await claim(database)
    assert (again.version, again.text) == (2, "Autre.")


async def test_what_fails_by_itself_comes_alone_and_later_and_later(engine, database, account):
    await articles(engine, account.account_id, [a_text(f"Article {n}") for n in range(3)])
    waiting = await claim(database)
    for _ in range(2):
        async with database.transaction() as tx:
            await tx.knowledge.postpone(waiting, timedelta(minutes=1), failed=True)
    (row,) = await execute(
        engine, "select min(embed_failures) as failures, min(embed_at - now()) as wait from knowledge_passages"
    )
    assert row.failures == 2
    assert row.wait > timedelta(seconds=100)
    await execute(engine, "update knowledge_passages set embed_at = now()")
    fresh = await an_article(engine, account.account_id)
    assert [one.article_id for one in await claim(database)] == [fresh]
    assert [len(await claim(database)) for _ in range(4)] == [1, 1, 1, 0]


# --- what was used ----------------------------------------------------------------------------------------------------


async def a_bot_message(engine, database, account_id, sources) -> tuple[MessageId, TurnId]:
    """A message that the assistant wrote in a turn, from `sources`."""
    conversation = await a_conversation(engine, account_id)
    trigger = await a_message(engine, account_id, conversation, direction="inbound", author=Author.CONTACT)
    message = await a_message(engine, account_id, conversation, author=Author.BOT)
    turn = BotTurn(
        id=TurnId(uuid7()), account_id=account_id, conversation_id=conversation, trigger_message_id=trigger, epoch=0
    )
    async with database.transaction() as tx:
        await tx.bot.open_turn(turn)
        for _ in range(2):
            await tx.knowledge.used(account_id, turn.id, sources)
    await execute(
        engine,
        """insert into outbox (id, account_id, conversation_id, state, expires_at, turn_id)
           values (:id, :account, :conversation, 'sent', now(), :turn)""",
        id=message,
        account=account_id,
        conversation=conversation,
        turn=turn.id,
    )
    return message, turn.id


async def test_what_an_answer_used_stays_readable_whatever_becomes_of_the_article(engine, database, account):
    account_id, other = account.account_id, (await an_account(engine)).account_id
    first, second = await articles(engine, account_id, [a_text("Un", "Vélo."), a_text("Deux", "Un vélo, un vélo.")])
    found = merged(await database.knowledge.by_text(account_id, ["vélo"], None, limit=5))
    message, turn = await a_bot_message(engine, database, account_id, found)
    used = await database.knowledge.used_for(only(account_id), message)
    assert [(one.rank, one.article_id, one.text) for one in used] == [
        (rank, source.article_id, source.text) for rank, source in enumerate(found, start=1)
    ]
    async with database.transaction() as tx:
        await tx.knowledge.rewrite(account_id, first, a_text("Un", "Trottinette."), approved_by=ANA)
        await tx.knowledge.remove(account_id, second)
        await tx.knowledge.used(other, turn, found[:1])
    later = await database.knowledge.used_for(EVERYWHERE, message)
    assert {one.text for one in later} == {"Vélo.", "Un vélo, un vélo."}
    assert [one.is_current for one in used + later] == [True, True, False, False]


async def test_messages_that_used_nothing_have_no_sources_and_others_are_not_there(engine, database, account):
    account_id, other = account.account_id, (await an_account(engine)).account_id
    message, _ = await a_bot_message(engine, database, account_id, [])
    assert await database.knowledge.used_for(only(account_id), message) == []
    assert await database.knowledge.used_for(only(other), message) is None
    assert await database.knowledge.used_for(EVERYWHERE, MessageId(uuid7())) is None
    await an_article(engine, account_id, a_text("Un", "Vélo."))
    found = merged(await database.knowledge.by_text(account_id, ["vélo"], None, limit=5))
    alert, _ = await a_bot_message(engine, database, account_id, found)
    async with engine.begin() as connection:
        await connection.execute(text("update messages set author = 'system' where id = :id"), {"id": alert})
    assert await database.knowledge.used_for(EVERYWHERE, alert) == []
