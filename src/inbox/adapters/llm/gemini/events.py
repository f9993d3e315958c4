"""Server-sent events as Gemini sends them: `data:` and JSON, nothing else.

An error may come in the middle, as an event or bare, and a stream that broke may look like one that ended.
"""

from typing import Final

_OTHER_FIELDS: Final = (b":", b"event:", b"id:", b"retry:")
"""Comments, and fields of the format that say nothing here (HTML Standard, 9.2)."""


class Events:
    """Put together from pieces that may end anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._bare: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of each event that is whole by now."""
        # Bytes are split at \n, \r and \r\n only, as it has to be: JSON may hold the other line ends of Unicode.
        lines = (self._rest + piece).splitlines(keepends=True)
        # What ends with \r may be the first half of \r\n.
        self._rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        return self._read(lines)

    def end(self) -> list[bytes]:
        """What is left: an event without its blank line, and what stood outside of any event, which is an error."""
        found = self._read([self._rest, b"\n"])
        return [*found, b"\n".join(self._bare)] if self._bare else found

    def _read(self, lines: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for line in lines:
            text = line.rstrip(b"\r\n")
            if text.startswith(b"data:"):
                self._data.append(text[5:].removeprefix(b" "))
            elif text.startswith(_OTHER_FIELDS):
                continue
            elif text:
                self._bare.append(text)
            elif self._data:
                found.append(b"\n".join(self._data))
                self._data = []
        return found
