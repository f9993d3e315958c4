"""`inbox events`: the command itself, on a real database, beside whatever else runs there."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import a_body, a_message
from builders import a_delivery, a_quarantined_delivery, an_account, execute
from inbox.domain.work import WorkKind
from inbox.ports.database import Database
from main.command import inbox
from services.ingest_scene import deliver, heard, ingest, texts
from services.scenes import claimed
from warm import Warm

Events = Callable[..., CompletedProcess[str]]


@pytest.fixture
def events(tmp_path: Path, database_url: str, engine: AsyncEngine, warm: Warm) -> Events:
    """Runs the command on the database of the test."""
    return partial(
        inbox,
        "events",
        home=tmp_path,
        warm=warm,
        INBOX_DATABASE_URL=database_url,
        INBOX_DATABASE_ALLOW_UNSAFE_DURABILITY="true",
        INBOX_ENCRYPTION_KEYS="test:" + base64.b64encode(bytes(range(32))).decode(),
    )


async def states(engine: AsyncEngine) -> list[str]:
    return [row.state for row in await execute(engine, "select state from deliveries order by id")]


async def test_an_operator_finds_reads_and_replays_what_was_set_aside(
    events: Events, database: Database, engine: AsyncEngine
) -> None:
    await deliver(engine, texts("10677000005", "Bonjour"))
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    (delivery,) = await execute(engine, "select id from deliveries")
    listed = events("list", "--reason", "unknown_number", warm=None)
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.splitlines()[1].split("\t")[0] == str(delivery.id)
    assert "Bonjour" not in listed.stdout
    shown = events("show", str(delivery.id))
    assert "Bonjour" in shown.stdout
    assert "item 0 was set aside (unknown_number)" in shown.stdout
    await an_account(engine, phone_number_id="10677000005")
    replayed = events("replay", "--all", "--reason", "unknown_number")
    assert (replayed.returncode, replayed.stdout) == (0, "1 open again.\n")
    await ingest(database).work([await claimed(database, WorkKind.INGEST)])
    assert await heard(engine) == ["Bonjour"]
    trail = await execute(engine, "select action, actor_kind from audit_entries order by at, id")
    assert [tuple(row) for row in trail] == [("delivery.read", "system"), ("delivery.replayed", "system")]


async def test_some_are_replayed_or_given_up_by_their_ids(events: Events, engine: AsyncEngine) -> None:
    first, second, third = [str(await a_quarantined_delivery(engine)) for _ in range(3)]
    assert events("replay", first, second).stdout == "2 open again.\n"
    assert events("discard", third).stdout == "1 discarded.\n"
    assert await states(engine) == ["open", "open", "quarantined"]
    again = events("discard", third)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1), again.stderr
    assert "Nothing of this delivery was set aside." in again.stderr


async def test_a_comparison_ends_with_1_if_something_is_missing(events: Events, engine: AsyncEngine) -> None:
    await a_quarantined_delivery(engine)
    whole = events("reconcile")
    assert (whole.returncode, "quarantined 1" in whole.stdout) == (0, True)
    body = a_body(a_message(), number="10677000006")
    delivery = await a_delivery(engine, body)
    await execute(engine, "update deliveries set state = 'done' where sha256 = :d", d=hashlib.sha256(body).digest())
    lost = events("reconcile")
    assert lost.returncode == 1
    assert "received 2 = applied 0 + quarantined 1 + parked 0 + expired 0 + waiting 0 + missing 1" in lost.stdout
    assert f"missing: item 0 of delivery {delivery} (InboundMessage)" in lost.stdout
    past = datetime.now(UTC) - timedelta(days=9)
    elsewhere = events("reconcile", "--since", f"{past:%Y-%m-%d}", "--until", f"{past:%Y-%m-%dT%H:%M:%S}")
    assert (elsewhere.returncode, elsewhere.stdout.split(" ")[0]) == (0, "0")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("replay",), 2),
        (("replay", "--all", "1"), 2),
        (("discard",), 2),
        (("list", "--state", "lost"), 2),
        (("show", "x"), 2),
        (("reconcile", "--since", "yesterday"), 2),
        (("show", "1"), 1),
        (("replay", "1"), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
async def test_what_cannot_be_done_is_said_in_the_exit_code(
    events: Events, arguments: tuple[str, ...], code: int
) -> None:
    ended = events(*arguments)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
