"""Marks messages as read and shows that somebody writes: `POST /{version}/{phone number id}/messages`."""

from typing import Final

import msgspec

from inbox.adapters.messaging.cloud_api import errors
from inbox.adapters.messaging.cloud_api.wire import is_success
from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError, WhatsAppNotConfigured
from inbox.domain.upstream_errors import (
    AccountProblem,
    OutcomeUnknown,
    WhatsAppError,
    WhatsAppTimeout,
    WhatsAppUnavailable,
)
from inbox.kit.http import ApiClient, CallFailed, Reach, Reply
from inbox.kit.resilience import Guard

_MISCONFIGURED: Final = frozenset({"invalid_request", "not_allowed"})
_TOO_LATE: Final = frozenset({"connect_timeout", "read_timeout"})


class CloudApiReceipts:
    """The receipts of the Cloud API."""

    def __init__(self, api: ApiClient, guard: Guard, *, version: str) -> None:
        """`version` like `v24.0`. The guard has one attempt and heeds the circuit of the sends."""
        self._api = api
        self._guard = guard
        self._version = version

    async def mark_read(self, channel: Channel, wamid: str, *, typing: bool = False) -> None:
        if not channel.is_usable:
            raise AccountProblem(WhatsAppNotConfigured.message)
        body = msgspec.json.encode(body_of(wamid, typing=typing))

        async def attempt() -> None:
            try:
                reply = await self._api.call(
                    "POST",
                    f"/{self._version}/{channel.phone_number_id}/messages",
                    headers={"authorization": f"Bearer {channel.access_token}", "content-type": "application/json"},
                    content=body,
                )
            except CallFailed as failed:
                if failed.reach is Reach.ANSWERED and failed.status is not None and is_success(failed.status):
                    return  # what it says beside that is of no use
                raise _failure(failed) from failed
            if not is_success(reply.status):
                raise _refusal(reply)

        await self._guard.call(attempt, on_timeout=lambda: WhatsAppTimeout("WhatsApp did not answer in time."))


def body_of(wamid: str, *, typing: bool) -> dict[str, str | dict[str, str]]:
    """The JSON of the call."""
    read: dict[str, str | dict[str, str]] = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    return {**read, "typing_indicator": {"type": "text"}} if typing else read


def _failure(failed: CallFailed) -> InboxError:
    if failed.reason in _MISCONFIGURED:
        return AccountProblem("The phone number id or the access token cannot be used in a request.")
    if failed.reason == "pool_timeout":
        return errors.NotTried("No connection was free.")
    if failed.reason in _TOO_LATE:
        return WhatsAppTimeout(f"WhatsApp did not answer in time ({failed.reason}).")
    return WhatsAppUnavailable(f"WhatsApp could not be reached ({failed.reason}).")


def _refusal(reply: Reply) -> InboxError:
    error = errors.of_send(reply.status, reply.headers, reply.body)
    # There is no doubt to keep: whatever became of it, the call may be repeated.
    return WhatsAppError(str(error)) if isinstance(error, OutcomeUnknown) else error
