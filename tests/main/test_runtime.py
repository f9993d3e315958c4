"""What stands before the container is built: the database, and the keys."""

import stat
import subprocess
import sys
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inbox.kit.sealing import Sealer
from inbox.main.runtime import (
    UNSEEN,
    UNSIGNED,
    UNSIGNED_FOR_REAL,
    _kept_sealer,
    configured_sealer,
    data_folder,
    missing,
    new_encryption_key,
    prepared,
    unseen,
)
from inbox.main.secret import Secret
from inbox.main.settings import Data, Encryption, Settings, SettingsError, load

URL = "postgresql://u:p@db.example/inbox"
PLACE = {"table": "accounts", "column": "access_token", "row_id": "1"}
CANARY = "c4n4ry"

# Waits for the others, then asks for the key and says which one it got.
STARTER = """
import sys
from pathlib import Path
from inbox.main.runtime import _kept_sealer
print("here", flush=True)
sys.stdin.readline()
print(_kept_sealer(Path(sys.argv[1])).digest("which", "test").hex())
"""


def with_keys(text: str) -> Settings:
    return Settings(encryption=Encryption(keys=Secret(text)))


def test_the_first_start_makes_a_key_that_only_its_user_can_read(tmp_path):
    path = tmp_path / "encryption.key"
    sealed = _kept_sealer(path).seal("EAAG", **PLACE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(found.name for found in tmp_path.iterdir()) == ["encryption.key", "encryption.lock"]
    assert _kept_sealer(path).open(sealed, **PLACE) == "EAAG"


def test_the_key_is_private_whatever_the_umask_and_what_a_killed_start_left(tmp_path):
    (tmp_path / "encryption.new").write_text("k1:half a k")
    (tmp_path / "encryption.new").chmod(0o644)
    script = "import os, sys; os.umask(0)\n" + STARTER
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "encryption.key")],
        input="\n",
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert done.returncode == 0
    assert stat.S_IMODE((tmp_path / "encryption.key").stat().st_mode) == 0o600
    assert not (tmp_path / "encryption.new").exists()


def test_processes_that_start_together_get_the_same_key(tmp_path):
    command = [sys.executable, "-c", STARTER, str(tmp_path / "encryption.key")]
    with ExitStack() as stack:
        pipe = subprocess.PIPE
        starters = [stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)) for _ in "123"]
        for starter in starters:
            assert starter.stdout is not None
            assert starter.stdout.readline() == "here\n"
        for starter in starters:
            assert starter.stdin is not None
            starter.stdin.write("\n")
            starter.stdin.flush()
        answers = {starter.communicate(timeout=60)[0] for starter in starters}
    assert len(answers) == 1
    assert len(answers.pop().strip()) == 64


def test_a_key_file_that_was_damaged_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "encryption.key"
    path.write_text(f"k1:{CANARY}")
    with pytest.raises(SettingsError, match="holds no key any more") as caught:
        _kept_sealer(path)
    assert CANARY not in str(caught.value)
    assert path.read_text() == f"k1:{CANARY}"


def test_an_embedded_database_gets_a_key_of_its_own_and_another_one_when_it_is_set(tmp_path):
    with prepared(Settings(data=Data(dir=str(tmp_path / "data")))) as runtime:
        assert runtime.embedded_version is not None
        assert runtime.sealer.digest("a", "b") == _kept_sealer(tmp_path / "data" / "encryption.key").digest("a", "b")
        assert runtime.token_secrets != (runtime.sealer.digest("refresh-tokens", "other purpose"),)
        chosen = load({"INBOX_DATA_DIR": str(tmp_path / "data"), "INBOX_ENCRYPTION_KEYS": new_encryption_key()})
        with prepared(chosen) as other:
            assert other.database_url == runtime.database_url
            assert other.sealer.digest("a", "b") != runtime.sealer.digest("a", "b")


