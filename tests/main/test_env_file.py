"""Settings from an optional `.env`."""

from pathlib import Path

import pytest

from inbox.main.settings import SettingsError, load


def env_file(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_environment_wins_over_the_file(tmp_path):
    file = env_file(tmp_path, "INBOX_HTTP_PORT=1111\nINBOX_HTTP_HOST=::1\n")
    loaded = load({"INBOX_HTTP_PORT": "2222"}, file)
    assert (loaded.http.port, loaded.http.host) == (2222, "::1")


def test_the_environment_wins_over_the_file_under_another_name_too(tmp_path):
    file = env_file(tmp_path, "INBOX_DATABASE_URL=postgresql://file/inbox\n")
    url = load({"DATABASE_URL": "postgresql://env/inbox"}, file).database.url
    assert url is not None
    assert url.reveal() == "postgresql://env/inbox"


def test_a_conflict_inside_the_file_is_refused(tmp_path):
    file = env_file(tmp_path, "SUPABASE_URL=https://a.example\nINBOX_SUPABASE_URL=https://b.example\n")
    with pytest.raises(SettingsError, match="keep one"):
        load({}, file)


def test_an_unknown_name_in_the_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="did you mean INBOX_HTTP_PORT"):
        load({}, env_file(tmp_path, "INBOX_HTTP_PROT=1\n"))


def test_values_of_the_file_are_taken_as_they_stand(tmp_path):
    file = env_file(tmp_path, "INBOX_WHATSAPP_TOKEN='a${HOME}b#c'\nexport INBOX_HTTP_PORT=1111 # a comment\n")
    loaded = load({"HOME": "/root"}, file)
    assert loaded.whatsapp.token is not None
    assert loaded.whatsapp.token.reveal() == "a${HOME}b#c"
    assert loaded.http.port == 1111


def test_a_missing_file_is_no_failure_and_one_of_another_encoding_is(tmp_path):
    assert load({}, tmp_path / ".env") == load({})
    (tmp_path / ".env").write_bytes("INBOX_USERS_BOOTSTRAP_EMAIL=zoé@example.org\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load({}, tmp_path / ".env")
