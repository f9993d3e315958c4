"""What belongs together because something ties it: directly, or over others."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Joined(Generic[T]):
    """Nodes that were joined, in any order, have one leader."""

    def __init__(self) -> None:
        self._above: dict[T, T] = {}

    def leader(self, node: T) -> T:
        while (above := self._above.setdefault(node, node)) != node:
            self._above[node] = self._above[above]
            node = above
        return node

    def join(self, one: T, other: T) -> None:
        if one is not other:
            self._above[self.leader(other)] = self.leader(one)
