"""The shortest way to send one message, and how the Cloud API's sender is wired for it."""

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

from inbox.adapters.messaging.cloud_api.errors import is_outage
from inbox.adapters.messaging.cloud_api.sender import CloudApiSender
from inbox.domain.accounts import Channel
from inbox.domain.contacts import Address
from inbox.domain.content import Text
from inbox.domain.errors import InboxError
from inbox.domain.ids import AccountId, MessageId
from inbox.domain.outbound import OpId
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import ApiClient, Limits, Timeouts
from inbox.kit.resilience import Guard, Policy
from inbox.ports.messaging import Accepted, Fence, Sender

from .trust import certificates
from .whatsapp_side import CUSTOMER, TOKEN

QUICK = Timeouts(connect=0.5, read=0.3, pool=0.6, fence=0.2)
PATIENT = Policy(total=5, attempt=5, attempts=1)


class Passing:
    """A fence that counts its runs, and refuses if told."""

    def __init__(self, refusal: InboxError | None = None) -> None:
        self.runs = 0
        self._refusal = refusal

    async def __call__(self) -> None:
        self.runs += 1
        if self._refusal is not None:
            raise self._refusal


class Sending:
    """A sender, its account, and the shortest way to send."""

    def __init__(self, sender: Sender, phone_number_id: str, token: str | None = TOKEN) -> None:
        self.sender = sender
        self.fence = Passing()
        self.op = OpId(MessageId(uuid4()), 1)
        self.channel = Channel(account_id=AccountId(UUID(int=1)), phone_number_id=phone_number_id, access_token=token)

    async def __call__(
        self,
        text: str = "Bonjour !",
        *,
        to: Address | None = None,
        fence: Fence | None = None,
        reply_to: str | None = None,
    ) -> Accepted:
        async with asyncio.timeout(20):
            return await self.sender.send(
                self.channel,
                to or Address(wa_id=CUSTOMER),
                Text(body=text),
                op=self.op,
                fence=fence or self.fence,
                reply_to=reply_to,
            )


class WiredSender:
    """As in production but for the times."""

    def __init__(self, url: str, *, policy: Policy = PATIENT, timeouts: Timeouts = QUICK, connections: int = 4) -> None:
        self.api = ApiClient(
            "whatsapp", url, timeouts=timeouts, limits=Limits(connections=connections), tls=certificates()
        )
        self.breakers = Breakers([Circuit(name="whatsapp", threshold=3, stays_open=30)])
        guard = Guard("whatsapp", policy, self.breakers, "whatsapp", is_failure=is_outage)
        self.sender = CloudApiSender(self.api, guard, version="v24.0")


StartSender = Callable[..., WiredSender]
