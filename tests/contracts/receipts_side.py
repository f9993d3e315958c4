"""The other side of a receipt, as the cases of the contract see it: the Graph API emulator, or the fake's memory."""

from itertools import count
from typing import Protocol

from inbox.adapters.messaging.cloud_api.receipts import CloudApiReceipts
from inbox.adapters.messaging.fake_receipts import FakeReceipts
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import (
    AccountProblem,
    Refused,
    TryLater,
    WhatsAppError,
    WhatsAppTimeout,
    WhatsAppUnavailable,
)
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import ApiClient, Limits
from inbox.kit.resilience import Guard, Policy

from .sending import QUICK
from .trust import certificates
from .whatsapp_side import CUSTOMER, GraphSide

OUTCOMES: dict[str, InboxError] = {
    "throttled": TryLater("number", graph_code=130429),
    "token refused": AccountProblem(graph_code=190),
    "refused": Refused(graph_code=131051),
    "gateway": WhatsAppError(),
    "reset": WhatsAppUnavailable(),
    "silence": WhatsAppTimeout(),
}
UNKNOWN = "wamid.nobody-wrote-this"


class ReceiptsSide(Protocol):
    phone_number_id: str

    async def a_message(self) -> str:
        """A customer writes: the wamid."""
        ...

    async def told(self) -> list[tuple[str, bool]]:
        """Wamids that were marked, and whether that also showed that somebody writes."""
        ...

    async def will(self, outcome: str) -> None:
        """The next call ends so."""
        ...


class FakeReceiptsSide:
    """What the fake remembers."""

    def __init__(self) -> None:
        self.receipts = FakeReceipts()
        self.receipts.unknown.add(UNKNOWN)
        self.phone_number_id = "900111222333444"
        self._serial = count(1)

    async def a_message(self) -> str:
        return f"wamid.in{next(self._serial)}"

    async def told(self) -> list[tuple[str, bool]]:
        return [(told.wamid, told.typing) for told in self.receipts.told]

    async def will(self, outcome: str) -> None:
        self.receipts.fail_next(OUTCOMES[outcome])


class GraphReceiptsSide:
    """The emulator's control API."""

    _RULES: dict[str, dict[str, object]] = {  # noqa: RUF012 - a table
        "throttled": {"action": "http_error", "status": 400, "code": 130429},
        "token refused": {"action": "http_error", "status": 401, "code": 190},
        "refused": {"action": "http_error", "status": 400, "code": 131051},
        "gateway": {"action": "html_502"},
        "reset": {"action": "reset_before_accept"},
        "silence": {"action": "hang"},
        "truncated": {"action": "truncated_json"},
    }

    def __init__(self, graph: GraphSide) -> None:
        self.graph = graph
        self.phone_number_id = graph.phone_number_id

    async def a_message(self) -> str:
        written = {"phone_number_id": self.phone_number_id, "from": CUSTOMER, "text": "Bonjour"}
        wamid: str = (await self.graph.call("POST", "/inbound", written))["wamid"]
        return wamid

    async def told(self) -> list[tuple[str, bool]]:
        return [(entry["wamid"], entry["typing"]) for entry in await self.graph.entries("read")]

    async def will(self, outcome: str) -> None:
        await self.graph.call("POST", "/faults", {"count": 1, "kind": "read", **self._RULES[outcome]})


class WiredReceipts:
    """As in production but for the times."""

    def __init__(self, url: str, policy: Policy | None = None) -> None:
        self.api = ApiClient("receipts", url, timeouts=QUICK, limits=Limits(connections=4), tls=certificates())
        self.breakers = Breakers([Circuit(name="whatsapp", threshold=3, stays_open=30)])
        guard = Guard("receipts", policy or Policy(total=5, attempt=5), self.breakers, "whatsapp", is_failure=None)
        self.receipts = CloudApiReceipts(self.api, guard, version="v24.0")
