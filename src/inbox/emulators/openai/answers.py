"""Chat completions: what is said by rule, by script, or spoiled by a fault."""

import hashlib
import html
import math
import re
from typing import Any, Final

import msgspec

from inbox.emulators.gemini.filling import fill
from inbox.emulators.gemini.rules import HANDOFF_WORDS

Json = dict[str, Any]

CHARACTERS_PER_TOKEN: Final = 4
HUGE: Final = 1 << 20
_CUSTOMER: Final = re.compile(r"<customer_message\b[^>]*>(.*?)</customer_message>", re.DOTALL)
_WORD: Final = re.compile(r"\w+")


class Scripted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer: `text` exactly, or `json` as text."""

    text: str | None = None
    json: Any = msgspec.UNSET
    finish_reason: str = "stop"
    cached_tokens: int = 0
    times: int = 1

    def written(self) -> str:
        return msgspec.json.encode(self.json).decode() if self.text is None else self.text


def completion(body: Json, content: str | None, *, reasoning: int, finish: str = "stop", cached: int = 0) -> Json:
    """The whole answer. Reasoning is a part of the completion's tokens."""
    prompt = tokens(msgspec.json.encode(body["messages"]).decode())
    written = tokens(content or "") + reasoning
    return {
        "id": "chatcmpl-" + hashlib.sha256(repr(body).encode()).hexdigest()[:12],
        "object": "chat.completion",
        "created": 1795242010,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "logprobs": None,
                "message": {"role": "assistant", "content": content, "refusal": None},
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "completion_tokens_details": {"reasoning_tokens": reasoning},
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


def by_rule(body: Json) -> str:
    """A decision that fits the schema: a person for who asks for one, else an echo."""
    said = customer_text(body["messages"][-1]["content"])
    is_handoff = not frozenset(HANDOFF_WORDS).isdisjoint(_WORD.findall(said.lower()))
    decision = {
        "action": "handoff" if is_handoff else "reply",
        "handoff_reason": "customer_asked_human" if is_handoff else "none",
        "reply": "" if is_handoff else f"Vous avez écrit : {said}",
        "text": f"Vous avez écrit : {said}",
        "confidence": 0.9,
    }
    schema = _schema(body)
    return f"Vous avez écrit : {said}" if schema is None else msgspec.json.encode(fill(schema, decision)).decode()


def spoiled(body: Json, knob: str, reasoning: int) -> Json | None:
    """The answer of an outcome fault, None when the knob leaves the answer alone."""
    whole = by_rule(body)
    texts: dict[str, tuple[str | None, str]] = {
        "empty": ("", "stop"),
        "length": (whole[: len(whole) // 2], "length"),
        "length_empty": (None, "length"),
        "content_filter": (whole[:5], "content_filter"),
        "tool_calls": (None, "tool_calls"),
        "bad_output": ('```json\n{"action": "rep', "stop"),
        "fenced": (f"<think>Let me see.</think>\n```json\n{whole}\n```", "stop"),
        "unknown_finish_reason": (whole, "reason_of_a_later_version"),
        "huge": ("x" * HUGE, "stop"),
    }
    if knob in texts:
        content, finish = texts[knob]
        return completion(body, content, reasoning=reasoning, finish=finish)
    answer = completion(body, None, reasoning=reasoning)
    match knob:
        case "refusal":
            answer["choices"][0]["message"]["refusal"] = "I cannot help with that."
            return answer
        case "no_choices":
            return answer | {"choices": []}
        case "error_as_200":
            return {"error": {"message": "Provider returned error", "code": 502}}
        case _:
            return None


def embed(text: str, size: int, salt: str) -> list[float]:
    """One fixed direction for each word, summed: texts that share words are near each other."""
    vector = [0.0] * size
    for word in _WORD.findall(text.lower()) or [""]:
        drawn = hashlib.blake2b(f"{salt}/{word}".encode(), digest_size=8).digest()
        vector[int.from_bytes(drawn) % size] += 1.0
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def customer_text(content: str | list[Json]) -> str:
    """The last customer message; the whole text where there is no tag."""
    text = content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
    tagged = _CUSTOMER.findall(text)
    return html.unescape(tagged[-1] if tagged else text).strip()


def tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _schema(body: Json) -> Json | None:
    """That of the request, or the one that the instructions end with: a model does as it is told."""
    given = body.get("response_format", {})
    if given.get("type") == "json_schema":
        schema: Json = given["json_schema"]["schema"]
        return schema
    if given.get("type") != "json_object":
        return None
    system = str(body["messages"][0]["content"])
    try:
        return msgspec.json.decode(system.rpartition("\n")[2], type=Json)
    except msgspec.DecodeError:
        return {"type": "object"}
