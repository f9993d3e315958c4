"""What lies in Redis: its keys, its values, and which of them this process may still believe.

Nothing stands there in clear. Keys are keyed digests behind their family's name. Values are sealed with the
installation's key and bound to their key and tick: who can write to Redis can bring an old value back, never make one.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from inbox.domain.errors import SecretUnreadable
from inbox.kit.sealing import Sealer

_FORMAT: Final = "2"
_MOST_POINTS: Final = 1_000
_MOST_BYTES: Final = 256 * 1024
_COLUMN: Final = "value"
_TABLE: Final = "shared_cache"


class Stamp(msgspec.Struct, frozen=True):
    """Drawn from Redis' clock before a load."""

    clock: str
    tick: int


class Shape:
    """How values of one type are written and read."""

    def __init__(self, shape: Any) -> None:  # noqa: ANN401 - a type
        """Raises TypeError for what msgspec cannot read."""
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape | None)
        schema = msgspec.json.encode(msgspec.json.schema(shape | None))
        self.name = hashlib.blake2b(schema, digest_size=8).hexdigest()
        """Another one for each version of the type."""

    def read(self, text: str) -> Any:  # noqa: ANN401 - of the type
        """Raises `msgspec.DecodeError`."""
        return self._decoder.decode(text)


class Vault:
    """Names and seals."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._name_key = sealer.digest("names", _TABLE)

    def entry(self, key: str, tags: Iterable[str], shape: Shape, family: str) -> str:
        """The name of an entry. One with other tags or another shape has another name."""
        return f"{family}:{self._digest(_FORMAT, shape.name, key, *sorted(tags))}"

    def tag(self, tag: str) -> str:
        return self._digest(tag)

    def sealed(self, value: object, name: str, stamp: Stamp) -> bytes | None:
        """What to store; None for what is too large or is no plain data."""
        try:
            encoded = msgspec.json.encode(value)
        except (TypeError, ValueError, msgspec.MsgspecError):
            return None
        if len(encoded) > _MOST_BYTES:
            return None
        return self._sealer.seal(encoded.decode(), table=_TABLE, column=_COLUMN, row_id=_place(name, stamp))

    def opened(self, payload: object, name: str, stamp: Stamp) -> str | None:
        """What was stored; None if somebody else wrote it."""
        if not isinstance(payload, bytes):
            return None
        try:
            return self._sealer.open(payload, table=_TABLE, column=_COLUMN, row_id=_place(name, stamp))
        except SecretUnreadable:
            return None

    def _digest(self, *parts: str) -> str:
        text = msgspec.json.encode(parts)
        return hashlib.blake2b(text, digest_size=16, key=self._name_key).hexdigest()


class Points:
    """Where the serial numbers of this process lie on Redis' clock.

    A point says: when the serial was that, the clock had not passed this tick. So what was forgotten at a serial up to
    that of a point is not in any entry with a higher tick, whoever made it and whether or not Redis heard of it.
    """

    def __init__(self) -> None:
        self.clock = ""
        self._serials: list[int] = []
        self._ticks: list[int] = []

    def floor(self, serial: int) -> int | None:
        """Entries must have a tick above this. None: not known before the next answer, so no entry will do."""
        place = bisect_left(self._serials, serial)
        return self._ticks[place] if place < len(self._ticks) else None

    def learn(self, clock: str, serial: int, now: int) -> None:
        """What an answer said: the tick before it, and the serial that this process had when it asked."""
        if clock != self.clock:
            self.clock = clock
            self._serials.clear()
            self._ticks.clear()
        if self._serials and serial <= self._serials[-1]:
            return
        self._serials.append(serial)
        self._ticks.append(now)
        if len(self._serials) > _MOST_POINTS:
            # Then a later point speaks for them: more is refused than need be, never less.
            del self._serials[: _MOST_POINTS // 2]
            del self._ticks[: _MOST_POINTS // 2]


def _place(name: str, stamp: Stamp) -> str:
    return f"{name} {stamp.clock} {stamp.tick}"
