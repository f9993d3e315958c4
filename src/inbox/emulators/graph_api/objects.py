"""What exists on the other side: the app, its accounts, numbers, tokens, templates, media, and the people."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec

ALL_FIELDS: Final = (
    "messages",
    "message_template_status_update",
    "message_template_quality_update",
    "template_category_update",
    "phone_number_quality_update",
    "phone_number_name_update",
    "account_update",
    "account_alerts",
    "business_capability_update",
    "security",
    "user_preferences",
    "smb_message_echoes",
)


class Scope(StrEnum):
    MESSAGING = "whatsapp_business_messaging"
    MANAGEMENT = "whatsapp_business_management"


class Callback(msgspec.Struct, frozen=True):
    """A URL that answered the handshake, and the token it knew."""

    url: str
    verify_token: str


class MetaApp(msgspec.Struct, kw_only=True):
    id: str
    secret: str
    name: str = "Emulated app"
    callback: Callback | None = None
    fields: frozenset[str] = frozenset(ALL_FIELDS)


class TemplateState(StrEnum):
    APPROVED = "APPROVED"
    PENDING = "PENDING"
    REJECTED = "REJECTED"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"


class Template(msgspec.Struct, kw_only=True):
    id: str
    waba_id: str
    name: str
    language: str
    category: str
    components: list[dict[str, Any]]
    parameter_format: str = "POSITIONAL"
    status: TemplateState = TemplateState.PENDING
    rejected_reason: str = "NONE"

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "parameter_format": self.parameter_format,
            "components": self.components,
            "language": self.language,
            "status": self.status.value,
            "category": self.category,
            "id": self.id,
        }

    def component(self, kind: str) -> dict[str, Any] | None:
        return next((part for part in self.components if str(part.get("type", "")).upper() == kind), None)


class Waba(msgspec.Struct, kw_only=True):
    id: str
    name: str
    subscribed: bool = True
    override: Callback | None = None
    number_ids: list[str] = []
    templates: dict[tuple[str, str], Template] = {}  # by name and language


class Number(msgspec.Struct, kw_only=True):
    id: str
    waba_id: str
    digits: str
    verified_name: str
    country_code: str = "1"
    onboarded_at: float  # unix seconds
    status: str = "CONNECTED"
    quality_rating: str = "GREEN"
    throughput: int = 80  # messages per second, both directions
    override: Callback | None = None
    allowed: frozenset[str] | None = None  # a test number reaches these recipients only
    blocked: set[str] = set()  # users this number has blocked

    @property
    def display(self) -> str:
        """As `display_phone_number` of the number's own object, for instance +1 555-010-0199."""
        digits = self.digits
        if self.country_code == "1" and len(digits) == len("15550100199"):
            return f"+1 {digits[1:4]}-{digits[4:7]}-{digits[7:]}"
        return f"+{digits}"


class Token(msgspec.Struct, kw_only=True):
    value: str
    waba_ids: frozenset[str] | None = None  # None reaches all
    scopes: frozenset[Scope] = frozenset(Scope)
    expires_at: float = 0  # unix seconds of the emulator's clock; 0 = never
    issued_at: float = 0

    def reaches(self, waba_ids: Iterable[str]) -> bool:
        return self.waba_ids is None or any(waba_id in self.waba_ids for waba_id in waba_ids)


class Persona(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A person with a phone. Someone nobody described has WhatsApp, reads what comes and has no user id."""

    phone: str = ""  # digits; empty for someone who hides it
    name: str = ""
    wa_id: str = ""  # where it differs from the phone (Brazil, Mexico, Argentina)
    user_id: str = ""  # BSUID
    username: str = ""
    receipts: bool = True
    reads: bool = True
    offline: bool = False  # `sent` only, `delivered` once online again
    blocks_business: bool = False  # `sent` and never more
    registered: bool = True  # has WhatsApp; otherwise 131026
    stopped_marketing: bool = False
    identity_hash: str = ""

    @property
    def address(self) -> str:
        """The wa_id, as far as it can be seen."""
        return self.wa_id or self.phone

    @property
    def key(self) -> str:
        """What this person is known by: the wa_id, else the BSUID."""
        return self.address or self.user_id


class Media(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    number_id: str
    mime_type: str
    data: bytes
    sha256: str  # hex
    expires_at: float
    filename: str = ""


class Send(msgspec.Struct, kw_only=True):
    """An accepted message. `at` is the emulator's clock in unix seconds."""

    serial: int
    wamid: str
    number: Number
    to: str  # wa_id digits, group id, or "" when only the BSUID is known
    user_id: str
    type: str
    op: str | None  # biz_opaque_callback_data
    at: float
    message: dict[str, Any]
    category: str = "service"
    is_group: bool = False
    failed_code: int = 0
    status: str = "accepted"
    ended: bool = False

    def describe(self) -> dict[str, Any]:
        return {
            "serial": self.serial,
            "wamid": self.wamid,
            "phone_number_id": self.number.id,
            "to": self.to,
            "user_id": self.user_id,
            "type": self.type,
            "op": self.op,
            "at": self.at,
            "status": self.status,
            "failed_code": self.failed_code,
            "message": self.message,
        }
