"""What a process was told to forget, and in which order."""

from collections.abc import Iterable

from inbox.adapters.cache.shared import EVERYTHING


class Forgotten:
    """Forgetting never searches for entries. It gives the tag the next serial number.

    An entry is good only while none of its tags has a number above the one at which its load began.
    """

    def __init__(self, most: int) -> None:
        """`most` tags are remembered one by one."""
        self.serial = 0
        self._most = most
        self._tags: dict[str, int] = {}
        self._everything = 0

    def add(self, tags: Iterable[str]) -> bool:
        """Whether that was everything."""
        self.serial += 1
        named = dict.fromkeys(tags, self.serial)
        if EVERYTHING in named or len(self._tags) + len(named) > self._most:
            # Too many tags to remember one by one: dropping more than asked for is always right.
            self._everything = self.serial
            self._tags.clear()
            return True
        self._tags |= named
        return False

    def last(self, tags: Iterable[str]) -> int:
        """The serial at which something with one of these tags was last forgotten."""
        latest = self._everything
        for tag in tags:
            latest = max(latest, self._tags.get(tag, 0))
        return latest

    def since(self, born: int, tags: Iterable[str]) -> bool:
        """Whether something with one of these tags was forgotten after the serial `born`."""
        return self.last(tags) > born
