"""What the guard costs: a call through it beside the bare call, in one process.

    python -m tests.bench.guard [--long]

The call does nothing, so what is measured is slot, deadlines, retry and breaker alone. Rounds of both kinds take turns
and the median of the rounds counts, because other work on the computer slows both. `retried` is a guard that may
repeat (GET, the language model), `single` one that may not (sends), `rejected` an open circuit. Microseconds per call;
the last line is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final

import click

from inbox.domain.errors import CircuitOpen
from inbox.domain.upstream_errors import WhatsAppTimeout
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.resilience import Guard, Policy

_CALLS: Final = 2_000
_WARM_UP: Final = 200


async def nothing() -> int:
    return 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="50 rounds instead of 10")
    click.echo(json.dumps(asyncio.run(_measured(50 if parser.parse_args().long else 10))))


async def _measured(rounds: int) -> dict[str, float]:
    breakers = Breakers([Circuit(name=name, threshold=3, stays_open=3600) for name in ("closed", "open")])
    breakers.trip("open")
    single = Guard("single", Policy(total=10, attempt=10), breakers, "closed")
    retried = Guard("retried", Policy(total=10, attempt=10, attempts=3), breakers, "closed")
    closed = Guard("rejected", Policy(total=10, attempt=10), breakers, "open")

    async def rejected() -> None:
        try:
            await closed.call(nothing, on_timeout=WhatsAppTimeout)
        except CircuitOpen:
            return

    kinds: dict[str, Callable[[], Awaitable[object]]] = {
        "bare": nothing,
        "single": lambda: single.call(nothing, on_timeout=WhatsAppTimeout),
        "retried": lambda: retried.call(nothing, on_timeout=WhatsAppTimeout),
        "rejected": rejected,
    }
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for call in kinds.values():
        await _round(call, _WARM_UP)
    for number in range(rounds):
        for name, call in kinds.items():
            took[name].append(await _round(call, _CALLS))
        click.echo(f"round {number + 1}: " + ", ".join(f"{name} {took[name][-1]:.1f} us" for name in kinds), err=True)
    found = {f"{name}_us": round(statistics.median(times), 2) for name, times in took.items()}
    overhead = {
        f"{name}_overhead_us": round(found[f"{name}_us"] - found["bare_us"], 2) for name in ("single", "retried")
    }
    return found | overhead


async def _round(call: Callable[[], Awaitable[object]], times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        await call()
    return (time.perf_counter() - begun) / times * 1e6


if __name__ == "__main__":
    main()
