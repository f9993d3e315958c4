"""The assistant on Google's Gemini API. The key travels in a header only; the answer is untrusted input."""

import re
from typing import Any, Final, TypeVar

import msgspec

from inbox.adapters.llm.gemini import wire
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import (
    ModelFailed,
    ModelRefused,
    ModelSilent,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
)
from inbox.kit.http import ApiClient, CallFailed, Reach, Reply
from inbox.kit.resilience import Guard
from inbox.ports.llm import Answer, Prompt, Turn, Usage

T = TypeVar("T", bound=msgspec.Struct)

_SAFETY: Final = [
    {"category": f"HARM_CATEGORY_{category}", "threshold": "BLOCK_ONLY_HIGH"}
    for category in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
]
"""A support desk hears customers swear."""
_BLOCKED: Final = frozenset({"SAFETY", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST", "RECITATION", "LANGUAGE"})
_CUT: Final = frozenset({"MAX_TOKENS", "CONTINUATION"})
_BUDGETED: Final = re.compile(r"gemini-2\.5-")
_MINIMAL: Final = re.compile(r"gemini-3\.[156]-flash")


class GeminiAssistant:
    """`generateContent`, not streamed: WhatsApp knows no partial messages."""

    def __init__(self, api: ApiClient, guard: Guard, *, api_key: str, model: str) -> None:
        self._api = api
        self._guard = guard
        self._api_key = api_key
        self._model = model

    async def complete(self, prompt: Prompt, *, schema: type[T]) -> Answer[T]:
        body = msgspec.json.encode(self._body(prompt, schema))

        async def attempt() -> wire.GenerateAnswer:
            try:
                reply = await self._api.call(
                    "POST",
                    f"/v1beta/models/{self._model}:generateContent",
                    headers={"x-goog-api-key": self._api_key, "content-type": "application/json"},
                    content=body,
                )
            except CallFailed as failed:
                raise _failure(failed) from failed
            if reply.status != 200:  # noqa: PLR2004
                raise _refusal(reply)
            return _answer(reply.body)

        # A silent model is judged outside of the guard: asking again rarely helps, and one customer's prompt must not
        # open the circuit for all.
        answer = await self._guard.call(attempt, on_timeout=lambda: ModelTimeout("Gemini did not answer in time."))
        return self._read(answer, schema)

    async def probe(self) -> bool:
        """Asks for the model's description, which costs nothing."""
        try:
            reply = await self._api.call(
                "GET", f"/v1beta/models/{self._model}", headers={"x-goog-api-key": self._api_key}
            )
        except CallFailed as failed:
            raise _failure(failed) from failed
        if reply.status != 200:  # noqa: PLR2004
            raise _refusal(reply)
        return True

    def _body(self, prompt: Prompt, schema: type[T]) -> dict[str, Any]:
        return {
            "systemInstruction": {"parts": [{"text": prompt.system}]},
            "contents": _contents(prompt.history),
            "generationConfig": {
                "maxOutputTokens": prompt.max_output_tokens,
                "responseMimeType": "application/json",
                "responseJsonSchema": wire.schema_for(schema),
                "thinkingConfig": _thinking(self._model),
            },
            "safetySettings": _SAFETY,
            "store": False,
        }

    def _read(self, answer: wire.GenerateAnswer, schema: type[T]) -> Answer[T]:
        _check(answer)
        try:
            value = msgspec.json.decode(answer.text, type=schema)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ModelSilent("malformed") from error
        usage = answer.usage_metadata
        return Answer(
            value=value,
            model=answer.model_version or self._model,
            usage=Usage(
                input=usage.prompt_token_count, output=usage.candidates_token_count + usage.thoughts_token_count
            ),
        )


def _answer(body: bytes) -> wire.GenerateAnswer:
    try:
        return msgspec.json.decode(body, type=wire.GenerateAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFailed("Gemini's answer is not readable.") from error


def _check(answer: wire.GenerateAnswer) -> None:
    """Raises `ModelSilent` unless the answer is whole and has text."""
    if not answer.candidates:
        raise ModelSilent("blocked" if answer.prompt_feedback else "empty")
    finish = answer.candidates[0].finish_reason
    if finish in _BLOCKED:
        raise ModelSilent("blocked")
    if finish in _CUT:
        raise ModelSilent("cut")
    if not answer.text.strip():
        raise ModelSilent("empty")


def _contents(history: tuple[Turn, ...]) -> list[dict[str, Any]]:
    """Neighbours of one role merged; the first and the last are the customer's (Gemini refuses anything else)."""
    contents: list[dict[str, Any]] = []
    for turn in history:
        role = "user" if turn.role == "customer" else "model"
        part = {"text": _quoted(turn) if role == "user" else turn.text}
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].append(part)
        elif not contents and role == "model":
            contents.append({"role": "user", "parts": [{"text": f"[L'entreprise a écrit : {turn.text}]"}]})
        else:
            contents.append({"role": role, "parts": [part]})
    if not contents or contents[-1]["role"] == "model":
        contents.append({"role": "user", "parts": [{"text": "[Le client n'a rien écrit depuis.]"}]})
    return contents


def _quoted(turn: Turn) -> str:
    """The customer's words as data: they cannot close the tag that holds them."""
    return f"<customer_message>{turn.text.replace('&', '&amp;').replace('<', '&lt;')}</customer_message>"


def _thinking(model: str) -> dict[str, Any]:
    """As little thinking as the model allows: it costs time and eats the output budget."""
    if _BUDGETED.match(model):
        return {"thinkingBudget": 128 if "pro" in model else 0}
    return {"thinkingLevel": "MINIMAL" if _MINIMAL.match(model) else "LOW"}


def _failure(failed: CallFailed) -> InboxError:
    if failed.reason in ("connect_timeout", "read_timeout"):
        return ModelTimeout(f"Gemini did not answer in time ({failed.reason}).")
    if failed.reach is Reach.ANSWERED:
        return ModelFailed(f"Gemini's answer broke off ({failed.reason}).")
    return ModelUnavailable(f"Gemini could not be reached ({failed.reason}).")


def _refusal(reply: Reply) -> InboxError:
    error = wire.error_of(reply.body)
    if reply.status == 429:  # noqa: PLR2004
        if error is not None and wire.is_quota_spent(error):
            return ModelRefused("Gemini's quota is used up.")
        wait = wire.retry_after(error) if error is not None else None
        return ModelThrottled("Gemini asks to wait.", retry_after=wait)
    if reply.status >= 500 or reply.status in (408, 499):  # noqa: PLR2004
        return ModelFailed(f"Gemini answered {reply.status}.")
    word = error.status if error is not None else "no reason"
    return ModelRefused(f"Gemini refused the request ({reply.status}, {word}).")
