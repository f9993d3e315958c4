"""What Meta says about accounts and what customers allow: stored once, shown to who may see it."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, an_account, an_inbound_message, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.access import Reach
from inbox.domain.accounts import Channel
from inbox.domain.inbound import AccountNotice, Severity
from member_builders import EVERYWHERE, only
from postgres.effect_scene import CUSTOMER, PNID, a_notice, a_preference, at, empty, events, ingest, orders

WABA = "102290129340398"
NUMBER = "33465710001"


@pytest.fixture
async def channel(engine: AsyncEngine) -> Channel:
    return await an_account(engine, phone_number_id=PNID)


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


async def of_waba(engine: AsyncEngine, phone_number: str | None) -> Channel:
    made = await an_account(engine)
    await execute(
        engine,
        "update whatsapp_accounts set waba_id = :waba, phone_number = :number where id = :id",
        waba=WABA,
        number=phone_number,
        id=made.account_id,
    )
    return made


async def owners(engine: AsyncEngine) -> list[object]:
    return [row.account_id for row in await execute(engine, "select account_id from account_notices order by id")]


async def test_a_notice_is_stored_once_however_often_and_in_whatever_order_it_comes(engine, database, channel) -> None:
    items = [
        a_notice("ACCOUNT_VIOLATION", phone_number_id=PNID),
        a_notice("ACCOUNT_VIOLATION", phone_number_id=PNID, seconds=1),
        a_notice("DISABLED_UPDATE", phone_number_id=PNID),
        a_notice("DISABLED_UPDATE", waba_id=WABA),
    ]
    for batches in orders(items, 5):
        await empty(engine)
        for batch in batches:
            await ingest(database, *batch)
        statement = "select event, occurred_at, waba_id from account_notices order by event, occurred_at, waba_id"
        assert [tuple(row) for row in await execute(engine, statement)] == [
            ("ACCOUNT_VIOLATION", at(0), None),
            ("ACCOUNT_VIOLATION", at(1), None),
            ("DISABLED_UPDATE", at(0), WABA),
            ("DISABLED_UPDATE", at(0), None),
        ]
        assert len(await events(engine, "account.notice")) == 3


async def test_the_id_of_a_number_says_whose_a_notice_is(engine, database, channel) -> None:
    await of_waba(engine, None)
    await ingest(database, a_notice(phone_number_id=PNID, waba_id=WABA))
    await ingest(database, a_notice(phone_number_id="999", waba_id=WABA))
    assert await owners(engine) == [channel.account_id, None]


@pytest.mark.parametrize("written", ["+33 4 65 71 00 01", NUMBER, "+33-4-65-71-00-01"])
async def test_a_waba_and_the_digits_of_a_number_say_whose_a_notice_is(engine, database, written) -> None:
    mine = await of_waba(engine, written)
    await of_waba(engine, "+33 4 65 71 00 02")
    await ingest(database, a_notice(waba_id=WABA, display_phone_number=NUMBER))
    await ingest(database, a_notice(waba_id="another", display_phone_number=NUMBER))
    assert await owners(engine) == [mine.account_id, None]


async def test_a_waba_alone_says_whose_a_notice_is_only_if_it_has_one_account(engine, database) -> None:
    mine = await of_waba(engine, "+33 4 65 71 00 01")
    await ingest(database, a_notice(waba_id=WABA))
    assert await owners(engine) == [mine.account_id]
    await of_waba(engine, "+33 4 65 71 00 02")
    await ingest(database, a_notice(waba_id=WABA, seconds=5))
    assert await owners(engine) == [mine.account_id, None]


async def test_another_number_of_a_waba_is_not_the_account_that_is_connected(engine, database) -> None:
    await of_waba(engine, "+33 4 65 71 00 01")
    await ingest(database, a_notice(waba_id=WABA, display_phone_number="33465719999"))
    assert await owners(engine) == [None]


@pytest.mark.parametrize(
    ("notice", "is_told"),
    [
        (a_notice(severity=Severity.INFO, phone_number_id=PNID), True),
        (a_notice(field="message_template_status_update", severity=Severity.INFO, phone_number_id=PNID), True),
        (a_notice(field="history", severity=Severity.INFO, phone_number_id=PNID), False),
        (a_notice(field="security", severity=Severity.WARNING, phone_number_id=PNID), True),
        (a_notice(), False),
    ],
)
async def test_front_ends_are_told_what_matters(
    engine, database, channel, notice: AccountNotice, is_told: object
) -> None:
    await ingest(database, notice)
    told = await events(engine, "account.notice")
    assert [event["event"] for event in told] == ([notice.event] if is_told else [])


async def test_notices_come_newest_first_in_pages_and_only_to_who_may_see_them(
    engine, database, channel, queries: PostgresQueries
) -> None:
    other = await an_account(engine)
    await ingest(
        database,
        *(a_notice(phone_number_id=PNID, seconds=second) for second in range(3)),
        a_notice(phone_number_id=other.phone_number_id, seconds=9),
        a_notice(seconds=7),
    )
    mine = await queries.notices_of(channel.account_id, limit=9, before=None)
    assert [item.account_id for item in mine] == [channel.account_id] * 3
    assert [item.occurred_at for item in mine] == sorted((item.occurred_at for item in mine), reverse=True)
    (second, *_) = await queries.notices_of(channel.account_id, limit=1, before=(at(2), mine[0].id))
    assert second == mine[1]
    ours = [channel.account_id] * 3
    for reach, expected in (
        (EVERYWHERE, [other.account_id, None, *ours]),
        (Reach(everywhere=True, accounts=(other.account_id,)), [None, *ours]),
        (only(other.account_id), [other.account_id]),
    ):
        assert [item.account_id for item in await queries.notices(reach, limit=9, before=None)] == expected


async def test_the_newest_preference_of_a_customer_counts_in_any_order(engine, database, channel) -> None:
    items = [a_preference("stop", 1), a_preference("resume", 2), a_preference("stop", 3), a_preference("resume", 3)]
    for batches in orders(items, 5):
        await empty(engine)
        for batch in batches:
            await ingest(database, *batch)
        (row,) = await execute(engine, "select account_id, category, value, changed_at from contact_preferences")
        assert tuple(row) == (channel.account_id, "marketing_messages", "stop", at(3)), batches


async def test_a_preference_is_shown_with_the_conversation_and_the_contact_of_its_account_only(
    engine, database, channel, queries: PostgresQueries
) -> None:
    other = await an_account(engine)
    await ingest(
        database,
        an_inbound_message(PNID, sender=CUSTOMER),
        an_inbound_message(other.phone_number_id, sender=CUSTOMER),
        a_preference("stop", 1),
    )
    (mine,) = await queries.conversations(channel.account_id, limit=9, before=None)
    (theirs,) = await queries.conversations(other.account_id, limit=9, before=None)
    assert (mine.preferences, theirs.preferences) == ({"marketing_messages": "stop"}, {})
    (contact,) = await queries.contacts(None, limit=9, before=None)
    assert [(one.account_id, one.value) for one in contact.preferences] == [(channel.account_id, "stop")]
