"""One database with two accounts, the emulated Meta in front of it, and processes that come and go."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import asyncpg
import httpx

from crash.evidence import Database
from crash.service import Service
from crash.stage import TOKEN, Stage, free_port
from inbox.domain.accounts import NewAccount
from inbox.domain.contacts import Address
from inbox.domain.ids import AccountId, uuid7
from inbox.emulators.ledger import Ledger
from inbox.main.container import build
from inbox.main.runtime import Runtime, prepared
from inbox.main.settings import load
from inbox.ports.database import Database as Port

from .batches import Batch
from .books import Found
from .evidence import compared
from .items import NUMBERS, REGULARS, Plan, customer, moment, own_message, own_wamid
from .meta import Meta
from .waiting import until

TESTS: Final = Path(__file__).parents[1]
QUIET: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""When the conversations were made that are there from the start."""
_PATIENCE: Final = 300.0

_OWN: Final = """
insert into messages (id, account_id, conversation_id, direction, author, status, wa_message_id, "timestamp",
                      content_text, message_type)
select u.id, c.account_id, c.id, 'outbound', 'human', 'sent', u.wamid, $5, 'Bonjour', 'text'
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) u(id, wamid, number, customer)
join whatsapp_accounts a on a.phone_number_id = u.number
join conversations c on c.account_id = a.id and c.client_number = u.customer
on conflict do nothing
"""
_IDLE: Final = "select not exists (select from lanes where kind = 'ingest' and ver > done)"
# A status that came before its message: the keeper of the workers finds it within seconds.
_NONE_PARKED: Final = """
select not exists (
  select from message_statuses s where message_id is null
    and exists (select from messages m where m.wa_message_id = s.wamid))
"""
# Time passes: whose lease nobody has renewed for some seconds is dead, and who waits after a failure has waited.
_LAPSE: Final = """
update lanes set due = now()
where kind = 'ingest' and ver > done
  and (attempts > 0 and due < now() + interval '21.5 s' or attempts = 0 and due > now() + interval '2 s')
"""
_LAPSE_ALL: Final = "update lanes set due = now() where kind = 'ingest' and ver > done"
# A storm of kills looks like a poisonous delivery: after three deaths it is set aside.
_BLAMED: Final = "select count(*) from deliveries where state = 'quarantined' and reason = 'worker_died'"
_REPLAY: Final = ("events", "replay", "--all", "--state", "quarantined", "--reason", "worker_died")
_DOWN: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asking a database raises that is just going down; the last one if it says farewell between two messages."""


class Rig:
    """The parts of a run. `webs` are the addresses that Meta posts to."""

    def __init__(self, stage: Stage, plan: Plan, url: str, client: httpx.AsyncClient, ports: Sequence[int]) -> None:
        self.plan = plan
        self.stage = stage
        self.client = client
        self.database = Database(url, seconds=120)
        self.ledger = Ledger(stage.folder / "ledger.jsonl", capacity=1_000)
        self.ports = ports
        self.meta = Meta(
            plan,
            stage.environment["INBOX_WHATSAPP_APP_SECRET"],
            [f"http://127.0.0.1:{port}" for port in ports],
            client,
            self.ledger,
        )
        self._environment = {**stage.environment, "INBOX_DATABASE_URL": url}
        self._services: list[Service] = []

    async def open(self) -> None:
        """The second account, and the conversations with regular customers, and no others."""
        await self.database.ask("delete from conversations")
        await asyncio.to_thread(_seed, self._environment, min(REGULARS, self.plan.customers))

    async def close(self) -> None:
        await self.meta.close()
        for service in self._services:
            await service.kill()
        self.ledger.close()

    async def start(
        self, command: Sequence[str], *, port: int | None = None, module: str = "inbox", failpoints: str = ""
    ) -> Service:
        """A process on this database; not yet ready."""
        port = port or self.ports[0]
        environment = {
            **self._environment,
            "INBOX_HTTP_PORT": str(port),
            "INBOX_TEST_FAILPOINTS": failpoints,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(TESTS), self._environment.get("PYTHONPATH")])),
        }
        log = self.stage.folder / "ledger.log"
        service = await Service.start(command, environment, f"http://127.0.0.1:{port}", log, module=module)
        self._services = [*(one for one in self._services if one.is_running), service]
        return service

    async def know(self, owns: Iterable[int]) -> None:
        """Messages of ours are there, sent under their wamids; tried until it worked."""
        rows = [(own, *own_message(self.plan, own)) for own in owns]
        values = (
            [uuid5(NAMESPACE_URL, own_wamid(own)) for own, _, _ in rows],
            [own_wamid(own) for own, _, _ in rows],
            [number.id for _, number, _ in rows],
            [to for _, _, to in rows],
            moment(self.plan.base),
        )
        if rows:
            await until(lambda: self.done(_OWN, *values), seconds=None)

    async def done(self, statement: str, *values: object) -> bool:
        """False while the database is down."""
        try:
            await self.database.ask(statement, *values)
        except _DOWN:
            return False
        return True

    async def until(self, statement: str, *, seconds: float = 30.0) -> None:
        """Looks until `statement` gives something true."""
        await until(lambda: self.database.value(statement), seconds=seconds)

    async def lapse(self, *, everything: bool = False) -> None:
        """Time passes for leases and waits; for all of them only if no worker runs."""
        await self.done(_LAPSE_ALL if everything else _LAPSE)

    async def drained(self, *, seconds: float = _PATIENCE, for_parked: float = 0) -> None:
        """Waits until no lane has work left, and `for_parked` seconds for statuses whose message is there.

        Deliveries that are open then, and statuses that are parked, are nobody's any more: the books call them lost.
        """
        await until(self._is_idle, seconds=seconds)
        with suppress(TimeoutError):
            await self.until(_NONE_PARKED, seconds=for_parked)

    async def replayed(self) -> int:
        """How many deliveries had been set aside because workers died with them; an operator has them tried again."""
        blamed = int(await self.database.value(_BLAMED))
        if blamed:
            command = await self.start(_REPLAY)
            assert await command.ended() == 0, command.said()
        return blamed

    async def _is_idle(self) -> bool:
        await self.lapse()
        return bool(await self.database.value(_IDLE))

    async def compared(self) -> Found:
        return await compared(self.plan, self.database, [number.id for number in NUMBERS], QUIET)

    async def deliver(self, *numbers: int) -> None:
        """One webhook with these items, in this order, until it is answered with 200."""
        await self.meta.deliver(Batch(numbers))


@asynccontextmanager
async def rigged(stage: Stage, plan: Plan, *, webs: int = 1) -> AsyncIterator[Rig]:
    """On a database of its own; whatever still runs in the end is killed."""
    with ExitStack() as stack:
        url = await asyncio.to_thread(stack.enter_context, stage.database())
        async with httpx.AsyncClient(trust_env=False) as client:
            rig = Rig(stage, plan, url, client, [free_port() for _ in range(webs)])
            try:
                await rig.open()
                yield rig
            finally:
                await rig.close()


def _seed(environment: Mapping[str, str], regulars: int) -> None:
    with prepared(load(environment)) as runtime:
        asyncio.run(_fill(runtime, regulars))


async def _fill(runtime: Runtime, regulars: int) -> None:
    container = build(runtime)
    second = NUMBERS[1]
    try:
        database = await container.get(Port)
        new = NewAccount(
            name="Boutique",
            slug="boutique",
            phone_number=f"+{second.digits}",
            phone_number_id=second.id,
            access_token=TOKEN,
            verify_token="ledger",
        )
        async with database.transaction() as tx:
            await tx.accounts.add(AccountId(uuid7()), new)
        for account_id in await database.queries.active_account_ids():
            async with database.transaction() as tx:
                for n in range(regulars):
                    await tx.conversations.find_or_create(account_id, Address.of(customer(n)), QUIET)
    finally:
        await container.close()
