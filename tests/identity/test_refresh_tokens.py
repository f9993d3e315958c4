"""The form of refresh tokens, and who can make one."""

import base64
import contextlib
import hashlib
import hmac
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.adapters.identity.refresh_tokens import RefreshToken, RefreshTokens

OLD, NEW = b"old" * 11, b"new" * 11
TOKENS = RefreshTokens([NEW])


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_a_token_is_read_as_it_was_written(session_id: UUID, counter: int) -> None:
    read = TOKENS.read(TOKENS.write(session_id, counter))
    assert read == RefreshToken(session_id=session_id, counter=counter, is_ours=True)


def test_a_token_has_the_layout_of_gotrue() -> None:
    session_id = uuid4()
    token = TOKENS.write(session_id, 300)
    body = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    signed = b"\x00" + session_id.bytes + b"\xac\x02"
    key = hmac.digest(NEW, session_id.bytes, "sha256")
    assert body[:19] == signed
    assert body[19:35] == hmac.digest(key, signed, "sha256")[:16]
    assert body[35:] == hashlib.sha256(body[:35]).digest()[:4]
    assert len(TOKENS.write(session_id, 127)) == 51


def test_the_same_session_and_number_give_the_same_token_and_others_another() -> None:
    first, second = uuid4(), uuid4()
    assert TOKENS.write(first, 1) == TOKENS.write(first, 1)
    assert len({TOKENS.write(first, 1), TOKENS.write(first, 2), TOKENS.write(second, 1)}) == 3


def test_a_token_of_an_older_secret_is_still_ours_and_one_of_a_foreign_secret_is_not() -> None:
    token = RefreshTokens([OLD]).write(uuid4(), 3)
    assert RefreshTokens([NEW, OLD]).read(token).is_ours
    assert not TOKENS.read(token).is_ours


@given(st.uuids(), st.integers(0, 2**40), st.data())
def test_a_changed_character_never_passes(session_id: UUID, counter: int, data: st.DataObject) -> None:
    token = TOKENS.write(session_id, counter)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    changed = token[:place] + other + token[place + 1 :]
    if changed == token:
        return
    with contextlib.suppress(ValueError):
        assert not TOKENS.read(changed).is_ours


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert not TOKENS.read(text).is_ours


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: token + "=",
        lambda token: token[:-1],
        lambda token: token.replace("-", "+").replace("_", "/") + "+",
        lambda token: token + "\n",
        lambda _: "é" * 51,
        lambda _: "v4mpqz7h2kd9",
        lambda _: "",
        lambda token: token * 10,
    ],
)
def test_other_forms_are_refused(forge: Callable[[str], str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason
        TOKENS.read(forge(TOKENS.write(uuid4(), 0)))


def test_a_number_written_with_needless_digits_is_refused() -> None:
    session_id = uuid4()
    key = hmac.digest(NEW, session_id.bytes, "sha256")
    signed = b"\x00" + session_id.bytes + b"\x80\x00"
    body = signed + hmac.digest(key, signed, "sha256")[:16]
    body += hashlib.sha256(body).digest()[:4]
    with pytest.raises(ValueError, match="one way"):
        TOKENS.read(base64.urlsafe_b64encode(body).rstrip(b"=").decode())


def test_short_or_missing_secrets_are_refused() -> None:
    for secrets in ([], [b"short"], [NEW, b""]):
        with pytest.raises(ValueError, match="32 bytes"):
            RefreshTokens(secrets)
