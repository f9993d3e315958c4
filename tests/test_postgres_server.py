import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

import postgres_server
from inbox.main.embedded import Server
from inbox.main.embedded_cluster import _server_processes

TESTS = Path(postgres_server.__file__).parent

# What an ordinary test suite does with the plugin; its first test kills the worker it runs in.
SUITE = """
import os
from pathlib import Path
import pytest
from postgres_server import create_database, drop_database, template

HERE = Path(__file__).parent

@pytest.fixture(scope="session")
def database(postgres, worker_id):
    def migrate(url):
        assert url == postgres.url_for("inbox_template")
        with (HERE / "migrated").open("a") as file:
            file.write("once ")
        postgres.query("create table t (n int)", database="inbox_template")
    (HERE / f"used by {worker_id}").write_text(str(postgres.data_dir))
    name = f"inbox_{worker_id}"
    create_database(postgres, name, template=template(postgres, migrate))
    yield name
    drop_database(postgres, name)

@pytest.mark.parametrize("number", range(6))
def test_one(database, postgres, number) -> None:
    if number == 0:
        os.kill(os.getpid(), 9)
    assert postgres.query("select count(*) from t", database=database) == "0"
"""


# Leaves its server behind.
KILLED = """
import os, signal, sys
from pathlib import Path
from inbox.main.embedded import start
start(Path(sys.argv[1]), durable=False)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_test_run_migrates_once_for_all_workers_and_leaves_nothing_even_when_one_crashes(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\n")
    plugins = ["-p", "xdist", "-p", "postgres_server", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", *plugins, str(tmp_path)],
        env={
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
            "PATH": os.defpath,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "migrated").read_text() == "once "
    used = {Path(file.read_text()) for file in tmp_path.glob("used by *")}
    assert len(list(tmp_path.glob("used by *"))) >= 2
    assert len(used) == 1
    data_dir = used.pop()
    assert not data_dir.parent.exists()
    assert _server_processes(data_dir) == []


def test_a_later_test_run_removes_what_a_killed_one_left_but_not_what_is_in_use(tmp_path: Path) -> None:
    left, used = (tmp_path / f"{postgres_server._PREFIX}{name}" for name in ("left", "used"))
    subprocess.run([sys.executable, "-c", KILLED, str(left / "data")], check=False)
    assert _server_processes(left / "data") != []
    used.mkdir()
    for root in (left, used):
        os.utime(root, (0, 0))
    lock = os.open(used, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        postgres_server._remove_what_killed_runs_left(tmp_path)
    finally:
        os.close(lock)
    assert list(tmp_path.iterdir()) == [used]
    assert _server_processes(left / "data") == []


def test_the_run_in_progress_is_young_and_stays(tmp_path: Path) -> None:
    root = tmp_path / f"{postgres_server._PREFIX}new"
    root.mkdir()
    postgres_server._remove_what_killed_runs_left(tmp_path)
    assert root.exists()


def test_a_template_that_failed_to_migrate_is_made_again(postgres: Server) -> None:
    def fail(url: str) -> None:
        postgres.query("create table half (n int)", database="broken_template")
        raise ValueError(url)

    def migrate(_: str) -> None:
        postgres.query("create table whole (n int)", database="broken_template")

    with pytest.raises(ValueError, match="broken_template"):
        postgres_server.template(postgres, fail, name="broken_template")
    name = postgres_server.template(postgres, migrate, name="broken_template")
    postgres_server.create_database(postgres, "clone_of_broken", template=name)
    tables = postgres.query(
        "select relname from pg_class where relname in ('half', 'whole')", database="clone_of_broken"
    )
    postgres_server.drop_database(postgres, "clone_of_broken")
    assert tables == "whole"
