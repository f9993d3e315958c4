"""What the holder of one account's app secret says of people is no news for the other accounts."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, NOON, an_account, execute, until
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import AccountChange, Channel
from inbox.domain.contacts import Address
from inbox.domain.ids import ContactId, uuid7
from postgres.identity_scene import (
    BSUID,
    OTHER_BSUID,
    OTHER_PHONE,
    PHONE,
    change,
    happens,
    link,
    naming,
    one_by_one,
    people,
    said,
    threads,
    who,
)
from postgres.ingest_scene import SECOND

HOUR = timedelta(hours=1)
Deliver: TypeAlias = Callable[..., Awaitable[Any]]
THIRD_PHONE = "33611112222"
FOURTH_PHONE = "33633334444"


async def with_secret(engine: AsyncEngine, waba_id: str | None = None) -> Channel:
    """An account with an app secret of its own; nothing here opens it."""
    found = await an_account(engine)
    await execute(
        engine,
        "update whatsapp_accounts set app_secret_sealed = 'sealed', waba_id = :waba_id where id = :id",
        waba_id=waba_id,
        id=found.account_id,
    )
    return found


@pytest.fixture
async def tenant(engine: AsyncEngine) -> Channel:
    return await with_secret(engine)


async def threads_of(engine: AsyncEngine, account: Channel) -> dict[str, int]:
    """How many messages each thread holds, by the number that is written to."""
    return {row.client_number: len(row.texts) for row in await threads(engine) if row.account_id == account.account_id}


# --- of other accounts ------------------------------------------------------------------------------------------------


async def test_a_thread_of_another_account_does_not_follow_a_change_of_number(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(PHONE)),
        said(tenant, who(PHONE), at=NOON + SECOND),
        change(tenant, who(PHONE), who(OTHER_PHONE), at=NOON + HOUR),
        said(tenant, who(OTHER_PHONE), at=NOON + 2 * HOUR),
        said(account, who(PHONE), at=NOON + 3 * HOUR),
    )
    assert await threads_of(engine, account) == {PHONE: 2}
    assert await threads_of(engine, tenant) == {PHONE: 1, OTHER_PHONE: 1}


@pytest.mark.parametrize("deliver", [happens, one_by_one])
async def test_one_id_with_two_numbers_makes_no_one_person_of_two(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel, deliver: Deliver
) -> None:
    await happens(database, said(account, who(PHONE)), said(account, who(OTHER_PHONE)))
    items = [
        said(tenant, who(PHONE, BSUID), at=NOON + HOUR),
        link(tenant, who(OTHER_PHONE, BSUID), at=NOON + HOUR),
        said(tenant, who(None, BSUID), at=NOON + HOUR),
    ]
    await deliver(database, *items)
    assert await threads_of(engine, account) == {PHONE: 1, OTHER_PHONE: 1}
    assert await threads_of(engine, tenant) == {PHONE: 2}


async def test_the_id_under_which_another_account_writes_to_somebody_gets_no_number(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(None, BSUID)),
        said(tenant, who(None, BSUID), at=NOON + SECOND),
        said(tenant, who(PHONE, BSUID), at=NOON + HOUR),
        said(account, who(None, BSUID), at=NOON + 2 * HOUR),
    )
    assert await threads_of(engine, account) == {BSUID: 2}


@pytest.mark.parametrize("deliver", [happens, one_by_one])
async def test_what_was_said_before_another_account_knew_somebody_leads_nobody_astray(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel, deliver: Deliver
) -> None:
    await one_by_one(
        database,
        said(tenant, who(PHONE, BSUID), at=NOON + 7 * HOUR),
        change(tenant, who(PHONE), who(OTHER_PHONE), at=NOON + 900 * HOUR),
        said(tenant, who(THIRD_PHONE, OTHER_BSUID)),
        change(tenant, who(None, OTHER_BSUID), who(FOURTH_PHONE, OTHER_BSUID), at=NOON + SECOND),
    )
    items = [said(account, who(number), at=NOON) for number in (PHONE, OTHER_PHONE, THIRD_PHONE)]
    await deliver(database, *items)
    assert await threads_of(engine, account) == {PHONE: 1, OTHER_PHONE: 1, THIRD_PHONE: 1}


async def test_the_card_that_people_named_keeps_its_number(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    async with database.transaction() as tx:
        await tx.contacts.add(ContactId(uuid7()), PHONE, "Awa")
    await one_by_one(database, said(tenant, who(PHONE)), change(tenant, who(PHONE), who(OTHER_PHONE), at=NOON + HOUR))
    assert {row.whatsapp_number: row.display_name for row in await people(engine)} == {PHONE: "Awa", OTHER_PHONE: None}


async def test_a_username_is_neither_taken_nor_shown_instead_of_another(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(PHONE, BSUID, username="awa")),
        said(tenant, who(OTHER_PHONE, username="awa"), at=NOON + HOUR),
        said(tenant, who(PHONE, username="mallory"), at=NOON + HOUR),
    )
    assert {row.whatsapp_number: row.username for row in await people(engine)} == {PHONE: "awa", OTHER_PHONE: "awa"}


async def test_accounts_of_two_secrets_are_strangers_too(
    database: PostgresDatabase, engine: AsyncEngine, tenant: Channel
) -> None:
    other = await with_secret(engine, waba_id="800999")
    await one_by_one(
        database,
        said(other, who(PHONE, BSUID)),
        change(tenant, who(PHONE, BSUID), who(OTHER_PHONE, BSUID), at=NOON + HOUR),
        said(tenant, who(OTHER_PHONE, BSUID), at=NOON + 2 * HOUR),
        said(other, who(None, BSUID), at=NOON + 3 * HOUR),
    )
    assert await threads_of(engine, other) == {PHONE: 2}
    assert await threads_of(engine, tenant) == {OTHER_PHONE: 1}


async def names(engine: AsyncEngine) -> dict[str, str | None]:
    return {row.whatsapp_number: row.display_name for row in await people(engine)}


@pytest.mark.parametrize("deliver", [happens, one_by_one])
async def test_whom_others_write_with_is_not_renamed(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel, deliver: Deliver
) -> None:
    await happens(
        database,
        said(account, who(PHONE), name="Awa"),
        said(account, who(None, BSUID), name="Binta"),
        said(account, who(OTHER_PHONE)),
        said(tenant, who(THIRD_PHONE), name="Djibril"),
    )
    items = [
        said(tenant, who(PHONE), name="Mallory", at=NOON + HOUR),
        link(tenant, who(None, BSUID), name="Mallory", at=NOON + HOUR),
        naming(tenant, who(PHONE, BSUID), "Mallory", at=NOON + HOUR),
        said(tenant, who(None, OTHER_BSUID), name="Mallory", at=NOON + HOUR),
        said(tenant, who(OTHER_PHONE, OTHER_BSUID), at=NOON + 2 * HOUR),
        said(account, who(THIRD_PHONE), name="Dina", at=NOON - HOUR),
        said(tenant, who(THIRD_PHONE), name="Mallory", at=NOON + HOUR),
    ]
    await deliver(database, *items)
    assert await names(engine) == {PHONE: "Awa", BSUID: "Binta", OTHER_PHONE: None, THIRD_PHONE: "Dina"}


async def test_contacts_are_locked_in_the_order_of_their_ids(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    await one_by_one(database, said(account, who(OTHER_PHONE)), said(tenant, who(None, BSUID)))
    first, second = await execute(engine, "select id, whatsapp_number from contacts order by id")
    assert (first.whatsapp_number, second.whatsapp_number) == (OTHER_PHONE, BSUID)
    items = [said(tenant, who(PHONE, BSUID), at=NOON + HOUR), said(account, who(OTHER_PHONE), at=NOON + HOUR)]
    lock = text("select from contacts where id = :id for update nowait")
    async with engine.connect() as holder, engine.connect() as other:
        await holder.execute(lock, {"id": first.id})
        batch = asyncio.create_task(happens(database, *items))
        await until(engine, LOCK_WAIT)
        await other.execute(lock, {"id": second.id})
        await other.rollback()
        await holder.rollback()
        await batch
    assert await threads_of(engine, tenant) == {PHONE: 2}


NUMBERS = (PHONE, OTHER_PHONE, THIRD_PHONE)
IDS = (BSUID, OTHER_BSUID)
NAMES = [*map(who, NUMBERS), *(who(None, one) for one in IDS), *itertools.starmap(who, itertools.product(NUMBERS, IDS))]


def honest(account: Channel) -> list[Any]:
    """Two customers, of whom one changes their number; the third number is a stranger's."""
    return [
        said(account, who(None, BSUID), at=NOON, wamid="b1", name="Awa"),
        said(account, who(PHONE), at=NOON + HOUR, wamid="b2", name="Awa"),
        said(account, who(PHONE, BSUID), at=NOON + 2 * HOUR, wamid="b3"),
        said(account, who(OTHER_PHONE), at=NOON + 3 * HOUR, wamid="b4", name="Binta"),
        change(account, who(OTHER_PHONE), who(THIRD_PHONE), at=NOON + 4 * HOUR),
        said(account, who(THIRD_PHONE, OTHER_BSUID), at=NOON + 5 * HOUR, wamid="b5"),
        said(account, who(None, OTHER_BSUID), at=NOON + 6 * HOUR, wamid="b6", name="Binta B."),
    ]


