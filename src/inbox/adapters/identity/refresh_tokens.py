"""Refresh tokens: signed and recomputed, never stored.

Layout of GoTrue's newer form: byte 0 | 16 bytes session id | counter (unsigned LEB128) | first 16 bytes of HMAC-SHA256
over all before | first 4 bytes of SHA-256 over all before; base64url without padding. The key of a session is derived
from a secret of the installation, so that a leaked database gives no token.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

_VERSION: Final = 0
_ID_BYTES: Final = 16
_HMAC_BYTES: Final = 16
_CHECKSUM_BYTES: Final = 4
_COUNTER_BYTES: Final = 9
_MAX_CHARACTERS: Final = 80
_SEVEN_BITS: Final = 0x7F


class RefreshToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was read. `is_ours` is False if its signature is wrong."""

    session_id: UUID
    counter: int
    is_ours: bool


class RefreshTokens:
    """Writes and reads refresh tokens."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """`secrets`, newest first: the first one signs, all are accepted. Raises ValueError below 32 bytes."""
        if not secrets or any(len(secret) < hashlib.sha256().digest_size for secret in secrets):
            raise ValueError("refresh tokens need a secret of at least 32 bytes")
        self._secrets = tuple(secrets)

    def write(self, session_id: UUID, counter: int) -> str:
        """The token number `counter` (from 0) of the session."""
        signed = bytes([_VERSION]) + session_id.bytes + _leb128(counter)
        body = signed + _signature(self._secrets[0], session_id, signed)
        body += hashlib.sha256(body).digest()[:_CHECKSUM_BYTES]
        return base64.urlsafe_b64encode(body).rstrip(b"=").decode()

    def read(self, token: str) -> RefreshToken:
        """Raises ValueError if `token` does not have the form of a refresh token."""
        if len(token) > _MAX_CHARACTERS or not token.isascii():
            raise ValueError("not a refresh token")
        body = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(body).rstrip(b"=").decode() != token:
            raise ValueError("not in the one way of writing it")
        checked, checksum = body[:-_CHECKSUM_BYTES], body[-_CHECKSUM_BYTES:]
        signed, signature = checked[:-_HMAC_BYTES], checked[-_HMAC_BYTES:]
        if len(signed) <= 1 + _ID_BYTES or signed[0] != _VERSION:
            raise ValueError("not a refresh token")
        if not hmac.compare_digest(hashlib.sha256(checked).digest()[:_CHECKSUM_BYTES], checksum):
            raise ValueError("the checksum is wrong")
        session_id = UUID(bytes=signed[1 : 1 + _ID_BYTES])
        counter = _counter(signed[1 + _ID_BYTES :])
        is_ours = False
        for secret in self._secrets:
            is_ours |= hmac.compare_digest(_signature(secret, session_id, signed), signature)
        return RefreshToken(session_id=session_id, counter=counter, is_ours=is_ours)


def _signature(secret: bytes, session_id: UUID, signed: bytes) -> bytes:
    key = hmac.digest(secret, session_id.bytes, "sha256")
    return hmac.digest(key, signed, "sha256")[:_HMAC_BYTES]


def _leb128(number: int) -> bytes:
    digits = bytearray()
    while number > _SEVEN_BITS:
        digits.append((number & _SEVEN_BITS) | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _counter(digits: bytes) -> int:
    if len(digits) > _COUNTER_BYTES:
        raise ValueError("the counter is too long")
    number = sum((digit & _SEVEN_BITS) << (7 * place) for place, digit in enumerate(digits))
    if _leb128(number) != digits:
        raise ValueError("the counter is not in the one way of writing it")
    return number
