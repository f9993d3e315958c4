"""Vectors without a model: the sum of one fixed random unit vector per word, normalised.

Texts that share words are near each other, so retrieval can be tried out; nothing else is meant by the numbers.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from typing import Final

from inbox.emulators.gemini.errors import invalid
from inbox.emulators.gemini.models import ModelSpec
from inbox.emulators.gemini.request import Json, estimate

SPREAD: Final = 16  # coordinates that one word touches: enough that two words rarely meet
_DRAW_BYTES: Final = 4
_WORD: Final = re.compile(r"\w+")


def embed(model: ModelSpec, request: Json, seed: int) -> list[float]:
    """The vector of one EmbedContentRequest; several parts of a content are fused. Raises ApiError 400."""
    parts = request.get("content", {}).get("parts") or []
    if not parts:
        raise invalid("* EmbedContentRequest.content: contents is not specified\n")
    size = int(request.get("outputDimensionality", model.vector_sizes[1]))
    smallest, largest = model.vector_sizes
    if not smallest <= size <= largest:
        raise invalid(f"* EmbedContentRequest.output_dimensionality: must be between {smallest} and {largest}\n")
    tokens = estimate({"contents": [request["content"]]})
    if tokens > model.input_limit:
        raise invalid(
            f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({model.input_limit})."
        )
    words = [word for part in parts for word in _WORD.findall(part.get("text", "").lower())]
    return _normalised(words or [""], size, f"{seed}/{model.id}")


def _normalised(words: list[str], size: int, salt: str) -> list[float]:
    total = [0.0] * size
    for word in words:
        for at, value in _direction(word, size, salt):
            total[at] += value
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [round(value / length, 8) for value in total]


def _direction(word: str, size: int, salt: str) -> Iterator[tuple[int, float]]:
    """Coordinates and values of one word's vector, from its hash: the same word always points the same way."""
    drawn = hashlib.shake_256(f"{salt}/{word}".encode()).digest(SPREAD * _DRAW_BYTES)
    share = 1 / math.sqrt(SPREAD)
    for start in range(0, len(drawn), _DRAW_BYTES):
        number = int.from_bytes(drawn[start : start + _DRAW_BYTES])
        yield (number >> 1) % size, share if number & 1 else -share
