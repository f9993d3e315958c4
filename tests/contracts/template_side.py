"""The other side of calls about templates: the Graph API emulator, or the fake's own memory."""

import json
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from inbox.adapters.messaging.cloud_api.templates import CloudApiTemplates
from inbox.adapters.messaging.fake_templates import FakeTemplateSource
from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError
from inbox.domain.ids import AccountId
from inbox.domain.template_drafts import TemplateDraft
from inbox.domain.templates import TemplateNews
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.kit.http import ApiClient, Limits, Timeouts
from inbox.kit.resilience import Guard, Policy
from inbox.ports.templates import PAGE, TemplateSource

from .trust import certificates
from .whatsapp_side import TOKEN, GraphSide

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
QUICK = Timeouts(connect=0.5, read=0.4, pool=0.6)
OUTCOMES: dict[str, type[InboxError]] = {
    "token refused": WhatsAppError,
    "throttled": WhatsAppUnavailable,
    "gateway": WhatsAppError,
    "unreadable": WhatsAppError,
    "reset": WhatsAppUnavailable,
    "silence": WhatsAppTimeout,
}


def a_channel(waba_id: str | None, token: str | None = TOKEN) -> Channel:
    return Channel(
        account_id=AccountId(UUID(int=1)), phone_number_id="106540352242922", access_token=token, waba_id=waba_id
    )


def a_draft(name: str = "velo_pret", language: str = "fr", **changes: Any) -> TemplateDraft:  # noqa: ANN401 - any field
    body = {"type": "BODY", "text": "Bonjour {{1}}, votre vélo est prêt.", "example": {"body_text": [["Léa"]]}}
    raw = {"name": name, "language": language, "category": "UTILITY", "components": [body], **changes}
    return msgspec.convert(raw, TemplateDraft)


async def every(source: TemplateSource, channel: Channel) -> list[TemplateNews]:
    """The whole list."""
    found, after = [], None
    while True:
        page = await source.page(channel, at=AT, after=after)
        assert len(page.templates) <= PAGE
        found += page.templates
        if page.after is None:
            return found
        after = page.after


class TemplateSide(Protocol):
    waba_id: str

    async def holds(self, name: str, language: str = "fr", *, status: str = "APPROVED") -> str:
        """Meta's id of a template that is there."""

    async def will(self, outcome: str) -> None:
        """The next call ends so: one of `OUTCOMES`."""


class FakeTemplateSide:
    """What the fake remembers."""

    def __init__(self) -> None:
        self.source = FakeTemplateSource()
        self.waba_id = "102290129340398"

    async def holds(self, name: str, language: str = "fr", *, status: str = "APPROVED") -> str:
        return self.source.put(self.waba_id, name, language, status=status).meta_id

    async def will(self, outcome: str) -> None:
        self.source.fail_next(OUTCOMES[outcome]())


class GraphTemplateSide:
    """The emulator's control API."""

    _RULES: dict[str, dict[str, object]] = {  # noqa: RUF012 - a table
        "token refused": {"action": "http_error", "status": 401, "code": 190},
        "throttled": {"action": "http_error", "status": 400, "code": 80007},
        "gateway": {"action": "html_502"},
        "unreadable": {"action": "truncated_json"},
        "reset": {"action": "reset_before_accept"},
        "silence": {"action": "hang"},
    }

    def __init__(self, graph: GraphSide, waba_id: str) -> None:
        self.graph = graph
        self.waba_id = waba_id

    async def holds(self, name: str, language: str = "fr", *, status: str = "APPROVED") -> str:
        body = [{"type": "BODY", "text": "Bonjour"}]
        template = {"waba_id": self.waba_id, "name": name, "language": language, "components": body, "status": status}
        return str((await self.graph.call("POST", "/templates", template))["id"])

    async def will(self, outcome: str) -> None:
        await self.graph.call("POST", "/faults", {"count": 1, **self._RULES[outcome]})


class WiredTemplates:
    """As in production but for the times."""

    def __init__(self, url: str) -> None:
        self.api = ApiClient("templates", url, timeouts=QUICK, limits=Limits(connections=4), tls=certificates())
        guard = Guard("templates", Policy(total=5, attempt=5))
        samples = Guard("template_samples", Policy(total=10, attempt=10))
        self.source = CloudApiTemplates(self.api, guard, samples, version="v24.0")


def texts(components: bytes | None) -> list[str]:
    """The texts of components, in order."""
    return [part.get("text", "") for part in json.loads(components or b"[]")]
