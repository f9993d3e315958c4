"""A WhatsApp account of the business: the tenant."""

from datetime import datetime

import msgspec

from inbox.domain.ids import AccountId


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """What a call to WhatsApp needs: the phone number id in the path and the token in the header."""

    account_id: AccountId
    phone_number_id: str
    access_token: str | None
    waba_id: str | None = None

    @property
    def is_usable(self) -> bool:
        return bool(self.phone_number_id and self.access_token)

    def __repr__(self) -> str:
        """Without the token."""
        return f"Channel(account_id={self.account_id}, phone_number_id={self.phone_number_id!r})"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant as screens see it; tokens are write-only.

    `read_receipts` tells customers what was read, `typing_indicators` that somebody writes. WhatsApp knows the second
    together with the first only: alone it does nothing.
    """

    id: AccountId
    name: str
    slug: str
    phone_number: str | None
    phone_number_id: str
    is_active: bool
    read_receipts: bool
    typing_indicators: bool
    paused_at: datetime | None = None
    paused_reason: str | None = None


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to connect a number."""

    name: str
    slug: str
    phone_number: str | None
    phone_number_id: str
    access_token: str
    verify_token: str
    waba_id: str | None = None
    app_secret: str | None = None
    read_receipts: bool = True
    typing_indicators: bool = True

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"NewAccount(slug={self.slug!r}, phone_number_id={self.phone_number_id!r})"


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to write anew; UNSET leaves a value as it is. A secret that is None is taken away."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    slug: str | msgspec.UnsetType = msgspec.UNSET
    phone_number: str | msgspec.UnsetType | None = msgspec.UNSET
    phone_number_id: str | msgspec.UnsetType = msgspec.UNSET
    waba_id: str | msgspec.UnsetType | None = msgspec.UNSET
    access_token: str | msgspec.UnsetType = msgspec.UNSET
    verify_token: str | msgspec.UnsetType = msgspec.UNSET
    app_secret: str | msgspec.UnsetType | None = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET
    read_receipts: bool | msgspec.UnsetType = msgspec.UNSET
    typing_indicators: bool | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        """The names of what is written, without the values."""
        named = [name for name in self.__struct_fields__ if getattr(self, name) is not msgspec.UNSET]
        return f"AccountChange({', '.join(named)})"
