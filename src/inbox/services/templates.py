"""The message templates of accounts: read from WhatsApp, shown, written, taken away.

What WhatsApp says in a list, or answers to a change, counts as said a little earlier: its webhooks have whole seconds
of another clock, and one about what happened meanwhile must win.
"""

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain import limits_drafts
from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import Channel
from inbox.domain.audit import Action, entry
from inbox.domain.clock import Clock
from inbox.domain.errors import ConversationNotFound, InboxError, Invalid, PayloadTooLarge, WhatsAppNotConfigured
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.outgoing_template import Component
from inbox.domain.template_drafts import TemplateDraft, TemplateEdit, components_of
from inbox.domain.template_errors import TemplateNotEditable, TemplateNotFound
from inbox.domain.template_preview import Preview, rendered
from inbox.domain.templates import EDITABLE, KnownTemplate, TemplateNews, TemplateStatus
from inbox.domain.upstream_errors import WhatsAppError
from inbox.ports.database import Database
from inbox.ports.media import MediaKey, MediaStore
from inbox.ports.queries import Before
from inbox.ports.templates import DueSync, Reading, TemplateFilter, TemplateRow, TemplateSource
from inbox.services.rights import Rights, require_at

_CLOCKS: Final = timedelta(seconds=10)
_SOON: Final = timedelta(minutes=1)
"""After a change the list is read anew: late enough to know of it, and to count."""
_MOST_PAGES: Final = 100
"""WhatsApp keeps 6,000 templates of a WABA at most."""
_HOLD: Final = timedelta(minutes=15)
_AT_ONCE: Final = 5
"""Accounts that one process takes for itself at a time."""
_FIRST_WAIT: Final = timedelta(minutes=10)
_MOST_WAIT: Final = timedelta(hours=24)
_OFFERED: Final = 1000
"""Templates that a conversation offers at most."""
_SAMPLE: Final = "body.upload_id"
_SAMPLES: Final = ("image/jpeg", "image/png", "video/mp4", "application/pdf")
_SAMPLE_BYTES: Final = 16 * 1024 * 1024
"""A bound of ours: a sample lies in memory, so that an interrupted upload can go on."""
_SAMPLES_AT_ONCE: Final = 2
_OF_THE_MACHINE: Final = ("hello_world", "auto_")
"""Names, or their beginnings, that nobody wrote to send them by hand."""


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """How many templates the account has, and when they were read."""

    templates: int
    synced_at: datetime