Forgery: TypeAlias = tuple[str, Address, Address, datetime]
Script: TypeAlias = list[tuple[Forgery | None, bool]]
"""Forgeries, or None for the next honest item; True where a batch ends."""
FORGERIES = st.tuples(
    st.sampled_from(["said", "link", "naming", "change"]),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.integers(-9, 9).map(lambda hours: NOON + hours * HOUR),
)


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    forged = draw(st.lists(FORGERIES, min_size=1, max_size=14))
    order = draw(st.permutations([True] * 6 + [False] * len(forged)))
    rest = iter(forged)
    return [(None if is_honest else next(rest), draw(st.booleans())) for is_honest in order]


def forged(tenant: Channel, forgery: Forgery) -> Any:  # noqa: ANN401 - any item
    kind, old, new, at = forgery
    match kind:
        case "said":
            return said(tenant, old, at=at, name="Mallory")
        case "link":
            return link(tenant, old, at=at, name="Mallory")
        case "naming":
            return naming(tenant, old, "Mallory", at=at)
        case _:
            return change(tenant, old, new, at=at)


async def forget_everybody(engine: AsyncEngine) -> None:
    for table in ("messages", "conversations", "contact_identities", "contacts"):
        await execute(engine, f"delete from {table}")  # noqa: S608 - the names above


