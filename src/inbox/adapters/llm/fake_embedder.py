"""Vectors without a model: texts that share words are near each other, and nothing else is."""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, Literal

from inbox.adapters.llm.vectors import checked

_WORD: Final = re.compile(r"\w+")


class FakeEmbedder:
    """The same text has the same vector, always and everywhere."""

    model = "fake"

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions

    async def embed(
        self,
        texts: Sequence[str],
        *,
        purpose: Literal["query", "document"] = "document",  # noqa: ARG002
    ) -> list[list[float]]:
        return checked([self._vector(text) for text in texts], count=len(texts), dimensions=self.dimensions)

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in _WORD.findall(text.casefold()) or [""]:
            at = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
            vector[at % self.dimensions] += 1.0
        return vector
