"""Templates through Meta's Graph API: `/{version}/{WABA}/message_templates`, `/{version}/{template}`, and uploads."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from inbox.adapters.messaging.cloud_api import template_wire as wire
from inbox.adapters.messaging.cloud_api.errors import words_of
from inbox.adapters.messaging.cloud_api.wire import Error, error_of, is_success
from inbox.domain.accounts import Channel
from inbox.domain.errors import CircuitOpen, InboxError, Invalid, Overloaded, WhatsAppNotConfigured
from inbox.domain.graph_errors import find, telling
from inbox.domain.template_drafts import TemplateDraft, TemplateEdit
from inbox.domain.template_errors import TemplateExists, TemplateLimit, TemplateNotEditable, TemplateNotFound
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.kit.http import ApiClient, CallFailed, Reach, Reply
from inbox.kit.redaction import scrub
from inbox.kit.resilience import Guard
from inbox.ports.templates import PAGE, CreatedTemplate, TemplatePage

T = TypeVar("T")

_FIELDS: Final = "id,name,language,category,status,parameter_format,components,quality_score,rejected_reason"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SESSION: Final = re.compile(r"upload:[A-Za-z0-9+/=_.:-]{1,1000}(\?[A-Za-z0-9+/=_.:&%~-]{1,1000})?")
_RESUMPTIONS: Final = 3
_PIECE: Final = 256 * 1024
_TOO_MANY: Final = 429
_THROTTLES: Final = frozenset({4, 80007, 130429})
_THROTTLED_SECONDS: Final = 30.0
_UNKNOWN_OBJECT: Final = 33
_NO_SUCH_TEMPLATE: Final = 2593002
_RULES: Final[Mapping[int, Callable[[], InboxError]]] = {
    _UNKNOWN_OBJECT: TemplateNotFound,
    _NO_SUCH_TEMPLATE: TemplateNotFound,
    2388019: TemplateLimit,
    2388024: TemplateExists,
    2388039: TemplateNotEditable,
    2388040: lambda: Invalid("body.components", "WhatsApp finds a text that is too long"),
    2388047: lambda: Invalid("body.components", "WhatsApp does not take this header"),
    2388072: lambda: Invalid("body.components", "WhatsApp does not take this body"),
    2388073: lambda: Invalid("body.components", "WhatsApp does not take this footer, or these variables"),
    2388293: lambda: Invalid("body.components", "WhatsApp wants more words for so many variables"),
    2388299: lambda: Invalid("body.components", "WhatsApp takes no variable at the beginning or the end"),
}
"""By `error_subcode`. What people read of each is in the table of Meta's codes; these words are for programs."""
_MAX_SAID: Final = 300


