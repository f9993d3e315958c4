"""The line of a notice: Meta's word for what happened, how grave it is, and a sentence in French.

A word that nobody knows yet is shown as it came.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from inbox.adapters.messaging.cloud_api.codec_reading import unix_time
from inbox.domain.inbound import Severity


class Line(msgspec.Struct, frozen=True, kw_only=True):
    event: str
    severity: Severity
    text: str


def words(value: Any, *path: str) -> str:  # noqa: ANN401 - any JSON
    """What stands at `path`, as text; empty if nothing does, or something that is no text and no number."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


_INFO, _WARNING, _CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
_TEMPLATE: Final = {
    "APPROVED": (_INFO, "approuvé"),
    "ARCHIVED": (_INFO, "archivé"),
    "UNARCHIVED": (_INFO, "sorti des archives"),
    "DELETED": (_WARNING, "supprimé"),
    "DISABLED": (_CRITICAL, "désactivé"),
    "FLAGGED": (_WARNING, "signalé, il risque d'être désactivé"),
    "IN_APPEAL": (_INFO, "en cours de recours"),
    "LIMIT_EXCEEDED": (_WARNING, "limite dépassée"),
    "LOCKED": (_WARNING, "verrouillé, il ne peut pas être modifié"),
    "PAUSED": (_WARNING, "mis en pause"),
    "PENDING": (_INFO, "en cours d'examen"),
    "PENDING_DELETION": (_WARNING, "sera supprimé"),
    "REINSTATED": (_INFO, "rétabli"),
    "REJECTED": (_CRITICAL, "refusé"),
}
_SCORES: Final = {
    "GREEN": (_INFO, "élevée"),
    "YELLOW": (_WARNING, "moyenne"),
    "RED": (_WARNING, "faible"),
    "UNKNOWN": (_INFO, "inconnue"),
}
_NUMBER: Final = {
    "ONBOARDING": (_INFO, "numéro raccordé"),
    "THROUGHPUT_UPGRADE": (_INFO, "débit augmenté"),
    "FLAGGED": (_WARNING, "qualité faible, le numéro est signalé"),
    "UNFLAGGED": (_INFO, "qualité rétablie, le numéro n'est plus signalé"),
    "UPGRADE": (_INFO, "limite d'envoi relevée"),
    "DOWNGRADE": (_WARNING, "limite d'envoi abaissée"),
}
_ACCOUNT: Final = {
    "ACCOUNT_DELETED": (_CRITICAL, "compte supprimé"),
    "ACCOUNT_OFFBOARDED": (_CRITICAL, "compte détaché de la plateforme"),
    "ACCOUNT_RECONNECTED": (_INFO, "compte de nouveau raccordé"),
    "ACCOUNT_RESTRICTION": (_CRITICAL, "compte restreint"),
    "ACCOUNT_VIOLATION": (_CRITICAL, "infraction aux règles de WhatsApp"),
    "AD_ACCOUNT_LINKED": (_INFO, "compte publicitaire associé"),
    "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE": (_INFO, "tarif international d'authentification modifié"),
    "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE": (_INFO, "pays de l'entreprise modifié"),
    "MM_LITE_TERMS_SIGNED": (_INFO, "conditions des messages marketing acceptées"),
    "PARTNER_ADDED": (_INFO, "partenaire ajouté"),
    "PARTNER_APP_INSTALLED": (_INFO, "application partenaire installée"),
    "PARTNER_APP_UNINSTALLED": (_WARNING, "application partenaire désinstallée"),
    "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE": (_INFO, "certification du partenaire modifiée"),
    "PARTNER_REMOVED": (_WARNING, "partenaire retiré"),
    "VERIFIED_ACCOUNT": (_INFO, "compte vérifié"),
    "VOLUME_BASED_PRICING_TIER_UPDATE": (_INFO, "palier de prix modifié"),
}
_BANS: Final = {
    "SCHEDULE_FOR_DISABLE": (_CRITICAL, "désactivation du compte prévue"),
    "DISABLE": (_CRITICAL, "compte désactivé"),
    "REINSTATE": (_INFO, "compte rétabli"),
}
_RESTRICTIONS: Final = {
    "RESTRICTED_BIZ_INITIATED_MESSAGING": "plus d'envoi à l'initiative de l'entreprise",
    "RESTRICTED_CUSTOMER_INITIATED_MESSAGING": "plus de réponse aux clients",
    "RESTRICTED_ADD_PHONE_NUMBER_ACTION": "plus d'ajout de numéro",
    "RESTRICTED_BIZ_INITIATED_AND_USER_INITIATED_CALLING": "plus d'appels",
}
_DECISIONS: Final = {
    "APPROVED": (_INFO, "accepté"),
    "REJECTED": (_CRITICAL, "refusé"),
    "PENDING": (_INFO, "en cours d'examen"),
    "DEFERRED": (_WARNING, "différé"),
}
_SECURITY: Final = {
    "PIN_CHANGED": (_WARNING, "code PIN modifié"),
    "PIN_RESET_REQUEST": (_CRITICAL, "remise à zéro du code PIN demandée"),
    "PIN_REQUEST_SUCCESS": (_WARNING, "code PIN remis à zéro"),
}
_ALERTS: Final = {"CRITICAL": _CRITICAL, "WARNING": _WARNING}
_GROUPS: Final = {
    "group_create": (_INFO, "groupe créé"),
    "group_delete": (_INFO, "groupe supprimé"),
    "group_participants_add": (_INFO, "participants ajoutés au groupe"),
    "group_participants_remove": (_INFO, "participants retirés du groupe"),
    "group_settings_update": (_INFO, "réglages du groupe modifiés"),
    "group_suspend": (_CRITICAL, "groupe suspendu"),
    "group_suspend_cleared": (_INFO, "suspension du groupe levée"),
}
_EVENTS: Final = {"LeadSubmitted": "contact intéressé", "Purchase": "achat"}
_USERNAME: Final = {
    "approved": (_INFO, "accordé"),
    "reserved": (_INFO, "réservé"),
    "deleted": (_WARNING, "supprimé"),
}


