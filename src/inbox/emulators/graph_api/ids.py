"""Ids and chance, both from one seed: the same calls in the same order give the same ids."""

from base64 import b64encode
from hashlib import blake2b
from itertools import count
from random import Random

from inbox.emulators.graph_api.config import Span


class Ids:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._serials = count(1)
        self._random = Random(seed)  # noqa: S311  # delays and disorder, nothing secret

    def outbound_wamid(self, address: str) -> str:
        return _wamid(address, b"\x11", self._token(18))

    def inbound_wamid(self, address: str) -> str:
        return _wamid(address, b"\x12", self._token(20))

    def trace(self) -> str:
        """An `fbtrace_id`."""
        return "A" + self._token(20).lower()

    def conversation(self) -> str:
        return self._token(32).lower()

    def decimal(self, prefix: str) -> str:
        """An object id: the prefix and a serial, 15 digits in all."""
        return prefix + str(next(self._serials)).zfill(15 - len(prefix))

    def challenge(self) -> str:
        return str(int(self._token(8), 16))

    def draw(self, span: Span) -> float:
        low, high = span
        return low if low >= high else self._random.uniform(low, high)

    def _token(self, length: int) -> str:
        digest = blake2b(f"{self._seed}/{next(self._serials)}".encode(), digest_size=16)
        return digest.hexdigest()[:length].upper()


def _wamid(address: str, direction: bytes, token: str) -> str:
    """Built like Meta's: base64 of a marked, length-prefixed address and token. Nobody but the emulator may know."""
    who = address.encode()[:64]
    text = token.encode()
    raw = b"\x1c\x18" + bytes((len(who),)) + who + b"\x15\x02\x00" + direction + b"\x18" + bytes((len(text),)) + text
    return "wamid." + b64encode(raw + b"\x00").decode()
