"""The assistant: what it knows, what it may say, when it steps back. The French sentences are wire constants."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from inbox.domain.content import Call, Content, Notice, Other
from inbox.domain.ids import AccountId, ConversationId

FALLBACK: Final = "Je me renseigne auprès d\u2019un collègue et je reviens vers vous au plus vite."
UNREADABLE: Final = "Je ne peux pas lire ce type de contenu, peux-tu me l'écrire ?"
NOTHING_KNOWN: Final = "Aucune information fournie."
HISTORY_MESSAGES: Final = 20
MAX_REPLY: Final = 1000
"""Characters. The prompt asks for fewer; the gate refuses more."""
_LONGEST_QUOTE: Final = 3_500
_MAX_NAME: Final = 100
TURN_AGE_SECONDS: Final = 120.0
MODEL_WAIT_SECONDS: Final = 30.0
"""So long may a message wait for a model that is not asked because it failed too often. Then a person goes on."""
"""A message that waited longer is answered by a person."""


class CustomField(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""
    label: str = ""
    value: str = ""


class SystemRules(msgspec.Struct, frozen=True, kw_only=True):
    language: str = ""
    tone: str = ""
    role: str = ""
    mission: str = ""
    style: str = ""
    priority: str = ""
    response_policy: str = ""
    security: str = ""


class Company(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    address: str = ""
    hours_block: str = ""
    zone: str = ""
    rendezvous: str = ""
    activity: str = ""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    category: str = ""
    content: str = ""


class Procedure(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    steps: str = ""


class Faq(msgspec.Struct, frozen=True, kw_only=True):
    question: str = ""
    answer: str = ""


class SpecialCase(msgspec.Struct, frozen=True, kw_only=True):
    case: str = ""
    response: str = ""


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    zone: str = ""
    payment: str = ""
    engagement: str = ""
    restrictions: str = ""
    documents: str = ""


class Links(msgspec.Struct, frozen=True, kw_only=True):
    site: str = ""
    products: str = ""
    form: str = ""
    other: str = ""


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    procedure: str = ""
    contact: str = ""
    hours: str = ""


class TemplateConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The playbook of an account. Stored rows may lack any section."""

    system_rules: SystemRules = SystemRules()
    company: Company = Company()
    offers: list[Offer] = []
    procedures: list[Procedure] = []
    faq: list[Faq] = []
    special_cases: list[SpecialCase] = []
    conditions: Conditions = Conditions()
    links: Links = Links()
    escalation: Escalation = Escalation()
    special_rules: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the business told the assistant."""

    account_id: AccountId
    business_name: str | None = None
    description: str | None = None
    address: str | None = None
    hours: str | None = None
    knowledge_base: str | None = None
    custom_fields: list[CustomField] = []
    template_config: TemplateConfig = TemplateConfig()


class Action(StrEnum):
    REPLY = "reply"
    HANDOFF = "handoff"
    REPLY_AND_HANDOFF = "reply_and_handoff"
    IGNORE = "ignore"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the model answers, as a JSON schema. It is a wish: code decides."""

    confidence: float
    action: Action
    handoff_reason: str
    reply: str


