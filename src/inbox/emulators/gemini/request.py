"""One request to generate, read once: the customer's words, the size in tokens, the thinking it will cost."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from inbox.emulators.gemini.models import ModelSpec

CHARACTERS_PER_TOKEN: Final = 4
TOKENS_PER_FILE: Final = 258  # one image tile; the emulator does not look inside media
AUTOMATIC_BUDGET: Final = 256
THOUGHTS: Final[Mapping[str, int]] = {"MINIMAL": 0, "LOW": 64, "MEDIUM": 256, "HIGH": 1024, "XHIGH": 2048}
_CUSTOMER: Final = re.compile(r"<customer_message\b[^>]*>(.*?)</customer_message>", re.DOTALL)
_KNOWLEDGE: Final = re.compile(r"<kb\b([^>]*)>(.*?)</kb>", re.DOTALL)
_KNOWLEDGE_ID: Final = re.compile(r"""\bid=["']([^"']{1,200})["']""")

Json = dict[str, Any]


class Knowledge(msgspec.Struct, frozen=True):
    """One `<kb id="...">` block of the prompt."""

    id: str
    text: str


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A checked `GenerateContentRequest` and what the answer depends on. Token figures are estimates in tokens."""

    model: ModelSpec
    body: Json
    customer_text: str  # the last customer message: the tag's content when there is a tag, else the last user text
    knowledge: tuple[Knowledge, ...]
    prompt_tokens: int
    thought_tokens: int
    output_cap: int
    schema: Json | None  # responseJsonSchema or responseSchema
    show_thoughts: bool

    @property
    def declarations(self) -> list[Json]:
        """The functions that may be called, narrowed to `allowedFunctionNames`; none with mode NONE."""
        calling = self._calling()
        if calling.get("mode") == "NONE":
            return []
        allowed = calling.get("allowedFunctionNames")
        found = [item for tool in self.body.get("tools", []) for item in tool.get("functionDeclarations", [])]
        return [item for item in found if not allowed or item.get("name") in allowed]

    @property
    def must_call(self) -> bool:
        return self._calling().get("mode") == "ANY" and not self.answers_a_call

    @property
    def answers_a_call(self) -> bool:
        """Whether the last turn is a function result: the next answer is text again."""
        return any("functionResponse" in part for part in self.body["contents"][-1]["parts"])

    def _calling(self) -> Json:
        calling: Json = self.body.get("toolConfig", {}).get("functionCallingConfig", {})
        return calling


def read(model: ModelSpec, body: Json) -> Generation:
    """Needs a body that passed `validation.check`."""
    config = body.get("generationConfig", {})
    said = last_user_text(body["contents"])
    schema = config.get("responseJsonSchema", config.get("_responseJsonSchema", config.get("responseSchema")))
    asked = int(config.get("maxOutputTokens", 0))
    return Generation(
        model=model,
        body=body,
        customer_text=_customer_text(said),
        knowledge=_knowledge(body["contents"]),
        prompt_tokens=estimate(body),
        thought_tokens=_thoughts(model, config.get("thinkingConfig", {})),
        output_cap=min(asked, model.output_limit) if asked > 0 else model.output_limit,
        schema=schema if isinstance(schema, dict) else None,
        show_thoughts=bool(config.get("thinkingConfig", {}).get("includeThoughts")),
    )


def estimate(body: Json) -> int:
    """Prompt tokens: a quarter of the characters (texts, calls, tools, schema), plus a flat price for each file."""
    characters = files = 0
    for part in _parts(body):
        if "text" in part:
            characters += len(part["text"])
        elif "inlineData" in part or "fileData" in part:
            files += 1
        else:
            characters += len(msgspec.json.encode(part))
    config = body.get("generationConfig", {})
    for extra in (body.get("tools"), config.get("responseJsonSchema"), config.get("responseSchema")):
        if extra:
            characters += len(msgspec.json.encode(extra))
    return tokens_of(characters) + files * TOKENS_PER_FILE


def tokens_of(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def last_user_text(contents: list[Json]) -> str:
    for content in reversed(contents):
        if content.get("role", "user") != "model":
            return "\n".join(part["text"] for part in content["parts"] if "text" in part)
    return ""


def _parts(body: Json) -> Iterator[Json]:
    yield from body.get("systemInstruction", {}).get("parts", [])
    for content in body.get("contents", []):
        yield from content.get("parts", [])


def _customer_text(said: str) -> str:
    tagged = _CUSTOMER.findall(said)
    return html.unescape(tagged[-1] if tagged else said).strip()


def _knowledge(contents: list[Json]) -> tuple[Knowledge, ...]:
    found = []
    for content in contents:
        for part in content["parts"]:
            for attributes, text in _KNOWLEDGE.findall(part.get("text", "")):
                named = _KNOWLEDGE_ID.search(attributes)
                if named:
                    found.append(Knowledge(html.unescape(named.group(1)), html.unescape(text).strip()))
    return tuple(found)


def _thoughts(model: ModelSpec, thinking: Json) -> int:
    if "thinkingLevel" in thinking or (model.levels and "thinkingBudget" not in thinking):
        return THOUGHTS.get(thinking.get("thinkingLevel", model.default_level), THOUGHTS["MEDIUM"])
    budget = int(thinking.get("thinkingBudget", model.default_budget))
    return AUTOMATIC_BUDGET if budget < 0 else min(budget, AUTOMATIC_BUDGET)
