"""Refresh tokens in both forms: 12 random characters, or signed and naming the auth session (GoTrue's layout)."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import string
from typing import Final
from uuid import UUID

import msgspec

OLD_LENGTH: Final = 12
_OLD: Final = re.compile(r"[a-z0-9]{12}")
_ALPHABET: Final = string.ascii_lowercase + string.digits
_VERSION: Final = b"\x00"
_SESSION_END: Final = 17
_MAC: Final = 16
_CHECKSUM: Final = 4
_SHORTEST: Final = _SESSION_END + 1 + _MAC + _CHECKSUM
_LONGEST_TEXT: Final = 128
_MORE: Final = 0x80
_LOW_SEVEN: Final = 0x7F


class SignedToken(msgspec.Struct, frozen=True):
    """A new-form token, its checksum already checked, its signature not yet."""

    session_id: UUID
    counter: int
    signed: bytes
    mac: bytes

    def is_signed_by(self, key: bytes) -> bool:
        return hmac.compare_digest(self.mac, hmac.digest(key, self.signed, "sha256")[:_MAC])


def new_old_form() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(OLD_LENGTH))


def is_old_form(token: str) -> bool:
    return _OLD.fullmatch(token) is not None


def encode(session_id: UUID, counter: int, key: bytes) -> str:
    """Version byte, session id, LEB128 counter, 16 bytes of HMAC, 4 bytes of SHA-256; base64url without padding."""
    body = _VERSION + session_id.bytes + _leb128(counter)
    body += hmac.digest(key, body, "sha256")[:_MAC]
    body += hashlib.sha256(body).digest()[:_CHECKSUM]
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode(token: str) -> SignedToken | None:
    """None for anything that this layout cannot be."""
    if len(token) > _LONGEST_TEXT or not token.isascii():
        return None
    try:
        body = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    whole, checksum = body[:-_CHECKSUM], body[-_CHECKSUM:]
    if len(body) < _SHORTEST or body[:1] != _VERSION or hashlib.sha256(whole).digest()[:_CHECKSUM] != checksum:
        return None
    signed, mac = whole[:-_MAC], whole[-_MAC:]
    counter = sum((byte & _LOW_SEVEN) << (7 * at) for at, byte in enumerate(signed[_SESSION_END:]))
    return SignedToken(UUID(bytes=signed[1:_SESSION_END]), counter, signed, mac)


def _leb128(number: int) -> bytes:
    out = bytearray()
    while number > _LOW_SEVEN:
        out.append((number & _LOW_SEVEN) | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)
