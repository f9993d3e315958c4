import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.kit.signing import sign, verify_meta_signature

SECRET = b"test_app_secret"
COMPACT = b'{"object":"whatsapp_business_account","entry":[]}'
SPACED = b'{"object": "whatsapp_business_account", "entry": []}'
COMPACT_HEADER = b"sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"
SPACED_HEADER = b"sha256=56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a"


@pytest.mark.parametrize(("body", "header"), [(COMPACT, COMPACT_HEADER), (SPACED, SPACED_HEADER)])
def test_known_vectors_are_signed_and_verified(body: bytes, header: bytes) -> None:
    assert sign(SECRET, body) == header
    assert verify_meta_signature([SECRET], header, body)


def test_the_same_json_with_other_bytes_is_refused() -> None:
    assert not verify_meta_signature([SECRET], COMPACT_HEADER, SPACED)


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"sha256=",
        COMPACT_HEADER[7:],
        COMPACT_HEADER.upper(),
        b"sha256=" + COMPACT_HEADER[7:].upper(),
        b"SHA256=" + COMPACT_HEADER[7:],
        b"sha1=" + COMPACT_HEADER[7:],
        COMPACT_HEADER + b"\n",
        b" " + COMPACT_HEADER,
        COMPACT_HEADER + b"00",
        COMPACT_HEADER[:-1],
        "sha256=\u0661".encode() + COMPACT_HEADER[9:],
    ],
)
def test_a_header_of_another_shape_is_refused(header: bytes | None) -> None:
    assert not verify_meta_signature([SECRET], header, COMPACT)


def test_any_of_several_secrets_may_have_signed() -> None:
    assert verify_meta_signature([b"new", SECRET], COMPACT_HEADER, COMPACT)
    assert verify_meta_signature([SECRET, b"old"], COMPACT_HEADER, COMPACT)
    assert not verify_meta_signature([b"new", b"old"], COMPACT_HEADER, COMPACT)


def test_without_a_secret_nothing_is_accepted() -> None:
    assert not verify_meta_signature([], COMPACT_HEADER, COMPACT)


def test_an_empty_secret_never_matches() -> None:
    forged = b"sha256=" + hmac.new(b"", COMPACT, hashlib.sha256).hexdigest().encode()
    assert not verify_meta_signature([b""], forged, COMPACT)


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=200))
def test_what_is_signed_verifies_and_a_flipped_bit_does_not(secret: bytes, body: bytes) -> None:
    header = sign(secret, body)
    assert verify_meta_signature([secret], header, body)
    assert not verify_meta_signature([secret], header, body + b"\x00")


@given(st.binary(max_size=90))
def test_foreign_bytes_in_the_header_are_refused_without_an_error(header: bytes) -> None:
    assert not verify_meta_signature([SECRET], header, COMPACT)
