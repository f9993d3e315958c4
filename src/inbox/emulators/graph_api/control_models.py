"""Requests and answers of the control API."""

from typing import Annotated, Any

import msgspec

from inbox.emulators.graph_api.objects import Scope, TemplateState

Digits = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{6,14}$")]
Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,32}$")]


class NewNumber(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A business number. Ids left out are made under the seed."""

    phone: Digits
    id: Id = ""
    name: str = "Example Shop"
    country_code: str = "1"
    throughput: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 80
    allowed: list[str] | None = None  # given: a test number that reaches these only


class AddedNumber(NewNumber, frozen=True, kw_only=True):
    waba_id: str


class NewWaba(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Id = ""
    name: str = "Example Shop"
    subscribed: bool = True
    numbers: Annotated[list[NewNumber], msgspec.Meta(max_length=10_000)] = []


class ManyWabas(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many WABAs with so many numbers each; phones count up from `first_phone`."""

    wabas: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    numbers_each: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    first_phone: Digits = "15550100000"
    throughput: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 80


class NumberView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    waba_id: str
    phone: str
    name: str
    status: str


class WabaView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    subscribed: bool
    numbers: list[NumberView]


class NumberChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    id: str
    status: str | None = None
    quality_rating: str | None = None
    throughput: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    blocked: list[str] | None = None  # users that the business has blocked


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`expires_in` in seconds of the emulator's clock; None never expires, zero or less has expired."""

    token: str
    waba_ids: list[str] | None = None
    scopes: tuple[Scope, ...] = tuple(Scope)
    expires_in: float | None = None


class NewTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put into the catalogue as it is, without review and without a webhook."""

    waba_id: str
    name: str
    language: str = "en_US"
    category: str = "UTILITY"
    components: list[dict[str, Any]]
    parameter_format: str = "POSITIONAL"
    status: TemplateState = TemplateState.APPROVED


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    template_id: str
    status: TemplateState
    reason: str = "NONE"


class ManualStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One status of an accepted message, in whatever order; `at` in unix seconds."""

    wamid: str
    status: str
    code: int = 131000
    at: float | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any field's `value`, wrapped, signed and delivered."""

    waba_id: str
    field: str
    value: dict[str, Any]
    phone_number_id: str | None = None


class ClockChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`freeze` true stands still (at `at`, if given), false goes on; `advance` jumps by seconds."""

    freeze: bool | None = None
    at: float | None = None
    advance: float = 0.0


class ClockView(msgspec.Struct, frozen=True, kw_only=True):
    now: float
    frozen: bool
