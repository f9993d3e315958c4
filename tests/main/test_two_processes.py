"""Two services on one database: when a change is answered at one of them it counts at the other."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from inbox.main.runtime import new_encryption_key
from main.command import call, free_port, inbox, sign_in, started
from postgres_server import create_database, drop_database
from warm import Warm

ADA, BEN, PASSWORD = "ada@example.org", "ben@example.org", "correct horse battery staple"


@pytest.fixture(scope="module")
def ports(postgres, worker_id: str, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
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
    assert inbox("migrate", home=home, warm=warm, **settings).returncode == 0
    for email in (ADA, BEN):
        done = inbox("create-admin", email, "--password-stdin", home=home, warm=warm, stdin=f"{PASSWORD}\n", **settings)
        assert done.returncode == 0, done.stdout + done.stderr
    numbers = free_port(), free_port()
    with ExitStack() as stack:
        for port in numbers:
            command = ("serve", "--no-worker", "--port", str(port))
            service = stack.enter_context(started(*command, home=home, warm=warm, **settings))
            service.line("serving on http://127.0.0.1:")
        yield numbers
    drop_database(postgres, name)


def bearer(port: int, email: str) -> tuple[str, dict[str, str]]:
    """The id of somebody, and the headers of their requests."""
    status, session = sign_in(port, email, PASSWORD)
    assert status == 200
    return session["user"]["id"], {"authorization": f"Bearer {session['access_token']}"}


def test_a_right_and_a_person_removed_at_one_are_refused_by_the_next_request_at_the_other(ports):
    here, there = ports
    _, ada = bearer(here, ADA)
    ben_id, ben = bearer(there, BEN)
    for _ in range(20):  # the other one remembers what Ben may do
        assert call(there, "GET", "/admin/roles", **ben)[0] == 200
    assert call(here, "PUT", f"/admin/users/{ben_id}/roles", {"assignments": []}, **ada) == (200, {"status": "ok"})
    status, body = call(there, "GET", "/admin/roles", **ben)
    assert (status, body["detail"]) == (403, "permission_denied")
    for _ in range(20):
        assert call(there, "GET", "/auth/me", **ben)[0] == 200
    assert call(here, "POST", f"/admin/users/{ben_id}/status", {"is_active": False}, **ada)[0] == 200
    status, body = call(there, "GET", "/auth/me", **ben)
    assert (status, body["detail"]) == (403, "user_disabled")


def test_a_profile_written_at_one_is_read_by_the_next_request_at_the_other(ports):
    _, ada = bearer(ports[0], ADA)
    new = {"name": "A", "slug": "a", "phone_number_id": "1", "access_token": "t", "verify_token": "v"}
    status, account = call(ports[0], "POST", "/accounts", new, **ada)
    assert status == 200
    path = f"/bot/profile/{account['id']}"
    for hours in ("9h", "10h", "11h", "12h"):
        here, there = ports
        assert call(here, "PUT", path, {"hours": hours}, **ada)[0] == 200
        assert [call(there, "GET", path, **ada)[1]["hours"] for _ in range(5)] == [hours] * 5
        ports = there, here
