"""The checks after decoding, in the vendor's order, each with the vendor's text (observed answers, 2026-11).

`check` covers a request to generate; counting and embedding have fewer rules of their own.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from inbox.emulators.gemini.errors import ApiError, invalid
from inbox.emulators.gemini.messages import PART_DATA
from inbox.emulators.gemini.models import ModelSpec
from inbox.emulators.gemini.request import Json, estimate

DUMMY_SIGNATURE: Final = "skip_thought_signature_validator"  # documented escape for histories of another vendor
MAX_BATCH: Final = 100
_ROLES: Final = ("user", "model", "function")


def signature(seed: int, model: str) -> str:
    """The thought signature that this emulator gives to the answers of one model; base64, 24 characters."""
    return hashlib.sha256(f"{seed}/{model}".encode()).hexdigest()[:24]


def check(model: ModelSpec, body: Json, seed: int) -> None:
    """Raises ApiError 400 with the first broken rule of a GenerateContentRequest."""
    check_contents(body, "GenerateContentRequest")
    _check_roles(body)
    _check_thinking(model, body)
    _check_penalties(model, body)
    _check_schema(model, body)
    _check_cache(body)
    _check_calls(body["contents"])
    if model.signatures:
        _check_signatures(body["contents"], signature(seed, model.model_version))
    if model.current and body["contents"][-1].get("role") == "model":
        raise invalid("Requests ending with a model turn are not supported.")
    _check_length(model, estimate(body))


def check_contents(body: Json, message: str) -> None:
    contents = body.get("contents") or []
    if not contents:
        raise invalid(f"* {message}.contents: contents is not specified\n")
    empty = [
        f"* {message}.contents[{at}].parts: contents.parts must not be empty.\n"
        for at, content in enumerate(contents)
        if not content.get("parts")
    ]
    if empty:
        raise invalid("".join(empty))
    bare = [
        f"* {message}.contents[{at}].parts[{index}].data: required oneof field 'data' must have one initialized field\n"
        for at, content in enumerate(contents)
        for index, part in enumerate(content["parts"])
        if not PART_DATA & part.keys()
    ]
    if bare:
        raise invalid("".join(bare))
    for content in contents:
        for part in content["parts"]:
            if len(PART_DATA & part.keys()) > 1:
                raise invalid("Invalid value (oneof), oneof field 'data' is already set. Cannot set two data fields.")


def _check_roles(body: Json) -> None:
    if any(content.get("role", "user") not in _ROLES for content in body["contents"]):
        raise invalid("Please use a valid role: user, model.")


def _check_thinking(model: ModelSpec, body: Json) -> None:
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    if level is not None and budget is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if level is not None and level != "THINKING_LEVEL_UNSPECIFIED":
        if not model.levels:
            raise invalid("Thinking level is not supported for this model.")
        if level not in model.levels:
            raise invalid(f"Thinking level {level} is not supported for this model.")
    if budget is not None and not model.levels:
        _check_budget(model, int(budget))


def _check_budget(model: ModelSpec, budget: int) -> None:
    if budget != -1 and not model.smallest_budget <= budget <= model.largest_budget:
        raise invalid(
            f"The thinking budget {budget} is invalid. Please choose a value between {model.smallest_budget} "
            f"and {model.largest_budget}."
        )


def _check_penalties(model: ModelSpec, body: Json) -> None:
    config = body.get("generationConfig", {})
    if model.current and any(float(config.get(name, 0)) for name in ("presencePenalty", "frequencyPenalty")):
        raise invalid("Penalty is not enabled for this model")


def _check_schema(model: ModelSpec, body: Json) -> None:
    config = body.get("generationConfig", {})
    free = "responseJsonSchema" in config or "_responseJsonSchema" in config
    if free and "responseSchema" in config:
        raise invalid("response_schema and response_json_schema can not both be set in generation_config.")
    mime = config.get("responseMimeType", "text/plain")
    if free and mime != "application/json":
        raise invalid("response_json_schema is only supported with response_mime_type: 'application/json'.")
    if "responseSchema" in config and mime not in ("application/json", "text/x.enum"):
        raise invalid("response_schema is only supported with response_mime_type: 'application/json'.")
    if mime == "application/json" and not model.levels and body.get("tools"):
        raise invalid("Function calling with a response mime type: 'application/json' is unsupported")


def _check_cache(body: Json) -> None:
    if "cachedContent" in body and body.keys() & {"systemInstruction", "tools", "toolConfig"}:
        raise invalid(
            "Tool config, tools and system instruction should not be set in the request when using cached content."
        )


def _check_calls(contents: list[Json]) -> None:
    expected = 0
    for content in contents:
        if _count(content, "functionResponse") != expected:
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        expected = _count(content, "functionCall")
    before: Json | None = None
    for content in contents:
        if _count(content, "functionCall") and (before is None or before.get("role", "user") == "model"):
            raise invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        before = content


def _check_signatures(contents: list[Json], own: str) -> None:
    """The first call of each step of the current turn must bring the signature it was given."""
    for position, call in _first_calls(contents):
        given = call.get("thoughtSignature")
        if not given:
            name = call["functionCall"].get("name", "")
            raise ApiError(
                400,
                "INVALID_ARGUMENT",
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call default_api:{name} , position {position}.",
            )
        if given not in (own, DUMMY_SIGNATURE):
            raise invalid("Corrupted thought signature.")


def _first_calls(contents: list[Json]) -> Iterator[tuple[int, Json]]:
    """(1-based position, part) of the first function call in each model turn since the user last wrote."""
    current = max(
        (at for at, content in enumerate(contents) if _is_ordinary_user_turn(content)),
        default=-1,
    )
    for at, content in enumerate(contents[current + 1 :], start=current + 2):
        for part in content["parts"]:
            if "functionCall" in part:
                yield at, part
                break


def _is_ordinary_user_turn(content: Json) -> bool:
    return content.get("role", "user") == "user" and not _count(content, "functionResponse")


def _count(content: Json, field: str) -> int:
    return sum(field in part for part in content["parts"])


def _check_length(model: ModelSpec, tokens: int) -> None:
    if tokens > model.input_limit:
        raise invalid(
            f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({model.input_limit})."
        )
