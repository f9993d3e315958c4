"""What polling costs: the list and the thread that front ends ask for 22 times a minute, whole and as 304.

    python -m bench.polling [--long]

One web side, one client, one request after the other; each figure is the processor time of the service and of
PostgreSQL for one request, in milliseconds, so other work on the machine matters little. The last line is one JSON
object: `list` and `thread` are whole pages (50 conversations, 100 messages), `*_304` the same while nothing changed,
`saved` the share of the processor that 304 saves for a front end as a whole (13.3 threads and 8.6 lists a minute), and
`clients_per_core` how many such front ends one core serves.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from ledger.events.stage import Stage, World, free_ports, staged

_THREADS_A_MINUTE: Final = 60 / 4.5
_LISTS_A_MINUTE: Final = 60 / 7
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def _spent(pids: list[int]) -> float:
    """Processor seconds of processes and their children that live."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) in pids or int(fields[1]) in pids:
            total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


async def _seeded(stage: Stage) -> World:
    world = await stage.fill(1, 60)
    connection = await stage.connected()
    try:
        await connection.execute(
            """
            insert into messages (id, conversation_id, account_id, direction, author, content_text, content,
                                  message_type, status, "timestamp")
            select gen_random_uuid(), c.id, c.account_id, case when n % 2 = 0 then 'outbound' else 'inbound' end,
                   case when n % 2 = 0 then 'human' else 'contact' end, 'Bonjour, une question. ' || n,
                   '{"type": "text", "body": "Bonjour, une question."}', 'text',
                   case when n % 2 = 0 then 'read' else 'received' end, now() - n * interval '1 minute'
            from conversations c, generate_series(1, 120) n
            """
        )
        await connection.execute("vacuum analyze messages, conversations")
    finally:
        await connection.close()
    return world


async def _cost(
    session: aiohttp.ClientSession, path: str, headers: Mapping[str, str], expected: int, count: int, pids: list[int]
) -> float:
    """Milliseconds of processor time for one request."""
    for warm in (True, False):
        before = _spent(pids)
        for _ in range(count // 10 if warm else count):
            async with session.get(path, headers=headers) as answer:
                await answer.read()
                if answer.status != expected:
                    raise SystemExit(f"{path} answered {answer.status}, not {expected}")
    return (_spent(pids) - before) / count * 1000


async def _signed_in(session: aiohttp.ClientSession, email: str, password: str) -> dict[str, str]:
    body = {"email": email, "password": password}
    async with session.post("/auth/v1/token", params={"grant_type": "password"}, json=body) as answer:
        return {"authorization": f"Bearer {(await answer.json())['access_token']}"}


async def _measured(stage: Stage, person: tuple[str, str], count: int) -> dict[str, float]:
    world = await _seeded(stage)
    (port,) = free_ports(1)
    async with stage.web(port) as web, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        token = await _signed_in(session, *person)
        lines, thread = f"/conversations?account_id={world.accounts[0]}", f"/messages/{world.places[0].talk}"
        paths = {"list": lines, "thread": thread}
        pids = [web.pid, stage.postmaster]
        found: dict[str, float] = {}
        for name, path in paths.items():
            async with session.get(path, headers=token) as answer:
                tag = answer.headers["etag"]
            found[name] = await _cost(session, path, token, 200, count, pids)
            found[f"{name}_304"] = await _cost(session, path, {**token, "if-none-match": tag}, 304, count, pids)
    whole = _THREADS_A_MINUTE * found["thread"] + _LISTS_A_MINUTE * found["list"]
    saved = _THREADS_A_MINUTE * found["thread_304"] + _LISTS_A_MINUTE * found["list_304"]
    found = {name: round(value, 3) for name, value in found.items()}
    return found | {"saved": round(1 - saved / whole, 3), "clients_per_core": round(60_000 / saved)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.polling", description=__doc__)
    parser.add_argument("--long", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-polling-") as folder, staged(Path(folder)) as stage:
        found = asyncio.run(_measured(stage, stage.administrator(), 3_000 if given.long else 600))
    print(msgspec.json.encode(found).decode())  # noqa: T201 - a program for the terminal
    return 0


if __name__ == "__main__":
    sys.exit(main())
