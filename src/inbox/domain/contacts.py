"""Who writes to the business."""

import re
from typing import Final

import msgspec

_BSUID: Final = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,128}")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a customer is reached: phone digits (`wa_id`), a business-scoped user id (BSUID), or both.

    Meta leaves the phone out for users who hide it (webhooks since March 2026).
    """

    wa_id: str | None = None
    bsuid: str | None = None

    @property
    def key(self) -> str:
        """What names the customer in the contract's columns: the digits as WhatsApp sends them, else the BSUID."""
        return self.wa_id or self.bsuid or ""

    @classmethod
    def of(cls, key: str) -> "Address":
        """Back from `key`. A BSUID starts with a country code and a dot, digits never do."""
        return cls(bsuid=key) if _BSUID.fullmatch(key) else cls(wa_id=key)
