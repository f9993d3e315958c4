"""What embedding models give, checked: as many vectors as texts, all of one size, each of length 1."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from inbox.domain.upstream_errors import ModelSilent

MOST_TEXTS: Final = 100
"""In one call: what every vendor takes."""


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), MOST_TEXTS):
        yield texts[start : start + MOST_TEXTS]


def checked(vectors: Sequence[Sequence[float]], *, count: int, dimensions: int) -> list[list[float]]:
    """Raises `ModelSilent`: a vector that belongs to another text would be wrong without anybody noticing."""
    if len(vectors) != count or any(len(vector) != dimensions for vector in vectors):
        raise ModelSilent("malformed", "The model gave other vectors than those that were asked for.")
    return [_unit(vector) for vector in vectors]


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    if not math.isfinite(length) or length == 0.0:
        raise ModelSilent("malformed", "The model gave a vector without a direction.")
    return [value / length for value in vector]
