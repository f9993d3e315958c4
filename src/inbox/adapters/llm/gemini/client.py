"""The assistant on Google's Gemini API. The key travels in a header only; the answer is untrusted input."""

import base64
import math
import re
from typing import Any, Final, TypeVar

import msgspec
import structlog

from inbox.adapters.llm.answering import AccountRestricted, Answering, Ask, Defaults, Ending, Said
from inbox.adapters.llm.gemini import wire
from inbox.adapters.llm.gemini.errors import broken_off, failure, refusal
from inbox.adapters.llm.gemini.events import Events
from inbox.adapters.llm.gemini.models import family_of
from inbox.adapters.llm.quoting import Spoken, essence, spoken
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import ModelFailed, ModelMissing
from inbox.kit.http import ApiClient, CallFailed, StreamedReply
from inbox.kit.resilience import Guard
from inbox.ports.llm import Answer, MediaPart, Meter, Prompt, Safety

T = TypeVar("T", bound=msgspec.Struct)

LARGEST_ANSWER: Final = 256 * 1024
"""Bytes."""
_THRESHOLDS: Final = {
    Safety.LOW: "BLOCK_LOW_AND_ABOVE",
    Safety.MEDIUM: "BLOCK_MEDIUM_AND_ABOVE",
    Safety.HIGH: "BLOCK_ONLY_HIGH",
    Safety.OFF: "BLOCK_NONE",
}
_HARMS: Final = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
_READABLE: Final = frozenset(
    {
        *(f"image/{kind}" for kind in ("png", "jpeg", "webp", "heic", "heif")),
        *(f"audio/{kind}" for kind in ("ogg", "mpeg", "mp3", "wav", "aac", "flac", "aiff")),
    }
)
_ENDINGS: Final = {
    "STOP": Ending.WHOLE,
    **dict.fromkeys(("MAX_TOKENS", "CONTINUATION"), Ending.CUT),
    **dict.fromkeys(("SAFETY", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST", "LANGUAGE", "MODEL_ARMOR"), Ending.BLOCKED),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), Ending.BLOCKED),
    **dict.fromkeys(("IMAGE_OTHER", "NO_IMAGE"), Ending.BLOCKED),
    "RECITATION": Ending.RECITED,
    **dict.fromkeys(("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"), Ending.GARBLED),
    **dict.fromkeys(("MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"), Ending.GARBLED),
    **dict.fromkeys(("OTHER", "ESCALATION", "FINISH_REASON_UNSPECIFIED"), Ending.EMPTY),
}
_RESTRICTED: Final = "PUP_LIMITED_DISABLED"
_WORTH_A_WARNING: Final = frozenset({"LEGACY", "DEPRECATED", "RETIRED"})
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""It is a part of the address."""

_log = structlog.stdlib.get_logger("inbox.llm")


class GeminiAssistant:
    """`streamGenerateContent`, put together again: WhatsApp knows no partial messages.

    A stream is read with a limit, a side that drips is left at the deadline, and one that breaks is seen to.
    """

    def __init__(
        self, api: ApiClient, guard: Guard, *, api_key: str, defaults: Defaults, reads_media: bool = True
    ) -> None:
        self._api = api
        self._answering = Answering(guard, defaults)
        self._model = defaults.model
        self._reads_media = reads_media
        self._headers = {
            "x-goog-api-key": api_key,
            "content-type": "application/json",
            # Who does not hear us any more need not go on.
            "x-server-timeout": str(math.ceil(guard.policy.attempt)),
        }

    async def complete(self, prompt: Prompt, *, schema: type[T], meter: Meter | None = None) -> Answer[T]:
        return await self._answering.answer(prompt, schema, self._once, meter)

    def reads(self, mime_type: str) -> bool:
        return self._reads_media and essence(mime_type) in _READABLE

    async def knows(self, model: str) -> bool | None:
        try:
            description = await self._described(model)
        except ModelMissing:
            return False
        except InboxError:
            return None
        return description.writes

    async def probe(self) -> bool:
        await self._described(self._model)
        return True

    async def _described(self, model: str) -> wire.Description:
        """What Gemini says of the model, which costs nothing."""
        try:
            reply = await self._api.call("GET", _path(model), headers=self._headers)
        except CallFailed as failed:
            raise failure(failed) from failed
        if reply.status != 200:  # noqa: PLR2004
            raise refusal(reply.status, reply.headers, reply.body)
        try:
            return msgspec.json.decode(reply.body, type=wire.Description)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return wire.Description()

    async def _once(self, ask: Ask) -> Said:
        try:
            async with self._api.stream(
                "POST",
                f"{_path(ask.model)}:streamGenerateContent",
                params={"alt": "sse"},
                headers=self._headers,
                content=msgspec.json.encode(self._body(ask)),
                limit=LARGEST_ANSWER,
            ) as reply:
                if reply.status != 200:  # noqa: PLR2004
                    body = b"".join([chunk async for chunk in reply.chunks])
                    raise refusal(reply.status, reply.headers, body)
                answer = await _whole(reply)
        except CallFailed as failed:
            raise failure(failed) from failed
        return _said(ask, answer)

    def _body(self, ask: Ask) -> dict[str, Any]:
        family = family_of(ask.model)
        thinking = family.thinking(ask.thinking_tokens)
        config: dict[str, Any] = {
            "maxOutputTokens": family.cap(ask.max_output_tokens, thinking),
            "responseMimeType": "application/json",
            "responseJsonSchema": wire.schema_for(ask.schema),
        }
        if thinking is not None:
            config["thinkingConfig"] = thinking
        if ask.temperature is not None and family.heeds_temperature:
            config["temperature"] = ask.temperature
        instructions = [ask.prompt.system, ask.nudge] if ask.nudge else [ask.prompt.system]
        return {
            "systemInstruction": {"parts": [{"text": text} for text in instructions]},
            "contents": [_content(said) for said in spoken(ask.prompt, self.reads)],
            "generationConfig": config,
            "safetySettings": [
                {"category": f"HARM_CATEGORY_{harm}", "threshold": _THRESHOLDS[ask.safety]} for harm in _HARMS
            ],
            "store": False,
        }


def _path(model: str) -> str:
    if not _MODEL.fullmatch(model):
        raise ModelMissing("This is no name of a model.")
    return f"/v1beta/models/{model}"


def _content(said: Spoken) -> dict[str, Any]:
    return {"role": "user" if said.is_customer else "model", "parts": [_part(part) for part in said.parts]}


def _part(part: str | MediaPart) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    return {"inlineData": {"mimeType": essence(part.mime_type), "data": base64.b64encode(part.data).decode()}}


async def _whole(reply: StreamedReply) -> wire.GenerateAnswer:
    """The answer that the pieces make. Raises what an error among them means, and `ModelFailed` for a torn stream."""
    events, answer = Events(), wire.GenerateAnswer()
    async for chunk in reply.chunks:
        for payload in events.feed(chunk):
            answer = answer.followed_by(_piece(payload))
    for payload in events.end():
        answer = answer.followed_by(_piece(payload))
    if answer.is_torn:
        raise ModelFailed("Gemini's answer ended in the middle.")
    return answer


def _piece(payload: bytes) -> wire.GenerateAnswer:
    if (error := wire.error_of(payload)) is not None:
        raise broken_off(error)
    try:
        return msgspec.json.decode(payload, type=wire.GenerateAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFailed("Gemini's answer is not readable.") from error


def _said(ask: Ask, answer: wire.GenerateAnswer) -> Said:
    """Raises `AccountRestricted`."""
    model = answer.model_version or ask.model
    reason = answer.finish_reason
    if reason == _RESTRICTED:
        _log.error("model_account_restricted", model=model)
        raise AccountRestricted("Google has restricted this account.")
    stage = answer.model_status.model_stage
    if stage in _WORTH_A_WARNING:
        _log.warning("model_ages", asked=ask.model, model=model, stage=stage)
    if reason and reason not in _ENDINGS:
        _log.warning("model_finish_unknown", model=model, reason=reason[:100])
    is_blocked = not answer.candidates and answer.prompt_feedback is not None
    # A whole answer with a reason of the future is one: the schema tells.
    ending = Ending.BLOCKED if is_blocked else _ENDINGS.get(reason or "", Ending.WHOLE)
    return Said(text=answer.text, model=model, ending=ending, usage=answer.usage)