class CloudApiTemplates:
    """The template source of the Cloud API."""

    def __init__(self, api: ApiClient, guard: Guard, uploads: Guard, *, version: str) -> None:
        """Both guards have one attempt; that of uploads has the time that a file needs."""
        self._api = api
        self._guard = guard
        self._uploads = uploads
        self._version = version

    async def page(self, channel: Channel, *, at: datetime, after: str | None = None) -> TemplatePage:
        params = {"fields": _FIELDS, "limit": str(PAGE), **({"after": after} if after else {})}
        reply = await self._called(channel, "GET", _of_waba(channel), params=params)
        return wire.page_of(reply.body, at)

    async def create(self, channel: Channel, draft: TemplateDraft) -> CreatedTemplate:
        reply = await self._called(channel, "POST", _of_waba(channel), content=msgspec.json.encode(draft))
        return wire.created_of(reply.body, category=draft.category)

    async def edit(self, channel: Channel, meta_id: str, edit: TemplateEdit) -> None:
        await self._called(channel, "POST", _template(meta_id), content=msgspec.json.encode(edit))

    async def delete(self, channel: Channel, name: str, meta_id: str) -> None:
        params = {"hsm_id": _template(meta_id), "name": name}
        await self._called(channel, "DELETE", _of_waba(channel), params=params)

    async def upload_sample(self, channel: Channel, data: bytes, *, mime_type: str, filename: str) -> str:
        token = _token(channel)
        reply = await self._called(channel, "GET", "debug_token", params={"input_token": token})
        about = {"file_name": filename, "file_length": str(len(data)), "file_type": mime_type}
        started = await self._called(channel, "POST", f"{wire.app_of(reply.body)}/uploads", params=about)
        session = wire.session_of(started.body)
        if not _SESSION.fullmatch(session) or ".." in session:
            raise WhatsAppError("WhatsApp's answer about an upload cannot be read.")
        return await _guarded(self._uploads, lambda: self._sent(f"/{self._version}/{session}", token, data))

    async def _sent(self, path: str, token: str, data: bytes) -> str:
        """The handle. Whatever breaks in the middle goes on where WhatsApp says that it stopped."""
        offset, left = 0, _RESUMPTIONS
        while True:
            headers = {
                "authorization": f"OAuth {token}",
                "file_offset": str(offset),
                "content-type": "application/octet-stream",
                "content-length": str(len(data) - offset),
            }
            try:
                reply = await self._api.call("POST", path, headers=headers, content=_pieces(data, offset))
            except CallFailed as failed:
                if failed.reach is Reach.NOTHING or not left:
                    raise _failure(failed) from failed
                left -= 1
                offset = await self._offset(path, token, len(data))
                continue
            return wire.handle_of(_checked(reply).body)

    async def _offset(self, path: str, token: str, size: int) -> int:
        try:
            reply = await self._api.call("GET", path, headers={"authorization": f"OAuth {token}"})
        except CallFailed as failed:
            raise _failure(failed) from failed
        return min(wire.offset_of(_checked(reply).body), size)

    async def _called(
        self,
        channel: Channel,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        headers = {"authorization": f"Bearer {_token(channel)}"}
        if content is not None:
            headers["content-type"] = "application/json"

        async def attempt() -> Reply:
            try:
                reply = await self._api.call(
                    method, f"/{self._version}/{path}", headers=headers, params=params, content=content
                )
            except CallFailed as failed:
                raise _failure(failed) from failed
            return _checked(reply)

        return await _guarded(self._guard, attempt)


async def _guarded(guard: Guard, attempt: Callable[[], Awaitable[T]]) -> T:
    try:
        return await guard.call(attempt, on_timeout=lambda: WhatsAppTimeout("WhatsApp did not answer in time."))
    except (CircuitOpen, Overloaded) as error:
        raise WhatsAppUnavailable(str(error), retry_after=error.retry_after) from error


async def _pieces(data: bytes, offset: int) -> AsyncIterator[bytes]:
    """From `offset` on: a large body at once would hold up everything else."""
    for start in range(offset, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _token(channel: Channel) -> str:
    if not channel.access_token or not channel.waba_id:
        raise WhatsAppNotConfigured
    return channel.access_token


def _of_waba(channel: Channel) -> str:
    _token(channel)
    if not _ID.fullmatch(channel.waba_id or ""):
        raise WhatsAppNotConfigured
    return f"{channel.waba_id}/message_templates"


def _template(meta_id: str) -> str:
    if not _ID.fullmatch(meta_id):
        raise TemplateNotFound
    return meta_id


def _checked(reply: Reply) -> Reply:
    if is_success(reply.status):
        return reply
    error = error_of(reply.body)
    code = None if error is None else error.code
    if reply.status == _TOO_MANY or code in _THROTTLES:
        after = reply.headers.get("retry-after", "")
        throttled = WhatsAppUnavailable(retry_after=float(after) if after.isdigit() else _THROTTLED_SECONDS)
        throttled.graph_code = code
        raise throttled
    raise _refused(reply.status, error)


def _refused(status: int, error: Error | None) -> InboxError:
    """Meta's words quote names and ids: they are for the people who ask, and stay out of the text that logs have."""
    if error is None:
        return WhatsAppError(f"WhatsApp answered {status}.")
    rule = _RULES.get(error.error_subcode or 0) if error.code == 100 else None  # noqa: PLR2004 - "invalid parameter"
    if rule is None:
        more = "" if error.error_subcode is None else f", subcode {error.error_subcode}"
        refused: InboxError = WhatsAppError(f"WhatsApp answered {status} with code {error.code}{more}.")
    else:
        refused = rule()
    if rule is not TemplateNotFound:  # 33 is about a number where messages are sent
        refused.graph_code = telling(error.code, error.error_subcode)
    refused.words = _words(error)
    return refused


def _words(error: Error) -> str:
    """What Meta wrote for people, or whatever it wrote if the table alone does not say what is wrong."""
    row = find(error.code, error.error_subcode)
    if error.for_people:
        return scrub(error.for_people)[:_MAX_SAID]
    return words_of(error) if row is None or row.says_more else ""


def _failure(failed: CallFailed) -> InboxError:
    if failed.reason in ("connect_timeout", "read_timeout"):
        return WhatsAppTimeout(f"WhatsApp did not answer in time ({failed.reason}).")
    if failed.reach is Reach.ANSWERED:
        return WhatsAppError(f"WhatsApp's answer broke off ({failed.reason}).")
    return WhatsAppUnavailable(f"WhatsApp could not be reached ({failed.reason}).")