class Templates:
    """Methods that name an actor and an account raise `AccountNotFound` and `PermissionDenied`.

    Those that ask WhatsApp raise what `TemplateSource` raises.
    """

    def __init__(
        self,
        database: Database,
        rights: Rights,
        source: TemplateSource,
        store: MediaStore,
        clock: Clock,
        *,
        every: timedelta | None,
    ) -> None:
        """`every` is how often lists are read anew by themselves; None is never."""
        self._database = database
        self._rights = rights
        self._source = source
        self._store = store
        self._now = clock
        self._every = every
        self._samples = asyncio.Semaphore(_SAMPLES_AT_ONCE)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def list_of(
        self, actor: Actor, account_id: AccountId, wanted: TemplateFilter, *, limit: int, before: Before | None
    ) -> list[TemplateRow]:
        """Newest first, by when they became known here."""
        await require_at(self._database, actor, Permission.MESSAGES_VIEW, account_id)
        rows = await self._database.queries.templates(account_id, wanted, limit=limit, before=before)
        if not rows:
            await self._rights.require_account(account_id)
        return rows

    async def get(self, actor: Actor, account_id: AccountId, template_id: UUID) -> TemplateRow:
        """Raises `TemplateNotFound`."""
        await require_at(self._database, actor, Permission.MESSAGES_VIEW, account_id)
        await self._rights.require_account(account_id)
        return await self._row(account_id, template_id)

    async def preview(
        self, actor: Actor, account_id: AccountId, template_id: UUID, given: Sequence[Component]
    ) -> Preview:
        """What a customer would read. Raises `TemplateNotFound`, also if nothing but the name of it is known."""
        row = await self.get(actor, account_id, template_id)
        shown = rendered(bytes(row.components), given)
        if shown is None or bytes(row.components) == b"[]":
            raise TemplateNotFound
        return shown

    async def offered(self, actor: Actor, conversation_id: ConversationId) -> list[TemplateRow] | None:
        """The approved templates for a conversation; None if the account is not set up for templates.

        A list that was never read is read now. Raises `ConversationNotFound` and `PermissionDenied`.
        """
        account_id = await self._rights.account_of(actor, conversation_id)
        actor.require(Permission.MESSAGES_VIEW, account_id, ConversationNotFound)
        try:
            channel = await self._channel(account_id)
        except WhatsAppNotConfigured:
            return None
        if await self._database.queries.templates_synced_at(account_id) is None:
            await self._sync(channel)
        wanted = TemplateFilter(status=TemplateStatus.APPROVED.value)
        rows = await self._database.queries.templates(account_id, wanted, limit=_OFFERED, before=None)
        return [row for row in rows if not row.name.startswith(_OF_THE_MACHINE)]

    # --- reading from WhatsApp ----------------------------------------------------------------------------------------

    async def sync(self, actor: Actor, account_id: AccountId) -> Synced:
        """Reads the whole list now."""
        await self._require_manager(actor, account_id)
        return await self._sync(await self._channel(account_id))

    async def refresh(self) -> int:
        """Reads the lists that are due, and returns how many; one that cannot be read is left for later."""
        if self._every is None:
            return 0
        count = 0
        while True:
            async with self._database.transaction() as tx:
                due = await tx.templates.claim_syncs(_AT_ONCE, _HOLD)
            for one in due:
                count += await self._refreshed(one)
            if len(due) < _AT_ONCE:
                return count

    async def _refreshed(self, due: DueSync) -> bool:
        try:
            await self._sync(await self._channel(due.account_id))
        except InboxError as error:
            wait = min(_FIRST_WAIT * math.pow(2, min(due.failures, 10)), _MOST_WAIT)
            named = timedelta(seconds=error.retry_after or 0)
            async with self._database.transaction() as tx:
                await tx.templates.postpone_sync(due.account_id, max(wait, named))
            return False
        return True

    async def _sync(self, channel: Channel) -> Synced:
        waba_id = channel.waba_id or ""
        async with self._database.transaction() as tx:
            held_until = await tx.templates.begin_sync(channel.account_id, waba_id, _HOLD)
        begun = self._now()
        reading = Reading(begun=begun, at=begun - _CLOCKS, held_until=held_until)
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._source.page(channel, at=reading.at, after=after)
            if page.templates:
                async with self._database.transaction() as tx:
                    await tx.templates.seen(channel.account_id, waba_id, page.templates, begun)
            if page.after is None:
                break
            after = page.after
        else:
            raise WhatsAppError("WhatsApp's list of templates does not end.")
        async with self._database.transaction() as tx:
            count = await tx.templates.finish_sync(channel.account_id, waba_id, reading, next_in=self._every)
        return Synced(templates=count, synced_at=begun)

    # --- writing ------------------------------------------------------------------------------------------------------

    async def create(self, actor: Actor, account_id: AccountId, draft: TemplateDraft) -> TemplateRow:
        """Hands a new template to WhatsApp for approval. Raises `Invalid` with every fault."""
        channel = await self._managed(actor, account_id)
        named = draft.parameter_format == "NAMED"
        limits_drafts.checked(draft, named=named, is_code=draft.category == "AUTHENTICATION")
        created = await self._source.create(channel, draft)
        news = TemplateNews(
            name=draft.name,
            language=draft.language,
            at=self._now() - _CLOCKS,
            meta_id=created.meta_id,
            status=created.status,
            category=created.category,
            components=components_of(draft),
            parameter_format=draft.parameter_format or "POSITIONAL",
        )
        return await self._row(account_id, await self._tell(actor, Action.TEMPLATE_CREATED, channel, news))

    async def edit(self, actor: Actor, account_id: AccountId, template_id: UUID, edit: TemplateEdit) -> TemplateRow:
        """Writes a template anew; WhatsApp looks at it again. Raises `TemplateNotFound`, `TemplateNotEditable`."""
        channel = await self._managed(actor, account_id)
        known = await self._known(account_id, template_id)
        if known.status is not None and known.status not in EDITABLE:
            raise TemplateNotEditable
        is_code = (edit.category or known.category) == "AUTHENTICATION"
        limits_drafts.checked(edit, named=known.parameter_format == "NAMED", is_code=is_code)
        meta_id = known.meta_id or ""
        await self._source.edit(channel, meta_id, edit)
        news = TemplateNews(
            name=known.name,
            language=known.language,
            at=self._moment(known),
            meta_id=meta_id,
            status=TemplateStatus.PENDING.value,
            category=edit.category,
            components=components_of(edit),
        )
        return await self._row(account_id, await self._tell(actor, Action.TEMPLATE_CHANGED, channel, news))

    async def delete(self, actor: Actor, account_id: AccountId, template_id: UUID) -> None:
        """Takes a template away in its language. Raises `TemplateNotFound`."""
        channel = await self._managed(actor, account_id)
        known = await self._known(account_id, template_id)
        await self._source.delete(channel, known.name, known.meta_id or "")
        news = TemplateNews(
            name=known.name,
            language=known.language,
            at=self._moment(known),
            meta_id=known.meta_id,
            status=TemplateStatus.DELETED.value,
        )
        await self._tell(actor, Action.TEMPLATE_DELETED, channel, news)

    async def upload_sample(self, actor: Actor, account_id: AccountId, upload_id: UUID) -> str:
        """The handle that stands for an uploaded file in the header of a draft.

        Raises `Invalid` for an upload that is not there or that WhatsApp takes for no header, `PayloadTooLarge`.
        """
        channel = await self._managed(actor, account_id)
        async with self._database.transaction() as tx:
            upload = await tx.uploads.get(account_id, upload_id)
        if upload is None:
            raise Invalid(_SAMPLE, "an upload of this account")
        if upload.mime_type not in _SAMPLES:
            raise Invalid(_SAMPLE, f"one of the types {', '.join(_SAMPLES)}; this is {upload.mime_type}")
        if upload.size > _SAMPLE_BYTES:
            raise PayloadTooLarge
        async with self._samples:
            async with self._store.open(MediaKey(account_id, upload_id)) as body:
                data = b"".join([chunk async for chunk in body.chunks])
            name = upload.name or upload.kind.value
            return await self._source.upload_sample(channel, data, mime_type=upload.mime_type, filename=name)

    async def _tell(self, actor: Actor, action: Action, channel: Channel, news: TemplateNews) -> UUID:
        """Writes down what was done at WhatsApp, and returns the row."""
        account_id = channel.account_id
        async with self._database.transaction() as tx:
            (row,) = await tx.templates.tell(account_id, channel.waba_id or "", [news])
            await tx.templates.hurry(account_id, channel.waba_id or "", _SOON)
            line = entry(actor, action, row, account_id=account_id, name=news.name, language=news.language)
            await tx.audit(line)
        return row

    def _moment(self, known: KnownTemplate) -> datetime:
        """Before all that Meta says next, by whichever clock, and after all that is known."""
        said = (known.status_at, known.category_at, known.components_at)
        return max([self._now() - _CLOCKS, *(at + timedelta.resolution for at in said if at is not None)])

    async def _row(self, account_id: AccountId, template_id: UUID) -> TemplateRow:
        row = await self._database.queries.template(account_id, template_id)
        if row is None:
            raise TemplateNotFound
        return row

    async def _known(self, account_id: AccountId, template_id: UUID) -> KnownTemplate:
        async with self._database.transaction() as tx:
            known = await tx.templates.get(account_id, template_id)
        if known is None or known.meta_id is None:
            raise TemplateNotFound
        return known

    async def _managed(self, actor: Actor, account_id: AccountId) -> Channel:
        await self._require_manager(actor, account_id)
        return await self._channel(account_id)

    async def _require_manager(self, actor: Actor, account_id: AccountId) -> None:
        await require_at(self._database, actor, Permission.SETTINGS_MANAGE, account_id)

    async def _channel(self, account_id: AccountId) -> Channel:
        channel = await self._rights.channel(account_id)
        if not channel.access_token or not channel.waba_id:
            raise WhatsAppNotConfigured("The account has no id of its WhatsApp Business Account, or no access token.")
        return channel
