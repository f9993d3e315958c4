"""How the assistant of an account behaves, as the body of its profile says it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from inbox.domain.bot_profile import MAX_LINK_DOMAINS, Behaviour, Budget
from inbox.domain.bot_schedule import MAX_HOURS, Answers, OpeningHours, Schedule, check
from inbox.domain.explanations import Language

_TIME = r"^([01][0-9]|2[0-4]):[0-5][0-9]$"
_DOMAIN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){1,8}$"
_Time = Annotated[str, Meta(max_length=5, pattern=_TIME)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class BudgetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For one day, UTC; `cost` in units of the currency of the prices. Null: as the settings say."""

    turns: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    tokens: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] | None = None
    cost: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class HoursBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one weekday, Monday is 1. `24:00` is the end of the day."""

    day: Annotated[int, Meta(ge=1, le=7)]
    opens: _Time
    closes: _Time


class ScheduleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the assistant answers by itself; `time_zone` is a name of the IANA database."""

    answers: Answers = Answers.ALWAYS
    time_zone: Annotated[str, Meta(max_length=64)] = "Europe/Paris"
    business_hours: Annotated[tuple[HoursBody, ...], Meta(max_length=MAX_HOURS)] = ()


class BehaviourBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is missing is as usual. `model` is one of the vendor that the settings name."""

    language: Language = Language.FRENCH
    model: Annotated[str, Meta(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    min_confidence: _Share | None = None
    reads_images: bool = True
    reads_voice: bool = True
    link_domains: Annotated[
        tuple[Annotated[str, Meta(max_length=253, pattern=_DOMAIN)], ...], Meta(max_length=MAX_LINK_DOMAINS)
    ] = ()
    schedule: ScheduleBody = ScheduleBody()
    contact_budget: BudgetBody = BudgetBody()
    account_budget: BudgetBody = BudgetBody()
    auto_on: bool = False


def behaviour_of(body: BehaviourBody, path: str) -> Behaviour:
    """Raises `Invalid` for a schedule that cannot be."""
    told = body.schedule.business_hours
    hours = tuple(OpeningHours(day=one.day, opens=one.opens, closes=one.closes) for one in told)
    schedule = Schedule(answers=body.schedule.answers, time_zone=body.schedule.time_zone, business_hours=hours)
    check(schedule, f"{path}.schedule")
    return Behaviour(
        language=body.language,
        model=body.model,
        temperature=body.temperature,
        min_confidence=body.min_confidence,
        reads_images=body.reads_images,
        reads_voice=body.reads_voice,
        link_domains=body.link_domains,
        schedule=schedule,
        contact_budget=_budget(body.contact_budget),
        account_budget=_budget(body.account_budget),
        auto_on=body.auto_on,
    )


def _budget(body: BudgetBody) -> Budget:
    return Budget(turns=body.turns, tokens=body.tokens, cost=body.cost)
