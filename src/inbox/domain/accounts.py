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
    """The tenant as screens see it; tokens are write-only."""

    id: AccountId
    name: str
    slug: str
    phone_number: str | None
    phone_number_id: str
    is_active: bool
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

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"NewAccount(slug={self.slug!r}, phone_number_id={self.phone_number_id!r})"
