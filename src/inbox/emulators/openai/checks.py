"""The checks of a chat request, as a strict server makes them."""

from typing import Any, Final

from inbox.emulators.openai.config import OpenAiConfig
from inbox.emulators.openai.errors import ApiError, invalid, unknown_model

Json = dict[str, Any]

_FIELDS: Final = frozenset(
    {
        *("model", "messages", "max_completion_tokens", "max_tokens", "response_format", "reasoning_effort"),
        *("temperature", "stream", "seed", "tools", "tool_choice"),
    }
)
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh")


def check_chat(config: OpenAiConfig, body: Json) -> None:
    """Raises ApiError with the first rule that is broken."""
    if body.get("model") not in config.models:
        raise unknown_model(str(body.get("model", "")))
    for field in body:
        if field not in _FIELDS:
            raise invalid(f"Unrecognized request argument supplied: {field}", param=field, code="unknown_parameter")
    other = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}[config.tokens_field]
    if other in body:
        raise _unsupported(other)
    if "temperature" in body and not config.takes_temperature:
        raise _unsupported("temperature")
    if body.get("reasoning_effort", "low") not in _EFFORTS:
        raise invalid("Invalid value.", param="reasoning_effort", code="invalid_value")
    _check_messages(config, body.get("messages") or [])
    _check_format(config, body.get("response_format", {}))


def _unsupported(field: str) -> ApiError:
    return invalid(f"Unsupported parameter: '{field}'.", param=field, code="unsupported_parameter")


def _check_messages(config: OpenAiConfig, messages: list[Json]) -> None:
    """System first, then people and model in turn, as the strictest servers want it."""
    roles = [message.get("role") for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    wanted = (["user", "assistant"] * len(turns))[: len(turns)]
    if not turns or turns != wanted or turns[-1] != "user":
        raise invalid("Conversation roles must alternate user/assistant/user/...", param="messages")
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for part in parts:
            _check_part(config, part)


def _check_part(config: OpenAiConfig, part: Json) -> None:
    match part:
        case {"type": "text", "text": str()}:
            return
        case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith("data:image/"):
            if not config.reads_images:
                raise invalid("This model does not support image input.", param="messages")
        case _:
            raise invalid("Invalid content part.", param="messages")


def _check_format(config: OpenAiConfig, given: Json) -> None:
    match given:
        case {"type": "json_schema", "json_schema": {"name": str(), "strict": True, "schema": dict(schema)}}:
            if not config.knows_schemas:
                raise invalid("response_format json_schema is not supported.", param="response_format")
            for inner in (schema, *schema.get("$defs", {}).values()):
                _check_strict(inner)
        case {"type": "json_object" | "text"}:
            return
        case _ if given:
            raise invalid("Invalid response_format.", param="response_format")


def _check_strict(schema: Json) -> None:
    if "properties" not in schema:
        return
    if schema.get("additionalProperties") is not False or set(schema.get("required", [])) != set(schema["properties"]):
        text = (
            "Invalid schema for response_format: 'additionalProperties' is required to be false and all to be required."
        )
        raise invalid(text, param="response_format", code="invalid_json_schema")
