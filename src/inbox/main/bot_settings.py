"""The assistant's manners, and what it may spend."""

from typing import Annotated

from msgspec import Meta, Struct

from inbox.domain.contacts import CountryCode, whatsapp_number
from inbox.domain.errors import Invalid

_Turns = Annotated[int, Meta(ge=0, le=1_000_000)]
_Tokens = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
_Money = Annotated[float, Meta(ge=0, le=1_000_000)]


class Bot(Struct, frozen=True, forbid_unknown_fields=True):
    """The assistant's manners. What an account says of its own counts before; budgets are for a day, UTC.

    `contact_*` are for each customer of an account, `daily_*` for all of them together. `human_backup_number` is
    written as people write numbers.
    """

    quiet_seconds: Annotated[float, Meta(ge=0, le=60)] = 3.0
    gather_seconds: Annotated[float, Meta(ge=0, le=100)] = 10.0
    turn_seconds: Annotated[float, Meta(gt=0, le=100)] = 25.0
    human_backup_number: Annotated[str, Meta(max_length=40)] | None = None
    alert_template: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,512}$")] | None = None
    alert_template_language: Annotated[str, Meta(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")] = "fr"
    min_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.5
    history_tokens: Annotated[int, Meta(ge=500, le=500_000)] = 6_000
    media_bytes: Annotated[int, Meta(ge=0, le=15_728_640)] = 5_242_880
    loop_replies: Annotated[int, Meta(ge=2, le=25)] = 8
    loop_seconds: Annotated[float, Meta(gt=0, le=3600)] = 120.0
    loop_repeats: Annotated[int, Meta(ge=2, le=20)] = 3
    contact_turns: _Turns = 200
    contact_tokens: _Tokens = 1_000_000
    contact_cost: _Money = 2.0
    daily_turns: _Turns = 5_000
    daily_tokens: _Tokens = 20_000_000
    daily_cost: _Money = 20.0


def backup_number(told: Bot, country: str) -> str | None:
    """The digits that WhatsApp calls it by; `country` is that of a number without one. Raises `Invalid`."""
    if told.human_backup_number is None:
        return None
    return whatsapp_number(told.human_backup_number, CountryCode(country), path="bot.human_backup_number")


def backup_problem(told: Bot, country: str) -> str | None:
    """What keeps alerts from being sent; never the value."""
    try:
        backup_number(told, country)
    except Invalid as error:
        (found,) = error.errors
        name = "INBOX_BOT_HUMAN_BACKUP_NUMBER (also HUMAN_BACKUP_NUMBER)"
        return f"{name}, setting {found['path']}: must be {found['message']}. See .env.example for what it takes."
    return None