def _known(known: Mapping[str, tuple[Severity, str]], event: str) -> tuple[Severity, str]:
    return known.get(event) or (_INFO, event or "mise à jour")


def _about(value: dict[str, Any]) -> str:
    """The number that a line is about, if it names one."""
    number = words(value, "display_phone_number") or words(value, "phone_number")
    return f"Numéro {number}" if number else "Compte WhatsApp"


def _template(value: dict[str, Any]) -> str:
    return f"Modèle « {words(value, 'message_template_name')} » ({words(value, 'message_template_language')})"


def _aside(*parts: str) -> str:
    said = " ; ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def _limit(value: dict[str, Any]) -> str:
    limit = words(value, "max_daily_conversations_per_business") or words(value, "current_limit")
    return {"-1": "illimité", "TIER_UNLIMITED": "illimité"}.get(limit, limit.removeprefix("TIER_"))


def _template_status(value: dict[str, Any]) -> Line:
    event, reason = words(value, "event"), words(value, "reason")
    severity, said = _known(_TEMPLATE, event)
    why = words(value, "rejection_info", "reason") or words(value, "other_info", "description")
    text = f"{_template(value)} : {said}{_aside(reason if reason != 'NONE' else '', why)}"
    return Line(event=event, severity=severity, text=text)


def quality(value: dict[str, Any]) -> Line:
    """The quality of a template, in whichever field it comes."""
    new, old = words(value, "new_quality_score"), words(value, "previous_quality_score")
    severity, said = _known(_SCORES, new)
    before = f"auparavant {_known(_SCORES, old)[1]}" if old else ""
    return Line(event=new, severity=severity, text=f"{_template(value)} : qualité {said}{_aside(before)}")


