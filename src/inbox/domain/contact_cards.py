"""A contact card as it is sent: `details` in Meta's shape, or made of the name and the numbers."""

from typing import Final

import msgspec

from inbox.domain.content import Card


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    pass


class CardName(_Part, frozen=True, kw_only=True):
    """`formatted_name` is shown; WhatsApp wants one more part beside it."""

    formatted_name: str
    first_name: str | None = None
    last_name: str | None = None
    middle_name: str | None = None
    suffix: str | None = None
    prefix: str | None = None


class CardPhone(_Part, frozen=True, kw_only=True):
    """`wa_id` makes the card offer a chat."""

    phone: str | None = None
    type: str | None = None
    wa_id: str | None = None


class CardEmail(_Part, frozen=True, kw_only=True):
    email: str | None = None
    type: str | None = None


class CardUrl(_Part, frozen=True, kw_only=True):
    url: str | None = None
    type: str | None = None


class CardOrg(_Part, frozen=True, kw_only=True):
    company: str | None = None
    department: str | None = None
    title: str | None = None


class CardAddress(_Part, frozen=True, kw_only=True):
    """`country_code` is ISO 3166-1 alpha-2."""

    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None
    type: str | None = None


class CardDetails(_Part, frozen=True, kw_only=True):
    """The whole card."""

    name: CardName
    phones: tuple[CardPhone, ...] = ()
    emails: tuple[CardEmail, ...] = ()
    org: CardOrg | None = None
    urls: tuple[CardUrl, ...] = ()
    addresses: tuple[CardAddress, ...] = ()
    birthday: str | None = None


_DETAILS: Final = msgspec.json.Decoder(CardDetails)


def is_detailed(card: Card) -> bool:
    """False if name and numbers are all that is known of it."""
    return bytes(card.details).strip() not in (b"{}", b"null")


def details_of(card: Card) -> CardDetails:
    """What is sent of the card. Raises `msgspec.DecodeError` if its `details` are nothing that WhatsApp knows."""
    if is_detailed(card):
        return _DETAILS.decode(card.details)
    name = card.name or ""
    phones = tuple(CardPhone(phone=one.phone, type=one.type, wa_id=one.wa_id) for one in card.phones)
    return CardDetails(name=CardName(formatted_name=name, first_name=name), phones=phones)
