"""`inbox invite` and `inbox reset-password`: links for people, printed once."""

import re
from pathlib import Path

import pytest

from main.command import call, free_port, inbox, sign_in, started
from warm import Warm

LEO = "leo@example.org"
LINK = re.compile(
    r"(?P<url>http://127\.0\.0\.1:\d+)/auth/set-password#token_hash=(?P<token>[\w-]{43})&type=(?P<type>\w+)"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def port(home: Path, warm: Warm):
    number = free_port()
    with started("serve", "--port", str(number), home=home, warm=warm, META_APP_SECRET="s") as service:
        service.line("serving on http")
        yield number
        assert service.end() == 0


def accept(port: int, printed: str, password: str) -> str:
    """Sets a password with the printed link; the access token."""
    link = LINK.fullmatch(printed.splitlines()[-1])
    assert link
    assert link["url"] == f"http://127.0.0.1:{port}"
    body = {"type": link["type"], "token_hash": link["token"]}
    status, session = call(port, "POST", "/auth/v1/verify", body)
    assert status == 200
    bearer = {"authorization": f"Bearer {session['access_token']}"}
    assert call(port, "PUT", "/auth/v1/user", {"password": password}, **bearer)[0] == 200
    return str(session["access_token"])


def test_an_invited_person_sets_a_password_and_later_another_one(home, port, warm):
    where = {"home": home, "INBOX_HTTP_PORT": str(port)}
    invited = inbox("invite", f" {LEO.upper()}", "--role", "admin", "--name", "Leo Díaz", **where)
    assert invited.returncode == 0, invited.stderr
    assert "shown once, good until" in invited.stdout
    token = accept(port, invited.stdout, "correct horse battery")
    _, me = call(port, "GET", "/auth/me", authorization=f"Bearer {token}")
    assert (me["email"], me["profile"]["display_name"]) == (LEO, "Leo Díaz")
    assert "roles.manage" in me["permissions"]["global"]
    _, trail = call(port, "GET", "/admin/audit?action=member.invited", authorization=f"Bearer {token}")
    assert [(line["actor_kind"], line["actor_id"]) for line in trail] == [("system", None)]

    again = inbox("invite", LEO, warm=warm, **where)
    assert (again.returncode, again.stdout) == (1, "")
    assert "exists already" in again.stderr

    reset = inbox("reset-password", LEO, **where)
    assert reset.returncode == 0, reset.stderr
    assert sign_in(port, LEO, "correct horse battery")[0] == 200
    accept(port, reset.stdout, "another good one")
    assert sign_in(port, LEO, "another good one")[0] == 200
    assert sign_in(port, LEO, "correct horse battery")[0] == 400


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reset-password", "nobody@example.org"], "Nobody with the address 'nobody@example.org'"),
        (["invite", "mia@example.org", "--role", "emperor"], "There is no role 'emperor'"),
        (["invite", "mia"], "inbox: EMAIL: not an e-mail address"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(home, port, warm, arguments, said):
    done = inbox(*arguments, home=home, warm=warm)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["invite", "reset-password"])
def test_with_supabase_people_are_invited_there(home, port, warm, command):
    done = inbox(command, LEO, home=home, warm=warm, SUPABASE_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (2, "")
    assert "INBOX_SUPABASE_URL is set" in done.stderr
