"""Numbers of an answer that a customer could call or pay to: the assistant has none of its own.

Figures that stand side by side are read as one: all of them are hours and days, or a list that counts, or they may be
a number.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

_LEAST: Final = 9
"""Digits, from which a figure can be a number of a phone; with + in front of it, a shorter one is plain enough."""
_LEAST_WITH_PLUS: Final = 8
_LONGEST: Final = 40
"""Digits: longer ones are not taken apart into numbers that stand side by side."""

_SIGNS: Final = r"(?:[^\w\n/:,;!?%&€$£+=<>'\"°]|_){0,4}"
"""What may stand between the digits of one number: no letter, no end of a line, and nothing that divides figures."""
_RUN: Final = re.compile(
    rf"(?<!\d)(?:\+{_SIGNS}(?=\d)|(?=0))(?:{_SIGNS}(?:[/:]|,(?=\d))?{_SIGNS}\d)+"  # which is a phone's in any case
    rf"|(?<!\d)\d(?:{_SIGNS}\d)+"
)
_COUNTRY: Final = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3}")
"""The code of a country in front of a number (E.164)."""

_THOUSANDS: Final = r"[1-9]\d{0,2}(?:[ .,'\u2019]\d{3})+(?:[.,]\d{1,2})?"
_PRICE: Final = rf"(?:{_THOUSANDS}|\d{{1,4}}[.,]\d\d)"
_CURRENCY: Final = r"(?:[€$£]|(?:EUR|USD|GBP|CHF|CAD|MAD|TND|DZD|XOF|XAF|F[ ]?CFA|euros?|dollars?|francs?|dirhams?)\b)"
_HARMLESS: Final = re.compile(
    rf"""
      (?<!\d)(?<!\d[ .,'\u2019]){_PRICE}(?:[ ]?[-\u2013/][ ]?{_PRICE})*[ ]?{_CURRENCY}
    | {_CURRENCY}[ ]?{_THOUSANDS}(?![ .,'\u2019]?\d)
    | (?<!\d)\d{{1,4}}(?:[ ]?[*x][ ]?\d{{1,4}}){{1,2}}[ ]?[cm]?m\b
    """,
    re.VERBOSE,
)
"""Prices and sizes: what says so stands beside the figures."""

_FIGURES: Final = re.compile(rf"(?<!\d)(?:\+{_SIGNS})?\d(?:{_SIGNS}(?:[/:]|,(?=\d))?{_SIGNS}\d)+")
"""All that stand side by side. What they are is told of them as a whole: a part of a number looks like many things."""
_SIGN: Final = r"[-\u2010-\u2015\u2022\u00b7\u2192|,]"
_BETWEEN: Final = rf"(?:[ ]?{_SIGN}[ ]?|[ ]/[ ]|[ ])"
_CUT: Final = re.compile(rf"\.[ ]|[ ](?:{_SIGN}|/)[ ]")
"""What divides lists, or sentences, if there is a whole one on one side of it."""

_HOUR: Final = r"(?:[01]?\d|2[0-4])[.:][0-5]\d"
_CLOCK: Final = r"(?:[01]?\d|2[0-4]):[0-5]\d"
_YEAR: Final = r"(?:19|20)\d\d"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_UNTIL: Final = r"\.?[ ]?[-\u2010-\u2015][ ]?"
_MOMENT: Final = rf"""(?>(?:
      (?:{_DAY}(?:[./]{_DAY})?{_UNTIL})?                                  # the first day of several
      (?:{_DAY}(?:/{_DAY}/|\.{_DAY}\.|-{_DAY}-){_YEAR}|{_YEAR}-[01]\d-[0-3]\d)
      (?:{_BETWEEN}{_HOUR}(?::[0-5]\d)?)?
    | {_DAY}(?:/{_DAY}/|\.{_DAY}\.)[1-3]\d
    | {_DAY}-{_DAY}-[1-3]\d[ ]{_CLOCK}
    | {_DAY}/{_DAY}
    | {_HOUR}(?:/{_HOUR})?
)(?![.:/]?\d))"""
_MOMENTS: Final = re.compile(rf"{_MOMENT}(?:{_BETWEEN}{_MOMENT})*+", re.VERBOSE)
_DAYS_OF_SHORT_YEAR: Final = re.compile(rf"{_DAY}(?:[./]{_DAY})?{_UNTIL}{_DAY}(?:/{_DAY}/|\.{_DAY}\.)[1-3]\d")
_HOURS_OF_DAY: Final = re.compile(
    rf"[1-9]\d?{_BETWEEN}{_CLOCK}(?:[ ]?(?:{_SIGN}|/)[ ]?{_CLOCK})+"  # Saturday 5
)
_PLAIN_MOMENT: Final = re.compile(rf":|(?<!\d){_YEAR}(?!\d)")
_OF_FRANCE: Final = 10
"""Digits of a number at home, which two of the moments have as well."""

_LIST: Final = re.compile(rf"[1-9]\d*(?P<sign>[ ]?(?:{_SIGN}|/)[ ]?|[ ])[1-9]\d*(?:(?P=sign)[1-9]\d*)+")
_STEP: Final = range(1, 11)
_STEP_OF_SIZES: Final = range(1, 3)

_IBAN: Final = re.compile(
    rf"(?<![A-Z0-9])(?=([A-Z]{_SIGNS}[A-Z](?:{_SIGNS}\d){{2}}(?:{_SIGNS}[A-Z0-9]){{11,30}}))",
    re.IGNORECASE,
)
_IBANS: Final = """
AD24 AE23 AL28 AO25 AT20 AZ28 BA20 BE16 BF28 BG22 BH22 BI27 BJ28 BR29 BY28 CF27 CG27 CH21 CI28 CM27 CR22 CV25
CY28 CZ24 DE22 DJ27 DK18 DO28 DZ26 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GA27 GB22 GE22 GI23 GL18 GQ27 GR27 GT28
HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KM27 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MA28 MC27 MD24
ME22 MG27 MK19 ML28 MN20 MR27 MT31 MU30 MZ25 NE28 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33
SA24 SC31 SD18 SE24 SI19 SK24 SM27 SN28 SO23 ST25 SV28 TD27 TG28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_IBAN_LENGTHS: Final = {one[:2]: int(one[2:]) for one in _IBANS.split()}
"""Characters of an account by its country (registry of ISO 13616, and West and Central Africa's)."""


def names_foreign_number(text: str, told: str, written: str) -> bool:
    """All as they are visible: `told` by the business, `written` in the conversation.

    A number comes from either of them. An account that is paid to comes from the business only.
    """
    digits = re.sub(r"\D", "", f"{told} {written}")
    for found in _RUN.findall(_FIGURES.sub(_suspicious, _HARMLESS.sub("\n", text))):
        number = re.sub(r"\D", "", found)
        least = _LEAST_WITH_PLUS if found.startswith("+") else _LEAST
        if len(number) >= least and not _is_known(number, digits):
            return True
    accounts = _letters_and_digits(told)
    return any(account not in accounts for account in _ibans(text))


def _suspicious(figures: re.Match[str]) -> str:
    """What of them is still to be looked at. Either side of a cut is enough for a number of its own."""
    run = figures[0]
    if _is_harmless(run):
        return "\n"
    for cut in _CUT.finditer(run):
        before, after = run[: cut.start()], run[cut.end() :]
        if len(re.sub(r"\D", "", before)) < _LEAST:
            continue
        if _is_harmless(before):
            return f"\n{_FIGURES.sub(_suspicious, after)}"
        if _is_harmless(after):
            return f"{before}\n"
    return run


def _is_harmless(run: str) -> bool:
    return _is_time(run) or _is_list(run)


def _is_time(run: str) -> bool:
    """Hours and days. So many as a number at home has need a colon, or a year, to be none."""
    if _DAYS_OF_SHORT_YEAR.fullmatch(run) or _HOURS_OF_DAY.fullmatch(run):
        return True
    if not _MOMENTS.fullmatch(run):
        return False
    is_long = len(re.sub(r"\D", "", run)) == _OF_FRANCE and run.startswith("0")
    return not is_long or _PLAIN_MOMENT.search(run) is not None


def _is_list(run: str) -> bool:
    """Sizes, rooms, years, postal codes: three or more that rise as nobody's number does, with one sign between them.

    Pairs of a number rise by chance: so it does not begin with 0, and the steps are all the same and small. Mobiles of
    nine digits begin with 6, 7 or 9, or with one digit alone: no list of rooms does, and one of sizes has small steps.
    """
    if not _LIST.fullmatch(run):
        return False
    groups = re.findall(r"\d+", run)
    steps = {int(after) - int(before) for before, after in pairwise(groups)}
    is_even = len(steps) == 1 and min(steps) in _STEP
    match sorted({len(group) for group in groups}):
        case [1] | [2]:
            is_list = is_even
        case [1, 2]:
            is_list = is_even and min(steps) in _STEP_OF_SIZES
        case [3]:
            is_list = is_even and groups[0] < "6"
        case [4]:  # years
            is_list = all(re.fullmatch(_YEAR, group) for group in groups) and all(step in _STEP for step in steps)
        case [5]:  # postal codes of one town
            is_list = len({group[:2] for group in groups}) == 1 and min(steps) > 0
        case _:
            is_list = False
    return is_list


def _is_known(number: str, digits: str) -> bool:
    """True if `number` is among `digits`, or two numbers side by side are."""
    if any(len(one) >= _LEAST_WITH_PLUS and one in digits for one in _spellings(number)):
        return True
    if len(number) > _LONGEST:
        return False
    places = range(_LEAST_WITH_PLUS, len(number) - _LEAST_WITH_PLUS + 1)
    return any(_is_known(number[:place], digits) and _is_known(number[place:], digits) for place in places)


def _spellings(number: str) -> Iterator[str]:
    """As it is dialled from abroad and at home: a known number may be written in either way."""
    yield number
    abroad = number.removeprefix("00")
    if abroad.startswith("0"):
        yield abroad[1:]
    elif country := _COUNTRY.match(abroad):
        yield abroad[country.end() :].removeprefix("0")


def _ibans(text: str) -> Iterator[str]:
    """As long as its country says: words may stand behind it."""
    for found in _IBAN.findall(text):
        read = _letters_and_digits(found)
        account = read[: _IBAN_LENGTHS.get(read[:2], 0)]
        if len(account) == _IBAN_LENGTHS.get(read[:2]) and _is_iban(account):
            yield account


def _is_iban(account: str) -> bool:
    """By its check digits (ISO 7064). Most of an account are digits: words that pass by accident are not."""
    if sum(character.isdecimal() for character in account) * 2 <= len(account):
        return False
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97 == 1


def _letters_and_digits(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())
