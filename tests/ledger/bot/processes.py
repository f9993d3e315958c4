"""Real workers on a durable database: Gemini fails in every way for a while, and workers are killed in their turns."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

import httpx

from builders import a_client_number, a_conversation
from crash.evidence import Emulator
from crash.stage import NUMBER, NUMBER_ID, Stage, free_port
from inbox.domain.accounts import Channel
from inbox.domain.bot import MODEL_WAIT_SECONDS
from inbox.domain.ids import AccountId, ConversationId
from ledger.rig import Rig
from ledger.waiting import until
from services.scenes import customer_writes

from .books import Counts
from .stage import Desk, desk

QUIET, TURN, TRIES = 1.5, 5.0, 3
SILENCE: Final = MODEL_WAIT_SECONDS + QUIET + TURN + 5.0
"""Seconds: until a model that is not asked is given up, a quiet period, a turn, and a busy machine."""
KNOBS: Final = ("connection_reset", "drip", "429_minute", "empty_stop", "safety", "garbage")
POINTS: Final = (
    "tx.open_turn:after",
    "commit.open_turn:after",
    "tx.queue:before",
    "tx.close_turn:after",
    "commit.close_turn:before",
    "commit.close_turn:after",
)
_SETTINGS: Final = {
    "INBOX_BOT_QUIET_SECONDS": str(QUIET),
    "INBOX_BOT_TURN_SECONDS": str(TURN),
    "INBOX_GEMINI_READ_TIMEOUT": "2",
    "INBOX_GEMINI_TOTAL_TIMEOUT": "4",
    "INBOX_LOG_LEVEL": "warning",
}
_WITHIN: Final = 60.0
_EACH: Final = 4
"""Customers that write at each death."""

_UNHEARD: Final = """
select count(*) from conversations c where c.id = any($1::uuid[]) and c.handed_over_at is null
  and not exists (select from messages m where m.conversation_id = c.id and m.direction = 'outbound')
"""
_WAITED: Final = """
select coalesce(max(extract(epoch from least(o.at, c.handed_over_at) - i.at)), 0)::float8
from conversations c
join lateral (select min(created_at) as at from messages m
              where m.conversation_id = c.id and m.direction = 'inbound') i on true
left join lateral (select min(created_at) as at from messages m
                   where m.conversation_id = c.id and m.direction = 'outbound') o on true
where c.id = any($1::uuid[])
"""
_NO_REASON: Final = """
select count(*) from conversations
where id = any($1::uuid[]) and handed_over_at is not null and handover_reason is null
"""
_UNANSWERED: Final = """
select c.id, c.client_number from conversations c where c.id = any($1::uuid[]) and not (c.bot_enabled and exists (
  select from bot_turns t where t.conversation_id = c.id and t.state = 'answered' and t.created_at > $2))
"""
_ANSWERED: Final = """
select exists (select from messages m join conversations c on c.id = m.conversation_id
               where c.client_number = $1 and m.direction = 'outbound' and strpos(m.content_text, $2) > 0)
"""
_OPEN: Final = """
select exists (select from lanes where kind in ('turn', 'send') and ver > done)
    or exists (select from outbox where state in ('queued', 'claimed', 'wire'))
