"""`inbox serve` as a process: how it starts, how it stops, and what a kill leaves behind."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from inbox.kit.signing import sign
from inbox.main.embedded import attach
from inbox.main.embedded_cluster import _server_processes
from main.command import Running, call, free_port, inbox, sign_in, started
from warm import Warm

SECRET = "app secret"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> tuple[Path, str]:
    """The data folder of a service that is migrated and stopped, and the password of its administrator."""
    home = tmp_path_factory.mktemp("made")
    done = inbox("create-admin", "ada@example.org", home=home, warm=warm, INBOX_DATA_DIR=str(home / "data"))
    assert done.returncode == 0, done.stderr
    return home / "data", done.stdout.rpartition("shown once: ")[2].strip()


@pytest.fixture
def data(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "the data")
    yield folder
    left = attach(folder / "postgres")  # a failed test may have left it running
    if left is not None:
        left.stop()


def serving(home: Path, data: Path, port: int, *arguments: str, warm: Warm | None = None, **settings: str):
    given = {"INBOX_DATA_DIR": str(data), "INBOX_HTTP_PORT": str(port), "META_APP_SECRET": SECRET}
    return started("serve", *arguments, home=home, cwd=None, warm=warm, **given, **settings)


def ready(service: Running) -> None:
    service.line("serving on http://127.0.0.1:")


def a_delivery(phone_number_id: str, text: str) -> bytes:
    """As Meta sends it (Cloud API, webhooks: messages)."""
    message = {
        "from": "33612345678",
        "id": "wamid.KILL",
        "timestamp": "1763726400",
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "33465710001", "phone_number_id": phone_number_id},
        "contacts": [{"profile": {"name": "Marc"}, "wa_id": "33612345678"}],
        "messages": [message],
    }
    return json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
        }
    ).encode()


def deliver(port: int, body: bytes) -> tuple[int, Any]:
    return call(
        port, "POST", "/webhook/whatsapp", body, **{"x-hub-signature-256": sign(SECRET.encode(), body).decode()}
    )


def conversations(port: int, password: str) -> list[dict[str, Any]]:
    """What the administrator sees in the first account, once there is something to be seen."""
    token = {"authorization": f"Bearer {sign_in(port, 'ada@example.org', password)[1]['access_token']}"}
    account = call(port, "GET", "/accounts", **token)[1][0]["id"]
    deadline = time.monotonic() + 20
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < deadline:
        found = call(port, "GET", f"/conversations?account_id={account}", **token)[1]
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_in_one_line_that_it_embeds_postgresql_and_stops_with_it(number, data, tmp_path):
    with serving(tmp_path, data, free_port(), INBOX_DATABASE_SLOW_STATEMENT="60") as service:
        ready(service)
        assert _server_processes(data / "postgres")
        assert service.end(number, seconds=10) == 0
    assert _server_processes(data / "postgres") == []
    plain = [line for line in service.said if line.startswith("inbox:")]
    assert len(plain) == 2
    assert plain[0].startswith("inbox: embedded PostgreSQL ")
    assert str(data / "postgres") in plain[0]
    assert "INBOX_DATABASE_URL" in plain[0]
    assert [json.loads(line)["event"] for line in service.said if line.startswith("{")] == [
        "metrics_not_served",
        "stopping",
    ]


def test_what_was_answered_before_a_kill_is_there_after_the_restart(made, data, tmp_path, warm):
    port, number = (
        free_port(),
        {"WHATSAPP_PHONE_ID": "106540352242922", "WHATSAPP_TOKEN": "EAAG", "WHATSAPP_VERIFY_TOKEN": "v"},
    )
    with serving(tmp_path, data, port, "--no-worker", warm=warm, **number) as service:
        ready(service)
        assert deliver(port, a_delivery("106540352242922", "Bonjour")) == (200, {"status": "received"})
        assert call(port, "POST", "/webhook/whatsapp", {"object": "unsigned"})[0] == 401
        service.end(signal.SIGKILL)
    assert _server_processes(data / "postgres"), "a kill -9 of the service leaves the server to the next start"
    with serving(tmp_path, data, port, warm=warm, **number) as service:
        ready(service)
        assert [item["client_number"] for item in conversations(port, made[1])] == ["33612345678"]
        assert service.end() == 0
    assert _server_processes(data / "postgres") == []


def test_a_kill_of_the_service_and_of_its_database_loses_nothing_either(made, data, tmp_path, warm):
    port = free_port()
    with serving(tmp_path, data, port, warm=warm) as service:
        ready(service)
        postmaster = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        service.end(signal.SIGKILL)
    with serving(tmp_path, data, port, warm=warm) as service:
        ready(service)
        assert sign_in(port, "ada@example.org", made[1])[0] == 200
        assert service.end() == 0
