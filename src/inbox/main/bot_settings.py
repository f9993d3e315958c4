"""The assistant's manners, and what it may spend."""

from typing import Annotated

from msgspec import Meta, Struct

_Turns = Annotated[int, Meta(ge=0, le=1_000_000)]
_Tokens = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
_Money = Annotated[float, Meta(ge=0, le=1_000_000)]


class Bot(Struct, frozen=True, forbid_unknown_fields=True):
    """The assistant's manners. What an account says of its own counts before; budgets are for a day, UTC.

    `contact_*` are for each customer of an account, `daily_*` for all of them together.
    """

    quiet_seconds: Annotated[float, Meta(ge=0, le=60)] = 3.0
    gather_seconds: Annotated[float, Meta(ge=0, le=100)] = 10.0
    turn_seconds: Annotated[float, Meta(gt=0, le=100)] = 25.0
    human_backup_number: Annotated[str, Meta(pattern=r"^\+?[0-9 ]{6,20}$")] | None = None
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
