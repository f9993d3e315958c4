"""Secrets at rest: AES-256-GCM under a named key, bound to the place where the value is stored.

Envelope: version byte 1 | length of the key id | key id | 12 random bytes | ciphertext with tag. The associated data is
the head of the envelope with table, column and row id, so a stored value cannot be moved to another row or column.
The first key seals; all keys open. `inbox rotate-keys` re-seals what `is_current` says is old.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inbox.domain.errors import SecretUnreadable

_VERSION: Final = 1
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Sealer:
    """Seals and opens small secrets, and makes keyed digests to find them by."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        """`keys` are (id, 32 bytes), newest first. Raises ValueError, without key material, if they cannot be used."""
        if not keys:
            raise ValueError("no sealing key is given")
        for key_id, key in keys:
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError("a key id has 1 to 32 letters, digits, '-' or '_'")
            if len(key) != _KEY_BYTES:
                raise ValueError(f"sealing key {key_id!r} has {len(key)} bytes instead of {_KEY_BYTES}")
        self._keys = dict(keys)
        if len(self._keys) != len(keys):
            raise ValueError("a sealing key id occurs twice")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys}
        self._newest = keys[0][0]

    @classmethod
    def from_setting(cls, text: str) -> "Sealer":
        """Read `base64key`, or `id:base64key,id2:base64key2` with the newest first.

        A key without id is named after its own checksum, so it keeps its name when newer keys are put in front.
        Raises ValueError, without key material, if the text cannot be used.
        """
        return cls([_entry(part.strip(), place) for place, part in enumerate(text.split(","), start=1)])

    @property
    def newest(self) -> str:
        """The id of the key that seals. Ids are no secrets."""
        return self._newest

    def seal(self, plaintext: str, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """The envelope to store in `table.column` of row `row_id`."""
        head = bytes([_VERSION, len(self._newest)]) + self._newest.encode()
        nonce = os.urandom(_NONCE_BYTES)
        data = _associated(head, table, column, str(row_id))
        return head + nonce + self._ciphers[self._newest].encrypt(nonce, plaintext.encode(), data)

    def open(self, envelope: bytes, *, table: str, column: str, row_id: UUID | str) -> str:
        """The plaintext. Raises SecretUnreadable: key missing, bytes changed, or not sealed for this place."""
        key_id, head, rest = _split(envelope)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretUnreadable(f"{table}.{column} was sealed with key {key_id!r}, which is not configured.")
        data = _associated(head, table, column, str(row_id))
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], data).decode()
        except InvalidTag:
            raise SecretUnreadable(f"{table}.{column} was changed, or was sealed for another row.") from None

    def is_current(self, envelope: bytes) -> bool:
        """False if the envelope was sealed with an older key. Raises SecretUnreadable if it is no envelope."""
        return _split(envelope)[0] == self._newest

    def digest(self, value: str, purpose: str) -> bytes:
        """A keyed digest (HMAC-SHA256, 32 bytes) under the newest key, to store beside a sealed value and find it."""
        return _digest(self._keys[self._newest], value, purpose)

    def digests(self, value: str, purpose: str) -> list[bytes]:
        """The digests of `value` under every key, newest first: look up with all of them while keys are rotated."""
        return [_digest(key, value, purpose) for key in self._keys.values()]


def _entry(part: str, place: int) -> tuple[str, bytes]:
    key_id, colon, encoded = part.rpartition(":")
    try:
        key = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"sealing key number {place} is not base64") from None
    return (key_id if colon else f"k{hashlib.sha256(key).hexdigest()[:8]}"), key


def _split(envelope: bytes) -> tuple[str, bytes, bytes]:
    """Key id, head, and the rest. The head is authenticated later."""
    if len(envelope) < 2 or envelope[0] != _VERSION:  # noqa: PLR2004 - version and length byte
        raise SecretUnreadable("The stored value is not a sealed secret.")
    end = 2 + envelope[1]
    if len(envelope) <= end + _NONCE_BYTES:
        raise SecretUnreadable("The stored secret is cut off.")
    return envelope[2:end].decode("ascii", "replace"), envelope[:end], envelope[end:]


def _associated(head: bytes, *place: str) -> bytes:
    """Length before each part: ("ab", "c") and ("a", "bc") differ."""
    parts = [head, *(part.encode() for part in place)]
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def _digest(key: bytes, value: str, purpose: str) -> bytes:
    derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"inbox digest: " + purpose.encode()).derive(key)
    return hmac.digest(derived, value.encode(), "sha256")
