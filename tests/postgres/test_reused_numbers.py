"""A number has two owners, one after the other: what a batch says of each is theirs."""

from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_contact, an_account, execute
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Text
from inbox.domain.inbound import Amendment, ContactName, Effect, InboundMessage, Preference, Reaction
from postgres.effect_scene import empty, ingest, orders
from postgres.identity_scene import OTHER_PHONE, PHONE, change, naming, one_by_one, said, who

HOUR = timedelta(hours=1)
THEN, LATER = NOON + HOUR, NOON + 900 * HOUR
"""When the first owner had the number, and when the second has it. The first gave it up in between."""


def words(account: Channel, owner: str, at: Any) -> list[InboundMessage | Effect]:  # noqa: ANN401 - a time
    number, customer, wamid = account.phone_number_id, Address(wa_id=PHONE), f"said.{owner}"
    edited = Text(body=f"{owner} !")
    return [
        said(account, customer, at=at, wamid=wamid, content=Text(body=owner)),
        Reaction(phone_number_id=number, customer=customer, wamid=f"re.{owner}", target=wamid, emoji="👍", at=at),
        Amendment(phone_number_id=number, customer=customer, wamid=f"ed.{owner}", target=wamid, content=edited, at=at),
        Preference(phone_number_id=number, customer=customer, category="all", value=owner, detail=None, at=at),
    ]


async def belongings(engine: AsyncEngine) -> dict[str, set[str]]:
    """What each contact wrote, reacted with and prefers, by the number that they are shown under."""
    rows = await execute(
        engine,
        """select k.whatsapp_number as number, m.content_text as what
           from contacts k join conversations c on c.contact_id = k.id join messages m on m.conversation_id = c.id
           union all
           select k.whatsapp_number, r.wamid from contacts k join reactions r on r.reactor = k.id::text
           union all
           select k.whatsapp_number, p.value from contacts k join contact_preferences p on p.contact_id = k.id""",
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.number, set()).add(row.what)
    return found


async def test_a_batch_tells_the_owners_of_one_number_apart(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    items = [*words(account, "first", THEN), *words(account, "second", LATER)]
    for batches in orders(items):
        await empty(engine)
        await ingest(
            database,
            said(account, who(PHONE), at=NOON, content=Text(body="avant")),
            change(account, who(PHONE), who(OTHER_PHONE), at=NOON + 2 * HOUR),
        )
        for batch in batches:
            await ingest(database, *batch)
        assert await belongings(engine) == {
            OTHER_PHONE: {"avant", "first !", "re.first", "first"},
            PHONE: {"second !", "re.second", "second"},
        }


async def test_names_of_the_address_book_go_to_the_owner_of_their_time(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await ingest(database, change(account, who(PHONE), who(OTHER_PHONE), at=NOON + 2 * HOUR))
    names: list[ContactName] = [
        naming(account, who(PHONE), "Awa", at=THEN),
        naming(account, who(PHONE), "Zoé", at=LATER),
    ]
    await ingest(database, *names)
    rows = await execute(engine, "select whatsapp_number, display_name from contacts")
    assert {row.whatsapp_number: row.display_name for row in rows} == {OTHER_PHONE: "Awa", PHONE: "Zoé"}


async def test_only_what_the_next_owner_wrote_before_the_change_was_known_stays_with_the_first(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(PHONE), at=NOON, content=Text(body="first")),
        said(account, who(PHONE), at=LATER, content=Text(body="too early")),
        change(account, who(PHONE), who(OTHER_PHONE), at=NOON + 2 * HOUR),
        said(account, who(PHONE), at=LATER + HOUR, content=Text(body="second")),
        said(account, who(PHONE), at=NOON + HOUR, content=Text(body="first, late")),
    )
    assert await belongings(engine) == {OTHER_PHONE: {"first", "too early", "first, late"}, PHONE: {"second"}}


async def test_who_cannot_be_shown_under_the_new_number_leaves_the_old_one_to_its_next_owner(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    elsewhere = await an_account(engine)
    await a_contact(engine, OTHER_PHONE)  # an old row without identities
    await one_by_one(
        database,
        said(account, who(PHONE), at=NOON),
        change(account, who(PHONE), who(OTHER_PHONE), at=NOON + 2 * HOUR),
        said(elsewhere, who(PHONE), at=LATER),
    )
    first, second = await execute(engine, "select contact_id from conversations order by updated_at")
    assert first.contact_id != second.contact_id