def test_a_database_of_ones_own_without_a_key_is_a_clear_error(tmp_path):
    settings = load({"DATABASE_URL": URL, "INBOX_DATA_DIR": str(tmp_path)})
    refused = pytest.raises(SettingsError, match=r"INBOX_ENCRYPTION_KEYS is needed.*check-settings --new-key")
    with refused, prepared(settings):
        pytest.fail("it started")
    assert not list(tmp_path.iterdir())


def test_a_database_of_ones_own_is_used_as_it_is(tmp_path):
    environ = {"DATABASE_URL": URL, "INBOX_DATA_DIR": str(tmp_path), "INBOX_ENCRYPTION_KEYS": new_encryption_key()}
    with prepared(load(environ)) as runtime:
        assert runtime.database_url == URL
        assert runtime.embedded_version is None
    assert not list(tmp_path.iterdir())


def test_several_keys_are_read_newest_first():
    old, new = new_encryption_key().replace("k1", "old"), new_encryption_key().replace("k1", "new")
    sealer = configured_sealer(with_keys(f"{new}, {old}"))
    assert sealer is not None
    before = Sealer.from_setting(old).seal("EAAG", **PLACE)
    assert sealer.open(before, **PLACE) == "EAAG"
    assert not sealer.is_current(before)


@given(st.text("abcABC019+/=_-:, ", max_size=30))
@example(f"{b64encode(b'x' * 24).decode()}{CANARY}:key1")
@example(f"k1:{CANARY}")
@example(f"{CANARY}:{CANARY}")
@example(f"{CANARY}," * 3)
def test_a_wrong_key_is_refused_without_its_text(text):
    with pytest.raises(SettingsError) as caught:
        configured_sealer(with_keys(f"{CANARY}{text}"))
    error = caught.value
    assert CANARY not in str(error)
    assert error.__suppress_context__, "a traceback would print the cause"
    assert str(error).startswith("INBOX_ENCRYPTION_KEYS, setting encryption.keys: ")
    assert "--new-key" in str(error)


def test_what_serve_would_miss_is_listed():
    assert list(missing(load({}))) == [UNSIGNED]
    assert list(missing(load({"WEBHOOK_SIGNATURE_REQUIRED": "false"}))) == [UNSIGNED_FOR_REAL]
    local = {"WEBHOOK_SIGNATURE_REQUIRED": "false", "INBOX_WHATSAPP_GRAPH_URL": "http://127.0.0.1:9000"}
    assert list(missing(load(local))) == []
    assert list(missing(load({"META_APP_SECRET": "s"}))) == []
    assert len(list(missing(load({"DATABASE_URL": URL})))) == 2
    (said,) = missing(load({"META_APP_SECRET": "s", "INBOX_EVENTS_BUS": "redis"}))
    assert "INBOX_CACHE_REDIS_URL" in said


def test_metrics_that_nobody_would_see_are_named():
    assert unseen(load({})) == UNSEEN
    for name, text in (("PORT", "9000"), ("AUTH_TOKEN", "scrape"), ("ENABLED", "no")):
        assert unseen(load({f"INBOX_METRICS_{name}": text})) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/ada"}, "/home/ada/.local/share/whatsapp-inbox"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, "/data/whatsapp-inbox"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "data"}, "/home/ada/.local/share/whatsapp-inbox"),
        ({"HOME": "/home/ada", "INBOX_DATA_DIR": "/srv/a b"}, "/srv/a b"),
    ],
)
def test_data_lies_in_the_users_data_folder_unless_another_is_named(environ, expected):
    assert data_folder(load(environ)) == Path(expected)


def test_a_user_without_a_home_has_to_name_a_folder():
    with pytest.raises(SettingsError, match="INBOX_DATA_DIR is needed"):
        data_folder(Settings())


def test_a_repr_shows_no_secret(tmp_path: Path):
    environ = {
        "INBOX_DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1/x",
        "INBOX_ENCRYPTION_KEYS": new_encryption_key(),
        "INBOX_DATA_DIR": str(tmp_path),
    }
    with prepared(load(environ)) as runtime:
        assert CANARY in runtime.database_url
        assert CANARY not in f"{runtime!r}{runtime}"
        assert runtime.token_secrets[0].hex() not in repr(runtime).lower()
