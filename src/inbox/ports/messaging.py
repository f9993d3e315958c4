"""What we ask of WhatsApp: send one message, read what it delivers."""

from datetime import datetime
from typing import Protocol

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.inbound import InboundEvent
from inbox.domain.outbound import OpId


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
        self, channel: Channel, to: Address, content: Content, *, op: OpId, fence: Fence, reply_to: str | None = None
    ) -> Accepted:
        """One attempt, never a retry, at most 15 s.

        `fence` is awaited when a connection stands and before the first byte; if it raises, no byte leaves. `op` comes
        back in every status of the message. Raises `NothingSent` (class N), `TryLater` (R), `AccountProblem` (P),
        `Refused` (F) and `OutcomeUnknown` (U); the class is decided by what reached the wire.
        """
        ...


class WebhookCodec(Protocol):
    """Reads what Meta posts. Pure and synchronous."""

    @property
    def has_secret(self) -> bool:
        """False if no app secret is configured: then no signature can be checked."""
        ...

    def authentic(self, signature: bytes, body: bytes) -> bool:
        """True if `signature` (header `X-Hub-Signature-256`) is Meta's over the raw bytes. Constant time."""
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
