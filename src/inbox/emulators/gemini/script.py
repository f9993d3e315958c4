"""The exact next answers, as a test orders them over the control API."""

from collections import deque
from typing import Annotated, Any

import msgspec

from inbox.emulators.gemini.request import Generation, Json


class Scripted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer. Exactly one of `text`, `json`, `parts`, `response` says what it is.

    `contains` and `model` narrow it to requests whose customer message holds that text (case does not matter) or that
    name that model; others leave it in the queue. `times` answers that often before it is used up.
    """

    text: str | None = None  # the model's text, exactly
    json: Any = msgspec.UNSET  # the model's text is this value as JSON
    parts: list[Json] | None = None  # the content's parts as they stand (function calls, thoughts)
    response: Json | None = None  # the whole GenerateContentResponse as it stands
    finish_reason: str = "STOP"
    finish_message: str = ""
    thoughts: Annotated[int, msgspec.Meta(ge=0)] | None = None  # tokens; None = what the level costs
    usage: Json | None = None  # usageMetadata as it stands
    contains: str = ""
    model: str = ""
    times: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1

    def __post_init__(self) -> None:
        given = (self.text, self.parts, self.response)
        if sum(item is not None for item in given) + (self.json is not msgspec.UNSET) != 1:
            raise ValueError("give exactly one of text, json, parts, response")

    def content_parts(self) -> list[Json]:
        if self.parts is not None:
            return self.parts
        if self.text is not None:
            return [{"text": self.text}]
        return [{"text": msgspec.json.encode(self.json).decode()}]

    def answers(self, generation: Generation) -> bool:
        if self.model and self.model != generation.model.id:
            return False
        return self.contains.lower() in generation.customer_text.lower()


class Script:
    """A bounded queue; the first entry that fits a request answers it."""

    def __init__(self, capacity: int) -> None:
        self._entries: deque[Scripted] = deque()
        self._capacity = capacity

    def add(self, entries: list[Scripted]) -> None:
        """Raises ValueError when the queue would grow above its capacity."""
        if len(self._entries) + len(entries) > self._capacity:
            raise ValueError(f"at most {self._capacity} scripted answers")
        self._entries.extend(entries)

    def take(self, generation: Generation) -> Scripted | None:
        for at, entry in enumerate(self._entries):
            if entry.answers(generation):
                if entry.times > 1:
                    self._entries[at] = msgspec.structs.replace(entry, times=entry.times - 1)
                else:
                    del self._entries[at]
                return entry
        return None

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
