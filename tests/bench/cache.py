"""What a fetch costs beside the bare call: found in this process, found in Redis, found nowhere.

    python -m tests.bench.cache [--long]

Microseconds, medians of rounds. The loader gives a ready value without waiting, so a load costs nothing but the cache.
Redis is a real server of this run, on a unix socket. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from contracts.redis_side import CALM, Process, Profile, stored
from inbox.adapters.cache.memory import MemoryCache
from inbox.adapters.events.memory import MemoryEvents
from redis_server import find_program, running_redis

_VALUE = Profile("x" * 500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="50 rounds instead of 7")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))  # as in production
    rounds = 50 if parser.parse_args().long else 7
    program = find_program()
    if program is None:
        raise SystemExit("no Redis server: uv sync --extra test, or install redis-server")
    with running_redis(program) as server:
        found = asyncio.run(_measured(server.url, rounds))
    for name, cost in found.items():
        click.echo(f"{name:24} {cost:10.2f} us", err=True)
    click.echo(json.dumps({"unit": "us", "rounds": rounds, **{name: round(cost, 2) for name, cost in found.items()}}))


async def _load() -> Profile:
    return _VALUE


async def _measured(url: str, rounds: int) -> dict[str, float]:
    memory = MemoryCache(MemoryEvents(), capacity=1_000_000)
    one, other = (Process(url, patience=CALM) for _ in range(2))
    found: dict[str, float] = {}
    async with one.cache.running(), other.cache.running():
        await one.is_up()
        await other.is_up()
        for process in (one, other):
            process.value = _VALUE
            await process.fetched("warm:up")
        found["bare_call"] = await _cost(rounds, 20_000, lambda _: _load())
        found["first_tier_hit"] = await _cost(
            rounds, 20_000, lambda _: memory.fetch("profile:1", _load, tags=("profile",), ttl=600)
        )
        found["miss_without_redis"] = await _cost(
            rounds, 2_000, lambda key: memory.fetch(key, _load, tags=("profile",), ttl=600)
        )
        found["miss_with_redis"] = await _cost(rounds, 500, lambda key: one.fetched(key, ttl=600))
        await stored(one.cache)
        found["second_tier_hit"] = await _cost(rounds, 500, lambda key: other.fetched(key, ttl=600))
        if other.loads > 1:
            raise SystemExit(f"{other.loads - 1} of the second tier's hits were none")
    return found


async def _cost(rounds: int, count: int, call: Callable[[str], Awaitable[object]]) -> float:
    costs = []
    for turn in range(rounds):
        keys = [f"profile:{turn}:{number}" for number in range(count)]
        begun = time.perf_counter()
        for key in keys:
            await call(key)
        costs.append((time.perf_counter() - begun) / count * 1e6)
    return statistics.median(costs)


if __name__ == "__main__":
    main()
