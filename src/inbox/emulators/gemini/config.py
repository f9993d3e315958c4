"""What an operator or a test chooses about the Gemini emulator."""

from pathlib import Path

import msgspec

from inbox.emulators.gemini.models import DEFAULT_MODELS, ModelSpec
from inbox.emulators.gemini.rules import Rule, handoff_rules


class GeminiConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Keys as sent in `x-goog-api-key`; times in seconds; sizes in bytes."""

    api_keys: tuple[str, ...]
    leaked_keys: tuple[str, ...] = ()  # answered 403 "reported as leaked"
    foreign_keys: tuple[str, ...] = ()  # a credential of the wrong kind: 401
    models: tuple[ModelSpec, ...] = DEFAULT_MODELS
    rules: tuple[Rule, ...] = handoff_rules()
    seed: int = 0
    latency: float = 0.0  # every generation takes at least so long
    chunk_characters: int = 24  # text in one event of a stream
    max_body: int = 24 * 1024 * 1024
    longest_wait: float = 120.0  # a hanging request is let go after this
    ledger_path: Path | None = None
    ledger_capacity: int = 10_000
    max_scripted: int = 1_000
