import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from inbox.main.embedded import EmbeddedPostgresError, Server, attach, find_binaries, locked, start
from inbox.main.embedded_binaries import nobody
from inbox.main.embedded_cluster import Cluster, _server_processes

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")

# Uses the server until its input ends, then says whether it stopped it.
USER = """
import signal, sys
from pathlib import Path
from inbox.main.embedded import start
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, where the tests run in the background of a shell
server = start(Path(sys.argv[1]))
print(server.owned, flush=True)
sys.stdin.read()
print(server.stop(), flush=True)
"""

# Adopts the orphaned server, kills every process of it and, as a container without init, never reaps one.
KILLER = """
import ctypes, os, signal, sys
from pathlib import Path
from inbox.main.embedded import start
from inbox.main.embedded_cluster import _server_processes
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
data = Path(sys.argv[1])
first = start(data)
first.query("create table kept (number int)")
first.query("insert into kept values (42)")
postmaster = int((data / "postmaster.pid").read_text().split()[0])
for pid in _server_processes(data):
    os.kill(pid, signal.SIGKILL)
while _server_processes(data):
    pass
stat = Path(f"/proc/{postmaster}/stat")
while stat.read_text().rpartition(")")[2].split()[0] != "Z":
    pass
print("Z")
with start(data) as second:
    print(second.owned, second.query("select number from kept"), first.stop())
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("made") / "data"
    start(data_dir, durable=False).stop()
    return data_dir


@pytest.fixture
def data_dir(made: Path, tmp_path: Path) -> Iterator[Path]:
    """Initialized data of a server that does not run."""
    data_dir = shutil.copytree(made, tmp_path / "data")
    yield data_dir
    Cluster(data_dir, find_binaries()).halt()  # a failed test may have left it running


@contextmanager
def a_user(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", USER, str(data_dir)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    process.stdin.close()
    return said(process)


def answer_of(script: str, *arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def has_open(pid: int, path: Path) -> bool:
    try:
        return any(link.readlink() == path for link in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # It closed one while we looked.
        return False


def postmaster_of(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def test_the_first_start_makes_the_data_in_a_path_that_is_long_and_strange_to_a_shell(tmp_path: Path) -> None:
    data_dir = tmp_path / "a folder" / ('it\'s "$HOME" `x` ' + "long" * 20) / "data"
    with start(data_dir) as server:
        assert server.owned
        assert server.version.split(".")[0] == (data_dir / "PG_VERSION").read_text().strip()
        assert server.query("select current_setting('synchronous_commit')") == "on"
        assert server.query("select pg_encoding_to_char(encoding) from pg_database limit 1") == "UTF8"
    assert _server_processes(data_dir) == []


async def test_the_url_reaches_the_server_whatever_port_the_environment_names(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    async with asyncio.timeout(10):
        connection = await asyncpg.connect(postgres.url.replace("+asyncpg", ""))
        assert await connection.fetchval("select current_user || ' ' || current_database()") == "postgres postgres"
        await connection.close()


def test_only_the_user_itself_can_reach_the_socket_and_nothing_listens_on_tcp(postgres: Server) -> None:
    assert postgres.query("show listen_addresses") == ""
    socket_dir = Path(postgres.query("show unix_socket_directories"))
    assert socket_dir.stat().st_mode & 0o777 == 0o700
    assert socket_dir.stat().st_uid == os.geteuid()


def test_a_socket_folder_that_others_could_enter_is_refused(data_dir: Path) -> None:
    socket_dir = Cluster(data_dir, find_binaries()).socket_dir
    socket_dir.mkdir()
    try:
        socket_dir.chmod(0o755)
        with pytest.raises(EmbeddedPostgresError, match="not a private folder"):
            start(data_dir)
    finally:
        socket_dir.rmdir()


def test_a_second_start_attaches_and_only_the_last_stop_stops(data_dir: Path) -> None:
    first = start(data_dir)
    second = start(data_dir)
    assert (first.owned, second.owned) == (True, False)
    assert first.url == second.url
    assert first.stop() is False
    assert first.stop() is False
    assert second.query("select 1") == "1"
    assert second.stop() is True
    assert _server_processes(data_dir) == []
    assert attach(data_dir) is None


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who waits")
def test_processes_that_start_together_share_one_server(data_dir: Path) -> None:
    gate = data_dir.with_name("data.lock")
    with a_user(data_dir) as one, a_user(data_dir) as two, a_user(data_dir) as three:
        users = (one, two, three)
        with locked(gate, seconds=1):
            while not all(has_open(user.pid, gate) for user in users):
                assert all(user.poll() is None for user in users)
            assert _server_processes(data_dir) == []
        assert sorted(said(user) for user in users) == ["False", "False", "True"]
        assert [leave(user) for user in users] == ["False", "False", "True"]
    assert _server_processes(data_dir) == []


def test_waiting_for_another_process_ends_with_words(tmp_path: Path) -> None:
    gate = tmp_path / "data.lock"
    with (
        locked(gate, seconds=1),
        pytest.raises(EmbeddedPostgresError, match=f"has held {gate} for 0 s"),
        locked(gate, seconds=0),
    ):
        pytest.fail("held twice")


def test_a_server_whose_owner_was_killed_is_attached_and_then_stopped(data_dir: Path) -> None:
    with a_user(data_dir) as user:
        assert said(user) == "True"
        left = postmaster_of(data_dir)
        user.kill()
    with start(data_dir) as server:
        assert not server.owned
        assert postmaster_of(data_dir) == left
    assert _server_processes(data_dir) == []


def test_ctrl_c_in_the_terminal_of_its_owner_does_not_reach_the_server(data_dir: Path) -> None:
    with a_user(data_dir) as user:
        assert said(user) == "True"
        os.killpg(user.pid, signal.SIGINT)
        user.wait()
    server = attach(data_dir)
    assert server is not None
    assert not server.owned
    assert server.stop() is True


@pytest.mark.skipif(sys.platform != "linux", reason="sub-reapers and /proc are Linux")
def test_after_a_kill_of_all_its_processes_it_restarts_on_its_data_even_beside_the_zombie(data_dir: Path) -> None:
    assert answer_of(KILLER, str(data_dir)) == ["Z", "True", "42", "False"]


@pytest.mark.skipif(sys.platform != "linux", reason="without /proc PostgreSQL's own check decides")
def test_a_pid_file_whose_number_went_to_a_stranger_does_not_stop_the_start(data_dir: Path) -> None:
    (data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{data_dir}\n")
    with start(data_dir) as server:
        assert server.owned
        assert postmaster_of(data_dir) != os.getpid()


def test_a_first_start_that_was_killed_in_the_middle_is_repeated(tmp_path: Path) -> None:
    half_made = tmp_path / "data.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    with start(tmp_path / "data", durable=False) as server:
        assert server.query("select 1") == "1"
    assert not half_made.exists()


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not there")
def test_where_user_namespaces_are_forbidden_root_hands_the_data_to_nobody(data_dir: Path, tmp_path: Path) -> None:
    assert data_dir.stat().st_uid == 0
    assert tmp_path.stat().st_mode & 0o077 == 0, "nobody could not enter this without the capability"
    (tmp_path / "bin").symlink_to(find_binaries())
    with start(data_dir, binaries=tmp_path / "bin", use_namespace=False) as server:
        assert server.query("select 1") == "1"
        status = Path(f"/proc/{postmaster_of(data_dir)}/status").read_text()
        assert f"Uid:\t{nobody()[0]}" in status
    assert {path.stat().st_uid for path in data_dir.rglob("*")} == {nobody()[0]}
    with start(data_dir) as server:
        assert server.owned, "data of nobody stays with nobody where namespaces work again"


def test_a_folder_of_somebody_else_is_refused_in_words(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign" if os.geteuid() == 0 else Path("/")
    if os.geteuid() == 0:
        foreign.mkdir()
        os.chown(foreign, 12345, 12345)
    with pytest.raises(EmbeddedPostgresError, match=rf"{foreign} belongs to uid .* INBOX_DATABASE_URL"):
        start(foreign / "below" / "data")


def test_data_of_another_major_version_is_refused_and_left_alone(data_dir: Path) -> None:
    (data_dir / "PG_VERSION").write_text("14\n")
    before = sorted(data_dir.rglob("*"))
    with pytest.raises(EmbeddedPostgresError, match=r"written by PostgreSQL 14.* pg_upgrade.* INBOX_DATABASE_URL"):
        start(data_dir)
    assert sorted(data_dir.rglob("*")) == before


def test_a_folder_with_other_files_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("dear")
    with pytest.raises(EmbeddedPostgresError, match="no PostgreSQL data"):
        start(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"no_such_setting.* INBOX_DATABASE_URL"):
        start(data_dir, options={"no_such_setting": "1"})


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
def test_a_durable_start_refuses_settings_that_lose_answered_commits(tmp_path: Path, name: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match=f"{name}=off could lose"):
        start(tmp_path / "data", options={name: "off"})


def test_a_durable_start_refuses_to_attach_to_a_server_that_is_not(postgres: Server) -> None:
    with pytest.raises(EmbeddedPostgresError, match="runs with fsync=off, synchronous_commit=off"):
        start(postgres.data_dir)
    assert postgres.query("select 1") == "1"


def test_a_durable_start_overrules_the_configuration_file(data_dir: Path) -> None:
    with (data_dir / "postgresql.conf").open("a") as file:
        file.write("synchronous_commit = off\n")
    with start(data_dir) as server:
        assert server.query("show synchronous_commit") == "on"


def test_a_durable_start_stops_again_what_a_role_made_unsafe(data_dir: Path) -> None:
    with start(data_dir) as server:
        server.query("alter role postgres set synchronous_commit = off")
    with pytest.raises(EmbeddedPostgresError, match="runs with synchronous_commit=off"):
        start(data_dir)
    assert _server_processes(data_dir) == []


def test_an_option_that_is_no_setting_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="not the name of a PostgreSQL setting"):
        start(tmp_path / "data", options={"a=1 -c b": "2"})


def test_errors_of_statements_leave_no_values_in_the_log(data_dir: Path) -> None:
    with start(data_dir) as server, pytest.raises(EmbeddedPostgresError, match="secret text"):
        server.query("select 'secret text'::int")
    assert "secret" not in (data_dir / "server.log").read_text()
