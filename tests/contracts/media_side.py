"""The other side of a download, as the cases of the contract see it, and a peer whose answers a test writes itself."""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias
from uuid import UUID

import msgspec

from inbox.adapters.messaging.cloud_api.media import CloudApiMedia, is_outage
from inbox.adapters.messaging.fake_media import FakeFile, FakeMediaSource
from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError, MediaGone, MediaUrlMissing
from inbox.domain.ids import AccountId
from inbox.domain.upstream_errors import WhatsAppError, WhatsAppTimeout, WhatsAppUnavailable
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import ApiClient, Limits, Timeouts
from inbox.kit.resilience import Guard, Policy
from inbox.ports.messaging import MediaSource

from .trust import certificates
from .whatsapp_side import CUSTOMER, TOKEN, GraphSide

LIMIT = 1_000_000
QUICK = Timeouts(connect=0.5, read=0.4, pool=0.6)


def a_channel(phone_number_id: str = "1", token: str | None = TOKEN) -> Channel:
    return Channel(account_id=AccountId(UUID(int=1)), phone_number_id=phone_number_id, access_token=token)


class Downloading:
    """A source, an account, and the shortest way to fetch a whole file."""

    def __init__(self, source: MediaSource, channel: Channel | None = None) -> None:
        self.source = source
        self.channel = channel or a_channel()

    async def __call__(self, media_id: str = "700", *, limit: int = LIMIT) -> bytes:
        async with asyncio.timeout(20), self.source.open(self.channel, media_id, limit=limit) as stream:
            return b"".join([piece async for piece in stream.chunks])


class MediaSide(Protocol):
    phone_number_id: str

    async def holds(self, data: bytes, mime_type: str = "image/jpeg") -> str:
        """The media id of a new file."""

    async def will(self, outcome: str) -> None:
        """The next opening ends so: one of `OUTCOMES`."""


OUTCOMES: dict[str, type[InboxError]] = {
    "token refused": WhatsAppError,
    "no address": MediaUrlMissing,
    "unreadable": WhatsAppError,
    "file gone": MediaGone,
    "throttled": WhatsAppUnavailable,
    "gateway": WhatsAppError,
    "reset": WhatsAppUnavailable,
    "silence": WhatsAppTimeout,
}


class FakeMediaSide:
    """What the fake holds."""

    def __init__(self) -> None:
        self.source = FakeMediaSource()
        self.phone_number_id = "900111222333444"

    async def holds(self, data: bytes, mime_type: str = "image/jpeg") -> str:
        media_id = f"7{len(self.source.files):03d}"
        self.source.files[media_id] = FakeFile(data=data, mime_type=mime_type)
        return media_id

    async def will(self, outcome: str) -> None:
        self.source.fail_next(OUTCOMES[outcome]())


class GraphMediaSide:
    """The emulator's control API."""

    _RULES: dict[str, dict[str, object]] = {  # noqa: RUF012 - a table
        "token refused": {"action": "http_error", "status": 401, "code": 190},
        "no address": {"action": "http_error", "status": 200, "body": {"id": "7"}},
        "unreadable": {"action": "truncated_json", "count": 2},
        "file gone": {"action": "http_error", "status": 404, "kind": "media"},
        "throttled": {"action": "http_error", "status": 400, "code": 80007},
        "gateway": {"action": "html_502", "count": 2},
        "reset": {"action": "reset_before_accept", "count": 2},
        "silence": {"action": "hang", "count": 2},
    }

    def __init__(self, graph: GraphSide) -> None:
        self.graph = graph
        self.phone_number_id = graph.phone_number_id

    async def holds(self, data: bytes, mime_type: str = "image/jpeg") -> str:
        injected = await self.graph.call(
            "POST",
            "/inbound",
            {
                "phone_number_id": self.phone_number_id,
                "from": CUSTOMER,
                "type": "document",
                "file": {"data": base64.b64encode(data).decode(), "mime_type": mime_type},
            },
        )
        media_id: str = injected["media_id"]
        return media_id

    async def will(self, outcome: str) -> None:
        await self.graph.call("POST", "/faults", {"count": 1, "kind": "account", **self._RULES[outcome]})


class WiredMedia:
    """As in production but for the times."""

    def __init__(
        self,
        url: str,
        *,
        origins: frozenset[str] = frozenset(),
        connections: int = 4,
        policy: Policy | None = None,
        idle: float = 0.4,
        timeouts: Timeouts = QUICK,
    ) -> None:
        self.api = ApiClient(
            "media",
            url,
            timeouts=timeouts,
            limits=Limits(connections=connections, body=64 * 1024),
            origins=origins,
            tls=certificates(),
        )
        self.breakers = Breakers([Circuit(name="media", threshold=3, stays_open=30)])
        policy = policy or Policy(total=5, attempt=2, attempts=2, wait_initial=0.01)
        guard = Guard("media", policy, self.breakers, "media", is_outage)
        self.source = CloudApiMedia(self.api, guard, version="v24.0", idle=idle)


StartMedia: TypeAlias = Callable[..., WiredMedia]
Write: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class HandWritten:
    """A server over a raw socket. `node` is the answer about the file; `file` writes the answer with the file."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.hung_up = asyncio.Event()
        self.file: Write | None = None
        self.node: dict[str, object] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(request)
                if "/v24.0/" in request.partition("\r\n")[0] or self.file is None:
                    body = msgspec.json.encode({"url": f"{self.url}/file", **self.node})
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                else:
                    await self.file(reader, writer)
                    break
        self.hung_up.set()
        writer.close()


def head(status: str = "200 OK", **headers: object) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode()
