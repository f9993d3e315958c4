"""What guards and pools say of themselves while calls are under way."""

import asyncio

from inbox.domain.upstream_errors import WhatsAppTimeout
from inbox.kit.gauges import Calls, Connections
from inbox.kit.http import ApiClient, Limits
from inbox.kit.resilience import Guard, Observation, Policy

from .raw_peer import PATIENT, Peer, StartPeer, answers


async def test_a_guard_shows_who_runs_and_who_waits() -> None:
    guard = Guard("graph", Policy(total=10, attempt=10, concurrency=2))
    go, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def call() -> None:
        begun.release()
        await go.wait()

    calls = [asyncio.create_task(guard.call(call, on_timeout=WhatsAppTimeout)) for _ in range(5)]
    for _ in range(2):
        await begun.acquire()
    assert guard.load() == Calls(running=2, waiting=3)
    go.set()
    await asyncio.gather(*calls)
    assert guard.load() == Calls(running=0, waiting=0)


async def test_a_call_that_fails_or_is_given_up_runs_no_longer() -> None:
    guard = Guard("graph", Policy(total=10, attempt=10))
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(guard.call(hang, on_timeout=WhatsAppTimeout))
    await begun.wait()
    assert guard.load().running == 1
    call.cancel()
    await asyncio.wait([call])
    assert guard.load() == Calls(running=0, waiting=0)


async def test_attempts_are_numbered_within_their_call() -> None:
    seen: list[Observation] = []
    policy = Policy(total=10, attempt=10, attempts=3, wait_initial=0.001, wait_max=0.001)
    guard = Guard("graph", policy, observe=seen.append)
    outcomes = iter([WhatsAppTimeout(), WhatsAppTimeout(), None, None])

    async def call() -> None:
        if (error := next(outcomes)) is not None:
            raise error

    await guard.call(call, on_timeout=WhatsAppTimeout)
    await guard.call(call, on_timeout=WhatsAppTimeout)
    assert [(one.attempt, one.outcome) for one in seen] == [
        (1, "WhatsAppTimeout"),
        (2, "WhatsAppTimeout"),
        (3, "ok"),
        (1, "ok"),
    ]


async def test_a_pool_shows_used_idle_and_wanted_connections(a_peer: StartPeer) -> None:
    go = asyncio.Event()

    async def waits(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await answers(peer, reader, writer)

    peer = await a_peer(waits)
    client = ApiClient("test", peer.url, timeouts=PATIENT, limits=Limits(connections=1))
    assert client.connections() == Connections(used=0, idle=0, waiting=0, most=1)
    calls = [asyncio.create_task(client.call("GET", "/")) for _ in range(2)]
    async with asyncio.timeout(5):
        while client.connections() != Connections(used=1, idle=0, waiting=1, most=1):
            await asyncio.wait(calls, timeout=0.001)
    go.set()
    await asyncio.gather(*calls)
    assert client.connections() == Connections(used=0, idle=1, waiting=0, most=1)
    await client.aclose()