@pytest.mark.timeout(600)
@given(script=scripts())
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_whatever_is_forged_the_threads_of_others_are_as_if_nothing_had_been_said(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel, script: Script
) -> None:
    await forget_everybody(engine)
    true, batch = iter(honest(account)), []
    for forgery, is_last in [*script, (None, True)]:
        batch.append(next(true) if forgery is None else forged(tenant, forgery))
        if is_last:
            await happens(database, *batch)
            batch = []
    assert await threads_of(engine, account) == {PHONE: 3, THIRD_PHONE: 3}
    shown = await database.queries.conversations(account.account_id, limit=9, before=None)
    assert {row.client_number: row.contacts and row.contacts.display_name for row in shown} == {
        PHONE: "Awa",
        THIRD_PHONE: "Binta B.",
    }


# --- of its own -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0)])
async def test_a_customer_of_the_account_alone_takes_their_thread_along(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel, order: tuple[int, ...]
) -> None:
    items: list[Any] = [
        said(tenant, who(PHONE, BSUID), at=NOON),
        change(tenant, who(PHONE, BSUID), who(OTHER_PHONE, OTHER_BSUID), at=NOON + HOUR),
        said(tenant, who(OTHER_PHONE, OTHER_BSUID), at=NOON + 2 * HOUR),
    ]
    await one_by_one(database, *(items[n] for n in order))
    assert await threads_of(engine, tenant) == {OTHER_PHONE: 2}


