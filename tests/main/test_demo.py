"""`inbox demo`, as somebody tries it who has just cloned the repository."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from inbox.main.demo.world import new_logins
from main.command import INBOX, call, environment, free_port, sign_in, started

STEPS = [
    "agent signs in",
    "customer writes for the first time",
    "message is stored and shown",
    "agent switches the bot on",
    "customer asks",
    "bot answers",
    "bot's answer is delivered and read",
    "customer asks for a human",
    "bot hands over",
    "agent answers through REST",
    "agent's answer is delivered",
    "agent's answer is read",
    "nothing was sent twice, every webhook was taken",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a folder with spaces")


@pytest.fixture(scope="module")
def runs(folder: Path) -> dict[str, tuple[int, str, str]]:
    """Exit code, output and errors of a good run and of one where WhatsApp answers 500, side by side."""
    commands = {"good": (), "faulty": ("--fault", "send-500")}
    begun = {
        name: subprocess.Popen(
            [*INBOX, "demo", "--once", *more],
            cwd=folder,
            env=environment(folder, TMPDIR=str(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, more in commands.items()
    }
    ended = {}
    for name, process in begun.items():
        with process:
            out, err = process.communicate(timeout=90)
            ended[name] = (process.returncode, out, err)
    return ended


def report(out: str) -> Any:  # noqa: ANN401 - the JSON of the last line
    return json.loads(out.splitlines()[-1])


def test_every_step_of_the_conversation_is_seen_from_outside(runs):
    code, out, err = runs["good"]
    assert code == 0, out + err
    found = report(out)
    assert set(found) == {"steps", "ok", "total_s"}
    assert found["ok"] is True
    assert [step["name"] for step in found["steps"]] == STEPS
    assert all(set(step) == {"name", "ok", "ms"} and step["ok"] is True and step["ms"] >= 0 for step in found["steps"])
    assert sum(step["ms"] for step in found["steps"]) < found["total_s"] * 1000


def test_the_table_shows_each_step_with_its_time(runs):
    table = [line for line in runs["good"][1].splitlines() if line.startswith("│")]
    assert len(table) == len(STEPS)
    for line, step in zip(table, STEPS, strict=True):
        assert re.fullmatch(rf"│ {re.escape(step)} +│ seen +│ \d+ ms +│", line)


def test_when_whatsapp_answers_500_the_run_fails_and_names_the_step(runs):
    code, out, _ = runs["faulty"]
    assert code == 1
    found = report(out)
    assert found["ok"] is False
    assert [step["name"] for step in found["steps"]] == STEPS[: STEPS.index("bot answers") + 1]
    assert [step["ok"] for step in found["steps"]] == [True] * 5 + [False]
    assert "✗ bot answers" in out
    assert "FAILED: not seen" in out


def test_no_run_writes_errors_or_leaves_files(runs, folder):
    assert [err for _, _, err in runs.values()] == ["", ""]
    assert not list(folder.glob("inbox-demo-*"))


def test_passwords_are_made_anew_each_time():
    first, second = new_logins(), new_logins()
    assert [login.role for login in first] == ["admin", "manager", "viewer"]
    assert len({login.password for login in (*first, *second)}) == 6
    assert all(len(login.password) >= 16 for login in first)


def test_the_demo_that_stays_prints_logins_and_commands_that_work(folder):
    with started("demo", "--port", str(free_port()), "--every", "0.5", home=folder, TMPDIR=str(folder)) as demo:
        port = int(demo.line(r"running at http://127.0.0.1:(\d+)")[1])
        login = demo.line(r"  admin +(\S+@\S+) +(\S+)$")
        status, session = sign_in(port, login[1], login[2])
        assert status == 200
        account = demo.line(r"(/conversations\?account_id=[0-9a-f-]+)")[1]
        shown = call(port, "GET", account, authorization=f"Bearer {session['access_token']}")
        assert shown[0] == 200
        assert len(shown[1]) >= 2
        told = demo.line(r"curl -s http://127.0.0.1:(\d+)/_emu/inbound")
        body = json.loads(demo.line(r"-d '(\{.*\"text\".*\})'")[1])
        assert call(int(told[1]), "POST", "/_emu/inbound", body)[0] == 201
        demo.line(r"^\S+ → (Atelier Lyon|Boutique Paris): ")
        assert demo.end() == 0
    assert not list(folder.glob("inbox-demo-*"))
