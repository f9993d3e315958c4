"""A sender without WhatsApp: every outcome on demand, for tests of what stands above it."""

from collections import deque
from collections.abc import Sequence
from itertools import count

import msgspec

from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Content, message_type
from inbox.domain.errors import InboxError, WhatsAppNotConfigured
from inbox.domain.outbound import OpId
from inbox.domain.outgoing import Sendable
from inbox.domain.upstream_errors import AccountProblem, Refused
from inbox.ports.messaging import Accepted, Fence


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message as WhatsApp would have seen it."""

    phone_number_id: str
    to: Address
    content: Content | Sendable
    op: OpId
    wamid: str
    reply_to: str | None = None


class _Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What the next send does. Without an error it is accepted, and the answer's wamid cannot be read."""

    error: InboxError | None = None
    is_accepted: bool = True


class FakeSender:
    """Accepts what WhatsApp would, or fails as told. `keeps` bounds what is remembered."""

    def __init__(self, *, keeps: int = 10_000) -> None:
        self.sent: deque[Sent] = deque(maxlen=keeps)
        self._planned: deque[_Planned] = deque(maxlen=keeps)
        self._serial = count(1)
        self._outage: InboxError | None = None

    def fail_next(self, error: InboxError, *, accepted: bool = False) -> None:
        """The next send raises `error`; `accepted` says whether WhatsApp got the message all the same."""
        self._planned.append(_Planned(error=error, is_accepted=accepted))

    def hide_next_wamid(self) -> None:
        """The next send is accepted, but its answer cannot be read."""
        self._planned.append(_Planned())

    def fail_probes(self, outage: InboxError | None) -> None:
        """From now on every probe raises `outage`; None ends it."""
        self._outage = outage

    async def probe(self) -> bool:
        if self._outage is not None:
            raise self._outage
        return True

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
        if not isinstance(content, Sendable):
            raise Refused(f"Messages of type {message_type(content)} cannot be sent.")
        await fence()
        planned = self._planned.popleft() if self._planned else None
        if planned is not None and planned.error is not None and not planned.is_accepted:
            raise planned.error
        wamid = f"wamid.fake{next(self._serial)}"
        self.sent.append(
            Sent(phone_number_id=channel.phone_number_id, to=to, content=content, op=op, wamid=wamid, reply_to=reply_to)
        )
        if planned is not None and planned.error is not None:
            raise planned.error
        return Accepted(wamid=wamid if planned is None else None)

    def to(self, address: Address) -> Sequence[Sent]:
        """What one customer got."""
        return [sent for sent in self.sent if sent.to == address]
