"""One database with four accounts, the emulated WhatsApp behind it, and time that can be hurried.

What takes minutes by design takes seconds here: leases of dead workers, waits, pauses of accounts, and how long a
message stays unknown. Only rows that nobody can be working on any more are touched, as the clock would.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import aiohttp
import httpx

from crash.evidence import Emulator, read_waiting
from crash.stage import TOKEN, Stage, free_port
from inbox.domain.accounts import NewAccount
from inbox.domain.api_keys import digest_of, hint_of, new_key
from inbox.domain.ids import AccountId, uuid7
from inbox.main.container import build
from inbox.main.runtime import Runtime, prepared
from inbox.main.settings import load
from inbox.ports.database import Database as Port
from ledger.rig import DOWN, Rig
from ledger.waiting import until

from .books import Evidence, Found, compared
from .clients import Clients
from .evidence import Taken, read_parked, read_rows, read_unknown
from .faults import QUIET, READ_TIMEOUT, Faults
from .plan import Number, Plan, Said

_PATIENCE: Final = 600.0
_TOLD: Final = 40
"""Lines about what is left to do, if it never ends."""
_SETTINGS: Final = {
    "INBOX_WHATSAPP_CONNECT_TIMEOUT": "2",
    "INBOX_WHATSAPP_READ_TIMEOUT": str(READ_TIMEOUT),
    "INBOX_WHATSAPP_TOTAL_TIMEOUT": str(READ_TIMEOUT + 1),
    "INBOX_HTTP_PUBLIC_URL": "http://inbox.example",
    "INBOX_LOG_LEVEL": "warning",
}
_FASTEST: Final = 1_000
_STATUS_WITHIN: Final = timedelta(seconds=6)

_CONVERSATIONS: Final = """
with person as (
  insert into contacts (whatsapp_number, display_name)
  select n, 'Client ' || n from unnest($1::text[]) n returning id, whatsapp_number
), known as (
  insert into contact_identities (portfolio, kind, value, contact_id, written)
  select '', 'phone', whatsapp_number, id, whatsapp_number from person
)
insert into conversations (contact_id, account_id, client_number, updated_at, last_inbound_at, window_expires_at)
select p.id, a.id, p.whatsapp_number, now(), now(), now() + interval '23 hours'
from unnest($1::text[], $2::text[]) u(customer, number)
join person p on p.whatsapp_number = u.customer join whatsapp_accounts a on a.phone_number_id = u.number
returning id::text, client_number
"""
_PACES: Final = """
insert into number_paces (account_id, ceiling) select id, $1 from whatsapp_accounts
on conflict (account_id) do update set ceiling = excluded.ceiling
"""
_KEY: Final = """
with k as (insert into api_keys (id, name, digest, hint) values ($1::uuid, 'ledger', $2, $3) returning id)
insert into api_key_grants (id, api_key_id, permission_code) select gen_random_uuid(), id, 'messages.send' from k
"""

# Who has not renewed a lease for some seconds is dead, no call takes 8 s, and a status comes within $2. What waits
# after a failure has waited. Rows that somebody holds at this moment are left for the next time.
_LAPSE: Final = """
with waiting as (
  select kind, key from lanes
  where kind in ('ingest', 'send') and ver > done
    and ($1 or attempts > 0 and due < now() + interval '21.5 s' or attempts = 0 and due > now() + interval '2 s')
  for update skip locked
), lane as (
  update lanes l set due = now(), pair_at = least(l.pair_at, now())
  from waiting w where l.kind = w.kind and l.key = w.key
), message as (
  select id from outbox
  where state = 'wire' and ($1 or wire_at < now() - interval '8 s')
     or state = 'claimed' and ($1 or updated_at < now() - interval '8 s')
     or state = 'unknown' and updated_at > now() - interval '15 s' and ($1 or updated_at < now() - $2::interval)
     or state = 'queued' and not_before > now()
  for update skip locked
), moved as (
  update outbox o
  set wire_at = case when o.state = 'wire' then o.wire_at - interval '20 s' else o.wire_at end,
      lease_until = case when o.state = 'claimed' then now() else o.lease_until end,
      updated_at = case when o.state = 'unknown' then o.updated_at - interval '15 s' else o.updated_at end,
      not_before = case when o.state = 'queued' then now() else o.not_before end
  from message m where o.id = m.id
), account as (
  select id from whatsapp_accounts
  where paused_at between now() - interval '5 min' and now() - interval '1.5 s' for no key update skip locked
), paused as (
  update whatsapp_accounts a set paused_at = a.paused_at - interval '5 min' from account where a.id = account.id
), pace as (
  select account_id from number_paces where learned_at > now() - interval '15 min' for update skip locked
)
update number_paces p set learned_at = p.learned_at - interval '60 s' from pace where p.account_id = pace.account_id
"""
_ALL_TRIED: Final = "select not exists (select from outbox where state in ('queued', 'claimed') and attempt = 0)"
_OPEN_WORK: Final = """
select exists (select from lanes where ver > done and kind in ('ingest', 'send'))
    or exists (select from deliveries where state = 'open')
    or exists (select from outbox where state in ('queued', 'claimed', 'wire', 'unknown'))
"""
# Ten minutes without a status, once WhatsApp has said everything that it has to say.
_TEN_MINUTES: Final = """
update outbox set unknown_until = unknown_until - interval '10 min'
where state = 'unknown' and not exists (select from deliveries where state = 'open')
  and not exists (select from outbox where state in ('queued', 'claimed', 'wire'))
