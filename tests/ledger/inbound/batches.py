"""How the items of a run come: shuffled, in batches, many of them twice, some of them long after the others."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from inbox.emulators.graph_api.payloads import envelope
from inbox.kit.signing import sign

from .items import Plan, has_placeholder, offered

WINDOW: Final = 5_000
"""Items of so many neighbours are shuffled among themselves. A multiple of a block."""
_LARGE: Final = 1_000
_LARGE_SHARE: Final = 0.04
_USUAL: Final = 100
_REGROUPED: Final = 0.04
_REDELIVERED_LATE: Final = 0.04
_REPEATED: Final = 0.05


class Batch(msgspec.Struct, frozen=True):
    """The items of one webhook, in this order; `~n` is the placeholder of `n`."""

    numbers: Sequence[int]

    def body(self, plan: Plan) -> bytes:
        return msgspec.json.encode(envelope(offered(plan, n) for n in self.numbers))


def windows(plan: Plan) -> Iterator[tuple[range, Iterator[Batch]]]:
    """The items in steps: the range of new ones, and the batches in which they come, old ones among them."""
    chance = random.Random(plan.seed)  # noqa: S311 - which item comes when is no secret
    for start in range(0, plan.items, WINDOW):
        new = range(start, min(start + WINDOW, plan.items))
        yield new, _batches(plan, new, chance)


def _batches(plan: Plan, new: range, chance: random.Random) -> Iterator[Batch]:
    numbers = [*new, *chance.sample(new, int(len(new) * _REGROUPED))]
    if new.start:
        numbers += [chance.randrange(new.start) for _ in range(int(len(new) * _REDELIVERED_LATE))]
    numbers += [~n for n in new if has_placeholder(plan, n)]
    chance.shuffle(numbers)
    place = 0
    while place < len(numbers):
        size = _LARGE if chance.random() < _LARGE_SHARE else chance.randint(1, _USUAL)
        batch = Batch(numbers[place : place + size])
        place += size
        yield batch
        if chance.random() < _REPEATED:
            yield batch


def signature(secret: bytes, body: bytes) -> str:
    return sign(secret, body).decode()
