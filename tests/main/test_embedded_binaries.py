import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from inbox.main.embedded import EmbeddedPostgresError, default_data_dir, find_binaries
from inbox.main.embedded_binaries import choose_account, nobody

# Becomes nobody after its imports, because the interpreter itself may lie in root's home.
ORDINARY_USER = """
import os, sys
from pathlib import Path
from inbox.main.embedded import EmbeddedPostgresError, default_data_dir, find_binaries, start
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
try:
    find_binaries()
except EmbeddedPostgresError as error:
    sys.exit(f"skip: {error}")
with start(default_data_dir({"HOME": sys.argv[1]})) as server:
    print(server.owned, server.query("select 6 * 7"), server.data_dir.stat().st_uid == os.geteuid())
"""


def fake_programs(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "pg_ctl", "pg_isready", "postgres", "psql"):
        (folder / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_an_ordinary_user_keeps_its_server_in_its_own_home() -> None:
    uid, gid = nobody() if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    home = Path(tempfile.mkdtemp(prefix="a home "))
    try:
        os.chown(home, uid, gid)
        done = subprocess.run(
            [sys.executable, "-c", ORDINARY_USER, str(home), str(uid), str(gid)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.stderr.startswith("skip: "):
            pytest.skip(done.stderr)
        assert done.stdout.split() == ["True", "42", "True"], done.stderr
        assert (home / ".local" / "share" / "whatsapp-inbox" / "postgres" / "PG_VERSION").exists()
    finally:
        shutil.rmtree(home)


def test_without_programs_the_error_names_the_setting_and_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=rf"{tmp_path}.* INBOX_DATABASE_URL"):
        find_binaries([tmp_path])


def test_the_first_folder_with_all_programs_wins(tmp_path: Path) -> None:
    broken, whole = fake_programs(tmp_path / "1", "18.6"), fake_programs(tmp_path / "2", "17.2")
    (broken / "psql").chmod(0o644)
    assert find_binaries([broken, whole, fake_programs(tmp_path / "3", "16.1")]) == whole


@pytest.mark.parametrize("version", ["14.9", "19beta1"])
def test_programs_of_an_unsupported_version_are_refused(tmp_path: Path, version: str) -> None:
    folder = fake_programs(tmp_path / "bin", version)
    with pytest.raises(EmbeddedPostgresError, match=rf"PostgreSQL {version}; 15 to 18 are supported"):
        choose_account(folder, data_owner=None)


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"HOME": "/home/ada"}, "linux", "/home/ada/.local/share/whatsapp-inbox/postgres"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, "linux", "/data/whatsapp-inbox/postgres"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "data"}, "linux", "/home/ada/.local/share/whatsapp-inbox/postgres"),
        ({"HOME": "/Users/ada"}, "darwin", "/Users/ada/Library/Application Support/whatsapp-inbox/postgres"),
    ],
)
def test_the_data_lies_in_the_users_data_folder(environ: dict[str, str], platform: str, expected: str) -> None:
    assert default_data_dir(environ, platform=platform) == Path(expected)
