"""What Meta says about a WABA, a number, a template or a group: a notice for people, with the value as it came."""

from typing import Any, Final

import msgspec

from inbox.adapters.messaging.cloud_api.codec_reading import (
    UNREADABLE,
    Events,
    Origin,
    Place,
    digits,
    holds_nul,
    kept,
    time_of,
    unreadable,
    word,
)
from inbox.adapters.messaging.cloud_api.codec_templates import news as template_news
from inbox.adapters.messaging.cloud_api.codec_words import FIELDS, LISTS, Line, anything, quality, words
from inbox.adapters.messaging.cloud_api.wire import Error
from inbox.domain.inbound import AccountNotice, Severity, Unknown

_VALUE: Final = msgspec.json.Decoder(dict[str, Any])
_ERROR: Final = msgspec.json.Decoder(Error)
_LONGEST: Final = 500
"""Characters of a notice's line."""
_NOT_OF_A_WABA: Final = frozenset({"partner_solutions"})
"""Fields whose entry names the business portfolio."""
_HISTORY_DECLINED: Final = 2593109
_STOPPED: Final = frozenset({190, 368, 130497, 131031, 131042, 131045, 133010})
"""Errors after which nothing is sent any more: token, policy, lock, payment, registration."""


def notices(raw: msgspec.Raw, place: Place) -> Events:
    """One for a value, or one for each item of its list. What is no object, or of no field, stays unknown."""
    if not place.field:
        return (Unknown(reason="field:", raw=bytes(raw)),)
    if place.may_hold_nul and holds_nul(raw):
        return (Unknown(reason="nul_character", raw=bytes(raw)),)
    try:
        value = _VALUE.decode(raw)
        items = value.get(LISTS.get(place.field, ""))
        if isinstance(items, list) and items:
            return [_item(item, value, place) for item in items]
        return (_notice(value, value, kept(raw), place),)
    except UNREADABLE:
        return (Unknown(reason=f"field:{place.field}", raw=bytes(raw)),)


def _item(item: object, value: dict[str, Any], place: Place) -> AccountNotice | Unknown:
    raw = msgspec.json.encode(item)
    if not isinstance(item, dict):
        return Unknown(reason=f"field:{place.field}", raw=raw)
    return _notice(item, value, msgspec.Raw(raw), place)


def _notice(item: dict[str, Any], value: dict[str, Any], raw: msgspec.Raw, place: Place) -> AccountNotice:
    """About `item`, which is `value` or a part of it."""
    line = _line(item, place.field)
    stamp = item.get("timestamp")
    at = time_of(stamp, place.at) if isinstance(stamp, str | int | float) else place.at
    return AccountNotice(
        field=place.field,
        event=word(line.event) or "UNKNOWN",
        text=_one_line(line.text),
        severity=line.severity,
        at=at,
        raw=raw,
        waba_id=_waba_id(item, place),
        phone_number_id=words(value, "metadata", "phone_number_id") or _of_alert(item) or None,
        display_phone_number=_display_number(item, value),
        template=template_news(place.field, item, at),
    )


def _line(item: dict[str, Any], field: str) -> Line:
    if "new_quality_score" in item:
        return quality(item)  # Meta's own page shows it in the field of the template's status
    return FIELDS.get(field, anything)(item)


def _waba_id(item: dict[str, Any], place: Place) -> str | None:
    if place.field in _NOT_OF_A_WABA:
        return None
    return words(item, "waba_info", "waba_id") or place.waba_id


def _of_alert(item: dict[str, Any]) -> str:
    return words(item, "entity_id") if words(item, "entity_type") == "PHONE_NUMBER" else ""


def _display_number(item: dict[str, Any], value: dict[str, Any]) -> str | None:
    named = words(item, "display_phone_number") or words(item, "phone_number")
    return digits(named or words(value, "metadata", "display_phone_number"))


def trouble(raw: msgspec.Raw, origin: Origin) -> Events:
    """An error that belongs to no message: a problem of the number, the account or the app."""
    error = origin.read(raw, _ERROR)
    if isinstance(error, Unknown):
        return (error,)
    title = error.title or error.message or "erreur sans titre"
    details = error.more if error.more not in (None, title) else None
    line = Line(
        event=f"ERROR_{error.code}" if error.code is not None else "ERROR",
        severity=_severity(error.code, origin.place.field),
        text=f"Erreur de WhatsApp {error.code or ''} : {title}" + (f" ({details})" if details else ""),
    )
    if error.code == _HISTORY_DECLINED:
        text = "Le propriétaire du numéro ne partage pas l'historique de l'application WhatsApp Business"
        line = Line(event="DECLINED", severity=Severity.INFO, text=text)
    return _of_number(raw, line, origin)


def _severity(code: int | None, field: str) -> Severity:
    if code in _STOPPED:
        return Severity.CRITICAL
    return Severity.INFO if field == "calls" else Severity.WARNING  # that a call failed is seen in its conversation


def progress(raw: msgspec.Raw, origin: Origin) -> Events:
    """A piece of the history without any message: it says how far the transfer is."""
    value = origin.read(raw, _VALUE)
    if isinstance(value, Unknown):
        return (value,)
    done = words(value, "metadata", "progress")
    text = "Transfert de l'historique" + (f" : {done} %" if done else "")
    return _of_number(raw, Line(event="PROGRESS", severity=Severity.INFO, text=text), origin)


def _of_number(raw: msgspec.Raw, line: Line, origin: Origin) -> Events:
    try:
        whole = kept(raw)
    except UNREADABLE as error:
        return (unreadable(raw, error, origin.number),)
    return (
        AccountNotice(
            field=origin.place.field,
            event=line.event,
            text=_one_line(line.text),
            severity=line.severity,
            at=origin.place.at,
            raw=whole,
            waba_id=origin.place.waba_id,
            phone_number_id=origin.number,
            display_phone_number=origin.display_number,
        ),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
