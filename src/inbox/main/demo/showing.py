"""What the demo prints: the table of the scripted conversation, and how to look around."""

import asyncio
import tempfile
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from inbox.main.demo.customers import write_history, write_now_and_then
from inbox.main.demo.scenario import Scenario, Step
from inbox.main.demo.world import World, demo_world

_ONCE_QUIET_SECONDS = 0.4


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of `inbox demo --once`."""

    steps: list[dict[str, str | bool | int]]
    ok: bool
    total_s: float


async def play_once(*, port: int, fault: dict[str, object] | None) -> bool:
    """The scripted conversation with a table and one line of JSON; True if every step was seen."""
    console = Console(stderr=False)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="inbox-demo-") as folder:
        async with demo_world(Path(folder), port=port, quiet_seconds=_ONCE_QUIET_SECONDS) as world:
            console.print(f"[dim]everything is up after {time.monotonic() - begun:.1f} s at {world.url}[/dim]")
            if fault is not None:
                await world.graph.post("/_emu/faults", fault)
            steps = await Scenario(world).play(lambda step: _line(console, step))
    _table(console, steps)
    ok = all(step.ok for step in steps)
    report = Report(
        steps=[{"name": step.name, "ok": step.ok, "ms": step.ms} for step in steps],
        ok=ok,
        total_s=round(time.monotonic() - begun, 2),
    )
    print(msgspec.json.encode(report).decode(), flush=True)  # noqa: T201 - for the machine that reads it
    return ok


async def play_on(*, port: int, every: float, stop: asyncio.Event) -> None:
    """The demo that stays: two accounts, people, history, and customers who write until `stop`."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="inbox-demo-") as folder:
        async with demo_world(Path(folder), port=port, quiet_seconds=2.0) as world:
            await write_history(world)
            console.print(_guide(world), highlight=False, soft_wrap=True)
            writing = asyncio.create_task(
                write_now_and_then(world, lambda line: console.print(f"[dim]{line}[/dim]"), every=every)
            )
            stopped = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait({writing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            writing.cancel()
            stopped.cancel()
            if writing in done:
                await writing


def _line(console: Console, step: Step) -> None:
    mark = "[green]✓[/green]" if step.ok else "[red]✗[/red]"
    console.print(f"{mark} {step.name} [dim]{step.ms} ms[/dim]")
    if not step.ok:
        console.print(f"  [red]{step.why}[/red]")


def _table(console: Console, steps: list[Step]) -> None:
    table = Table("step", "result", "time", title="One conversation, seen from outside")
    for step in steps:
        table.add_row(step.name, "seen" if step.ok else f"FAILED: {step.why}", f"{step.ms} ms")
    console.print(table)


def _guide(world: World) -> str:
    admin = world.login("admin")
    logins = "\n".join(f"  {login.role:8} {login.email:22} {login.password}" for login in world.logins)
    account = world.accounts[0]
    decode = "python3 -c 'import json,sys; print(json.load(sys.stdin)[\"access_token\"])'"
    return f"""
[bold]WhatsApp Inbox is running at {world.url}[/bold]   (API description: {world.url}/docs)

People, with passwords of this run only:
{logins}

Try it:
  TOKEN=$(curl -s '{world.url}/auth/v1/token?grant_type=password' -H 'content-type: application/json' \\
    -d '{{"email":"{admin.email}","password":"{admin.password}"}}' | {decode})
  curl -s {world.url}/auth/me -H "authorization: Bearer $TOKEN"
  curl -s '{world.url}/conversations?account_id={account.id}' -H "authorization: Bearer $TOKEN"

Be a customer of {account.name}:
  curl -s {world.emulators.graph_api.url}/_emu/inbound -H 'content-type: application/json' \\
    -d '{{"phone_number_id":"{account.phone_number_id}","from":"33600000001","name":"Vous","text":"Bonjour !"}}'

What the emulator got and delivered: {world.emulators.graph_api.url}/_emu/ledger
Customers write now and then; everything is gone when you stop it with Ctrl-C.
"""