def _template_components(value: dict[str, Any]) -> Line:
    return Line(event="COMPONENTS_UPDATED", severity=_INFO, text=f"{_template(value)} : contenu modifié")


def _template_category(value: dict[str, Any]) -> Line:
    coming, new = words(value, "correct_category"), words(value, "new_category")
    if coming:
        at = unix_time(words(value, "category_update_timestamp") or None)
        text = f"passera de la catégorie {new} à {coming}" + (f" le {at:%d/%m/%Y}" if at else "")
        return Line(event="CATEGORY_ANNOUNCED", severity=_WARNING, text=f"{_template(value)} : {text}")
    text = f"est passé de la catégorie {words(value, 'previous_category')} à {new}"
    return Line(event="CATEGORY_CHANGED", severity=_WARNING, text=f"{_template(value)} : {text}")


def _number_quality(value: dict[str, Any]) -> Line:
    event, limit = words(value, "event"), _limit(value)
    severity, said = _known(_NUMBER, event)
    aside = _aside(f"limite par jour : {limit}" if limit else "")
    return Line(event=event, severity=severity, text=f"{_about(value)} : {said}{aside}")


def _number_name(value: dict[str, Any]) -> Line:
    event = words(value, "decision")
    severity, said = _known(_DECISIONS, event)
    severity = _WARNING if severity is _CRITICAL else severity
    name = words(value, "requested_verified_name")
    text = f"{_about(value)} : nom « {name} » {said}{_aside(words(value, 'rejection_reason'))}"
    return Line(event=event, severity=severity, text=text)


def _account(value: dict[str, Any]) -> Line:
    event = words(value, "event")
    if event == "DISABLED_UPDATE":
        return _ban(value)
    severity, said = _known(_ACCOUNT, event)
    restrictions = value.get("restriction_info")
    aside = _aside(
        words(value, "violation_info", "violation_type"),
        *map(_restriction, restrictions if isinstance(restrictions, list) else []),
        words(value, "country"),
        words(value, "volume_tier_info", "tier"),
    )
    return Line(event=event, severity=severity, text=f"{_about(value)} : {said}{aside}")


def _restriction(item: object) -> str:
    kind, until = words(item, "restriction_type"), unix_time(words(item, "expiration") or None)
    return _RESTRICTIONS.get(kind, kind) + (f" jusqu'au {until:%d/%m/%Y}" if until else "")


def _ban(value: dict[str, Any]) -> Line:
    info = value.get("ban_info")
    state = info.get("waba_ban_state") if isinstance(info, dict) else None
    name = str(state[0]) if isinstance(state, list) and state else words(info, "waba_ban_state")
    severity, said = _BANS.get(name) or (_CRITICAL, f"état du compte : {name or 'inconnu'}")
    day = _aside(words(info, "waba_ban_date"))
    return Line(event="DISABLED_UPDATE", severity=severity, text=f"{_about(value)} : {said}{day}")


def _account_review(value: dict[str, Any]) -> Line:
    event = words(value, "decision")
    severity, said = _known(_DECISIONS, event)
    return Line(event=event, severity=severity, text=f"Examen du compte WhatsApp : {said}")


def _alert(value: dict[str, Any]) -> Line:
    info = value.get("alert_info") if isinstance(value.get("alert_info"), dict) else value
    event = words(info, "alert_type")
    text = f"Alerte de WhatsApp : {words(info, 'alert_description') or event}{_aside(event)}"
    return Line(event=event, severity=_ALERTS.get(words(info, "alert_severity"), _INFO), text=text)


def _capability(value: dict[str, Any]) -> Line:
    numbers = words(value, "max_phone_numbers_per_waba") or words(value, "max_phone_numbers_per_business")
    parts = [
        f"{_limit(value)} conversations par jour" if _limit(value) else "",
        f"{numbers} numéros" if numbers else "",
    ]
    said = ", ".join(part for part in parts if part) or "limites modifiées"
    return Line(event="CAPABILITY_UPDATED", severity=_INFO, text=f"Limites de l'entreprise : {said}")


