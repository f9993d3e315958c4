"""What the assistant is told of a business, as a text: the headings are those of the contract."""

from typing import Final

from inbox.domain.bot_profile import (
    Company,
    Conditions,
    Offer,
    Procedure,
    Profile,
    SpecialCase,
    SystemRules,
    TemplateConfig,
)

NOTHING_KNOWN: Final = "Aucune information fournie."
_MAX_NAME: Final = 100


def knowledge(profile: Profile, contact_name: str | None, nothing_known: str = NOTHING_KNOWN) -> str:
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
        *_labelled(("Prenom/nom du contact: ", one_line(contact_name))),
    ]
    return "\n".join(lines) or nothing_known


def one_line(text: str | None, most: int = _MAX_NAME) -> str:
    """Customers choose their names and those of files: a line of them may not pose as another line of the prompt."""
    printable = "".join(c if c.isprintable() else " " for c in text or "")
    return " ".join(printable.split())[:most]


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