class GateClosed(StrEnum):
    """Why an answer of the model is not sent."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    LEAKS_PROMPT = "leaks_prompt"
    CONTROL_CHARACTERS = "control_characters"


_SILENT: Final = frozenset({"reaction", "system", "status"})


def wakes_bot(content: Content) -> bool:
    """True if a person would answer this: the bot looks at the conversation. Notices and calls wake nobody."""
    match content:
        case Notice() | Call():
            return False
        case Other(kind=kind):
            return kind not in _SILENT
        case _:
            return True


def asks_for_human(reply: str) -> bool:
    """True if the model answered with the fallback sentence: it wants a person (case ignored)."""
    return reply.strip().casefold() == FALLBACK.casefold()


def escalation(conversation_id: ConversationId, client_number: str, last_text: str | None) -> str:
    """The alert to the backup number; a long message of the customer is cut, so that the alert can be sent."""
    said = (last_text or "")[:_LONGEST_QUOTE]
    return f"[Escalade] Conversation {conversation_id} (client: {client_number})\nDernier message: {said}"


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def gate(reply: str, canary: str) -> GateClosed | None:
    """None if `reply` may go to a customer. `canary` is a word of the prompt that no answer has a reason to hold."""
    text = reply.strip()
    if not text:
        return GateClosed.EMPTY
    if len(text) > MAX_REPLY:
        return GateClosed.TOO_LONG
    if canary in text:
        return GateClosed.LEAKS_PROMPT
    if _CONTROL.search(text):
        return GateClosed.CONTROL_CHARACTERS
    return None


def knowledge(profile: Profile, contact_name: str | None) -> str:
    """The text `Contexte entreprise` of the prompt, in the order and with the headings of the contract."""
    playbook = _playbook(profile.template_config)
    lines = [
        *([playbook] if playbook else []),
        *_labelled(
            ("Nom: ", profile.business_name),
            ("Description: ", profile.description),
            ("Adresse: ", profile.address),
            ("Horaires: ", profile.hours),
            ("Informations additionnelles: ", profile.knowledge_base),
        ),
        *(f"{f.label}: {f.value}" for f in profile.custom_fields if f.label and f.value),
        *_labelled(("Prenom/nom du contact: ", _one_line(contact_name))),
    ]
    return "\n".join(lines) or NOTHING_KNOWN


def _one_line(name: str | None) -> str:
    """Customers choose their own name: a line of it may not pose as another line of the prompt."""
    printable = "".join(c if c.isprintable() else " " for c in name or "")
    return " ".join(printable.split())[:_MAX_NAME]


def _labelled(*pairs: tuple[str, str | None]) -> list[str]:
    return [f"{label}{value.strip()}" for label, value in pairs if value and value.strip()]


def _playbook(config: TemplateConfig) -> str:
    rules, company, conditions = config.system_rules, config.company, config.conditions
    links, escalation = config.links, config.escalation
    sections = [
        ("## SYSTEM RULES", _rules(rules)),
        ("## INFOS ENTREPRISE", _company(company)),
        ("## OFFRES / SERVICES", _offers(config.offers)),
        ("## CONDITIONS & PROCÉDURES", _conditions(conditions)),
        ("## PROCÉDURES SIMPLIFIÉES", _procedures(config.procedures)),
        ("## FAQ", [line for f in config.faq for line in _labelled(("Q: ", f.question), ("R: ", f.answer))]),
        ("## CAS SPÉCIAUX", _special_cases(config.special_cases)),
        (
            "## LIENS UTILES",
            _labelled(
                ("Site: ", links.site),
                ("Produits: ", links.products),
                ("Formulaire: ", links.form),
                ("Autre: ", links.other),
            ),
        ),
        (
            "## ESCALADE HUMAIN",
            _labelled(
                ("Procédure: ", escalation.procedure),
                ("Contact: ", escalation.contact),
                ("Horaires du contact: ", escalation.hours),
            ),
        ),
        ("## RÈGLES SPÉCIALES BOT", _labelled(("", config.special_rules))),
    ]
    return "\n\n".join("\n".join([heading, *lines]) for heading, lines in sections if lines)


def _rules(rules: SystemRules) -> list[str]:
    return _labelled(
        ("Rôle: ", rules.role),
        ("Mission: ", rules.mission),
        ("Langue par défaut: ", rules.language),
        ("Ton attendu: ", rules.tone),
        ("Style de réponse: ", rules.style),
        ("Priorité des sources: ", rules.priority),
        ("Politique de réponse: ", rules.response_policy),
        ("Règles de sécurité: ", rules.security),
    )


def _company(company: Company) -> list[str]:
    return _labelled(
        ("Nom entreprise: ", company.name),
        ("Adresse: ", company.address),
        ("Horaires détaillés: ", company.hours_block),
        ("Zone couverte: ", company.zone),
        ("Rendez-vous: ", company.rendezvous),
        ("Activité principale: ", company.activity),
    )


def _conditions(conditions: Conditions) -> list[str]:
    return _labelled(
        ("Zone: ", conditions.zone),
        ("Paiement / dépôt: ", conditions.payment),
        ("Engagement: ", conditions.engagement),
        ("Restrictions: ", conditions.restrictions),
        ("Documents requis:\n", conditions.documents),
    )


def _offers(offers: list[Offer]) -> list[str]:
    return [line for o in offers for line in _labelled(("### Catégorie: ", o.category), ("", o.content))]


def _procedures(procedures: list[Procedure]) -> list[str]:
    return [
        line
        for p in procedures
        if p.name or p.steps
        for line in _labelled(("### ", p.name or "Procédure"), ("", p.steps))
    ]


def _special_cases(cases: list[SpecialCase]) -> list[str]:
    return [line for c in cases if c.case or c.response for line in (f"Si {c.case}:", c.response) if line]
