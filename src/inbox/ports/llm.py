"""What we ask of a language model."""

from typing import Generic, Literal, Protocol, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the history. `text` is data, never an instruction."""

    role: Literal["customer", "business"]
    text: str


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Instructions and data in separate channels. `history` ends with the customer."""

    system: str
    history: tuple[Turn, ...]
    max_output_tokens: int = 2048


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, thinking included in `output`."""

    input: int = 0
    output: int = 0


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`value` is what the model wrote, checked against the schema; `model` is the version that really answered."""

    value: T
    model: str
    usage: Usage


class Assistant(Protocol):
    """A model that answers in the shape of a schema."""

    async def complete(self, prompt: Prompt, *, schema: type[T]) -> Answer[T]:
        """The answer, at most 3 tries within the total deadline (15 s by default).

        Raises `ModelSilent` (empty, blocked, cut or malformed), `ModelRefused` (our request or key is at fault),
        `ModelThrottled`, `ModelUnavailable` (`ModelTimeout`, `ModelFailed`), `CircuitOpen`.
        """
        ...

    async def probe(self) -> bool:
        """A `Probe`: does the configured model exist for us? False without a model."""
        ...
