"""One database with two accounts, the emulated Meta in front of it, and processes that come and go."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import httpx

from crash.stage import TOKEN, Stage, free_port
from inbox.domain.accounts import NewAccount
from inbox.domain.contacts import Address
from inbox.domain.ids import AccountId, uuid7
from inbox.main.container import build
from inbox.main.runtime import Runtime, prepared
from inbox.main.settings import load
from inbox.ports.database import Database as Port
from ledger.rig import Rig
from ledger.waiting import until

from .batches import Batch
from .books import Found
from .evidence import compared
from .items import NUMBERS, REGULARS, Plan, customer, moment, own_message, own_wamid
from .meta import Meta

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


class InboundRig(Rig):
    """With whoever posts webhooks to it."""

    def __init__(self, stage: Stage, plan: Plan, url: str, client: httpx.AsyncClient, ports: Sequence[int]) -> None:
        super().__init__(stage, url, client, ports, seed=plan.seed)
        self.plan = plan
        secret = stage.environment["INBOX_WHATSAPP_APP_SECRET"]
        self.meta = Meta(plan, secret, self.urls, client, self.ledger)

    async def open(self) -> None:
        """The second account, and the conversations with regular customers, and no others."""
        await self.database.ask("delete from conversations")
        await asyncio.to_thread(_seed, self.environment, min(REGULARS, self.plan.customers))

    async def close(self) -> None:
        await self.meta.close()
        await super().close()

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

    async def lapse(self, *, everything: bool = False) -> None:
        await self.done(_LAPSE_ALL if everything else _LAPSE)

    async def drained(self, *, seconds: float = _PATIENCE, for_parked: float = 0) -> None:
        """Waits until no lane has work left, and `for_parked` seconds for statuses whose message is there.

        Deliveries that are open then, and statuses that are parked, are nobody's any more: the books call them lost.
        """
        await until(self._is_idle, seconds=seconds)
        with suppress(TimeoutError):
            await self.until(_NONE_PARKED, seconds=for_parked)

    async def _is_idle(self) -> bool:
        await self.lapse()
        return bool(await self.database.value(_IDLE))

    async def compared(self) -> Found:
        return await compared(self.plan, self.database, [number.id for number in NUMBERS], QUIET)

    async def deliver(self, *numbers: int) -> None:
        """One webhook with these items, in this order, until it is answered with 200."""
        await self.meta.deliver(Batch(numbers))


@asynccontextmanager
async def rigged(stage: Stage, plan: Plan, *, webs: int = 1) -> AsyncIterator[InboundRig]:
    """On a database of its own; whatever still runs in the end is killed."""
    with ExitStack() as stack:
        url = await asyncio.to_thread(stack.enter_context, stage.database())
        async with httpx.AsyncClient(trust_env=False) as client:
            rig = InboundRig(stage, plan, url, client, [free_port() for _ in range(webs)])
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
