"""What Meta said about accounts: `GET /accounts/{id}/notices`, `GET /admin/notices`, the log, and the counter."""

import pytest
import structlog

from api.conftest import a_caller
from builders import an_account
from inbox.domain.access import Permission
from inbox.domain.ids import uuid7
from inbox.domain.inbound import Severity
from inbox.kit.telemetry import Metrics
from inbox.ports.database import Database
from postgres.effect_scene import a_notice, ingest

KEYS = {
    *("id", "account_id", "waba_id", "field", "event", "severity", "text", "occurred_at", "received_at", "raw"),
}


@pytest.fixture
async def database(container):
    return await container.get(Database)


@pytest.fixture
async def channel(engine):
    return await an_account(engine)


@pytest.fixture
async def admin(engine):
    return await a_caller(engine, None, Permission.SETTINGS_MANAGE)


async def test_an_account_shows_what_was_said_about_it(client, engine, database, channel):
    viewer = await a_caller(engine, channel.account_id, Permission.ACCOUNTS_VIEW)
    other = await an_account(engine)
    mine = a_notice(phone_number_id=channel.phone_number_id)
    await ingest(database, mine, a_notice(phone_number_id=other.phone_number_id), a_notice())
    (item,) = (await client.get(f"/accounts/{channel.account_id}/notices", headers=viewer)).json()
    assert set(item) == KEYS
    assert (item["event"], item["severity"], item["account_id"]) == (
        "DISABLED_UPDATE",
        "critical",
        str(channel.account_id),
    )
    assert item["raw"] == {"event": "DISABLED_UPDATE"}
    assert item["occurred_at"] == "2026-11-21T12:00:00.000000Z"


async def test_notices_of_an_unknown_account_are_missing_and_of_a_known_one_refused_without_the_right(
    client, engine, channel
):
    viewer = await a_caller(engine, channel.account_id, Permission.ACCOUNTS_VIEW)
    reader = await a_caller(engine, channel.account_id, Permission.MESSAGES_VIEW)
    missing = await client.get(f"/accounts/{uuid7()}/notices", headers=viewer)
    foreign = await client.get(f"/accounts/{(await an_account(engine)).account_id}/notices", headers=viewer)
    malformed = await client.get("/accounts/none/notices", headers=viewer)
    assert {missing.status_code, foreign.status_code, malformed.status_code} == {404}
    assert missing.json()["detail"] == foreign.json()["detail"] == malformed.json()["detail"]
    assert (await client.get(f"/accounts/{channel.account_id}/notices", headers=reader)).status_code == 403


async def test_administrators_also_see_what_is_about_nobodys_number(client, database, channel, admin):
    await ingest(database, a_notice(phone_number_id=channel.phone_number_id, seconds=1), a_notice())
    items = (await client.get("/admin/notices", headers=admin)).json()
    assert [item["account_id"] for item in items] == [str(channel.account_id), None]


async def test_whoever_manages_the_settings_of_one_account_does_not_see_all(client, engine, channel):
    manager = await a_caller(engine, channel.account_id, Permission.SETTINGS_MANAGE)
    assert (await client.get("/admin/notices", headers=manager)).status_code == 403


async def test_pages_of_notices_follow_each_other_without_gap(client, database, admin):
    await ingest(database, *(a_notice(f"EVENT_{n}") for n in range(5)))
    seen, query = [], "?limit=2"
    while query:
        answer = await client.get(f"/admin/notices{query}", headers=admin)
        seen += [item["event"] for item in answer.json()]
        query = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert sorted(seen) == [f"EVENT_{n}" for n in range(5)]


async def test_a_limit_out_of_range_is_refused(client, admin):
    assert (await client.get("/admin/notices?limit=201", headers=admin)).status_code == 422


async def test_a_critical_notice_is_logged_once_without_its_text_and_each_is_counted(container, database, channel):
    metrics = await container.get(Metrics)
    notice = a_notice(phone_number_id=channel.phone_number_id)
    with structlog.testing.capture_logs() as logs:
        await ingest(database, notice, a_notice(severity=Severity.INFO, seconds=1))
        await ingest(database, notice)
    (line,) = [line for line in logs if line["event"] == "account_notice"]
    assert (line["log_level"], line["field"], line["event_name"]) == ("warning", "account_update", "DISABLED_UPDATE")
    assert line["account_id"] == str(channel.account_id)
    assert notice.text not in str(line)
    page = metrics.render()[0].decode()
    assert 'inbox_account_notices_total{severity="critical"} 1.0' in page
    assert 'inbox_account_notices_total{severity="info"} 1.0' in page
    assert 'inbox_account_notices_total{severity="warning"} 0.0' in page
