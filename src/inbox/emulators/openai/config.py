"""What an operator or a test chooses about the OpenAI-compatible emulator: which of the many servers it is."""

from pathlib import Path
from typing import Literal

import msgspec


class OpenAiConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Without `api_keys` everybody is served, like by a model of one's own. Times in seconds, sizes in bytes."""

    api_keys: tuple[str, ...] = ()
    key_header: str = "authorization"
    models: tuple[str, ...] = ("emulated-large", "emulated-small")
    embedding_models: tuple[str, ...] = ("emulated-embedding",)
    knows_schemas: bool = True  # else `json_schema` is refused and `json_object` taken
    reads_images: bool = True
    tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    takes_temperature: bool = True  # reasoning models refuse it
    reasoning_tokens: int = 16
    seed: int = 0
    max_body: int = 24 * 1024 * 1024
    longest_wait: float = 120.0  # a hanging request is let go after this
    ledger_path: Path | None = None
    ledger_capacity: int = 10_000
    max_scripted: int = 1_000
