"""Every example webhook is ingested, and leaves the rows that it should, however often it comes."""

import json
from collections import Counter
from datetime import datetime, timedelta

import msgspec
import pytest

from builders import an_account, execute
from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.content import Call, opens_window, rank
from inbox.domain.conversations import WINDOW
from inbox.domain.inbound import InboundMessage, Source
from inbox.domain.work import WorkKind
from inbox.services.ingest import Ingest
from payloads.outcomes import examples, expected

from .ingest_scene import deliver

NUMBER, WABA, DISPLAY = "900555000111222", "900100200300401", "15550100199"
BODIES, OUTCOMES = examples(), expected()


@pytest.fixture
async def account(engine):
    """The number that the examples are about."""
    channel = await an_account(engine, phone_number_id=NUMBER)
    await execute(
        engine,
        "update whatsapp_accounts set waba_id = :waba, phone_number = :display where id = :id",
        waba=WABA,
        display=f"+{DISPLAY}",
        id=channel.account_id,
    )
    return channel


async def ingested(engine, database, name: str, *, times: int = 1) -> None:
    ingest = Ingest(database, CloudApiCodec([]), quiet_for=timedelta(seconds=3))
    for number in range(times):
        await deliver(engine, json.dumps(BODIES[name]).encode() + b" " * number)
        while lanes := await database.work.claim(WorkKind.INGEST, 10):
            await ingest.work(lanes)


def of(name: str, kind: str) -> list[dict]:
    """What is expected of one kind, about the number that we have."""
    return [row for row in OUTCOMES[name] if row["type"] == kind and row.get("phone_number_id") in (NUMBER, None)]


def strangers(name: str) -> list[dict]:
    named = [row for row in OUTCOMES[name] if row.get("phone_number_id") not in (NUMBER, None)]
    return [row for row in named if row["type"] not in ("account_notice", "status")]


def decided(name: str) -> dict[str, InboundMessage]:
    """By wamid the message that counts: the highest rank, else the first."""
    found: dict[str, InboundMessage] = {}
    for event in CloudApiCodec([]).decode(
        json.dumps(BODIES[name]).encode(), datetime.fromisoformat("2026-11-21T00:00:00+00:00")
    ):
        if isinstance(event, InboundMessage) and event.phone_number_id == NUMBER:
            known = found.get(event.wamid)
            if known is None or rank(event.content) > rank(known.content):
                found[event.wamid] = event
    return found


@pytest.mark.parametrize("name", sorted(BODIES))
async def test_an_example_leaves_its_rows(engine, database, account, name):
    await ingested(engine, database, name, times=2)
    await check_messages(engine, name)
    await check_conversations(engine, name)
    await check_statuses(engine, name)
    await check_effects(engine, name)
    await check_set_aside(engine, name)


async def check_messages(engine, name):
    rows = await execute(
        engine,
        """select wa_message_id, direction, author, message_type, content_text, "timestamp", content, amended_at,
                  revoked_at from messages""",
    )
    shown = {row["wamid"]: row for row in of(name, "message")}
    messages = decided(name)
    assert sorted(row.wa_message_id for row in rows) == sorted(shown)
    amended = {row["target"] for row in of(name, "amendment")}
    for row in rows:
        message = messages[row.wa_message_id]
        assert row.direction == ("inbound" if message.source.is_inbound else "outbound")
        assert row.author == ("contact" if message.source.is_inbound else "phone")
        assert row.timestamp == message.sent_at
        if row.wa_message_id in amended:
            assert row.amended_at or row.revoked_at
            continue
        kind, text = next(
            found["shown"]
            for found in of(name, "message")
            if found["wamid"] == row.wa_message_id
            and found["content"]["type"] == json.loads(msgspec.json.encode(message.content))["type"]
        )
        assert (row.message_type, row.content_text) == (kind, text)
        assert json.loads(row.content) == json.loads(msgspec.json.encode(message.content))


def began(message: InboundMessage) -> datetime:
    """A call opens the window when it begins, also if only its end is heard of."""
    seconds = message.content.seconds if isinstance(message.content, Call) else None
    return message.sent_at - timedelta(seconds=seconds or 0)


async def check_conversations(engine, name):
    rows = await execute(engine, "select unread_count, window_expires_at from conversations")
    messages = decided(name).values()
    news = [message for message in messages if message.source is Source.CUSTOMER]
    opening = [began(message) for message in news if opens_window(message.content)]
    assert sum(row.unread_count for row in rows) == len(news)
    assert max((row.window_expires_at for row in rows if row.window_expires_at), default=None) == (
        max(opening) + WINDOW if opening else None
    )
    if not messages:
        assert not rows


async def check_statuses(engine, name):
    rows = await execute(engine, "select wamid, status, message_id from message_statuses")
    statuses = {
        (row["wamid"], row["status"], row.get("error_code"), row.get("recipient"))
        for row in OUTCOMES[name]
        if row["type"] == "status"
    }
    assert Counter((row.wamid, row.status) for row in rows) == Counter((wamid, word) for wamid, word, _, _ in statuses)
    assert all(row.message_id is None for row in rows)  # none of these messages is ours: parked, and nothing made up


async def check_effects(engine, name):
    reactions = await execute(engine, "select target_wamid, emoji from reactions")
    newest = {row["target"]: row.get("emoji") for row in of(name, "reaction")}
    assert {row.target_wamid: row.emoji for row in reactions} == newest
    amendments = await execute(
        engine, "select wamid, target_wamid, content is null as is_revoke from message_amendments"
    )
    assert sorted((row.wamid, row.target_wamid, row.is_revoke) for row in amendments) == sorted(
        (row["wamid"], row["target"], "content" not in row) for row in of(name, "amendment")
    )
    preferences = await execute(engine, "select category, value from contact_preferences")
    assert sorted((row.category, row.value) for row in preferences) == sorted(
        (row["category"], row["value"]) for row in of(name, "preference")
    )
    notices = await execute(engine, "select field, event, severity, text, account_id from account_notices")
    said = {(row["field"], row["event"], row["severity"], row["text"]) for row in of(name, "account_notice")}
    assert {(row.field, row.event, row.severity, row.text) for row in notices} >= said
    await check_identities(engine, name)


async def check_identities(engine, name):
    rows = await execute(engine, "select kind, value, contact_id from contact_identities")
    contacts = {(row.kind, row.value): row.contact_id for row in rows}
    for change in of(name, "identity_change"):
        new = change["new"]
        key = ("bsuid", new["bsuid"]) if "bsuid" in new else ("phone", new["wa_id"])
        assert key in contacts
    for row in of(name, "message") + of(name, "identity_link"):
        customer = row["customer"]
        if "wa_id" in customer and "bsuid" in customer and not of(name, "identity_change"):
            assert contacts["phone", customer["wa_id"]] == contacts["bsuid", customer["bsuid"]]
    for named in of(name, "contact_name"):
        assert ("phone", named["customer"]["wa_id"]) in contacts


async def check_set_aside(engine, name):
    rows = await execute(engine, "select reason from quarantined_items order by delivery_id, position")
    reasons = sorted(row["reason"] for row in OUTCOMES[name] if row["type"] == "unknown")
    assert sorted(row.reason for row in rows) == sorted(2 * (reasons + ["unknown_number"] * len(strangers(name))))
    states = await execute(engine, "select distinct state from deliveries")
    assert {row.state for row in states} <= {"done", "unrouted", "quarantined"}
