"""GenerateContentResponse: candidates, usage and streams, with default values left out as proto-JSON does."""

import base64
from collections.abc import Iterator
from random import Random
from typing import Final

from inbox.emulators.gemini.models import Stage
from inbox.emulators.gemini.request import CHARACTERS_PER_TOKEN, Generation, Json, tokens_of
from inbox.emulators.gemini.script import Scripted
from inbox.emulators.gemini.validation import signature

LINE_SEPARATOR: Final = "\u2028"  # legal unescaped in JSON; a reader that splits lines on it breaks the event
STAGE_NOTES: Final = {Stage.DEPRECATED: "This model is deprecated.", Stage.PREVIEW: "This model is in preview."}


class Answerer:
    """Builds responses; ids and signatures come from the seed, so that a run can be repeated."""

    def __init__(self, seed: int, chunk_characters: int) -> None:
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - ids of an emulator
        self._chunk = max(1, chunk_characters)
        self._calls = 0

    def scripted(self, generation: Generation, scripted: Scripted) -> Json:
        if scripted.response is not None:
            return scripted.response
        response = self.plain(
            generation,
            scripted.content_parts(),
            finish=scripted.finish_reason,
            thoughts=scripted.thoughts,
        )
        if scripted.finish_message:
            response["candidates"][0]["finishMessage"] = scripted.finish_message
        if scripted.usage is not None:
            response["usageMetadata"] = scripted.usage
        return response

    def plain(
        self, generation: Generation, parts: list[Json], *, finish: str = "STOP", thoughts: int | None = None
    ) -> Json:
        """A whole answer. Thinking eats the cap first: a cap it uses up leaves no parts at all (MAX_TOKENS)."""
        spent = generation.thought_tokens if thoughts is None else thoughts
        room = generation.output_cap - spent
        if room <= 0 and finish == "STOP":
            return self.without_parts(generation, "MAX_TOKENS", thoughts=generation.output_cap)
        shown, cut = _limited([dict(part) for part in parts], generation, room if finish == "STOP" else None)
        self._sign(generation, shown)
        if generation.show_thoughts and spent:
            shown.insert(0, {"text": "Reading the customer's message.", "thought": True})
        candidate: Json = {
            "content": {"parts": shown, "role": "model"},
            "finishReason": "MAX_TOKENS" if cut else finish,
            "index": 0,
        }
        return self._response(generation, [candidate], _weigh(shown), spent)

    def without_parts(self, generation: Generation, finish: str, *, thoughts: int = 0) -> Json:
        """A candidate with a role and nothing to say, as thinking models give it."""
        candidate: Json = {"content": {"role": "model"}, "finishReason": finish, "index": 0}
        return self._response(generation, [candidate], 0, thoughts)

    def without_content(self, generation: Generation, finish: str, **extra: object) -> Json:
        """A candidate that was held back by an output filter."""
        return self._response(generation, [{"finishReason": finish, "index": 0, **extra}], 0, 0)

    def blocked(self, generation: Generation, reason: str) -> Json:
        """No candidates: the prompt itself was refused."""
        response = self._response(generation, [], 0, 0)
        del response["candidates"]
        return {"promptFeedback": {"blockReason": reason}} | response

    def stream(self, response: Json) -> Iterator[Json]:
        """The answer in pieces: texts cut into chunks, the finish reason only on the last, usage cumulative."""
        candidates = response.get("candidates") or []
        if not candidates or not candidates[0].get("content", {}).get("parts"):
            yield response
            return
        head = {key: value for key, value in response.items() if key not in ("candidates", "usageMetadata")}
        usage = response.get("usageMetadata", {})
        final = candidates[0]
        written = 0
        for piece in self._pieces(final["content"]["parts"]):
            written += len(piece.get("text", ""))
            candidate = {"content": {"parts": [piece], "role": "model"}, "index": 0}
            yield {"candidates": [candidate], "usageMetadata": _so_far(usage, tokens_of(written)), **head}
        ending: Json = {"text": ""}
        last_signature = final["content"]["parts"][-1].get("thoughtSignature")
        if last_signature:
            ending["thoughtSignature"] = last_signature
        closing = final | {"content": {"parts": [ending], "role": "model"}}
        yield {"candidates": [closing], "usageMetadata": usage, **head}

    def _pieces(self, parts: list[Json]) -> Iterator[Json]:
        for part in parts:
            text = part.get("text")
            if text is None:
                yield part
                continue
            rest = {key: value for key, value in part.items() if key not in ("text", "thoughtSignature")}
            for start in range(0, len(text), self._chunk):
                yield {"text": text[start : start + self._chunk], **rest}

    def _sign(self, generation: Generation, parts: list[Json]) -> None:
        """Gives calls an id, and the first call (or, after thinking, the text) the model's thought signature."""
        calls = [part for part in parts if "functionCall" in part]
        for part in calls:
            if "id" not in part["functionCall"]:
                self._calls += 1
                part["functionCall"] = {"id": f"fc_{self._calls:04x}", **part["functionCall"]}
        if not generation.model.signatures or not (calls or generation.thought_tokens):
            return
        first = calls[0] if calls else parts[-1] if parts else None
        if first is not None:
            first.setdefault("thoughtSignature", signature(self._seed, generation.model.model_version))

    def _response(self, generation: Generation, candidates: list[Json], written: int, thoughts: int) -> Json:
        prompt = generation.prompt_tokens
        counts = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": written,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": prompt + written + thoughts,
        }
        usage: Json = {name: count for name, count in counts.items() if count}
        usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
        response: Json = {
            "candidates": candidates,
            "usageMetadata": usage,
            "modelVersion": generation.model.model_version,
            "responseId": base64.urlsafe_b64encode(self._random.randbytes(17)).decode().rstrip("="),
        }
        note = STAGE_NOTES.get(generation.model.stage)
        if note:
            response["modelStatus"] = {"modelStage": generation.model.stage.value, "message": note}
        return response


def with_line_separator(parts: list[Json]) -> list[Json]:
    """Echoes in a stream hold U+2028 in place of their first space, to keep readers honest."""
    return [part | {"text": part["text"].replace(" ", LINE_SEPARATOR, 1)} if "text" in part else part for part in parts]


def _limited(parts: list[Json], generation: Generation, room: int | None) -> tuple[list[Json], bool]:
    """Texts cut at a stop sequence (a normal end) or at `room` tokens (not a normal end)."""
    stops = [stop for stop in generation.body.get("generationConfig", {}).get("stopSequences", []) if stop]
    left = None if room is None else room * CHARACTERS_PER_TOKEN
    kept: list[Json] = []
    for part in parts:
        if "text" not in part:
            kept.append(part)
            continue
        text = _until(part["text"], stops)
        if left is not None and len(text) > left:
            kept.append(part | {"text": text[:left]})
            return kept, True
        left = None if left is None else left - len(text)
        kept.append(part | {"text": text})
    return kept, False


def _until(text: str, stops: list[str]) -> str:
    found = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return text[: min(found)] if found else text


def _weigh(parts: list[Json]) -> int:
    characters = sum(len(part["text"]) for part in parts if "text" in part and not part.get("thought"))
    return tokens_of(characters + sum(len(str(part["functionCall"])) for part in parts if "functionCall" in part))


def _so_far(usage: Json, written: int) -> Json:
    """Cumulative counts of one chunk: what was written up to here."""
    total = usage.get("promptTokenCount", 0) + usage.get("thoughtsTokenCount", 0) + written
    return usage | {"candidatesTokenCount": written, "totalTokenCount": total}
