"""Sends messages through Meta's Graph API: `POST /{version}/{phone number id}/messages`."""

from typing import Final

import msgspec

from inbox.adapters.messaging.cloud_api import errors
from inbox.adapters.messaging.cloud_api.bodies import body_of
from inbox.adapters.messaging.cloud_api.wire import SendAnswer, is_success
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.errors import InboxError, WhatsAppNotConfigured
from inbox.domain.outbound import OpId
from inbox.domain.outgoing import Sendable
from inbox.domain.upstream_errors import (
    AccountProblem,
    NothingSent,
    OutcomeUnknown,
    WhatsAppError,
    WhatsAppTimeout,
    WhatsAppUnavailable,
)
from inbox.kit.http import ApiClient, CallFailed, Progress, Reach, Reply
from inbox.kit.resilience import Guard
from inbox.ports.messaging import Accepted, Fence

_MISCONFIGURED: Final = frozenset({"invalid_request", "not_allowed"})
_OURS: Final = frozenset({"pool_timeout", "fence_expired"})


class CloudApiSender:
    """The sender of the Cloud API."""

    def __init__(self, api: ApiClient, guard: Guard, *, version: str) -> None:
        """`version` like `v24.0`. The guard's policy has one attempt: what may have left is never repeated."""
        self._api = api
        self._guard = guard
        self._version = version
        self._doubts = errors.Doubts()

    async def send(
        self,
        channel: Channel,
        to: Address,
        content: Content | Sendable,
        *,
        op: OpId,
        fence: Fence,
        reply_to: str | None = None,
    ) -> Accepted:
        if not channel.is_usable:
            raise AccountProblem(WhatsAppNotConfigured.message)
        body = msgspec.json.encode(body_of(to, content, op, reply_to))
        progress = Progress()

        async def attempt() -> Reply:
            try:
                reply = await self._api.call(
                    "POST",
                    f"/{self._version}/{channel.phone_number_id}/messages",
                    headers={"authorization": f"Bearer {channel.access_token}", "content-type": "application/json"},
                    content=body,
                    fence=fence,
                    progress=progress,
                )
            except CallFailed as failed:
                raise _failure(failed) from failed
            if not is_success(reply.status):
                error = errors.of_send(reply.status, reply.headers, reply.body)
                raise self._doubts.judged(error, channel.phone_number_id)
            self._doubts.end()
            return reply

        try:
            reply = await self._guard.call(attempt, on_timeout=lambda: _deadline(progress))
        except _AcceptedUnread:
            return Accepted(wamid=None)
        return Accepted(wamid=_wamid(reply.body))

    async def probe(self) -> bool:
        """The root of the Graph API answers 400 to who asks for nothing."""
        try:
            reply = await self._api.call("GET", "/")
        except CallFailed as failed:
            raise _unreachable(failed) from failed
        if not is_success(reply.status) and reply.status != 400:  # noqa: PLR2004
            raise WhatsAppError(f"WhatsApp answered {reply.status}.")
        return True


class _AcceptedUnread(InboxError):
    """A 2xx status line was read and then no whole body: the message is accepted, its wamid comes with a status."""

    kind = OutcomeUnknown.kind
    code = OutcomeUnknown.code


def _failure(failed: CallFailed) -> InboxError:
    if failed.reason in _MISCONFIGURED:
        return AccountProblem("The phone number id or the access token cannot be used in a request.")
    if failed.reason in _OURS:
        return errors.NotTried(f"Nothing was sent ({failed.reason}).")
    if failed.reach is Reach.NOTHING:
        return NothingSent(f"WhatsApp could not be reached ({failed.reason}).")
    if failed.reach is Reach.ANSWERED and failed.status is not None and is_success(failed.status):
        return _AcceptedUnread()
    return OutcomeUnknown(f"The connection to WhatsApp broke ({failed.reason}).")


def _unreachable(failed: CallFailed) -> InboxError:
    if failed.reason in ("connect_timeout", "read_timeout"):
        return WhatsAppTimeout(f"WhatsApp did not answer in time ({failed.reason}).")
    if failed.reach is Reach.ANSWERED:
        return WhatsAppError(f"WhatsApp's answer broke off ({failed.reason}).")
    return WhatsAppUnavailable(f"WhatsApp could not be reached ({failed.reason}).")


def _deadline(progress: Progress) -> InboxError:
    if progress.reach is Reach.NOTHING and progress.is_connected:
        return errors.NotTried("The fence took too long.")
    if progress.reach is Reach.NOTHING:
        return NothingSent("WhatsApp could not be reached in time.")
    if progress.status is not None and is_success(progress.status):
        return _AcceptedUnread()
    return OutcomeUnknown("WhatsApp did not answer in time.")


def _wamid(body: bytes) -> str | None:
    try:
        answer = msgspec.json.decode(body, type=SendAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer.messages[0].id if answer.messages else None
