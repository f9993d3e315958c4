import base64
import os
from typing import TypedDict
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.errors import SecretUnreadable
from inbox.kit.sealing import Sealer

OLD, NEW = b"o" * 32, b"n" * 32
ROW = UUID("01970000-0000-7000-8000-000000000001")


class Place(TypedDict):
    table: str
    column: str
    row_id: UUID


PLACE: Place = {"table": "accounts", "column": "access_token", "row_id": ROW}


def a_sealer() -> Sealer:
    return Sealer([("new", NEW), ("old", OLD)])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_what_is_sealed_opens_again_and_is_not_visible(secret: str) -> None:
    envelope = a_sealer().seal(secret, **PLACE)
    assert a_sealer().open(envelope, **PLACE) == secret
    if len(secret) > 4:
        assert secret.encode() not in envelope


def test_the_same_secret_sealed_twice_gives_different_bytes() -> None:
    assert a_sealer().seal("EAAG", **PLACE) != a_sealer().seal("EAAG", **PLACE)


@pytest.mark.parametrize(
    "other",
    [
        Place(table="accounts", column="access_token", row_id=UUID(int=2)),
        Place(table="accounts", column="verify_token", row_id=ROW),
        Place(table="contacts", column="access_token", row_id=ROW),
        Place(table="accountsaccess", column="_token", row_id=ROW),
    ],
)
def test_a_value_moved_to_another_place_does_not_open(other: Place) -> None:
    envelope = a_sealer().seal("EAAG", **PLACE)
    with pytest.raises(SecretUnreadable, match="another row"):
        a_sealer().open(envelope, **other)


def test_any_changed_byte_is_noticed() -> None:
    envelope = a_sealer().seal("EAAG", **PLACE)
    for place in range(len(envelope)):
        changed = bytearray(envelope)
        changed[place] ^= 1
        with pytest.raises(SecretUnreadable):
            a_sealer().open(bytes(changed), **PLACE)


@given(st.binary(max_size=60))
def test_foreign_bytes_do_not_open(envelope: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        a_sealer().open(envelope, **PLACE)


def test_an_old_key_opens_but_its_envelopes_are_no_longer_current() -> None:
    envelope = Sealer([("old", OLD)]).seal("EAAG", **PLACE)
    assert a_sealer().open(envelope, **PLACE) == "EAAG"
    assert not a_sealer().is_current(envelope)
    assert a_sealer().is_current(a_sealer().seal("EAAG", **PLACE))


def test_a_missing_key_is_named() -> None:
    envelope = Sealer([("old", OLD)]).seal("EAAG", **PLACE)
    with pytest.raises(SecretUnreadable, match="'old'"):
        Sealer([("new", NEW)]).open(envelope, **PLACE)


def test_digests_depend_on_key_value_and_purpose() -> None:
    sealer = a_sealer()
    assert sealer.digest("token", "verify") == a_sealer().digest("token", "verify")
    assert len(sealer.digest("token", "verify")) == 32
    assert (
        len(
            {
                sealer.digest("token", "verify"),
                sealer.digest("token2", "verify"),
                sealer.digest("token", "session"),
                Sealer([("old", OLD)]).digest("token", "verify"),
            }
        )
        == 4
    )


def test_all_keys_are_offered_for_a_lookup_newest_first() -> None:
    assert a_sealer().digests("token", "verify") == [
        Sealer([("new", NEW)]).digest("token", "verify"),
        Sealer([("old", OLD)]).digest("token", "verify"),
    ]


def test_a_setting_with_one_bare_key_is_read() -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    envelope = Sealer.from_setting(key).seal("EAAG", **PLACE)
    assert Sealer.from_setting(key).open(envelope, **PLACE) == "EAAG"


def test_a_newer_key_may_be_put_in_front_of_a_bare_one() -> None:
    first, second = base64.b64encode(OLD).decode(), base64.urlsafe_b64encode(bytes(range(224, 256))).decode()
    envelope = Sealer.from_setting(first).seal("EAAG", **PLACE)
    rotated = Sealer.from_setting(f"2026:{second}, {first}")
    assert rotated.open(envelope, **PLACE) == "EAAG"
    assert not rotated.is_current(envelope)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "0 bytes"),
        ("!!!canary", "number 1 is not base64"),
        (base64.b64encode(b"short canary").decode(), "12 bytes instead of 32"),
        (f"a:{base64.b64encode(OLD).decode()},a:{base64.b64encode(NEW).decode()}", "occurs twice"),
        (f"a b:{base64.b64encode(OLD).decode()}", "key id"),
        (f"a:{base64.b64encode(OLD).decode()},", "0 bytes"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_words_without_the_key(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        Sealer.from_setting(text)
    assert "canary" not in str(caught.value)
    assert base64.b64encode(OLD).decode() not in str(caught.value)


def test_without_keys_there_is_no_sealer() -> None:
    with pytest.raises(ValueError, match="no sealing key"):
        Sealer([])
