"""What WhatsApp takes of contact cards."""

import re
from typing import Final

import msgspec

from inbox.domain import limits_checks as check
from inbox.domain.contact_cards import CardDetails, CardName, CardPhone, details_of, is_detailed
from inbox.domain.content import Card
from inbox.domain.limits_checks import MAX_OTHER, Problems

MAX_ENTRIES: Final = 100
"""Numbers, addresses and so on of one card. A bound of ours."""
_WHERE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?", re.DOTALL)
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")


def problems(path: str, card: Card) -> Problems:
    """What WhatsApp would refuse. Paths are those of the card: `name` and `phones`, or `details`."""
    try:
        details = details_of(card)
    except msgspec.DecodeError as error:
        match = _WHERE.fullmatch(str(error))
        yield f"{path}.details{(match and match['where']) or ''}", (match and match["what"]) or str(error)
        return
    if is_detailed(card):
        path = f"{path}.details"
        yield from _name(f"{path}.name", details.name)
    else:
        yield from check.text(f"{path}.name", details.name.formatted_name, MAX_OTHER)
    yield from _details(path, details)


def _details(path: str, card: CardDetails) -> Problems:
    for entries in ("phones", "emails", "urls", "addresses"):
        yield from check.count(f"{path}.{entries}", getattr(card, entries), 0, MAX_ENTRIES, "entries")
    for place, phone in enumerate(card.phones[:MAX_ENTRIES]):
        yield from _phone(f"{path}.phones[{place}]", phone)
    for place, email in enumerate(card.emails[:MAX_ENTRIES]):
        if email.email is not None:
            yield from check.email(f"{path}.emails[{place}].email", email.email)
        yield from check.optional_text(f"{path}.emails[{place}].type", email.type, MAX_OTHER)
    for place, url in enumerate(card.urls[:MAX_ENTRIES]):
        if url.url is not None:
            yield from check.url(f"{path}.urls[{place}].url", url.url)
        yield from check.optional_text(f"{path}.urls[{place}].type", url.type, MAX_OTHER)
    yield from _place(path, card)


def _name(path: str, name: CardName) -> Problems:
    yield from check.text(f"{path}.formatted_name", name.formatted_name, MAX_OTHER)
    parts = ("first_name", "last_name", "middle_name", "suffix", "prefix")
    if not any((getattr(name, part) or "").strip() for part in parts):
        yield f"{path}.first_name", f"at least one of {', '.join(parts)}"
    for part in parts:
        if getattr(name, part):
            yield from check.text(f"{path}.{part}", getattr(name, part), MAX_OTHER)


def _phone(path: str, phone: CardPhone) -> Problems:
    if phone.phone is None and phone.wa_id is None:
        yield f"{path}.phone", "a phone number"
    if phone.phone is not None:
        yield from check.phone(f"{path}.phone", phone.phone)
    if phone.wa_id is not None:
        yield from check.wa_id(f"{path}.wa_id", phone.wa_id)
    yield from check.optional_text(f"{path}.type", phone.type, MAX_OTHER)


def _place(path: str, card: CardDetails) -> Problems:
    if card.org is not None:
        for part in card.org.__struct_fields__:
            yield from check.optional_text(f"{path}.org.{part}", getattr(card.org, part), MAX_OTHER)
    for place, address in enumerate(card.addresses[:MAX_ENTRIES]):
        for part in address.__struct_fields__:
            yield from check.optional_text(f"{path}.addresses[{place}].{part}", getattr(address, part), MAX_OTHER)
        if address.country_code is not None and not _COUNTRY.fullmatch(address.country_code):
            yield f"{path}.addresses[{place}].country_code", "two letters, like FR"
    if card.birthday is not None:
        yield from check.day(f"{path}.birthday", card.birthday)
