"""What an emulator received and delivered: the other side's own account, to be held against ours."""

import os
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

DEFAULT_CAPACITY: Final = 100_000
_TAIL_BYTES: Final = 1_048_576


class Entry(msgspec.Struct, frozen=True):
    """One fact. `serial` counts from 1 without gaps; `time` is the wall clock in UTC, whatever the emulator's clock."""

    serial: int
    time: datetime
    kind: str
    data: dict[str, Any]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """Append-only. Memory holds the newest `capacity` entries; a file, if one is named, holds all as JSON lines.

    The file is written without a buffer, one write per entry, so it survives the death of this process; `fsync=True`
    makes it survive the death of the machine too, at the price of one disk flush per entry. An existing file is
    continued: serials go on where it ended.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        capacity: int = DEFAULT_CAPACITY,
        fsync: bool = False,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._counts: Counter[str] = Counter()
        self._encoder = msgspec.json.Encoder()
        self._fsync = fsync
        self._now = now
        self._serial = 0
        self._fd: int | None = None
        if path is not None:
            self._serial = _last_serial(path)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, kind: str, /, **data: object) -> Entry:
        """Record one fact. `data` must be what msgspec can write as JSON; it must not be changed afterwards."""
        self._serial += 1
        entry = Entry(self._serial, self._now(), kind, data)
        self._entries.append(entry)
        self._counts[kind] += 1
        if self._fd is not None:
            _write_all(self._fd, self._encoder.encode(entry) + b"\n")
            if self._fsync:
                os.fsync(self._fd)
        return entry

    def entries(self, kind: str | None = None, *, after: int = 0, limit: int | None = None) -> list[Entry]:
        """The entries in memory with a serial above `after`, oldest first, of one kind or of all, at most `limit`."""
        first = self._entries[0].serial if self._entries else 0
        newer = islice(self._entries, max(0, after + 1 - first), None)
        chosen = (entry for entry in newer if kind is None or entry.kind == kind)
        return list(islice(chosen, limit))

    def counts(self) -> Mapping[str, int]:
        """How many facts of each kind were recorded since the start or the last `clear`, spilled ones included."""
        return dict(self._counts)

    @property
    def last_serial(self) -> int:
        return self._serial

    @property
    def spilled(self) -> int:
        """How many entries memory no longer holds."""
        return self._counts.total() - len(self._entries)

    def clear(self) -> None:
        """Forget what memory holds. Serials go on and the file keeps everything: it is append-only."""
        self._entries.clear()
        self._counts.clear()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_ledger(path: Path) -> list[Entry]:
    """All whole entries of a ledger file. A last line cut off by a crash is left out."""
    decoder = msgspec.json.Decoder(Entry)
    return [decoder.decode(line) for line in path.read_bytes().split(b"\n")[:-1] if line]


def _last_serial(path: Path) -> int:
    """The serial to continue from; a line that a crash cut off is cut away."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - _TAIL_BYTES))
        whole, _, torn = file.read().rpartition(b"\n")
        file.truncate(size - len(torn))
    last = whole.rpartition(b"\n")[2]
    if not last:
        return 0
    if start > 0 and b"\n" not in whole:
        raise ValueError(f"{path}: the last entry is longer than {_TAIL_BYTES} bytes")
    return msgspec.json.decode(last, type=Entry).serial


def _write_all(fd: int, line: bytes) -> None:
    written = os.write(fd, line)
    while written < len(line):
        written += os.write(fd, line[written:])
