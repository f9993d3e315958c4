"""What a business tells the assistant about itself, and how it wants it to behave."""

from typing import Final

import msgspec

from inbox.domain.bot_schedule import Schedule
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId

MAX_LINK_DOMAINS: Final = 50


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What may be used in one day, UTC; `cost` in units of the currency of the prices. None: as the settings say."""

    turns: int | None = None
    tokens: int | None = None
    cost: float | None = None


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How the assistant of an account behaves. None is what the settings say.

    Below `min_confidence` a person answers. `reads_images` and `reads_voice` count where the model reads such files.
    `link_domains` are sites of the business: the assistant may name all pages of them, of others only those that the
    business told itself. `contact_budget` is for one customer, `account_budget` for all of them together. `auto_on`
    lets the assistant answer where customers begin.
    """

    language: Language = Language.FRENCH
    model: str | None = None
    temperature: float | None = None
    min_confidence: float | None = None
    reads_images: bool = True
    reads_voice: bool = True
    link_domains: tuple[str, ...] = ()
    schedule: Schedule = Schedule(time_zone="Europe/Paris")
    contact_budget: Budget = Budget()
    account_budget: Budget = Budget()
    auto_on: bool = False


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
    behaviour: Behaviour = Behaviour()
