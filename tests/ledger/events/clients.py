"""Clients that connect, stall, vanish and come back, over pages, streams and sockets, and write down what they hear."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import aiohttp
import msgspec

from .books import Heard

_BROKEN: Final = (aiohttp.ClientError, ConnectionError, TimeoutError, EOFError)
_PAGE: Final = 200
_CONNECT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)


class Event(msgspec.Struct, frozen=True):
    account_id: str
    conversation_id: str
    epoch: int


class Told(msgspec.Struct, frozen=True):
    cursor: str
    event: Event


class _Page(msgspec.Struct, frozen=True):
    events: list[Told]
    cursor: str
    has_more: bool


class _Said(msgspec.Struct, frozen=True):
    type: str
    cursor: str | None = None
    event: Event | None = None


_TOLD: Final = msgspec.json.Decoder(Told)
_PAGES: Final = msgspec.json.Decoder(_Page)
_SAID: Final = msgspec.json.Decoder(_Said)


class Client:
    """One program with a key of its own."""

    def __init__(self, session: aiohttp.ClientSession, ports: Sequence[int], token: str, seed: int) -> None:
        self.heard: list[Heard] = []
        self.resets = 0
        self.connections = 0
        self._session = session
        self._ports = ports
        self._headers = {"authorization": f"Bearer {token}"}
        self._chance = random.Random(seed)  # noqa: S311 - a story that can be told again
        self._cursor = ""

    async def begin(self) -> None:
        """Notes where it begins."""
        page = await self._page(None)
        self._cursor = page.cursor

    async def play(self, over: asyncio.Event) -> None:
        """Until `over`, each time by another way."""
        while not over.is_set():
            self.connections += 1
            way = self._chance.choice((self._pages, self._streams, self._sockets))
            with suppress(*_BROKEN):
                await way()
            await asyncio.sleep(self._chance.random() * 0.5)

    async def catch_up(self, last: int) -> None:
        """Reads until nothing is missing up to the number `last`."""
        while int(self._cursor.rpartition("-")[2]) < last:
            try:
                await self._turn()
            except _BROKEN:
                await asyncio.sleep(0.2)

    async def _pages(self) -> None:
        for _ in range(self._chance.randint(1, 6)):
            while await self._turn():
                pass
            await asyncio.sleep(self._chance.random() * 0.3)

    async def _turn(self) -> bool:
        """One page; True if there is more."""
        page = await self._page(self._cursor)
        for told in page.events:
            self._hear(told.event, told.cursor)
        self._cursor = page.cursor
        return page.has_more

    async def _page(self, after: str | None) -> _Page:
        query = {"limit": str(_PAGE), **({"after": after} if after else {})}
        url = f"http://127.0.0.1:{self._chance.choice(self._ports)}/events"
        async with self._session.get(url, params=query, headers=self._headers, timeout=_CONNECT) as answer:
            if answer.status == 410:
                self.resets += 1
            answer.raise_for_status()
            return _PAGES.decode(await answer.read())

    async def _streams(self) -> None:
        url = f"http://127.0.0.1:{self._chance.choice(self._ports)}/events"
        headers = {**self._headers, "accept": "text/event-stream", "last-event-id": self._cursor}
        async with self._session.get(url, headers=headers, timeout=_CONNECT) as answer:
            answer.raise_for_status()
            async with self._for_a_while():
                block: dict[bytes, bytes] = {}
                async for line in answer.content:
                    field, _, value = line.rstrip(b"\n").partition(b": ")
                    if field:
                        block[field] = value
                        continue
                    self._heed(block)
                    block = {}
                    await self._perhaps_stall()

    def _heed(self, block: dict[bytes, bytes]) -> None:
        """One block of a stream. Its id counts when it is whole."""
        if block.get(b"event") == b"reset":
            self.resets += 1
        elif b"data" in block and b"event" not in block:
            self._hear(_TOLD.decode(block[b"data"]).event, block[b"id"].decode())
        elif b"id" in block:
            self._cursor = block[b"id"].decode()

    async def _sockets(self) -> None:
        url = f"http://127.0.0.1:{self._chance.choice(self._ports)}/events/ws"
        async with self._session.ws_connect(url, headers=self._headers, max_msg_size=0) as socket:
            await socket.send_json({"type": "subscribe", "after": self._cursor})
            async with self._for_a_while():
                async for message in socket:
                    said = _SAID.decode(message.data)
                    if said.event is not None and said.cursor is not None:
                        self._hear(said.event, said.cursor)
                    elif said.type == "reset":
                        self.resets += 1
                    elif said.type == "heartbeat" and said.cursor is not None:
                        self._cursor = said.cursor
                    await self._perhaps_stall()

    def _for_a_while(self) -> asyncio.Timeout:
        """Then the connection is cut, wherever it is."""
        return asyncio.timeout(0.05 + self._chance.random() ** 2 * 8)

    async def _perhaps_stall(self) -> None:
        if self._chance.random() < 0.0005:
            await asyncio.sleep(self._chance.random() * 3)

    def _hear(self, event: Event, cursor: str) -> None:
        self.heard.append(Heard(account=event.account_id, talk=event.conversation_id, number=event.epoch))
        self._cursor = cursor
