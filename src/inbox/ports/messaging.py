"""What we ask of WhatsApp: send one message, read what it delivers, tell that it was read."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, Protocol

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.inbound import InboundEvent
from inbox.domain.outbound import OpId
from inbox.domain.outgoing import Sendable

MOST_SEND_SECONDS: Final = 15.0
"""No send is under way for longer. What takes over from a dead worker waits until then, and some seconds more."""


class Fence(Protocol):
    """The last step before the first byte: commits that the message is on the wire now.

    Raises `FenceRefused` if the message is no longer ours to send; then nothing leaves.
    """

    async def __call__(self) -> None: ...


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """WhatsApp took the message.

    `wamid` is None if it said so without a readable id: never resend, a status follows.
    """

    wamid: str | None


class Sender(Protocol):
    """Sends through the Cloud API."""

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
        """One attempt, never a retry, at most `MOST_SEND_SECONDS`.

        `fence` is awaited when a connection stands and before the first byte; if it raises, no byte leaves. `op` comes
        back in every status of the message. Raises `NothingSent` (class N), `TryLater` (R), `AccountProblem` (P),
        `Refused` (F) and `OutcomeUnknown` (U); the class is decided by what reached the wire.
        """
        ...

    async def probe(self) -> bool:
        """A `Probe`, without any account's token."""
        ...


class Receipts(Protocol):
    """Tells customers that their messages were read. Best effort: no message of ours waits for it."""

    async def mark_read(self, channel: Channel, wamid: str, *, typing: bool = False) -> None:
        """Marks a customer's message, and with it the earlier ones of the chat, as read. At most 5 s, one attempt.

        `typing` also shows that somebody writes, for 25 s or until a message comes. Repeating it changes nothing.
        Raises `AccountProblem`, `Refused` (WhatsApp knows no such message, or not any more), `TryLater`, and for no
        usable answer `NothingSent`, `WhatsAppError`, `WhatsAppTimeout` or `WhatsAppUnavailable`.
        """
        ...


class WebhookCodec(Protocol):
    """Reads what Meta posts. Pure and synchronous."""

    @property
    def has_secret(self) -> bool:
        """False if no app secret is configured: then no signature can be checked."""
        ...

    def authentic(self, signature: bytes, body: bytes, more: Sequence[bytes] = ()) -> bool:
        """True if `signature` (header `X-Hub-Signature-256`) is Meta's over the raw bytes. Constant time.

        `more` are app secrets beside the configured ones.
        """
        ...

    def lane(self, body: bytes) -> str:
        """The lane that keeps the deliveries of one number in order. A hint: nothing trusts it."""
        ...

    def check_object(self, body: bytes) -> None:
        """Raises `InvalidJson` unless the body is a JSON object, or something stranger that is worth keeping.

        Lone surrogates, bad UTF-8 inside strings, NUL and deep nesting pass: they are stored and set aside later.
        """
        ...

    def decode(self, body: bytes, received_at: datetime) -> list[InboundEvent]:
        """Every item of the delivery; what is unknown or broken becomes `Unknown`.

        `received_at` stands in for a time that Meta left out.

        Raises `Undecodable` if the whole cannot be read.
        """
        ...


MEDIA_OPENING_SECONDS: Final = 15.0
MEDIA_IDLE_SECONDS: Final = 30.0


class MediaStream(msgspec.Struct, frozen=True, kw_only=True):
    """An open file of WhatsApp. Type, size in bytes and SHA-256 (hexadecimal) are as WhatsApp names them, or None.

    The type is a stranger's word. `chunks` gives the whole file, `size` bytes if that is known, or raises:
    `WhatsAppError` (it broke off or is not of that size), `WhatsAppTimeout` (idle), `PayloadTooLarge`.
    """

    mime_type: str | None
    size: int | None
    sha256: str | None
    chunks: AsyncIterator[bytes]


class MediaSource(Protocol):
    """Files that people sent, as long as WhatsApp keeps them: its ids live for some days only."""

    def open(self, channel: Channel, media_id: str, *, limit: int) -> AbstractAsyncContextManager[MediaStream]:
        """Asks for the file's address, then for the file; leaving the block closes the connection.

        The token travels in the header `Authorization` only, and only to Meta's hosts or that of the configured Graph
        API: an address elsewhere is not called, a redirect is not followed. Nothing is held in memory as a whole.

        Opening takes at most 15 s, a failure that may pass is tried once more; between two pieces pass at most 30 s.
        Raises `AccountTokenMissing`, `MediaExpired` (WhatsApp knows no such id, or not any more), `MediaGone` (the file
        is not where its id points), `MediaUrlMissing`, `PayloadTooLarge` (announced to be over `limit` bytes),
        `WhatsAppError` (any other answer, a refused token included), `WhatsAppTimeout`, and `WhatsAppUnavailable` (no
        connection, throttled, too many calls of ours, or given up for a while).
        """
        ...
