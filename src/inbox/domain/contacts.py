"""Who writes to the business, and how people write their numbers."""

import re
from enum import StrEnum
from typing import Final, NewType

import msgspec

from inbox.domain.errors import Invalid

CountryCode = NewType("CountryCode", str)
"""The country of national numbers, as digits: 33 for France."""

_BSUID: Final = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,128}")
_SPACES: Final = " \t\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000"
_DOTS_AND_DASHES: Final = ".\uff0e-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
_PARENTHESES: Final = "()\uff08\uff09"
_INVISIBLE: Final = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Marks of direction that address books put around numbers; nobody sees that they paste them."""
_SPELLING: Final = {
    **dict.fromkeys(map(ord, _SPACES + _DOTS_AND_DASHES + _PARENTHESES + _INVISIBLE), None),
    **{0xFF10 + digit: str(digit) for digit in range(10)},
    0xFF0B: "+",
}
_TRUNK: Final = re.compile(r"(?<=\d)\s*[(\uff08][0\uff10][)\uff09]")
"""The zero of "+33 (0)6": it is dialled inside the country only."""
_WRITTEN: Final = re.compile(r"(?P<international>\+|00)?(?P<national>0)?(?P<digits>[1-9][0-9]*)")
_WA_ID: Final = re.compile(r"[1-9][0-9]{7,14}")
"""A number of the international plan (E.164) without `+`."""


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a customer is reached: phone digits (`wa_id`), a business-scoped user id (BSUID), or both.

    Meta leaves the phone out for users who hide it (webhooks since March 2026). `parent_bsuid` and `username`, without
    its `@`, come along; nobody is reached by them.
    """

    wa_id: str | None = None
    bsuid: str | None = None
    parent_bsuid: str | None = None
    username: str | None = None

    @property
    def key(self) -> str:
        """What names the customer in the contract's columns: the digits as WhatsApp sends them, else the BSUID."""
        return self.wa_id or self.bsuid or ""

    @classmethod
    def of(cls, key: str) -> "Address":
        """Back from `key`. A BSUID starts with a country code and a dot, digits never do."""
        return cls(bsuid=key) if _BSUID.fullmatch(key) else cls(wa_id=key)


class IdentityKind(StrEnum):
    """What a contact is known by. A BSUID and a username count inside one business portfolio, a phone everywhere."""

    PHONE = "phone"
    """The value is `phone_key`, so that two spellings of one number are one identity."""
    FORMER_PHONE = "former_phone"
    """A number that the contact gave up: it is theirs for messages up to `valid_until` only."""
    BSUID = "bsuid"
    PARENT_BSUID = "parent_bsuid"
    USERNAME = "username"


_FOLDED: Final = (
    # Brazil: mobile numbers got a ninth digit; WhatsApp ids of older accounts lack it.
    (re.compile(r"55([1-9][0-9])9([6-9][0-9]{7})"), r"55\1\2"),
    # Mexico: the 1 of mobile numbers was given up in 2019.
    (re.compile(r"521([0-9]{10})"), r"52\1"),
    # Argentina: the 9 of mobile numbers in the international form.
    (re.compile(r"549([0-9]{10})"), r"54\1"),
)

_FOLDED_COUNTRIES: Final = ("55", "52", "54")


def phone_key(digits: str) -> str:
    """One key for all forms in which WhatsApp and people write one number: for comparing, never for sending."""
    if not digits.startswith(_FOLDED_COUNTRIES):
        return digits
    for form, folded in _FOLDED:
        if match := form.fullmatch(digits):
            return match.expand(folded)
    return digits


class ContactChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to write anew; UNSET leaves a value as it is. `display_name` None takes a name away."""

    number: str | msgspec.UnsetType = msgspec.UNSET
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET


def whatsapp_number(written: str, country: CountryCode, *, path: str) -> str:
    """The digits that WhatsApp calls a number by, from what a person wrote.

    With `+` or `00` in front it is international, with one 0 it is national and gets the code of `country`, without
    either it is international already. Raises `Invalid`, with `path` as the name of the value.
    """
    match = _WRITTEN.fullmatch(_TRUNK.sub("", written).translate(_SPELLING))
    if match is not None and not (match["international"] and match["national"]):
        digits = (country if match["national"] else "") + match["digits"]
        if _WA_ID.fullmatch(digits):
            return digits
    raise Invalid(path, "a phone number of 8 to 15 digits with its country code, or a national one that begins with 0")


def digits_of(search: str) -> str | None:
    """The digits of a search that can only mean a number, whatever separates them; None for any other."""
    digits = search.translate(_SPELLING).removeprefix("+")
    return digits if digits.isascii() and digits.isdigit() else None


def name_of(written: str | None) -> str | None:
    """A name without blanks around it; an empty one is none."""
    return (written or "").strip() or None
