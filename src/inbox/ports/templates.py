"""Message templates: what we ask of WhatsApp, and what is stored of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Protocol, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from inbox.domain.accounts import Channel
from inbox.domain.ids import AccountId
from inbox.domain.template_drafts import TemplateDraft, TemplateEdit
from inbox.domain.templates import KnownTemplate, Standing, TemplateNews
from inbox.ports.views import Timestamp

Components: TypeAlias = Annotated[
    msgspec.Raw, Meta(extra_json_schema={"type": "array", "items": {"type": "object", "required": ["type"]}})
]
"""In Meta's shape, as WhatsApp gave them."""

PAGE: Final = 100
"""Templates that are asked for at once."""


class TemplatePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some templates of a WABA, and where the next ones begin; None after the last."""

    templates: list[TemplateNews]
    after: str | None


class CreatedTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """WhatsApp's answer: it may put a template into another category than was asked for."""

    meta_id: str
    status: str
    category: str


class TemplateSource(Protocol):
    """The templates of an account's WABA, at WhatsApp.

    Every call has a deadline and is tried once. All raise `WhatsAppNotConfigured` for an account without token or WABA,
    `WhatsAppError` (a refused token included), `WhatsAppTimeout` and `WhatsAppUnavailable`; after the last two of a
    change nobody knows whether it was made.
    """

    async def page(self, channel: Channel, *, at: datetime, after: str | None = None) -> TemplatePage:
        """A page of at most `PAGE`; what cannot be read as a template is left out. `at` is the time of the news."""
        ...

    async def create(self, channel: Channel, draft: TemplateDraft) -> CreatedTemplate:
        """Raises `TemplateExists`, `TemplateLimit`, and `Invalid` for what WhatsApp finds wrong with it."""
        ...

    async def edit(self, channel: Channel, meta_id: str, edit: TemplateEdit) -> None:
        """Raises `TemplateNotFound`, `TemplateNotEditable`, and `Invalid` for what WhatsApp finds wrong with it."""
        ...

    async def delete(self, channel: Channel, name: str, meta_id: str) -> None:
        """In one language. Raises `TemplateNotFound`."""
        ...

    async def upload_sample(self, channel: Channel, data: bytes, *, mime_type: str, filename: str) -> str:
        """Gives WhatsApp a sample of a header's file and returns its handle. An interrupted upload goes on."""
        ...


class TemplateRow(msgspec.Struct, frozen=True, kw_only=True):
    """A template as screens see it. `details` are sentences of Meta's about `status`, in English.

    What Meta has not told (yet) is null, `components` are empty then.
    """

    id: UUID
    account_id: UUID
    meta_id: str | None
    name: str
    language: str
    category: str | None
    status: str | None
    reason: str | None
    details: str | None
    quality: str | None
    parameter_format: str | None
    components: Components
    created_at: Timestamp
    synced_at: Timestamp | None


class TemplateFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None is any; `search` is a part of the name."""

    status: str | None = None
    category: str | None = None
    language: str | None = None
    search: str | None = None


class DueSync(msgspec.Struct, frozen=True, kw_only=True):
    """An account whose list has to be read. `failures` is how often in a row that went wrong."""

    account_id: AccountId
    failures: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Of a list: when it `begun`, since when that counts as said (`at`), and what `begin_sync` returned before."""

    begun: datetime
    at: datetime
    held_until: datetime


class StoredTemplates(Protocol):
    """What is known of the templates of an account's WABA, inside a transaction.

    An account whose WABA changes knows nothing of the new one. All methods raise `DatabaseUnavailable` and
    `DatabaseTimeout`.
    """

    async def tell(self, account_id: AccountId, waba_id: str, news: Sequence[TemplateNews]) -> Sequence[UUID]:
        """Applies `news` in any order, as often as it comes (`domain.templates.told`). Returns the rows."""
        ...

    async def seen(self, account_id: AccountId, waba_id: str, news: Sequence[TemplateNews], begun: datetime) -> None:
        """The same for a page of a list whose reading began at `begun`."""
        ...

    async def begin_sync(self, account_id: AccountId, waba_id: str, hold: timedelta) -> datetime:
        """The list is being read: it is due after `hold` at the earliest, which is returned, unless `hurry` says so."""
        ...

    async def finish_sync(
        self, account_id: AccountId, waba_id: str, reading: Reading, *, next_in: timedelta | None
    ) -> int:
        """All pages were seen: what was in none of them does not exist since `at`. Returns how many there are.

        The list is due again after `next_in`, None is never; or when `hurry` said since the reading began.
        """
        ...

    async def postpone_sync(self, account_id: AccountId, wait: timedelta) -> None:
        """Reading the list went wrong; it is due again after `wait`."""
        ...

    async def claim_syncs(self, limit: int, hold: timedelta) -> list[DueSync]:
        """Active accounts with a WABA and a token whose list is due; nobody else is given them for `hold`."""
        ...

    async def hurry(self, account_id: AccountId, waba_id: str, wait: timedelta) -> None:
        """The list is due after `wait` at the latest."""
        ...

    async def get(self, account_id: AccountId, template_id: UUID) -> KnownTemplate | None:
        """The row, locked until the transaction ends; None if there is none such, or if it is deleted."""
        ...

    async def standing(self, account_id: AccountId, name: str, language: str) -> Standing: ...