"""


class BotRig(Rig):
    """Workers, both emulators, and customers who write."""

    desk: Desk
    account: Channel

    def __init__(self, stage: Stage, url: str, client: httpx.AsyncClient, seed: int) -> None:
        super().__init__(stage, url, client, [free_port()], seed=seed, settings=_SETTINGS)
        self.graph = Emulator(stage.graph_url, client)
        self.gemini = Emulator(stage.environment["INBOX_GEMINI_URL"], client)

    async def open(self, desk_: Desk) -> None:
        self.desk = desk_
        account = await self.database.value("select id from whatsapp_accounts where phone_number_id = $1", NUMBER_ID)
        self.account = Channel(account_id=AccountId(account), phone_number_id=NUMBER_ID, access_token=None)
        await self.graph.call("POST", "/reset")
        await self.gemini.call("POST", "/reset")
        await self.graph.call("PATCH", "/behaviour", {"auto_statuses": False})
        number = {"id": NUMBER_ID, "phone": NUMBER, "throughput": 1_000}
        await self.graph.call("POST", "/wabas", {"name": "Atelier", "numbers": [number]})

    async def customer(self) -> tuple[ConversationId, str]:
        """A conversation with the bot on, in which nobody has written yet."""
        number = a_client_number()
        engine = self.desk.engine
        conversation = await a_conversation(engine, self.account.account_id, client_number=number, bot_enabled=True)
        return conversation, number

    async def writes(self, number: str, text: str) -> None:
        # With the timer that a webhook sets: WhatsApp's clock alone, in whole seconds, makes a quiet period too short.
        quiet = timedelta(seconds=QUIET)
        await customer_writes(self.desk.database, self.account, number, text, quiet_for=quiet)

    async def lapse(self, *, everything: bool = False) -> None:
        """Only while no worker runs."""
        assert everything
        await self.desk.lapse()

    async def sends(self) -> Counter[str]:
        """How many messages WhatsApp took for each customer."""
        ledger = await self.graph.call("GET", "/ledger?kind=send&limit=10000")
        assert not ledger["spilled"]
        return Counter(str(entry["data"]["to"]) for entry in ledger["entries"])

    async def settled(self) -> None:
        """Waits until there is neither a turn nor a send to do."""

        async def look() -> bool:
            return not await self.database.value(_OPEN)

        await until(look, seconds=_WITHIN)


@asynccontextmanager
async def rigged(stage: Stage, seed: int) -> AsyncIterator[BotRig]:
    """On a database of its own; whatever still runs in the end is killed."""
    with ExitStack() as stack:
        url = await asyncio.to_thread(stack.enter_context, stage.database())
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client, desk(url) as own:
            rig = BotRig(stage, url, client, seed)
            try:
                await rig.open(own)
                yield rig
            finally:
                await rig.close()


# --- the model fails --------------------------------------------------------------------------------------------------


async def outage(rig: BotRig, *, seconds: float, rounds: int) -> Counts:
    """Each way to fail lasts `seconds`, and customers write, each once. Then all is well, and they write again."""
    worker = await rig.start(["worker"])
    customers: list[tuple[ConversationId, str]] = []
    for knob in KNOBS * rounds:
        await rig.gemini.call("DELETE", "/faults")
        await rig.gemini.call("POST", "/faults", {"knob": knob, "options": {"interval": 1.0, "pieces": 30}})
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            customers.append(await rig.customer())
            await rig.writes(customers[-1][1], f"Avez-vous des cerises ? ({len(customers)})")
            await asyncio.sleep(0.4)
    ids = [conversation for conversation, _ in customers]
    lost = await _unheard(rig, ids)
    waited = float(await rig.database.value(_WAITED, ids))
    strange = await _strange(rig, ids)
    await rig.gemini.call("DELETE", "/faults")
    gone = await _gone(rig, customers)
    await rig.settled()
    await worker.kill()
    return Counts(
        runs=len(customers),
        lost_turns=lost,
        bots_lost_for_good=gone,
        max_silence_s=waited,
        unlike_expected=strange,
    )


async def _unheard(rig: BotRig, ids: Sequence[ConversationId]) -> int:
    """How many conversations hear nothing, however long they wait."""

    async def look() -> bool:
        return not await rig.database.value(_UNHEARD, ids)

    with suppress(TimeoutError):
        await until(look, seconds=SILENCE + 20)
    return int(await rig.database.value(_UNHEARD, ids))


async def _strange(rig: BotRig, ids: Sequence[ConversationId]) -> tuple[str, ...]:
    """Hand-overs without a reason, and calls of the model beyond its tries."""
    nameless = int(await rig.database.value(_NO_REASON, ids))
    turns = int(await rig.database.value("select count(*) from bot_turns"))
    counts: dict[str, Any] = (await rig.gemini.call("GET", "/ledger?limit=1"))["counts"]
    asked = counts.get("stream", 0) + counts.get("generate", 0)
    found = [f"{nameless} hand-overs without a reason"] if nameless else []
    if not 0 < asked <= TRIES * turns:
        found.append(f"{asked} calls of the model for {turns} turns: {counts}")
    return tuple(found)


async def _gone(rig: BotRig, customers: Sequence[tuple[ConversationId, str]]) -> int:
    """In how many conversations the bot does not answer although the model is there, asked twice at most."""
    since = await rig.database.value("select now()")
    waiting = list(customers)
    for _ in range(2):
        for _, number in waiting:
            await rig.writes(number, "Toujours là ?")
        try:
            async with asyncio.timeout(_WITHIN):
                while waiting:
                    rows = await rig.database.ask(_UNANSWERED, [one for one, _ in customers], since)
                    waiting = [(ConversationId(row["id"]), row["client_number"]) for row in rows]
                    await asyncio.sleep(0.2)
        except TimeoutError:
            continue
        break
    return len(waiting)


# --- workers die ------------------------------------------------------------------------------------------------------


async def kills(rig: BotRig, points: Sequence[str] = POINTS) -> Counts:
    """SIGKILL at each of `points`, and while the model thinks; another worker goes on when the leases have ended."""
    numbers = [await _killed_at(rig, point) for point in points]
    numbers.append(await _killed_while_it_thinks(rig))
    gathered, is_complete = await _killed_while_it_gathers(rig)
    sends = await rig.sends()
    said = [sends[number] for group in (*numbers, [gathered]) for number in group]
    return Counts(
        runs=len(said),
        lost_turns=sum(count == 0 for count in said) + int(not is_complete),
        double_turns=sum(count > 1 for count in said),
    )


async def _killed_at(rig: BotRig, point: str) -> list[str]:
    """Some customers write; the worker dies with one of them."""
    numbers = await _written(rig)
    worker = await rig.start(["worker"], failpoints=f"{point}=kill")
    async with asyncio.timeout(_WITHIN):
        assert await worker.ended() < 0, f"{point}: {worker.said()}"
    await _goes_on(rig)
    return numbers


async def _killed_while_it_thinks(rig: BotRig) -> list[str]:
    await rig.gemini.call("POST", "/faults", {"knob": "slow", "delay": 1.5})
    numbers = await _written(rig)
    worker = await rig.start(["worker"])
    await rig.until("select exists (select from bot_turns where state = 'open')")
    await worker.kill()
    await rig.gemini.call("DELETE", "/faults")
    await _goes_on(rig)
    return numbers


async def _killed_while_it_gathers(rig: BotRig) -> tuple[str, bool]:
    """Five messages in four seconds, and a worker that dies in between; whether the answer goes as far as the last.

    The emulator repeats the last of the messages that it was asked about; none before it was answered.
    """
    worker = await rig.start(["worker"])
    _, number = await rig.customer()
    for place in range(5):
        if place == 3:
            await worker.kill()
        await rig.writes(number, f"Et {place} cerises ?")
        await asyncio.sleep(0.9)
    await _goes_on(rig)
    return number, bool(await rig.database.value(_ANSWERED, number, "Et 4 cerises ?"))


async def _written(rig: BotRig) -> list[str]:
    numbers = [(await rig.customer())[1] for _ in range(_EACH)]
    for number in numbers:
        await rig.writes(number, "Avez-vous des cerises ?")
    return numbers


async def _goes_on(rig: BotRig) -> None:
    """Another worker does what is left, and is not needed any more."""
    await rig.lapse(everything=True)
    worker = await rig.start(["worker"])
    await rig.settled()
    await worker.kill()
