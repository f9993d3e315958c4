"""Many connections to one process: how late they hear, what an idle one weighs, and how fast a crowd comes back."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
import msgspec

from inbox.domain.ids import AccountId

from .stage import Stage, Web, World, free_ports

_GIVE_UP: Final = 60.0
_PROBE_EVERY: Final = 0.05
_MANY: Final = {"INBOX_FEED_PER_USER": "100000", "INBOX_FEED_CONNECTIONS": "100000"}


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` are changes a second, `crowd` those who come back at once."""

    idle: int = 1_000
    busy: int = 50
    rate: float = 20.0
    changes: int = 600
    crowd: int = 5_000
    missed: int = 10


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds from the answer to the commit until a client has the event.

    `errors` are of those who only read lists.
    """

    p50_ms: float
    p99_ms: float
    idle_kb: float
    reconnect_s: float
    errors: int
    crowd: int


class Tap(asyncio.Protocol):
    """A stream, read as cheaply as one can: pieces with `data: ` are events."""

    def __init__(self, port: int, token: str, after: str | None = None) -> None:
        self.placed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heard: list[tuple[float, bytes]] = []
        self.wanted = 0
        self.enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        last = f"last-event-id: {after}\r\n" if after else ""
        self._request = (
            f"GET /events HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/event-stream\r\n"
            f"authorization: Bearer {token}\r\n{last}\r\n"
        ).encode()
        self._rest = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                self.heard.append((now, line[6:]))
            elif line.startswith(b"id: ") and not self.placed.done():
                self.placed.set_result(None)
            elif line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
                self._fail(ConnectionError(line.decode()))
        if self.wanted and len(self.heard) >= self.wanted and not self.enough.done():
            self.enough.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or EOFError())

    def _fail(self, error: Exception) -> None:
        for future in (self.placed, self.enough):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits for it sees it

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Told(msgspec.Struct, frozen=True):
    event: "_Event"


class _Event(msgspec.Struct, frozen=True):
    conversation_id: str
    epoch: int


async def measured(stage: Stage, form: Form) -> Told:
    world = await stage.fill(2, 40)
    busy, quiet = world.accounts
    port = free_ports(1)[0]
    async with stage.web(port, **_MANY) as web:
        tokens = {account: await stage.key([account]) for account in world.accounts}
        async with AsyncExitStack() as stack:
            idle_kb = await _idle(web, tokens[quiet], form, stack)
            late = await _late(stage, world, busy, web, tokens[busy], form, stack)
        reconnect, errors = await _crowd(stage, world, busy, web, tokens[busy], form)
    late.sort()
    return Told(
        p50_ms=round(late[len(late) // 2] * 1000, 1),
        p99_ms=round(late[int(len(late) * 0.99)] * 1000, 1),
        idle_kb=round(idle_kb, 1),
        reconnect_s=round(reconnect, 2),
        errors=errors,
        crowd=form.crowd,
    )


async def _opened(web: Web, token: str, count: int, after: str | None = None, wanted: int = 0) -> list[Tap]:
    loop = asyncio.get_running_loop()

    async def one() -> Tap:
        tap = Tap(web.port, token, after)
        tap.wanted = wanted
        await loop.create_connection(lambda: tap, "127.0.0.1", web.port)
        await tap.placed
        return tap

    async with asyncio.timeout(_GIVE_UP):
        return list(await asyncio.gather(*(one() for _ in range(count))))


async def _idle(web: Web, token: str, form: Form, stack: AsyncExitStack) -> float:
    """Kilobytes of the process for each connection that hears nothing."""
    first = await _opened(web, token, 50)  # what is loaded once is loaded now
    before = web.memory()
    taps = await _opened(web, token, form.idle)
    after = web.memory()
    for tap in (*first, *taps):
        stack.callback(tap.close)
    return (after - before) / form.idle / 1024


async def _late(
    stage: Stage, world: World, busy: AccountId, web: Web, token: str, form: Form, stack: AsyncExitStack
) -> list[float]:
    """Seconds from the answer to each commit until each busy client has it; it may be sooner there."""
    taps = await _opened(web, token, form.busy)
    for tap in taps:
        tap.wanted = form.changes
        stack.callback(tap.close)
    places = [place for place in world.places if place.account == busy]
    at: dict[tuple[str, int], float] = {}
    order = {"changes": form.changes, "delay": 0.0, "seed": 1, "rate": form.rate / 2.5, "at_once": 1}
    async for done in stage.written(places, **order):
        at.update(dict.fromkeys(done.changes, done.at))
    async with asyncio.timeout(_GIVE_UP):
        await asyncio.gather(*(tap.enough for tap in taps))
    decode = msgspec.json.Decoder(_Told).decode
    return [
        heard - at[told.event.conversation_id, told.event.epoch]
        for tap in taps
        for heard, told in ((heard, decode(data)) for heard, data in tap.heard)
    ]


async def _crowd(stage: Stage, world: World, busy: AccountId, web: Web, token: str, form: Form) -> tuple[float, int]:
    """Seconds until everybody who comes back at once has what they missed, and the errors of others meanwhile."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{web.port}") as session:
        headers = {"authorization": f"Bearer {token}"}
        async with session.get("/events", headers=headers) as answer:
            after = (await answer.json())["cursor"]
        places = [place for place in world.places if place.account == busy]
        async for _ in stage.written(places, changes=form.missed, delay=0.0, seed=2, at_once=1):
            pass
        over = asyncio.Event()
        prober = asyncio.create_task(_probe(session, headers, busy, over))
        begun = time.monotonic()
        taps = await _opened(web, token, form.crowd, after, form.missed)
        async with asyncio.timeout(_GIVE_UP):
            await asyncio.gather(*(tap.enough for tap in taps))
        took = time.monotonic() - begun
        over.set()
        errors = await prober
        _require(taps, form.missed)
        for tap in taps:
            tap.close()
    return took, errors


def _require(taps: Sequence[Tap], missed: int) -> None:
    wrong = sum(len(tap.heard) != missed for tap in taps)
    if wrong:
        raise SystemExit(f"{wrong} of the crowd heard something else than the {missed} events that they missed")


async def _probe(
    session: aiohttp.ClientSession, headers: dict[str, str], account: AccountId, over: asyncio.Event
) -> int:
    errors = 0
    while not over.is_set():
        try:
            async with session.get("/conversations", params={"account_id": str(account)}, headers=headers) as answer:
                errors += answer.status != 200
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            errors += 1
        await asyncio.sleep(_PROBE_EVERY)
    return errors
