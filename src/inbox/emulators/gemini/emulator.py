"""The state of one Gemini emulator and the way of a request to generate: script, rules, outcome faults."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

import msgspec

from inbox.emulators.faults import FaultRule, Faults
from inbox.emulators.gemini import errors, validation
from inbox.emulators.gemini.answers import Answerer, with_line_separator
from inbox.emulators.gemini.config import GeminiConfig
from inbox.emulators.gemini.decoding import decode
from inbox.emulators.gemini.knobs import knob_of
from inbox.emulators.gemini.models import ModelSpec
from inbox.emulators.gemini.request import Generation, Json, read
from inbox.emulators.gemini.rules import Rule, answer
from inbox.emulators.gemini.script import Script, Scripted
from inbox.emulators.ledger import Ledger

HUGE: Final = 1 << 20  # characters; a model that loops heeds no cap


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request brought; "" for a place that it left empty."""

    header: str
    query: str
    authorization: str


class GeminiEmulator:
    """Everything a test can change; nothing here does I/O besides the ledger's file."""

    def __init__(self, config: GeminiConfig) -> None:
        self.config = config
        self.models = {model.id: model for model in config.models}
        self.ledger = Ledger(config.ledger_path, capacity=config.ledger_capacity)
        self.reset()

    def reset(self) -> None:
        """Back to the configuration: no faults, no script, the configured rules, an empty ledger."""
        self.faults = Faults(self.config.seed)
        self.script = Script(self.config.max_scripted)
        self.rules: tuple[Rule, ...] = self.config.rules
        self._answerer = Answerer(self.config.seed, self.config.chunk_characters)
        self.ledger.clear()

    def check_credentials(self, given: Credentials) -> None:
        """Raises ApiError for none, several, unknown, leaked or wrong ones, in that order."""
        present = [item for item in (given.header, given.query, given.authorization) if item]
        if not present:
            raise errors.no_credential()
        if len(present) > 1:
            raise errors.several_credentials()
        if given.authorization or _among(present[0], self.config.foreign_keys):
            raise errors.wrong_kind_of_credential()
        if _among(present[0], self.config.leaked_keys):
            raise errors.leaked_key()
        if not _among(present[0], self.config.api_keys):
            raise errors.unknown_key()

    def model(self, name: str, method: str) -> ModelSpec:
        """Raises ApiError 404 for a model that is not there or does not offer the method."""
        model = self.models.get(name)
        if model is None or not model.offers(method):
            raise errors.unknown_model(name, method)
        return model

    def read(self, model: ModelSpec, raw: bytes) -> Generation:
        """Decode and check a GenerateContentRequest. Raises ApiError 400."""
        body = decode(raw, "GenerateContentRequest")
        validation.check(model, body, self.config.seed)
        return read(model, body)

    def generate(self, generation: Generation, fault: FaultRule | None, *, streamed: bool = False) -> Json:
        """The GenerateContentResponse: by the fault's outcome, else by the script, else by the rules."""
        spoiled = self._spoiled(generation, fault) if fault else None
        if spoiled is not None:
            return spoiled
        scripted: Scripted | None = self.script.take(generation)
        if scripted is not None:
            return self._answerer.scripted(generation, scripted)
        parts = answer(generation, self.rules)
        if streamed and generation.schema is None:
            parts = with_line_separator(parts)
        return self._answerer.plain(generation, parts)

    def pieces(self, response: Json) -> Iterable[Json]:
        return self._answerer.stream(response)

    def _spoiled(self, generation: Generation, fault: FaultRule) -> Json | None:
        """The answer of an outcome fault, None when the fault leaves the answer alone."""
        make = self._answerer
        match knob_of(fault):
            case "empty_stop":
                return make.without_parts(generation, "STOP")
            case "max_tokens_empty":
                return make.without_parts(generation, "MAX_TOKENS", thoughts=generation.output_cap)
            case "blocked_prompt":
                return make.blocked(generation, str(fault.options.get("reason", "PROHIBITED_CONTENT")))
            case "no_candidates":
                return make.plain(generation, []) | {"candidates": []}
            case knob:
                return self._filtered(generation, knob) or self._malformed(generation, knob)

    def _filtered(self, generation: Generation, knob: str) -> Json | None:
        match knob:
            case "safety":
                return self._answerer.without_content(generation, "SAFETY", safetyRatings=_ratings())
            case "recitation":
                return self._answerer.without_content(generation, "RECITATION")
            case _:
                return None

    def _malformed(self, generation: Generation, knob: str) -> Json | None:
        make = self._answerer
        match knob:
            case "malformed_call":
                text = "Malformed function call: print(default_api.lookup("
                return make.without_content(generation, "MALFORMED_FUNCTION_CALL", finishMessage=text)
            case "unknown_finish_reason":
                parts = answer(generation, self.rules)
                return make.plain(generation, parts, finish="REASON_OF_A_LATER_VERSION")
            case "bad_output":
                return make.plain(generation, [{"text": '```json\n{"action": "rep'}])
            case "huge":
                return make.plain(generation, [{"text": "x" * HUGE}], finish="MAX_TOKENS")
            case _:
                return None


def digest(text: str) -> str:
    """What the ledger keeps of a customer's words: enough to recognise them, not to read them."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _among(key: str, keys: tuple[str, ...]) -> bool:
    given = key.encode()
    return any([hmac.compare_digest(given, known.encode()) for known in keys])  # noqa: C419 - look at all of them


def _ratings() -> list[Json]:
    return [
        {"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True},
        {"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "LOW"},
    ]
