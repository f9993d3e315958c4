"""The other side of a send, as the cases of the contract see it: the Graph API emulator, or the fake's own memory."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.content import Text
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import AccountProblem, NothingSent, OutcomeUnknown, Refused, TryLater
from inbox.kit.http import ApiClient

TOKEN = "EMULATOR-TOKEN"
BUSINESS = "33190000000"
CUSTOMER = "33600000001"
BSUID = "FR.40414243444546474849"
Webhooks = asyncio.Queue[tuple[bytes, bytes]]
"""Signature and body of what the emulator posts."""


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the other side has accepted."""

    to: str
    text: str
    op: str
    wamid: str
    reply_to: str | None


class OtherSide(Protocol):
    phone_number_id: str

    async def arrived(self) -> list[Arrived]: ...

    async def will(self, outcome: str) -> None:
        """The next send ends so: `N`, `R`, `P`, `F`, `U lost`, `U taken` or `A-`."""


class FakeSide:
    """What the fake remembers."""

    _ERRORS: dict[str, Callable[[], InboxError]] = {  # noqa: RUF012 - a table
        "N": NothingSent,
        "R": lambda: TryLater("number"),
        "P": AccountProblem,
        "F": Refused,
        "U lost": OutcomeUnknown,
        "U taken": OutcomeUnknown,
    }

    def __init__(self) -> None:
        self.sender = FakeSender()
        self.phone_number_id = "900111222333444"

    async def arrived(self) -> list[Arrived]:
        return [
            Arrived(
                to=sent.to.key,
                text=sent.content.body if isinstance(sent.content, Text) else "",
                op=str(sent.op),
                wamid=sent.wamid,
                reply_to=sent.reply_to,
            )
            for sent in self.sender.sent
        ]

    async def will(self, outcome: str) -> None:
        if outcome == "A-":
            self.sender.hide_next_wamid()
        else:
            self.sender.fail_next(self._ERRORS[outcome](), accepted=outcome == "U taken")


class GraphSide:
    """The emulator's control API."""

    _RULES: dict[str, dict[str, Any]] = {  # noqa: RUF012 - a table
        "N": {"action": "http_error", "status": 425, "code": 2},
        "R": {"action": "http_error", "status": 429, "code": 130429},
        "P": {"action": "http_error", "status": 401, "code": 190},
        "F": {"action": "http_error", "status": 400, "code": 131026},
        "U lost": {"action": "reset_before_accept"},
        "U taken": {"action": "reset_after_accept"},
        "A-": {"action": "truncated_json"},
    }

    def __init__(self, control: ApiClient) -> None:
        self._control = control
        self.phone_number_id = ""

    async def restart(self) -> None:
        """As just started, with one number."""
        await self.call("POST", "/reset")
        waba = await self.call("POST", "/wabas", {"numbers": [{"phone": BUSINESS}]})
        self.phone_number_id = waba["numbers"][0]["id"]

    async def call(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401 - any JSON
        reply = await self._control.call(
            method,
            f"/_emu{path}",
            headers={"content-type": "application/json"},
            content=None if document is None else msgspec.json.encode(document),
        )
        assert reply.status < 300, reply.body
        return msgspec.json.decode(reply.body) if reply.body else None

    async def arm(self, **rule: object) -> None:
        await self.call("POST", "/faults", {"count": 1, "kind": "send", **rule})

    async def will(self, outcome: str) -> None:
        await self.arm(**self._RULES[outcome])

    async def arrived(self) -> list[Arrived]:
        return [
            Arrived(
                to=entry["to"],
                text=entry["message"]["text"]["body"],
                op=entry["op"],
                wamid=entry["wamid"],
                reply_to=entry["message"].get("context", {}).get("message_id"),
            )
            for entry in await self.entries("send")
        ]

    async def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """The emulator's own account, of these kinds or of everything."""
        ledger = await self.call("GET", "/ledger")
        return [entry["data"] for entry in ledger["entries"] if not kinds or entry["kind"] in kinds]

    async def until(self, kind: str) -> None:
        """Until the emulator has noted something of this kind; each look lets it go on."""
        async with asyncio.timeout(10):
            while not await self.entries(kind):
                pass
