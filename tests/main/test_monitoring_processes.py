"""Two services on one database: what one of them knows is shown by the other, and what it is told reaches both."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from inbox.main.runtime import new_encryption_key
from main.command import call, free_port, inbox, sign_in, started
from postgres_server import create_database, drop_database
from warm import Warm

ADA, PASSWORD = "ada@example.org", "correct horse battery staple"
NOBODY = "http://127.0.0.1:9"
WITHIN = 15.0


@pytest.fixture(scope="module")
def ports(postgres, worker_id: str, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Ada administers at the first one; the second one asks an identity provider that nobody answers for."""
    home: Path = tmp_path_factory.mktemp("monitored")
    name = f"monitored_{worker_id}"
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
    done = inbox("create-admin", ADA, "--password-stdin", home=home, warm=warm, stdin=f"{PASSWORD}\n", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    here, there = free_port(), free_port()
    with ExitStack() as stack:
        elsewhere: dict[str, str] = {"SUPABASE_URL": NOBODY}
        for port, more in ((here, {}), (there, elsewhere)):
            command = ("serve", "--no-worker", "--port", str(port))
            service = stack.enter_context(started(*command, home=home, cwd=None, warm=warm, **settings, **more))
            service.line("serving on http://127.0.0.1:")
        yield here, there
    drop_database(postgres, name)


@pytest.fixture
def ada(ports) -> dict[str, str]:
    status, session = sign_in(ports[0], ADA, PASSWORD)
    assert status == 200
    return {"authorization": f"Bearer {session['access_token']}"}


def until(is_so: Callable[[], object]) -> None:
    """Looks until it is so."""
    deadline = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < deadline, "it never came"


def state(port: int) -> str:
    found: dict[str, Any] = call(port, "GET", "/health")[1]["circuit_breakers"]["supabase"]
    return str(found["state"])


def some_token() -> dict[str, str]:
    parts = ({"alg": "ES256", "typ": "JWT", "kid": "k"}, {"iss": "x"})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return {"authorization": f"Bearer {head}.{body}.AAAA"}


def test_a_circuit_that_opened_at_one_is_shown_and_reset_at_the_other(ports, ada):
    here, there = ports
    until(lambda: call(there, "GET", "/auth/me", **some_token())[0] == 503 and state(there) == "open")
    assert state(here) == "closed"
    until(lambda: call(here, "GET", "/admin/circuit-breakers", **ada)[1]["supabase"]["state"] == "open")
    answer = call(here, "POST", "/admin/circuit-breakers/supabase/reset", **ada)
    assert answer == (200, {"status": "reset", "name": "supabase"})
    until(lambda: state(there) == "closed")
    until(lambda: call(here, "GET", "/admin/circuit-breakers", **ada)[1]["supabase"]["state"] == "closed")


def test_the_caches_of_both_are_shown_and_cleared_at_one(ports, ada):
    here = ports[0]

    def size() -> int:
        found = call(here, "GET", "/admin/cache/stats", **ada)[1]
        assert found["processes"] == 2
        return sum(family["size"] for family in found["families"] if family["family"] == "app_secrets")

    def both_remember() -> bool:
        # Who checks a signature remembers the secrets of the accounts.
        for port in ports:
            refused = call(port, "POST", "/webhook/whatsapp", {}, **{"x-hub-signature-256": f"sha256={'0' * 64}"})
            assert refused[0] == 401
        return size() == 2

    until(both_remember)
    assert call(here, "POST", "/admin/cache/clear", **ada) == (200, {"status": "cleared"})
    until(lambda: size() == 0)
