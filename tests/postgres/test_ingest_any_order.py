"""The same items in any order, in any batches, as often as they like: the same rows in the end."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_status, an_account, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.content import Call, CallStage, Media, MediaKind, Other, Text, Unsupported
from inbox.domain.ids import DeliveryId
from inbox.domain.inbound import (
    Amendment,
    InboundMessage,
    InboundStatus,
    Preference,
    Reaction,
    Referral,
    Source,
    Surroundings,
)
from inbox.ports.records import Placed
from postgres.identity_scene import change, link, naming, said, who
from postgres.ingest_scene import apply

MINUTE = timedelta(minutes=1)
CUT = "cut"
"""Between two batches."""


def everything(one: str, other: str) -> list[Any]:
    """Two accounts, five people under many names, all sources, ranks, statuses, links, a change of number."""
    return people_write(one, other) + effects_follow(one)


AWA, BSUID = "33611111111", "FR.1"
BO, BO_SHORT = "5511987654321", "551187654321"


def at(minutes: int):
    return NOON + minutes * MINUTE


def people_write(one: str, other: str) -> list[Any]:
    referral = Surroundings(referral=Referral(source_type="ad", source_id="1"))
    photo = Media(kind=MediaKind.IMAGE, media_id="m1", sha256="abc=")
    blank, past = Other(kind="media_placeholder", text="[media]"), Source.PAST_CUSTOMER
    ended = Call(by_customer=True, stage=CallStage.ENDED, seconds=100)
    return [
        said(one, who(AWA), at=at(1), wamid="w1", name="Awa", surroundings=referral),
        said(one, who(None, BSUID, username="awa"), at=at(2), wamid="w2"),
        said(one, who(AWA, BSUID, username="awa2"), at=at(3), wamid="w3", name="Awa D."),
        said(other, who(None, BSUID), at=at(4), wamid="w4"),
        link(one, who(AWA, BSUID, parent="FR.ENT.1"), at=at(5), name="Awa Diop"),
        change(one, who("33622222222", "FR.2"), who("33633333333", "FR.3"), at=at(10)),
        said(one, who("33622222222"), at=at(6), wamid="w5"),
        said(one, who(None, "FR.2"), at=at(7), wamid="w6", name="Chi"),
        said(one, who("33633333333", "FR.3"), at=at(11), wamid="w7"),
        said(other, who("33633333333"), at=at(12), wamid="w8"),
        said(one, who(BO), at=at(1), wamid="w9", content=Unsupported(code=131060)),
        said(one, who(BO), at=at(1), wamid="w9", content=Text(body="Vu votre annonce")),
        said(one, who(BO_SHORT), at=at(2), wamid="w10", source=Source.PHONE, content=Text(body="Du téléphone")),
        said(one, who(BO), at=at(-900), wamid="w11", source=past, content=blank),
        said(one, who(BO), at=at(-900), wamid="w11", source=past, content=photo),
        said(one, who(BO), at=at(-899), wamid="w12", source=Source.PAST_BUSINESS, status="READ"),
        said(one, who(None, "FR.9"), at=at(1), wamid="c1", content=Call(by_customer=True, stage=CallStage.RINGING)),
        said(one, who(None, "FR.9"), at=at(3), wamid="c1", content=ended),
        said(one, who(AWA), at=at(30), wamid="w13", source=Source.PHONE),
    ]  # fmt: skip


def effects_follow(one: str) -> list[Any]:
    edited = Text(body="Vu votre annonce !")
    return [
        naming(one, who("33644444444"), "Dina", at=at(1)),
        naming(one, who("33644444444"), None, at=at(2)),
        naming(one, who(AWA), "Madame Diop", at=at(20)),
        a_status(one, "w10", "sent", occurred_at=at(2)),
        a_status(one, "w10", "delivered", occurred_at=at(3)),
        a_status(one, "w13", "delivered", occurred_at=at(31)),
        a_status(one, "w13", "read", occurred_at=at(32)),
        Reaction(phone_number_id=one, customer=who(None, BSUID), wamid="r1", target="w13", emoji="👍", at=at(40)),
        Reaction(phone_number_id=one, customer=who(AWA), wamid="r2", target="w13", emoji="🎉", at=at(41)),
        Reaction(phone_number_id=one, customer=None, wamid="r3", target="w9", emoji="👀", at=at(42)),
        Amendment(phone_number_id=one, customer=who(BO_SHORT), wamid="e1", target="w9", content=edited, at=at(43)),
        Amendment(phone_number_id=one, customer=who(None, BSUID), wamid="e2", target="w1", content=None, at=at(44)),
        Preference(phone_number_id=one, customer=who(None, "FR.9"), category="marketing_messages", value="stop",
                   detail=None, at=at(45)),
        a_status(one, "nobody", "failed", occurred_at=at(3), error_code=131026),
    ]  # fmt: skip


async def play(database: PostgresDatabase, script: list[Any]) -> None:
    batch: list[Any] = []
    for step in [*script, CUT]:
        if step != CUT:
            batch.append(step)
            continue
        messages = [item for item in batch if isinstance(item, InboundMessage)]
        statuses = [item for item in batch if isinstance(item, InboundStatus)]
        effects = [
            Placed(delivery_id=DeliveryId(0), position=n, effect=item)
            for n, item in enumerate(batch)
            if not isinstance(item, InboundMessage | InboundStatus)
        ]
        await apply(database, *messages, statuses=statuses, effects=effects)
        batch = []


SIZE = 33
ACCOUNTS = "select phone_number_id from whatsapp_accounts order by created_at, id"
SHOWN = {
    "contacts": """
      select whatsapp_number, display_name, name_at, is_named_by_person, username, is_listed
      from contacts order by whatsapp_number""",
    "identities": """
      select i.portfolio, i.kind, i.value, i.written, i.seen_at, i.valid_until, c.whatsapp_number
      from contact_identities i join contacts c on c.id = i.contact_id order by 1, 2, 3""",
    "conversations": """
      select a.slug, k.whatsapp_number, c.client_number, c.unread_count, c.status, c.updated_at, c.last_inbound_at,
             c.window_expires_at, c.free_entry_until, c.bot_enabled, c.is_favorite
      from conversations c join contacts k on k.id = c.contact_id join whatsapp_accounts a on a.id = c.account_id
      order by 1, 2""",
    "messages": """
      select m.wa_message_id, a.slug, c.client_number, m.direction, m.author, m.status, m."timestamp", m.content,
             m.content_text, m.message_type, m.media_id, m.media_filename, m.content_rank, m.context, m.sent_at,
             m.delivered_at, m.read_at, m.failed_at, m.original_content, m.amended_at, m.revoked_at
      from messages m join conversations c on c.id = m.conversation_id join whatsapp_accounts a on a.id = m.account_id
      order by 1, 2""",
    "statuses": """
      select s.wamid, s.status, s.occurred_at, m.wa_message_id
      from message_statuses s left join messages m on m.id = s.message_id order by 1, 2""",
    "reactions": """
      select r.target_wamid, r.emoji, r.wamid, r.reacted_at, coalesce(c.whatsapp_number, r.reactor) as reactor
      from reactions r left join contacts c on c.id::text = r.reactor order by 1, 5""",
    "preferences": """
      select c.whatsapp_number, p.category, p.value, p.changed_at
      from contact_preferences p join contacts c on c.id = p.contact_id order by 1, 2""",
    "files": """
      select m.wa_message_id, f.media_id, f.expected_sha256, f.state from media_files f
      join messages m on m.id = f.message_id order by 1""",
}


async def final_rows(engine: AsyncEngine) -> dict[str, list[dict[str, Any]]]:
    return {name: [row._asdict() for row in await execute(engine, query)] for name, query in SHOWN.items()}


async def emptied(engine: AsyncEngine) -> None:
    for table in (
        "reactions",
        "message_statuses",
        "media_files",
        "messages",
        "conversations",
        "contact_identities",
        "contacts",
    ):
        await execute(engine, f"delete from {table}")  # noqa: S608 - names of our schema


@st.composite
def scripts(draw: st.DrawFn, size: int) -> list[int | str]:
    """Every item at least once, some twice or more, shuffled, with cuts anywhere."""
    repeated = draw(st.lists(st.integers(0, size - 1), max_size=12))
    cuts = draw(st.integers(0, 20))
    return draw(st.permutations([*range(size), *repeated, *[CUT] * cuts]))


@pytest.mark.timeout(600)
@given(script=scripts(SIZE))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_any_interleaving_splitting_and_repetition_leaves_the_same_rows(
    database: PostgresDatabase, engine: AsyncEngine, script: list[int | str]
) -> None:
    await emptied(engine)
    accounts = [row.phone_number_id for row in await execute(engine, ACCOUNTS)]
    items = everything(*(accounts or [(await an_account(engine)).phone_number_id for _ in range(2)]))

    await play(database, [items[step] if isinstance(step, int) else step for step in script])
    found = await final_rows(engine)

    await emptied(engine)
    await play(database, items)
    for table, rows in (await final_rows(engine)).items():
        assert found[table] == rows, table


async def test_the_items_of_that_test_are_five_people_in_as_many_threads(
    database: PostgresDatabase, engine: AsyncEngine
) -> None:
    one, other = [(await an_account(engine)).phone_number_id for _ in range(2)]
    items = everything(one, other)
    assert len(items) == SIZE
    await play(database, items)

    found = await final_rows(engine)

    assert [(row["whatsapp_number"], row["display_name"], row["is_listed"]) for row in found["contacts"]] == [
        ("33611111111", "Madame Diop", True),
        ("33633333333", "Chi", True),
        ("33644444444", None, True),
        ("5511987654321", None, True),
        ("FR.9", None, True),
    ]
    assert [(row["client_number"], row["unread_count"]) for row in found["conversations"]] == [
        ("33611111111", 3),
        ("33633333333", 3),
        ("5511987654321", 1),
        ("FR.9", 1),
        ("33611111111", 1),
        ("33633333333", 1),
    ]
    assert len(found["messages"]) == 14
    assert found["conversations"][0]["free_entry_until"] == NOON + 30 * MINUTE + timedelta(hours=72)
    assert [row["wamid"] for row in found["statuses"] if row["wa_message_id"] is None] == ["nobody"]
    assert [row["wa_message_id"] for row in found["files"]] == ["w11"]
    assert [(row["target_wamid"], row["emoji"], row["reactor"]) for row in found["reactions"]] == [
        ("w13", "🎉", "33611111111"),
        ("w9", "👀", "business"),
    ]
    said = {row["wa_message_id"]: row["content_text"] for row in found["messages"]}
    assert (said["w9"], said["w1"]) == ("Vu votre annonce !", "[message supprimé]")
    assert [row["whatsapp_number"] for row in found["preferences"]] == ["FR.9"]
