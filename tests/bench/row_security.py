"""What a second wall through row security would cost each request: the list of conversations, as it is and behind it.

    python -m tests.bench.row_security [--long]

As it is: the owner of the tables, one autocommitted statement that names the account. Behind the wall: another role, a
policy that compares the account with a setting, and BEGIN, set_config, the same statement, COMMIT. Both ways take turns
in one run, alone and with eight at once, on a pool of the usual size. The database is on this machine, behind a unix
socket: a round trip costs as little as it ever does. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import click
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.engine import create_engine
from inbox.adapters.database.postgres.queries import CONVERSATIONS
from inbox.adapters.database.postgres.reading import QUERY_SECONDS, Reader
from inbox.kit.sealing import Sealer
from inbox.main import embedded, migrating
from inbox.main.starting import run_loop

_ACCOUNTS: Final = 10
_CONVERSATIONS: Final = 2_000
_AT_ONCE: Final = 8
_PAGE: Final = 51

_FILL: Final = """
insert into whatsapp_accounts (name, slug, phone_number_id) select n, n, n from generate_series(1, {accounts}) n;
insert into contacts (whatsapp_number, display_name) select 33600000000 + n, 'Client ' || n
from generate_series(1, {conversations}) n;
insert into conversations (account_id, contact_id, client_number, updated_at)
select a.id, c.id, c.whatsapp_number, now() - c.n * interval '1 minute'
from (select id, whatsapp_number, row_number() over () as n from contacts) c
join (select id, row_number() over () as n from whatsapp_accounts) a on a.n = c.n % {accounts} + 1;
create role inbox_bench nologin;
grant select on all tables in schema public to inbox_bench;
create policy own_account on conversations to inbox_bench
  using (account_id = current_setting('app.account_id', true)::uuid);
create policy shared on contacts to inbox_bench using (true);
analyze
"""
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)
_NAME: Final = text("select set_config('app.account_id', :account, true)")

Call = Callable[[UUID], Awaitable[Sequence[Any]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="20,000 calls of each kind instead of 2,000")
    calls = 20_000 if parser.parse_args().long else 2_000
    with tempfile.TemporaryDirectory(prefix="inbox-bench-") as folder, embedded.start(Path(folder) / "pg") as server:
        migrating.upgrade(server.url, sealer=Sealer([("bench", bytes(32))]))
        click.echo(json.dumps(run_loop(_measured(server.url, calls))))


async def _measured(url: str, calls: int) -> dict[str, object]:
    owner, other = create_engine(url, pool_size=_AT_ONCE), create_engine(url, pool_size=_AT_ONCE)
    event.listen(other.sync_engine, "connect", _become_other)
    try:
        accounts = await _filled(owner)
        ways = {"as_it_is": _as_it_is(owner), "second_wall": _behind_the_wall(other)}
        await _check(ways, accounts)
        await _try_the_wall(other, accounts)
        return {"calls": calls, "at_once": _AT_ONCE, **await _compared(ways, accounts, calls)}
    finally:
        await owner.dispose()
        await other.dispose()


def _as_it_is(engine: AsyncEngine) -> Call:
    reader = Reader(engine)

    async def call(account: UUID) -> Sequence[Any]:
        return await reader.rows(CONVERSATIONS, **_values(account))

    return call


def _behind_the_wall(engine: AsyncEngine) -> Call:
    async def call(account: UUID) -> Sequence[Any]:
        async with asyncio.timeout(QUERY_SECONDS), engine.begin() as connection:
            await connection.execute(_NAME, {"account": str(account)})
            return (await connection.execute(CONVERSATIONS, _values(account))).all()

    return call


async def _compared(ways: dict[str, Call], accounts: Sequence[UUID], calls: int) -> dict[str, object]:
    """Latencies of one caller who takes turns, and how much eight get done, also in turns."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(calls):
        for name, call in ways.items():
            took[name].append(await _timed(call(accounts[number % len(accounts)])))
    rounds = 4
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            rates[name].append(await _rate(call, accounts, calls // rounds))
    found: dict[str, object] = {}
    for name in ways:
        found[f"{name}_median_ms"] = round(statistics.median(took[name]) * 1000, 3)
        found[f"{name}_p99_ms"] = round(statistics.quantiles(took[name], n=100)[98] * 1000, 3)
        found[f"{name}_per_second"] = round(statistics.median(rates[name]))
    return found


async def _timed(call: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await call
    return time.perf_counter() - begun


async def _rate(call: Call, accounts: Sequence[UUID], calls: int) -> float:
    async def caller() -> None:
        for number in range(calls // _AT_ONCE):
            await call(accounts[number % len(accounts)])

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
    return calls / (time.perf_counter() - begun)


async def _check(ways: dict[str, Call], accounts: Sequence[UUID]) -> None:
    """Both ways give the same rows, and everything is warm."""
    for account in [*accounts] * _AT_ONCE:
        first, second = [await call(account) for call in ways.values()]
        if not first or list(first) != list(second):
            raise SystemExit("the two ways do not give the same rows")


async def _try_the_wall(engine: AsyncEngine, accounts: Sequence[UUID]) -> None:
    async with engine.begin() as connection:
        await connection.execute(_NAME, {"account": str(accounts[0])})
        if (await connection.execute(CONVERSATIONS, _values(accounts[1]))).all():
            raise SystemExit("there is no wall")


async def _filled(engine: AsyncEngine) -> list[UUID]:
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        if raw is None:
            raise SystemExit("no connection")
        await raw.execute(_FILL.format(accounts=_ACCOUNTS, conversations=_CONVERSATIONS))
        return list((await connection.execute(text("select id from whatsapp_accounts order by id"))).scalars())


def _become_other(connection: Any, _record: object) -> None:  # noqa: ANN401 - the dialect names no type
    cursor = connection.cursor()
    cursor.execute("set role inbox_bench")
    connection.commit()


def _values(account: UUID) -> dict[str, object]:
    return {"account_id": account, "limit": _PAGE, "at": _END, "id": UUID(int=0)}


if __name__ == "__main__":
    main()
