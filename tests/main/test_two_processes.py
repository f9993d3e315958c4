"""Two services on one database: what is taken away at one of them counts at the other within a second."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from inbox.main.runtime import new_encryption_key
from main.command import call, free_port, inbox, sign_in, started
from postgres_server import create_database, drop_database

ADA, BEN, PASSWORD = "ada@example.org", "ben@example.org", "correct horse battery staple"


@pytest.fixture(scope="module")
def ports(postgres, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Where the two listen. Ada and Ben administer."""
    home: Path = tmp_path_factory.mktemp("two")
    name = f"two_processes_{worker_id}"
    create_database(postgres, name)
    settings = {
        "INBOX_DATA_DIR": str(home),
        "INBOX_DATABASE_URL": postgres.url_for(name),
        "INBOX_DATABASE_ALLOW_UNSAFE_DURABILITY": "true",
        "INBOX_DATABASE_POOL_SIZE": "3",
        "INBOX_ENCRYPTION_KEYS": new_encryption_key(),
        "INBOX_HTTP_PUBLIC_URL": "https://inbox.example",
        "META_APP_SECRET": "app secret",
    }
    assert inbox("migrate", home=home, **settings).returncode == 0
    for email in (ADA, BEN):
        done = inbox("create-admin", email, "--password-stdin", home=home, stdin=f"{PASSWORD}\n", **settings)
        assert done.returncode == 0, done.stdout + done.stderr
    numbers = free_port(), free_port()
    with ExitStack() as stack:
        for port in numbers:
            command = ("serve", "--no-worker", "--port", str(port))
            service = stack.enter_context(started(*command, home=home, **settings))
            service.line("serving on http://127.0.0.1:")
        yield numbers
    drop_database(postgres, name)


def bearer(port: int, email: str) -> tuple[str, dict[str, str]]:
    """The id of somebody, and the headers of their requests."""
    status, session = sign_in(port, email, PASSWORD)
    assert status == 200
    return session["user"]["id"], {"authorization": f"Bearer {session['access_token']}"}


def refused_within_a_second(port: int, path: str, headers: dict[str, str], changed: float) -> str:
    """Asks until the answer is 403; no request that begins a second after the change gets another one."""
    while True:
        begun = time.monotonic()
        status, body = call(port, "GET", path, **headers)
        if status == 403:
            code: str = body["detail"]
            return code
        assert status == 200
        assert begun - changed < 1.0


def test_a_right_and_a_person_removed_at_one_are_refused_at_the_other_within_a_second(ports):
    here, there = ports
    _, ada = bearer(here, ADA)
    ben_id, ben = bearer(there, BEN)
    for _ in range(20):  # the other one remembers what Ben may do
        assert call(there, "GET", "/admin/roles", **ben)[0] == 200
    assert call(here, "PUT", f"/admin/users/{ben_id}/roles", {"assignments": []}, **ada) == (200, {"status": "ok"})
    changed = time.monotonic()
    assert refused_within_a_second(there, "/admin/roles", ben, changed) == "permission_denied"
    for _ in range(20):
        assert call(there, "GET", "/auth/me", **ben)[0] == 200
    assert call(here, "POST", f"/admin/users/{ben_id}/status", {"is_active": False}, **ada)[0] == 200
    changed = time.monotonic()
    assert refused_within_a_second(there, "/auth/me", ben, changed) == "user_disabled"
