"""What Meta says of templates is applied in any order, for every account of the WABA; lists say what is gone."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, an_account, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.inbound import AccountNotice
from inbox.domain.templates import TemplateNews
from inbox.ports.templates import Reading, TemplateFilter
from postgres.effect_scene import a_notice, at, empty, ingest, orders
from template_builders import WABA, a_sync, a_template, known, set_waba, with_waba

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


@pytest.fixture
async def channel(engine: AsyncEngine) -> Channel:
    return await with_waba(engine)


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


def news(name: str = "velo_pret", seconds: int = 0, **said) -> TemplateNews:
    return TemplateNews(name=name, language="fr", at=at(seconds), **said)


def a_word(seconds: int, waba_id: str = WABA, name: str = "velo_pret", **said) -> AccountNotice:
    notice = a_notice(field="message_template_status_update", event="X", seconds=seconds, waba_id=waba_id)
    return msgspec.structs.replace(notice, template=news(name, seconds, **said))


async def listed(database: PostgresDatabase, channel: Channel, begun: datetime, *pages: list[TemplateNews]) -> int:
    """A list that was read from `begun` on, page by page."""
    for page in pages:
        async with database.transaction() as tx:
            await tx.templates.seen(channel.account_id, WABA, page, begun)
    async with database.transaction() as tx:
        reading = Reading(begun=begun, at=begun - MINUTE, held_until=begun)
        return await tx.templates.finish_sync(channel.account_id, WABA, reading, next_in=timedelta(hours=6))


async def test_webhooks_leave_the_same_row_in_whatever_order_they_come(engine, database, channel) -> None:
    items = [
        a_word(0, status="PENDING", category="UTILITY", meta_id="7"),
        a_word(2, status="APPROVED"),
        a_word(5, status="PAUSED", details="Paused for 3 hours."),
        a_word(3, quality="YELLOW"),
        a_word(4, components=b'[{"type":"BODY","text":"Bonjour"}]', is_whole=False),
    ]
    for batches in orders(items, 5):
        await empty(engine)
        await execute(engine, "delete from message_templates")
        for batch in batches:
            await ingest(database, *batch)
        (row,) = await known(engine)
        assert (row["status"], row["status_at"], row["details"]) == ("PAUSED", at(5), "Paused for 3 hours."), batches
        assert (row["quality"], row["category"], row["meta_id"]) == ("YELLOW", "UTILITY", "7")
        assert json.loads(row["components"]) == [{"type": "BODY", "text": "Bonjour"}]


async def test_every_account_of_a_waba_is_told_and_no_other(engine, database, channel) -> None:
    sister, _, stranger = await with_waba(engine), await an_account(engine), await with_waba(engine, "999")
    await ingest(database, a_word(1, status="APPROVED"), a_word(1, name="promo", waba_id="999", status="REJECTED"))
    found = {(row["account_id"], row["name"], row["status"]) for row in await known(engine)}
    assert found == {
        (channel.account_id, "velo_pret", "APPROVED"),
        (sister.account_id, "velo_pret", "APPROVED"),
        (stranger.account_id, "promo", "REJECTED"),
    }


async def test_an_edited_content_makes_the_list_due(engine, database, channel) -> None:
    await a_sync(engine, channel)
    await ingest(database, a_word(1, status="APPROVED"))
    async with database.transaction() as tx:
        assert await tx.templates.claim_syncs(9, MINUTE) == []
    await ingest(database, a_word(2, components=b"[]", is_whole=False))
    async with database.transaction() as tx:
        assert [one.account_id for one in await tx.templates.claim_syncs(9, MINUTE)] == [channel.account_id]


async def test_what_no_page_held_is_gone_and_what_was_told_since_is_not(engine, database, channel) -> None:
    for name in ("gone", "stays"):
        await a_template(engine, channel, name, at=at(0))
    await a_template(engine, channel, "new", at=NOW)
    count = await listed(database, channel, NOW, [news("stays", status="APPROVED")], [news("more", status="PENDING")])
    assert count == 3
    assert {row["name"]: row["status"] for row in await known(engine)} == {
        "gone": "DELETED",
        "more": "PENDING",
        "new": "APPROVED",
        "stays": "APPROVED",
    }
    await listed(database, channel, NOW + MINUTE, [news("gone", 9_999, status="APPROVED")])
    assert {row["status"] for row in await known(engine) if row["name"] == "gone"} == {"APPROVED"}


async def test_of_two_lists_that_overlap_the_later_one_decides(engine, database, channel) -> None:
    later, pages = NOW + MINUTE, [news("one", status="APPROVED"), news("two", status="APPROVED")]
    async with database.transaction() as tx:
        await tx.templates.seen(channel.account_id, WABA, pages, later)
        await tx.templates.seen(channel.account_id, WABA, pages[:1], NOW)
    await listed(database, channel, later)
    assert [row["status"] for row in await known(engine)] == ["APPROVED", "APPROVED"]


async def test_only_lists_that_are_due_are_claimed_and_each_once(engine, database, channel) -> None:
    await an_account(engine)
    await with_waba(engine, "1", is_active=False)
    await with_waba(engine, "2", access_token=None)
    await with_waba(engine, "3", is_paused=True)
    due, later = await with_waba(engine, "4"), await with_waba(engine, "5")
    await a_sync(engine, due, due_in=-MINUTE)
    await a_sync(engine, later)
    async with database.transaction() as tx:
        claimed = {one.account_id for one in await tx.templates.claim_syncs(9, MINUTE)}
    assert claimed == {channel.account_id, due.account_id}
    async with database.transaction() as tx:
        assert await tx.templates.claim_syncs(9, MINUTE) == []
        await tx.templates.postpone_sync(due.account_id, -MINUTE)
        assert [(one.account_id, one.failures) for one in await tx.templates.claim_syncs(9, MINUTE)] == [
            (due.account_id, 1)
        ]


async def test_a_list_that_is_never_due_again_is_not_claimed(engine, database, channel) -> None:
    async with database.transaction() as tx:
        for _ in range(2):
            held_until = await tx.templates.begin_sync(channel.account_id, WABA, MINUTE)
            reading = Reading(begun=NOW, at=NOW, held_until=held_until)
            await tx.templates.finish_sync(channel.account_id, WABA, reading, next_in=None)
        assert await tx.templates.claim_syncs(9, MINUTE) == []
    assert len(await execute(engine, "select 1 from template_syncs where due_at = 'infinity'")) == 1


async def wait_until_due(engine: AsyncEngine) -> timedelta:
    (row,) = await execute(engine, "select due_at - now() as wait from template_syncs")
    wait: timedelta = row.wait
    return wait


@pytest.mark.parametrize("before", [None, -MINUTE, MINUTE / 2, timedelta(hours=6)])
async def test_what_changes_while_a_list_is_read_makes_it_due_anew(engine, database, channel, before) -> None:
    if before is not None:
        await a_sync(engine, channel, due_in=before)
    for is_changed in (True, False):
        async with database.transaction() as tx:
            held_until = await tx.templates.begin_sync(channel.account_id, WABA, 15 * MINUTE)
        if is_changed:
            async with database.transaction() as tx:
                await tx.templates.hurry(channel.account_id, WABA, MINUTE)
        reading = Reading(begun=NOW, at=NOW, held_until=held_until)
        async with database.transaction() as tx:
            await tx.templates.finish_sync(channel.account_id, WABA, reading, next_in=timedelta(hours=6))
        wait = await wait_until_due(engine)
        assert wait <= MINUTE if is_changed else wait > timedelta(hours=5)


async def test_how_a_template_stands_is_known_by_account_name_and_language(engine, database, channel) -> None:
    await a_template(engine, channel, status="PAUSED")
    await a_template(engine, await with_waba(engine), "other")
    async with database.transaction() as tx:
        standing = await tx.templates.standing(channel.account_id, "velo_pret", "fr")
        assert (standing.is_listed, standing.template and standing.template.status) == (False, "PAUSED")
        for name, language in (("velo_pret", "en"), ("other", "fr")):
            assert (await tx.templates.standing(channel.account_id, name, language)).template is None
    await a_sync(engine, channel)
    async with database.transaction() as tx:
        assert (await tx.templates.standing(channel.account_id, "other", "fr")).is_listed


async def test_an_account_with_another_waba_knows_nothing_of_it(engine, database, channel, queries) -> None:
    template = await a_template(engine, channel)
    await a_sync(engine, channel)
    await set_waba(engine, channel, "another")
    async with database.transaction() as tx:
        standing = await tx.templates.standing(channel.account_id, "velo_pret", "fr")
        assert (standing.is_listed, standing.template) == (False, None)
        assert await tx.templates.get(channel.account_id, template) is None
    assert await queries.templates(channel.account_id, TemplateFilter(), limit=9, before=None) == []
    assert await queries.templates_synced_at(channel.account_id) is None
    async with database.transaction() as tx:
        assert [one.account_id for one in await tx.templates.claim_syncs(9, MINUTE)] == [channel.account_id]


async def test_templates_are_listed_by_account_filtered_and_in_pages(engine, channel, queries) -> None:
    ids = [await a_template(engine, channel, name, status="APPROVED") for name in ("one", "two", "promo_three")]
    await a_template(engine, channel, "gone", status="DELETED")
    await a_template(engine, await with_waba(engine), "foreign")
    every = await queries.templates(channel.account_id, TemplateFilter(), limit=9, before=None)
    assert {row.id for row in every} == set(ids)
    (last,) = await queries.templates(channel.account_id, TemplateFilter(search="promo"), limit=9, before=None)
    assert (last.name, last.category, msgspec.json.decode(last.components)[0]["type"]) == (
        "promo_three",
        "UTILITY",
        "BODY",
    )
    for wanted in (TemplateFilter(status="PAUSED"), TemplateFilter(category="X"), TemplateFilter(language="en")):
        assert await queries.templates(channel.account_id, wanted, limit=9, before=None) == []
    first, *rest = every
    created = datetime.fromisoformat(first.created_at)
    assert await queries.templates(channel.account_id, TemplateFilter(), limit=9, before=(created, first.id)) == rest


async def test_a_template_is_found_under_its_own_account_only(engine, channel, queries) -> None:
    template, other = await a_template(engine, channel), await with_waba(engine)
    assert (await queries.template(channel.account_id, template)).name == "velo_pret"
    assert await queries.template(other.account_id, template) is None
