"""`inbox rotate-keys`: a key is replaced in the documented order, while the service answers."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytest

from main.command import call, free_port, inbox, sign_in, started
from warm import Warm

OLD: Final = "old:" + base64.b64encode(b"o" * 32).decode()
NEW: Final = "new:" + base64.b64encode(b"n" * 32).decode()
OTHER: Final = "other:" + base64.b64encode(b"x" * 32).decode()
ACCOUNT: Final = {
    "name": "Atelier",
    "slug": "atelier",
    "phone_number_id": "1098",
    "access_token": "c4n4ry-access",
    "verify_token": "c4n4ry-verify",
    "app_secret": "c4n4ry-secret",
}
HANDSHAKE: Final = "/webhook/whatsapp?hub.mode=subscribe&hub.verify_token=c4n4ry-verify&hub.challenge=42"
PASSWORD: Final = "correct horse battery"


@contextmanager
def serving(home: Path, keys: str, warm: Warm) -> Iterator[int]:
    port = free_port()
    settings = {
        "META_APP_SECRET": "s",
        "INBOX_ENCRYPTION_KEYS": keys,
        "INBOX_HTTP_PUBLIC_URL": "http://inbox.example",  # access tokens name it, whatever the port
    }
    with started("serve", "--port", str(port), home=home, cwd=home, warm=warm, **settings) as service:
        service.line(f"serving on http://127.0.0.1:{port}")
        yield port
        assert service.end() == 0


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> tuple[Path, str]:
    """The home of an installation with an account and a signing key under the old key, and somebody's access token."""
    home = tmp_path_factory.mktemp("home")
    made = inbox(
        *("create-admin", "ada@example.org", "--password-stdin"),
        home=home,
        warm=warm,
        stdin=PASSWORD + "\n",
        INBOX_ENCRYPTION_KEYS=OLD,
    )
    assert made.returncode == 0, made.stderr
    with serving(home, OLD, warm) as port:
        _, signed_in = sign_in(port, "ada@example.org", PASSWORD)
        authorization = f"Bearer {signed_in['access_token']}"
        assert call(port, "POST", "/accounts", ACCOUNT, authorization=authorization)[0] == 200
    return home, authorization


class Asking:
    """Asks a running service again and again, until it is told to stop; counts what is no success."""

    def __init__(self, port: int, authorization: str) -> None:
        self._port = port
        self._authorization = authorization
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.answers: list[Any] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _ask(self) -> None:
        while not self._stop.is_set():
            self.answers.append(call(self._port, "GET", "/auth/me", authorization=self._authorization)[0])
            self.answers.append(call(self._port, "GET", HANDSHAKE)[0])


def test_a_key_is_replaced_while_the_service_answers_and_the_old_one_is_not_needed_any_more(session, warm):
    home, authorization = session
    with serving(home, f"{NEW},{OLD}", warm) as port, Asking(port, authorization) as asking:
        done = inbox("rotate-keys", home=home, INBOX_ENCRYPTION_KEYS=f"{NEW},{OLD}")
        again = inbox("rotate-keys", home=home, warm=warm, INBOX_ENCRYPTION_KEYS=f"{NEW},{OLD}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "  whatsapp_accounts.access_token: 1 sealed anew",
        "  whatsapp_accounts.verify_token: 1 sealed anew",
        "  whatsapp_accounts.app_secret: 1 sealed anew",
        "  signing_keys.private_key: 1 sealed anew",
        "Everything is sealed with the key new.",
    ]
    assert (again.returncode, again.stdout.count(": 0 sealed anew")) == (0, 4)
    assert set(asking.answers) == {200}
    with serving(home, NEW, warm) as port:
        assert call(port, "GET", HANDSHAKE)[0] == 200
        assert call(port, "GET", "/auth/me", authorization=authorization)[0] == 200
        assert sign_in(port, "ada@example.org", PASSWORD)[0] == 200


def test_with_a_key_missing_it_ends_with_1_and_names_the_rows_but_no_value(session, warm):
    home, _ = session
    done = inbox("rotate-keys", home=home, warm=warm, INBOX_ENCRYPTION_KEYS=OTHER)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-5].startswith("inbox: These secrets do not open and stay as they are:")
    assert [line.split(" row ")[0].strip(" -") for line in done.stderr.splitlines()[-4:]] == [
        *["whatsapp_accounts"] * 3,
        "signing_keys",
    ]
    assert "c4n4ry" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Everything" not in done.stdout