def _security(value: dict[str, Any]) -> Line:
    event = words(value, "event")
    severity, said = _known(_SECURITY, event)
    return Line(event=event, severity=severity, text=f"{_about(value)} : {said}")


def _flow(value: dict[str, Any]) -> Line:
    status = words(value, "new_status")
    severity = {"BLOCKED": _CRITICAL, "THROTTLED": _WARNING}.get(status, _INFO)
    if words(value, "alert_state") == "ACTIVATED":
        severity = _WARNING
    event = words(value, "event")
    text = f"Formulaire {words(value, 'flow_id')} : {words(value, 'message') or status or event}"
    return Line(event=event, severity=severity, text=text)


def _username(value: dict[str, Any]) -> Line:
    event = words(value, "status")
    severity, said = _known(_USERNAME, event)
    text = f"{_about(value)} : nom d'utilisateur « {words(value, 'username')} » {said}"
    return Line(event=event, severity=severity, text=text)


def _group(item: dict[str, Any]) -> Line:
    event, errors = words(item, "type"), item.get("errors")
    severity, said = _known(_GROUPS, event)
    if isinstance(errors, list) and errors:
        why = words(errors[0], "title") or words(errors[0], "message")
        return Line(event=event, severity=_WARNING, text=f"Groupe WhatsApp : échec de « {said} »{_aside(why)}")
    about = words(item, "subject") or words(item, "group_subject", "text")
    return Line(event=event, severity=severity, text=f"Groupe WhatsApp : {said}{_aside(about)}")


def _automatic(item: dict[str, Any]) -> Line:
    event = words(item, "event_name")
    amount = f"{words(item, 'custom_data', 'value')} {words(item, 'custom_data', 'currency')}".strip()
    text = f"Publicité : {_EVENTS.get(event, event)} reconnu dans une discussion{_aside(amount)}"
    return Line(event=event, severity=_INFO, text=text)


def _solution(value: dict[str, Any]) -> Line:
    event = words(value, "event")
    text = f"Solution partenaire {words(value, 'solution_id')} : {event}{_aside(words(value, 'solution_status'))}"
    return Line(event=event, severity=_INFO, text=text)


def _payment(value: dict[str, Any]) -> Line:
    event = words(value, "status")
    text = f"Paiements « {words(value, 'configuration_name')} » : {event}"
    return Line(event=event, severity=_INFO if event.casefold() == "active" else _WARNING, text=text)


def anything(value: dict[str, Any]) -> Line:
    """Of a field that nobody knows yet."""
    event = words(value, "event") or words(value, "decision") or words(value, "status") or words(value, "type")
    said = f" : {words(value, 'message') or event}" if event else ""
    return Line(event=event, severity=_INFO, text=f"Information de WhatsApp d'un type inconnu{said}")


FIELDS: Final[Mapping[str, Callable[[dict[str, Any]], Line]]] = {
    "message_template_status_update": _template_status,
    "message_template_quality_update": quality,
    "message_template_components_update": _template_components,
    "template_category_update": _template_category,
    "phone_number_quality_update": _number_quality,
    "phone_number_name_update": _number_name,
    "account_update": _account,
    "account_review_update": _account_review,
    "account_alerts": _alert,
    "business_capability_update": _capability,
    "business_username_update": _username,
    "security": _security,
    "flows": _flow,
    "partner_solutions": _solution,
    "payment_configuration_update": _payment,
    "group_lifecycle_update": _group,
    "group_participants_update": _group,
    "group_settings_update": _group,
    "group_status_update": _group,
    "automatic_events": _automatic,
}
LISTS: Final = {
    "group_lifecycle_update": "groups",
    "group_participants_update": "groups",
    "group_settings_update": "groups",
    "group_status_update": "groups",
    "automatic_events": "automatic_events",
}
"""Fields whose value holds a list: each item is a notice of its own."""
