"""What the model answers when nobody scripted it: keyword rules first, then an echo. Same request, same answer."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from inbox.emulators.gemini.filling import fill
from inbox.emulators.gemini.request import Generation, Json, Knowledge

HANDOFF_WORDS: Final = (
    "humain",
    "humaine",
    "human",
    "conseiller",
    "conseillère",
    "conseillere",
    "agent",
    "agente",
    "humano",
    "humana",
)
MAX_ECHO: Final = 300  # characters of the customer's message that are repeated
LONG_WORD: Final = 4  # shorter words do not tell which knowledge block fits
_WORD: Final = re.compile(r"\w+")
_FRENCH: Final = frozenset(
    [
        "bonjour",
        "bonsoir",
        "salut",
        "merci",
        "je",
        "vous",
        "nous",
        "est",
        "le",
        "la",
        "les",
        "une",
        "des",
        "pour",
        "où",
        "quand",
        "quel",
        "quelle",
        "avez",
        "mon",
        "ma",
        "mes",
        "votre",
        "vos",
        "avec",
        "pas",
        "commande",
        "livraison",
        "colis",
        "prix",
        "ouvert",
        "humain",
        "conseiller",
        "parler",
        "veux",
        "voudrais",
    ]
)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer `text`, `json` or a call of the function `call` when `keyword` is a word of the customer's message.

    Case does not matter. `json` overrides members of the filled schema; with `text` and a schema, `text` becomes the
    reply of the decision.
    """

    keyword: str
    text: str = ""
    json: Json | None = None
    call: str = ""
    args: Json | None = None


def handoff_rules() -> tuple[Rule, ...]:
    """A customer who asks for a person gets one."""
    decision = {
        "action": "handoff",
        "handoff_reason": "customer_asked_human",
        "priority": "normal",
        "reply": "",
    }
    return tuple(Rule(keyword=word, json=decision) for word in HANDOFF_WORDS)


def answer(generation: Generation, rules: Sequence[Rule]) -> list[Json]:
    """The parts of the model's content."""
    rule = _matching(rules, generation.customer_text)
    called = _call(generation, rule)
    if called:
        return [called]
    if generation.schema is not None:
        decision = _decision(generation, rule)
        return [{"text": msgspec.json.encode(fill(generation.schema, decision)).decode()}]
    if rule and rule.text:
        return [{"text": rule.text}]
    if rule and rule.json is not None:
        return [{"text": _person_comes(generation)}]
    return [{"text": echo(generation)}]


def echo(generation: Generation) -> str:
    """A polite text that repeats the customer's last message and, when one fits, the knowledge it is based on."""
    return _echo(generation, _best(generation))


def _echo(generation: Generation, known: Knowledge | None) -> str:
    said = _shorten(generation.customer_text)
    french = _is_french(generation.customer_text)
    if not said:
        return "Bonjour, comment puis-je vous aider ?" if french else "Hello, how can I help you?"
    if known:
        return f"À propos de « {said} » : {known.text}" if french else f'About "{said}": {known.text}'
    if french:
        return f"Merci pour votre message. Vous avez écrit : « {said} »"
    return f'Thank you for your message. You wrote: "{said}"'


def _matching(rules: Sequence[Rule], said: str) -> Rule | None:
    words = _words(said)
    lowered = said.lower()
    for rule in rules:
        keyword = rule.keyword.lower()
        if keyword in words or (" " in keyword and keyword in lowered):
            return rule
    return None


def _call(generation: Generation, rule: Rule | None) -> Json | None:
    declared = generation.declarations
    if not declared or generation.answers_a_call:
        return None
    wanted = [item for item in declared if rule and item.get("name") == rule.call]
    if not wanted and not generation.must_call:
        return None
    chosen = (wanted or declared)[0]
    schema = chosen.get("parametersJsonSchema") or chosen.get("parameters") or {"type": "object"}
    given = rule.args if wanted and rule else None
    args = given or fill(schema, {})
    return {"functionCall": {"name": chosen.get("name", ""), "args": args if isinstance(args, dict) else {}}}


def _decision(generation: Generation, rule: Rule | None) -> Json:
    known = _best(generation)
    said = _echo(generation, known)
    decision: Json = {
        "action": "reply",
        "reply": said,
        "confidence": 0.9,
        "handoff_reason": "none",
        "priority": "normal",
        "used_kb_ids": [known.id] if known else [],
        "text": said,
    }
    if rule and rule.text:
        decision |= {"reply": rule.text, "text": rule.text}
    if rule and rule.json is not None:
        decision |= rule.json
    return decision


def _best(generation: Generation) -> Knowledge | None:
    """The block that shares most long words with the question; ties go to the first."""
    if not generation.knowledge:
        return None
    asked = {word for word in _words(generation.customer_text) if len(word) >= LONG_WORD}
    best, most = None, 0
    for block in generation.knowledge:
        shared = len(asked & _words(block.text))
        if shared > most:
            best, most = block, shared
    return best


def _person_comes(generation: Generation) -> str:
    if _is_french(generation.customer_text):
        return "Un membre de l'équipe va vous répondre."
    return "A member of the team will answer you."


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _is_french(text: str) -> bool:
    return not _FRENCH.isdisjoint(_words(text))


def _shorten(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_ECHO else f"{flat[: MAX_ECHO - 1]}…"
