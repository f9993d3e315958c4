"""Reactions belong to a message: the newest of each person counts, in whatever order they come."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, a_conversation, a_delivery, a_message, an_account, an_inbound_message, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.inbound import IdentityLink
from inbox.kit.paging import format_time
from inbox.ports.records import InboundBatch, Placed
from inbox.ports.views import MessageItem, ReactionItem
from member_builders import EVERYWHERE
from postgres.effect_scene import CUSTOMER, PNID, TARGET, a_reaction, at, empty, events, ingest, orders

BSUID = "US.70010020030040050061"


@pytest.fixture
async def channel(engine: AsyncEngine) -> Channel:
    return await an_account(engine, phone_number_id=PNID)


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


def the_target():
    return an_inbound_message(PNID, wamid=TARGET, sender=CUSTOMER)


async def stored(engine: AsyncEngine) -> list[tuple[object, ...]]:
    statement = """select target_wamid, case reactor when 'business' then 'business' else 'contact' end, emoji, wamid,
                          reacted_at from reactions order by 1, 2"""
    return [tuple(row) for row in await execute(engine, statement)]


async def bubbles(engine: AsyncEngine, queries: PostgresQueries) -> dict[str | None, MessageItem]:
    found: dict[str | None, MessageItem] = {}
    for row in await execute(engine, "select id from conversations"):
        items = await queries.messages(EVERYWHERE, row.id, limit=100, before=None)
        found |= {item.wa_message_id: item for item in items or []}
    return found


async def test_a_reaction_is_shown_with_its_message(engine, database: PostgresDatabase, channel, queries) -> None:
    await ingest(database, the_target(), a_reaction("👍", 5), a_reaction("🎉", 7, by=None))
    (item,) = (await bubbles(engine, queries)).values()
    assert item.reactions == (
        ReactionItem(emoji="👍", sender="contact", at=format_time(at(5))),
        ReactionItem(emoji="🎉", sender="business", at=format_time(at(7))),
    )
    assert sorted(event["from"] for event in await events(engine, "message.reaction")) == ["business", "contact"]


async def test_any_order_and_any_repetition_leaves_the_newest_of_each_person(engine, database, channel) -> None:
    items = [
        the_target(),
        a_reaction("👍", 1),
        a_reaction("❤️", 2),
        a_reaction(None, 3, wamid="wamid.re.a"),
        a_reaction("🎉", 3, wamid="wamid.re.b"),
        a_reaction("🙏", 2, by=None),
    ]
    for batches in orders(items):
        await empty(engine)
        for batch in batches:
            await ingest(database, *batch)
        assert await stored(engine) == [
            (TARGET, "business", "🙏", "wamid.re.002", at(2)),
            (TARGET, "contact", "🎉", "wamid.re.b", at(3)),
        ], batches


async def test_a_reaction_that_was_taken_back_is_not_shown_and_an_older_one_does_not_bring_it_back(
    engine, database, channel, queries
) -> None:
    await ingest(database, the_target(), a_reaction("👍", 1))
    await ingest(database, a_reaction(None, 9))
    await ingest(database, a_reaction("❤️", 5))
    (item,) = (await bubbles(engine, queries)).values()
    assert item.reactions == ()
    assert [event["emoji"] for event in await events(engine, "message.reaction")] == ["👍", None]


async def test_a_reaction_before_its_message_is_shown_as_soon_as_that_is_there(
    engine, database, channel, queries
) -> None:
    await ingest(database, a_reaction("👍", 1))
    assert await events(engine, "message.reaction") == []
    await ingest(database, the_target())
    assert [one.emoji for one in (await bubbles(engine, queries))[TARGET].reactions] == ["👍"]


async def test_a_reaction_counts_as_nothing_new(engine, database, channel) -> None:
    await ingest(database, the_target())
    statement = """select unread_count, updated_at, last_inbound_at, window_expires_at, epoch from conversations"""
    before = await execute(engine, statement)
    lanes = await execute(engine, "select kind, key, ver from lanes order by 1, 2")
    await execute(engine, "update conversations set bot_enabled = true")
    await ingest(database, a_reaction("👍", 60))
    assert await execute(engine, statement) == before
    assert await execute(engine, "select kind, key, ver from lanes order by 1, 2") == lanes
    assert len(await execute(engine, "select 1 from messages")) == 1


async def test_only_the_two_sides_of_a_conversation_react_in_it(engine, database, channel, queries) -> None:
    await ingest(database, the_target(), a_reaction("😡", 1, by="33611111111"))
    assert (await bubbles(engine, queries))[TARGET].reactions == ()
    assert await events(engine, "message.reaction") == []


async def test_a_reaction_of_one_account_never_touches_the_same_wamid_of_another(
    engine, database, channel, queries
) -> None:
    other = await an_account(engine)
    await ingest(
        database,
        the_target(),
        an_inbound_message(other.phone_number_id, wamid=TARGET, sender=CUSTOMER),
        a_reaction("👍", 1, number=other.phone_number_id),
    )
    rows = await execute(engine, "select id, account_id from conversations")
    shown = {}
    for row in rows:
        (item,) = await queries.messages(EVERYWHERE, row.id, limit=9, before=None) or []
        shown[row.account_id] = [one.emoji for one in item.reactions]
    assert shown == {channel.account_id: [], other.account_id: ["👍"]}


async def test_a_customer_reacts_to_our_message_too(engine, database, channel, queries) -> None:
    conversation = await a_conversation(engine, channel.account_id, client_number=CUSTOMER)
    await execute(
        engine,
        "insert into contact_identities (kind, value, contact_id) select 'phone', whatsapp_number, id from contacts",
    )
    await a_message(engine, channel.account_id, conversation, wamid="wamid.out.1")
    await ingest(database, a_reaction("👍", 1, target="wamid.out.1"))
    assert [one.emoji for one in (await bubbles(engine, queries))["wamid.out.1"].reactions] == ["👍"]


async def test_reactions_of_two_contacts_who_are_one_person_become_one(engine, database, channel, queries) -> None:
    await ingest(database, the_target(), a_reaction("👍", 1))
    await ingest(database, a_reaction("❤️", 2, by=BSUID))
    assert [one.emoji for one in (await bubbles(engine, queries))[TARGET].reactions] == ["👍"]
    both = Address(wa_id=CUSTOMER, bsuid=BSUID)
    await ingest(database, IdentityLink(phone_number_id=PNID, customer=both, profile_name=None, at=at(3)))
    assert [one.emoji for one in (await bubbles(engine, queries))[TARGET].reactions] == ["❤️"]
    assert len(await stored(engine)) == 1


async def test_a_reaction_for_a_number_that_nobody_has_is_set_aside(engine, database, channel) -> None:
    placed = Placed(delivery_id=await a_delivery(engine), position=3, effect=a_reaction("👍", 1, number="999"))
    async with database.transaction() as tx:
        applied = await tx.apply(InboundBatch(effects=[placed]))
    assert (applied.unrouted, await stored(engine)) == (1, [])
    (item,) = await execute(engine, "select position, reason from quarantined_items")
    assert tuple(item) == (3, "unknown_number")
