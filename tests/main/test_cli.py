"""The command `inbox`, as people and scripts run it; each once as a process from the very beginning."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inbox.kit.sealing import Sealer
from inbox.main.settings import variables
from main.command import call, environment, free_port, inbox, sign_in, started
from warm import Warm

COMMANDS = [
    "check-settings",
    "create-admin",
    "demo",
    "emulator",
    "events",
    "invite",
    "migrate",
    "openapi",
    "reset-password",
    "rotate-keys",
    "serve",
    "worker",
]
CANARY = "c4n4ry-Zq7"

# The routes of the first part; front ends call no other path of it.
ROUTES = {
    ("get", "/"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/webhook/whatsapp"),
    ("post", "/webhook/whatsapp"),
    ("post", "/auth/v1/token"),
    ("get", "/auth/v1/user"),
    ("put", "/auth/v1/user"),
    ("post", "/auth/v1/logout"),
    ("get", "/auth/v1/.well-known/jwks.json"),
    ("get", "/auth/me"),
    ("get", "/accounts"),
    ("get", "/conversations"),
    ("post", "/conversations/{conversation_id}/bot"),
    ("get", "/messages/{conversation_id}"),
    ("post", "/messages/send"),
}

HEAVY = """
import sys
from inbox.main.cli import main
main(["--help"], standalone_mode=False)
print(sorted({"litestar", "sqlalchemy", "alembic", "granian", "asyncpg", "aiohttp", "msgspec"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a user with a database that is migrated, in a path with a space."""
    return tmp_path_factory.mktemp("a home")


@pytest.fixture(scope="module")
def migrations(home: Path, warm: Warm) -> list[subprocess.CompletedProcess[str]]:
    return [inbox("migrate", home=home), inbox("migrate", home=home, warm=warm)]


@pytest.fixture(scope="module")
def admins(home: Path, migrations: object, warm: Warm) -> list[subprocess.CompletedProcess[str]]:
    """Ada twice, and Bo with a password of his own."""
    return [
        inbox("create-admin", "ada@example.org", home=home),
        inbox("create-admin", "Ada@Example.org ", home=home, warm=warm),
        inbox(
            "create-admin", "bo@example.org", "--password-stdin", home=home, warm=warm, stdin="correct horse battery\n"
        ),
    ]


@pytest.fixture(scope="module")
def port(home: Path, admins: object):
    number = free_port()
    with started("serve", "--port", str(number), home=home, META_APP_SECRET="s") as service:
        service.line(f"serving on http://127.0.0.1:{number}")
        yield number
        assert service.end() == 0


# --- help and usage ---------------------------------------------------------------------------------------------------


def test_help_names_every_command_the_way_to_begin_and_the_exit_codes(tmp_path):
    done = inbox("--help", home=tmp_path)
    assert done.returncode == 0
    assert all(command in done.stdout for command in [*COMMANDS, "Exit codes", "inbox demo"])


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command, tmp_path):
    done = inbox(command, "-h", home=tmp_path)
    assert done.returncode == 0
    assert f"inbox {command}" in done.stdout
    assert len(done.stdout.splitlines()) > 8


def test_the_script_and_the_module_are_the_same_command(tmp_path):
    script = Path(sys.executable).with_name("inbox")
    run = subprocess.run(
        [script, "--version"], env=environment(tmp_path), capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == inbox("--version", home=tmp_path).stdout
    assert run.stdout.startswith("inbox, version ")


def test_help_waits_for_no_framework(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HEAVY], env=environment(tmp_path), capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [["frobnicate"], ["serve", "--port", "0"], ["create-admin"], ["create-admin", "ada"], ["demo", "--fault", "x"]],
)
def test_wrong_usage_ends_with_2(arguments, tmp_path):
    done = inbox(*arguments, home=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error" in done.stderr


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check-settings", "serve", "worker", "migrate"])
def test_a_bad_setting_ends_with_2_and_one_line(command, tmp_path, warm):
    done = inbox(command, home=tmp_path, warm=warm, INBOX_HTTP_PORT=CANARY)
    assert done.returncode == 2
    assert done.stderr.startswith("inbox: INBOX_HTTP_PORT, setting http.port: ")
    assert done.stderr.count("\n") == 1
    assert CANARY not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir()), "nothing is begun before the settings are read"


def test_serve_without_the_secret_that_signs_webhooks_ends_with_2_and_the_remedy(tmp_path, warm):
    done = inbox("serve", home=tmp_path, warm=warm)
    assert done.returncode == 2
    assert "INBOX_WHATSAPP_APP_SECRET (also META_APP_SECRET) is needed" in done.stderr
    assert "App settings, Basic" in done.stderr
    assert not list(tmp_path.iterdir())


def test_check_settings_shows_names_and_plain_values_but_no_secret(tmp_path):
    (tmp_path / ".env").write_text(f"INBOX_GEMINI_API_KEY={CANARY}\nINBOX_HTTP_PORT=9000\n")
    done = inbox("check-settings", home=tmp_path, META_APP_SECRET=f"{CANARY},{CANARY}", INBOX_HTTP_HOST="::1")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.partition(" = ")[0] for line in lines] == list(variables())
    assert "INBOX_HTTP_PORT = 9000" in lines
    assert "INBOX_HTTP_HOST = ::1" in lines
    assert "INBOX_GEMINI_API_KEY = (set)" in lines
    assert "INBOX_WHATSAPP_APP_SECRET = (set), (set)" in lines
    assert CANARY not in done.stdout + done.stderr


def test_check_settings_says_what_serve_would_miss(tmp_path, warm):
    done = inbox("check-settings", home=tmp_path, warm=warm, DATABASE_URL="postgresql://db/inbox")
    assert done.returncode == 0
    assert "INBOX_WHATSAPP_APP_SECRET" in done.stderr
    assert "INBOX_ENCRYPTION_KEYS" in done.stderr
    assert "INBOX_METRICS_AUTH_TOKEN" in done.stderr


def test_a_new_key_is_one_that_seals(tmp_path, warm):
    first, second = (inbox("check-settings", "--new-key", home=tmp_path, warm=warm).stdout.strip() for _ in range(2))
    assert first != second
    assert len(base64.b64decode(first.partition(":")[2])) == 32
    place = {"table": "t", "column": "c", "row_id": "r"}
    assert Sealer.from_setting(first).open(Sealer.from_setting(first).seal("EAAG", **place), **place) == "EAAG"


def test_a_database_of_ones_own_needs_a_key(tmp_path, warm):
    done = inbox("migrate", home=tmp_path, warm=warm, DATABASE_URL=f"postgresql://u:{CANARY}@127.0.0.1:1/inbox")
    assert done.returncode == 2
    assert "INBOX_ENCRYPTION_KEYS is needed with a database of your own" in done.stderr
    assert CANARY not in done.stderr


def test_a_database_that_cannot_be_reached_is_a_failure_and_ends_with_1(tmp_path, warm):
    key = inbox("check-settings", "--new-key", home=tmp_path, warm=warm).stdout.strip()
    url = f"postgresql://u:{CANARY}@127.0.0.1:{free_port()}/inbox"
    done = inbox("migrate", home=tmp_path, warm=warm, DATABASE_URL=url, INBOX_ENCRYPTION_KEYS=key)
    assert done.returncode == 1
    assert done.stderr.startswith("inbox: The database cannot be used: ")
    assert "Traceback" not in done.stderr
    assert CANARY not in done.stderr


# --- commands that end ------------------------------------------------------------------------------------------------


def test_openapi_describes_every_route(tmp_path):
    done = inbox("openapi", home=tmp_path)
    described = json.loads(done.stdout)
    assert done.stderr == ""
    assert {(verb, path) for path, verbs in described["paths"].items() for verb in verbs} >= ROUTES
    assert not [path for path in described["paths"] if path.startswith("/api/")], "each route once, without the prefix"


def test_openapi_can_be_written_to_a_file(tmp_path, warm):
    done = inbox("openapi", "--output", str(tmp_path / "an api.json"), home=tmp_path, warm=warm)
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads((tmp_path / "an api.json").read_text())["openapi"].startswith("3.")


def test_migrate_can_be_repeated(migrations, home):
    first, second = migrations
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.splitlines()[:2] == ["  baseline", "  performance_indexes"]
    *steps, summary = first.stdout.splitlines()
    assert summary == f"The database is at {steps[-1].strip()} ({len(steps)} steps)."
    assert second.stdout == f"The database is at {steps[-1].strip()} (0 steps).\n"
    folder = home / ".local" / "share" / "whatsapp-inbox"
    told = first.stderr.splitlines()
    assert len(told) == 1
    assert re.match(r"inbox: embedded PostgreSQL \d+\.\d+, data in ", told[0])
    assert str(folder / "postgres") in told[0]
    assert "set INBOX_DATABASE_URL for a server of your own" in told[0]
    assert (folder / "encryption.key").stat().st_mode & 0o777 == 0o600


def test_create_admin_prints_a_password_that_signs_in_as_administrator(admins, port):
    password = admins[0].stdout.rpartition("shown once: ")[2].strip()
    assert len(password) >= 20
    status, session = sign_in(port, "ada@example.org", password)
    assert status == 200
    _, me = call(port, "GET", "/auth/me", authorization=f"Bearer {session['access_token']}")
    assert me["email"] == "ada@example.org"
    assert "roles.manage" in me["permissions"]["global"]
    path = "/admin/audit?action=member.admin_made"
    _, trail = call(port, "GET", path, authorization=f"Bearer {session['access_token']}")
    assert [(line["actor_kind"], line["actor_id"]) for line in trail] == [("system", None)] * len(admins)
    assert me["id"] in {line["target"] for line in trail}


def test_create_admin_again_keeps_the_password(admins):
    again = admins[1]
    assert again.returncode == 0
    assert "the password is the old one" in again.stdout
    assert "shown once" not in again.stdout


def test_a_password_from_standard_input_is_not_printed_and_signs_in(admins, port):
    assert admins[2].returncode == 0
    assert "correct horse" not in admins[2].stdout + admins[2].stderr
    assert sign_in(port, "bo@example.org", "correct horse battery")[0] == 200


def test_a_weak_password_is_refused_with_1(admins, home, warm):
    done = inbox("create-admin", "eve@example.org", "--password-stdin", home=home, warm=warm, stdin="short\n")
    assert done.returncode == 1
    assert "at least 8 characters" in done.stderr


# --- commands that stay -----------------------------------------------------------------------------------------------


def test_the_service_answers_below_its_prefix_as_well(port):
    assert call(port, "GET", "/health/ready") == (200, {"status": "ready"})
    assert call(port, "GET", "/api/health/ready") == (200, {"status": "ready"})
    assert call(port, "GET", "/nowhere")[1]["detail"] == "not_found"


def test_a_second_service_on_the_same_port_is_refused(port, home, warm):
    done = inbox("serve", "--port", str(port), home=home, warm=warm, META_APP_SECRET="s")
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert call(port, "GET", "/health/ready")[0] == 200


def test_a_worker_runs_beside_the_service_and_stops_on_sigterm(port, home):
    with started("worker", home=home) as worker:
        worker.line("the worker is running")
        assert worker.end() == 0


def test_the_emulators_answer_on_their_ports_and_stop_on_sigterm(tmp_path):
    ports = [free_port() for _ in range(4)]
    names = ("--graph-port", "--gemini-port", "--auth-port", "--openai-port")
    options = [word for name, number in zip(names, ports, strict=True) for word in (name, str(number))]
    with started("emulator", *options, "--ledgers", "the books", home=tmp_path) as emulators:
        emulators.line(f"INBOX_SUPABASE_URL=http://127.0.0.1:{ports[2]}")
        assert emulators.line("INBOX_WHATSAPP_GRAPH_URL=(.*)  control")[1] == f"http://127.0.0.1:{ports[0]}"
        assert call(ports[0], "GET", "/_emu/state")[0] == 200
        assert call(ports[1], "GET", "/v1beta/models", **{"x-goog-api-key": "emulator-key"})[0] == 200
        assert call(ports[2], "GET", "/auth/v1/.well-known/jwks.json")[0] == 200
        assert call(ports[3], "GET", "/v1/models")[0] == 200
        assert emulators.end() == 0
    assert (tmp_path / "the books" / "graph_api.jsonl").exists()


def test_an_emulator_on_a_port_that_is_taken_is_refused(port, tmp_path, warm):
    done = inbox("emulator", "--graph-port", str(port), home=tmp_path, warm=warm)
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1 port {port}" in done.stderr