"""


class OutboundRig(Rig):
    """`clients` say what the plan says, `taken` is what WhatsApp took of it."""

    clients: Clients

    def __init__(
        self,
        stage: Stage,
        plan: Plan,
        url: str,
        client: httpx.AsyncClient,
        ports: Sequence[int],
        *,
        status_within: timedelta,
    ) -> None:
        """The emulated WhatsApp posts its webhooks to the first of the ports, which is that of the stage."""
        super().__init__(stage, url, client, ports, seed=plan.seed, settings=_SETTINGS)
        self.plan = plan
        self._status_within = status_within
        self.emulator = Emulator(stage.graph_url, client)
        self.faults = Faults(self.emulator, plan)
        self.taken = Taken(self.emulator)
        self.token = new_key(secrets.token_urlsafe)

    async def open(self, session: aiohttp.ClientSession) -> None:
        """The emulator starts anew with our numbers, and the database has our conversations and no others."""
        await self.emulator.call("POST", "/reset")
        await self.emulator.call("PATCH", "/behaviour", QUIET)
        numbers = [{"id": number.id, "phone": number.digits, "throughput": _FASTEST} for number in self.plan.numbers]
        await self.emulator.call("POST", "/wabas", {"name": "Atelier", "numbers": numbers})
        plan = self.plan
        for n in filter(plan.is_unreachable, range(plan.conversations)):
            await self.emulator.call("PUT", "/personas", {"phone": plan.customer(n), "registered": False})
        others = self.plan.numbers[1:]
        if others:
            await asyncio.to_thread(_seed, self.environment, others)
        self.clients = Clients(plan, self.urls, session, await self._conversations())
        await self.database.ask(_PACES, _FASTEST)
        await self.database.ask(_KEY, uuid7(), digest_of(self.token), hint_of(self.token))

    async def _conversations(self) -> list[str]:
        """Their ids, in the order of the plan."""
        await self.database.ask("delete from conversations")
        every = range(self.plan.conversations)
        customers = [self.plan.customer(n) for n in every]
        rows = await self.database.ask(_CONVERSATIONS, customers, [self.plan.number(n).id for n in every])
        ids = {row["client_number"]: row["id"] for row in rows}
        return [ids[customer] for customer in customers]

    async def say(self, said: Said) -> None:
        """One message, by a program, until the API has it."""
        await self.clients.say(said, self.token)

    async def signed_in(self, email: str, password: str) -> str:
        """The token of a person. To be called while nothing fails yet."""
        asked = {"email": email, "password": password}
        answer = await self.client.post(f"{self.urls[0]}/api/auth/v1/token?grant_type=password", json=asked)
        return str(answer.raise_for_status().json()["access_token"])

    async def lapse(self, *, everything: bool = False) -> None:
        await self.done(_LAPSE, everything, self._status_within)

    async def tried(self) -> None:
        """Returns when every message has been on the wire once. Patient as long as WhatsApp takes any."""

        async def look() -> bool:
            with suppress(*DOWN):
                return bool(await self.database.value(_ALL_TRIED))
            return False

        while True:
            before = len(self.taken.sends)
            try:
                return await until(look, seconds=_PATIENCE)
            except TimeoutError:
                if len(self.taken.sends) == before:
                    raise

    async def drained(self, *, seconds: float = _PATIENCE) -> None:
        """Waits until nothing is left to do on either side."""
        try:
            await until(self._is_drained, seconds=seconds)
        except TimeoutError:
            waiting = "\n".join((await read_waiting(self.database))[:_TOLD])
            raise AssertionError(f"not drained after {seconds:.0f} s:\n{waiting}") from None

    async def _is_drained(self) -> bool:
        """The database's silence counts only if the emulator was silent before and after, with nothing in between."""
        before = await self.emulator.quiet()
        if before is None or await self.database.value(_OPEN_WORK):
            await self.lapse()
            if before is not None:
                await self.database.ask(_TEN_MINUTES)
            await asyncio.sleep(0.2)
            return False
        return await self.emulator.quiet() == before

    async def compared(self) -> Found:
        await self.taken.read()
        evidence = Evidence(
            sends=self.taken.sends,
            rows=await read_rows(self.database),
            answers=self.clients.answers,
            unknown=await read_unknown(self.database),
            parked=await read_parked(self.database),
        )
        return compared(self.plan, evidence)


@asynccontextmanager
async def rigged(
    stage: Stage, plan: Plan, *, webs: int = 1, status_within: timedelta = _STATUS_WITHIN
) -> AsyncIterator[OutboundRig]:
    """On a database of its own; whatever still runs in the end is killed. A status comes within `status_within`."""
    with ExitStack() as stack:
        url = await asyncio.to_thread(stack.enter_context, stage.database())
        async with (
            httpx.AsyncClient(trust_env=False, timeout=30.0) as client,
            aiohttp.ClientSession() as session,
        ):
            ports = [stage.port, *(free_port() for _ in range(webs - 1))]
            rig = OutboundRig(stage, plan, url, client, ports, status_within=status_within)
            try:
                await rig.open(session)
                yield rig
            finally:
                await rig.close()


def _seed(environment: Mapping[str, str], numbers: Sequence[Number]) -> None:
    """Accounts for these numbers; that of the first one is there."""
    with prepared(load(environment)) as runtime:
        asyncio.run(_fill(runtime, numbers))


async def _fill(runtime: Runtime, numbers: Sequence[Number]) -> None:
    container = build(runtime)
    try:
        database = await container.get(Port)
        for number in numbers:
            new = NewAccount(
                name="Boutique",
                slug=f"boutique-{number.digits}",
                phone_number=f"+{number.digits}",
                phone_number_id=number.id,
                access_token=TOKEN,
                verify_token="ledger",
            )
            async with database.transaction() as tx:
                await tx.accounts.add(AccountId(uuid7()), new)
    finally:
        await container.close()
