"""What we ask of a language model."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec

from inbox.domain.model_usage import Usage

__all__ = [
    "MOST_MEDIA_BYTES",
    "MOST_MEDIA_PARTS",
    "Answer",
    "Assistant",
    "Embedder",
    "MediaPart",
    "Meter",
    "Prompt",
    "Safety",
    "Source",
    "Tuning",
    "Turn",
    "Usage",
]

T = TypeVar("T", bound=msgspec.Struct)

MOST_MEDIA_BYTES: Final = 15 << 20
"""Bytes of all files of a prompt together."""
MOST_MEDIA_PARTS: Final = 8


class MediaPart(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a customer sent. Parameters of `mime_type` (`audio/ogg; codecs=opus`) count for nothing."""

    mime_type: str
    data: bytes


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the history. `text` and `media` are data, never instructions.

    `media` counts for customers only. `text` says by itself what came: a model that cannot read a file gets the words.
    """

    role: Literal["customer", "business"]
    text: str
    media: tuple[MediaPart, ...] = ()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the model may use for its answer: data as well, and quoted like the customer's words.

    `kind` is an article of the knowledge base, what is known of the contact, or what was said before the history.
    """

    text: str
    id: str = ""
    title: str = ""
    kind: Literal["kb", "contact", "summary"] = "kb"


class Safety(StrEnum):
    """The probability of harm from which on the vendor holds an answer back; `off` is as far as it lets us."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    OFF = "off"


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is asked. None is what the settings say.

    `temperature` and `safety` count where the vendor knows them. `thinking_tokens` is about how much the model may
    think before it answers, 0 as little as it can; vendors that know only levels get the nearest one.
    `max_output_tokens` has the thoughts in it.
    """

    model: str | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None
    thinking_tokens: int | None = None
    safety: Safety | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Instructions and data in separate channels. `history` ends with the customer.

    `sources` are given with the customer's last words. Of the files the newest are given, as many as there is room
    for (`MOST_MEDIA_BYTES`, `MOST_MEDIA_PARTS`) and as the model reads.
    """

    system: str
    history: tuple[Turn, ...]
    sources: tuple[Source, ...] = ()
    tuning: Tuning = Tuning()


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`value` is what the model wrote, checked against the schema; `model` is the version that really answered.

    `usage` and `cost` (micro-units of the currency of the settings; None without a price) are of all tries that
    were answered. `is_fallback` if another model than the one that was asked for answered.
    """

    value: T
    model: str
    usage: Usage
    cost: int | None = None
    is_fallback: bool = False


class Meter(Protocol):
    """Counts what one answer costs, try by try. A try stays counted as it was begun unless more is said of it."""

    async def begins(self, model: str, output_tokens: int) -> None:
        """Before each try, which may write up to `output_tokens`. What it raises ends the call: nothing is asked."""
        ...

    def used(self, usage: Usage, *models: str) -> None:
        """The try was answered: billed as the first of `models` that has a price. Without any token nobody counted."""
        ...

    def unheard(self) -> None:
        """The try surely reached no model: it costs nothing."""
        ...

    async def ends(self) -> None:
        """After each try. What it raises says that the try stays counted as it was begun."""
        ...


class Assistant(Protocol):
    """A model that answers in the shape of a schema."""

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        """The answer, at most 3 tries within the total deadline (15 s by default), of other models as well.

        A model that the prompt names and that is refused or fails gives way to that of the settings, that one to the
        fallback model. `meter` is asked before each try.

        Raises `ModelSilent` (empty, blocked, cut or malformed; it says what it cost), `ModelRefused` (our request or
        key is at fault; `ModelMissing`), `ModelThrottled`, `ModelUnavailable` (`ModelTimeout`, `ModelFailed`),
        `CircuitOpen`, `Overloaded`, and what `meter` raises.
        """
        ...

    def reads(self, mime_type: str) -> bool:
        """Whether the model can make something of such a file: it is worth fetching for a prompt."""
        ...

    async def knows(self, model: str) -> bool | None:
        """Whether there is such a model for us; None if that cannot be said. Raises nothing of the model."""
        ...

    async def probe(self) -> bool:
        """A `Probe`: does the configured model exist for us? False without a model."""
        ...


class Embedder(Protocol):
    """Texts as vectors: near each other if they mean nearly the same. Vectors of two models cannot be compared."""

    @property
    def model(self) -> str:
        """To be stored with each vector, like `dimensions`: when either changes, all are made anew."""
        ...

    @property
    def dimensions(self) -> int: ...

    async def embed(
        self, texts: Sequence[str], *, purpose: Literal["query", "document"] = "document"
    ) -> list[list[float]]:
        """One vector of length 1 for each text, in order. A question is a `query`, what may answer it a `document`.

        Raises what `Assistant.complete` raises; `ModelSilent` if the vectors are not those that were asked for.
        """
        ...