async def test_a_customer_without_a_number_gets_theirs(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    await happens(database, said(tenant, who(None, BSUID)))
    assert await threads_of(engine, tenant) == {BSUID: 1}
    await happens(database, said(account, who(OTHER_PHONE)), said(tenant, who(PHONE, BSUID), at=NOON + SECOND))
    await happens(database, said(tenant, who(None, BSUID), at=NOON + HOUR))
    assert await threads_of(engine, tenant) == {PHONE: 3}


async def test_a_thread_without_a_number_joins_that_of_the_number_whoever_knows_it(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    await one_by_one(
        database,
        said(account, who(PHONE)),
        said(tenant, who(PHONE), at=NOON + SECOND),
        said(tenant, who(None, BSUID), at=NOON + 2 * SECOND),
        said(tenant, who(PHONE, BSUID), at=NOON + HOUR),
    )
    assert (await threads_of(engine, account), await threads_of(engine, tenant)) == ({PHONE: 1}, {PHONE: 3})


@pytest.mark.parametrize("waba_id", ["800111", None])
async def test_accounts_that_belong_together_share_their_people(
    database: PostgresDatabase, engine: AsyncEngine, waba_id: str | None
) -> None:
    """Of one WABA beside somebody else's account, or alone in the installation."""
    one = await with_secret(engine, waba_id)
    two = one
    if waba_id:
        two = await with_secret(engine, waba_id)
        await an_account(engine)
    else:
        async with database.transaction() as tx:
            await tx.contacts.add(ContactId(uuid7()), PHONE, "Awa")
    await one_by_one(
        database,
        said(one, who(PHONE, BSUID)),
        said(two, who(None, BSUID), at=NOON + SECOND),
        change(two, who(PHONE, BSUID), who(OTHER_PHONE, BSUID), at=NOON + HOUR),
    )
    assert {row.client_number for row in await threads(engine)} == {OTHER_PHONE}


async def test_a_person_finds_the_thread_that_a_customer_without_a_number_began(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, tenant: Channel
) -> None:
    await happens(database, said(tenant, who(None, BSUID)))
    async with database.transaction() as tx:
        _, is_new = await tx.conversations.find_or_create(tenant.account_id, Address(bsuid=BSUID), NOON)
    assert not is_new


@pytest.mark.parametrize("has_stranger", [True, False])
async def test_who_wrote_before_the_waba_was_known_or_changed_keeps_their_thread(
    database: PostgresDatabase,
    engine: AsyncEngine,
    has_stranger: bool,  # noqa: FBT001 - a case
) -> None:
    one, two = await with_secret(engine), await with_secret(engine, "800111")
    if has_stranger:
        await an_account(engine)
    await one_by_one(database, said(one, who(PHONE, BSUID)), said(two, who(OTHER_PHONE, OTHER_BSUID)))
    for count, waba_id in enumerate(("800111", "800222"), start=2):
        async with database.transaction() as tx:
            await tx.accounts.change(one.account_id, AccountChange(waba_id=waba_id))
        await one_by_one(database, said(one, who(None, BSUID)), said(two, who(None, OTHER_BSUID)))
        assert await threads_of(engine, one) == {PHONE: count}
        assert await threads_of(engine, two) == {OTHER_PHONE: count}
