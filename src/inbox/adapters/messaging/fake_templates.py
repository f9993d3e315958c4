"""A template source without WhatsApp: templates in memory, every failure on demand."""

import hashlib
from collections import deque
from datetime import datetime
from itertools import count

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError, WhatsAppNotConfigured
from inbox.domain.template_drafts import TemplateDraft, TemplateEdit, components_of
from inbox.domain.template_errors import TemplateExists, TemplateNotEditable, TemplateNotFound
from inbox.domain.templates import EDITABLE, TemplateNews, TemplateStatus
from inbox.ports.templates import PAGE, CreatedTemplate, TemplatePage


class FakeTemplate(msgspec.Struct, kw_only=True):
    """A template as WhatsApp keeps it."""

    meta_id: str
    name: str
    language: str
    category: str
    components: bytes
    parameter_format: str = "POSITIONAL"
    status: str = TemplateStatus.PENDING.value
    quality: str = "UNKNOWN"
    reason: str | None = None


class FakeTemplateSource:
    """Takes what WhatsApp would; `templates` by WABA. `most` is how many a page holds."""

    def __init__(self, *, most: int = PAGE, keeps: int = 1_000) -> None:
        self.templates: dict[str, list[FakeTemplate]] = {}
        self.listed: deque[str | None] = deque(maxlen=keeps)
        """Where each page began that was asked for."""
        self._most = most
        self._serial = count(900880000000001)
        self._failures: deque[InboxError] = deque(maxlen=keeps)

    def fail_next(self, error: InboxError) -> None:
        """The next call raises `error`."""
        self._failures.append(error)

    def put(
        self,
        waba_id: str,
        name: str,
        language: str = "fr",
        *,
        status: str = TemplateStatus.APPROVED.value,
        components: bytes = b'[{"type":"BODY","text":"Bonjour"}]',
    ) -> FakeTemplate:
        """A template that is there."""
        template = FakeTemplate(
            meta_id=str(next(self._serial)),
            name=name,
            language=language,
            category="UTILITY",
            components=components,
            status=status,
        )
        self.templates.setdefault(waba_id, []).append(template)
        return template

    async def page(self, channel: Channel, *, at: datetime, after: str | None = None) -> TemplatePage:
        found = self._of(channel)
        self.listed.append(after)
        start = int(after or 0)
        page = found[start : start + self._most]
        is_last = start + self._most >= len(found)
        return TemplatePage(
            templates=[_news(one, at) for one in page], after=None if is_last else str(start + len(page))
        )

    async def create(self, channel: Channel, draft: TemplateDraft) -> CreatedTemplate:
        found = self._of(channel)
        if any((one.name, one.language) == (draft.name, draft.language) for one in found):
            raise TemplateExists
        template = FakeTemplate(
            meta_id=str(next(self._serial)),
            name=draft.name,
            language=draft.language,
            category=draft.category,
            components=components_of(draft) or b"[]",
            parameter_format=draft.parameter_format or "POSITIONAL",
        )
        found.append(template)
        return CreatedTemplate(meta_id=template.meta_id, status=template.status, category=template.category)

    async def edit(self, channel: Channel, meta_id: str, edit: TemplateEdit) -> None:
        template = self._one(channel, meta_id)
        if template.status not in EDITABLE:
            raise TemplateNotEditable
        template.components = components_of(edit) or template.components
        template.category = edit.category or template.category
        template.status = TemplateStatus.PENDING.value

    async def delete(self, channel: Channel, name: str, meta_id: str) -> None:
        template = self._one(channel, meta_id)
        if template.name != name:
            raise TemplateNotFound
        self.templates[channel.waba_id or ""].remove(template)

    async def upload_sample(self, channel: Channel, data: bytes, *, mime_type: str, filename: str) -> str:
        self._of(channel)
        return f"4::{mime_type}:{filename}:{hashlib.sha256(data).hexdigest()}"

    def _one(self, channel: Channel, meta_id: str) -> FakeTemplate:
        found = next((one for one in self._of(channel) if one.meta_id == meta_id), None)
        if found is None:
            raise TemplateNotFound
        return found

    def _of(self, channel: Channel) -> list[FakeTemplate]:
        if not channel.access_token or not channel.waba_id:
            raise WhatsAppNotConfigured
        if self._failures:
            raise self._failures.popleft()
        return self.templates.setdefault(channel.waba_id, [])


def _news(template: FakeTemplate, at: datetime) -> TemplateNews:
    return TemplateNews(
        name=template.name,
        language=template.language,
        at=at,
        meta_id=template.meta_id,
        status=template.status,
        reason=template.reason,
        quality=template.quality,
        category=template.category,
        components=template.components,
        parameter_format=template.parameter_format,
    )
