"""The guard when many call at once: one trial for all, and no memory for what is rejected."""

import asyncio
import gc
import tracemalloc

import pytest

from inbox.domain.errors import CircuitOpen
from inbox.domain.upstream_errors import WhatsAppTimeout
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.http import Limits
from inbox.kit.resilience import Guard, Policy

from .raw_peer import Peer, StartClient, StartPeer, answers

POLICY = Policy(total=20, attempt=20, attempts=3, concurrency=2_000, waiting=2_000)


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Breakers:
    return Breakers([Circuit(name="whatsapp", threshold=1, stays_open=30)], clock=clock)


async def test_a_thousand_who_find_it_half_open_make_one_probe(breakers: Breakers, clock: Clock) -> None:
    breakers.trip("whatsapp")
    clock.at += 30
    guard = Guard("whatsapp", POLICY, breakers, "whatsapp")
    probes = 0
    goes = asyncio.Event()

    async def probe() -> str:
        nonlocal probes
        probes += 1
        await goes.wait()
        return "ok"

    calls = [asyncio.create_task(guard.call(probe, on_timeout=WhatsAppTimeout)) for _ in range(1_000)]
    done, waiting = await _settled(calls)
    assert probes == 1
    assert len(done) == 999
    assert all(isinstance(task.exception(), CircuitOpen) for task in done)
    goes.set()
    assert [await task for task in waiting] == ["ok"]


async def _settled(
    calls: list["asyncio.Task[str]"],
) -> tuple[set["asyncio.Task[str]"], set["asyncio.Task[str]"]]:
    """Those that ended and the one that has not."""
    pending = set(calls)
    async with asyncio.timeout(10):
        while len(pending) > 1:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    return set(calls) - pending, pending


async def test_ten_thousand_calls_against_an_open_circuit_grow_no_memory(breakers: Breakers) -> None:
    breakers.trip("whatsapp")
    guard = Guard("whatsapp", POLICY, breakers, "whatsapp")

    async def never() -> None:
        pytest.fail("it was called")

    async def rejected(times: int) -> None:
        for _ in range(times):
            try:
                await guard.call(never, on_timeout=WhatsAppTimeout)
            except CircuitOpen:
                await asyncio.sleep(0)  # only a loop that turns lets go of the deadlines that were not needed
                continue
            pytest.fail("it was let through")

    await rejected(100)
    tracemalloc.start()
    await rejected(10_000)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000
    assert breakers.inspect()["whatsapp"].rejected_count == 10_100


async def test_no_more_idle_connections_are_kept_than_allowed(a_client: StartClient, a_peer: StartPeer) -> None:
    peer: Peer = await a_peer(answers)
    client = a_client(peer.url, limits=Limits(connections=10, kept_alive=3))
    for _ in range(2):
        await asyncio.gather(*(client.call("GET", "/") for _ in range(10)))
    # Ten at once, three or four of them kept (httpx counts after it has put one back), the rest anew.
    assert peer.connections in (16, 17)
