"""Both sides of the story: the emulator's ledger, and what the database holds."""

from collections.abc import Mapping
from typing import Any, Final

import asyncpg
import httpx

from .oracle import Books, Inbound, Offered, Outbound, Rows, Sent
from .stage import BOT_CUSTOMERS

ALL: Final = 10_000

_INBOUND: Final = """
select m.wa_message_id as wamid, c.client_number as customer
from messages m join conversations c on c.id = m.conversation_id where m.direction = 'inbound'
order by m.created_at, m.id
"""
_OUTBOUND: Final = """
select m.id::text, c.client_number as customer, m.author, m.content_text as text, m.status,
       coalesce(o.state, 'without outbox') as state, coalesce(o.attempt, 0) as attempt, m.wa_message_id as wamid,
       m.client_id as key, w.wa_message_id as trigger
from messages m join conversations c on c.id = m.conversation_id left join outbox o on o.id = m.id
left join bot_turns t on t.id = o.turn_id left join messages w on w.id = t.trigger_message_id
where m.direction = 'outbound' order by o.serial
"""
_SET_ASIDE: Final = """
select (select count(*) from deliveries where state <> 'done') + (select count(*) from quarantined_items)
       + (select count(*) from message_statuses where message_id is null)
"""
_SHOWN: Final = """
select body ->> 'message_id', body ->> 'status' from event_log where kind = 'message.status' order by id
"""
_STORY: Final = """
select line from (
  select m.created_at as at, concat_ws(' ', m.created_at::time, c.client_number, m.direction, m.author, m.status,
                                       o.state, o.attempt, m.id, quote_literal(m.content_text)) as line
  from messages m join conversations c on c.id = m.conversation_id left join outbox o on o.id = m.id
  union all
  select t.created_at, concat_ws(' ', t.created_at::time, c.client_number, 'turn', t.state, t.reason, 'epoch', t.epoch,
                                 'until', t.finished_at::time, quote_literal(m.content_text))
  from bot_turns t join conversations c on c.id = t.conversation_id join messages m on m.id = t.trigger_message_id
  union all
  select received_at, concat_ws(' ', received_at::time, 'delivery', id, state, done_at::time) from deliveries
  union all
  select created_at, concat_ws(' ', created_at::time, 'event', kind, conversation_id, body) from event_log
) s order by at
"""
_WAITING: Final = """
select concat_ws(' ', 'lane', kind, key, ver, done, 'attempts', attempts, 'due in', due - now()) from lanes
where ver > done
union all
select concat_ws(' ', 'outbox', id, state, 'attempt', attempt, 'for', now() - updated_at) from outbox
where state in ('queued', 'claimed', 'wire', 'unknown')
union all
select concat_ws(' ', 'delivery', id, 'for', now() - received_at) from deliveries where state = 'open'
"""


class Database:
    """A connection per question: the server may be killed at any moment."""

    def __init__(self, url: str, *, seconds: float = 10) -> None:
        self.url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._seconds = seconds

    async def ask(self, statement: str, *values: object) -> list[Any]:
        connection = await asyncpg.connect(self.url, timeout=5, command_timeout=self._seconds)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def value(self, statement: str, *values: object) -> Any:  # noqa: ANN401 - any column
        return (await self.ask(statement, *values))[0][0]


async def read_rows(database: Database) -> Rows:
    """Everything that the oracle wants to know of the database."""
    return Rows(
        inbound=[Inbound(**row) for row in await database.ask(_INBOUND)],
        outbound=[Outbound(**row) for row in await database.ask(_OUTBOUND)],
        unread=dict(await database.ask("select client_number, unread_count from conversations")),
        statuses=[tuple(row) for row in await database.ask("select wamid, status from message_statuses")],
        shown=[tuple(row) for row in await database.ask(_SHOWN)],
        set_aside=await database.value(_SET_ASIDE),
        bot_customers=frozenset(BOT_CUSTOMERS),
    )


async def read_story(database: Database) -> list[str]:
    """What happened, in the order of time, for whoever has to find out why a round failed."""
    return [row[0] for row in await database.ask(_STORY)]


async def read_waiting(database: Database) -> list[str]:
    """What is left to do."""
    return [row[0] for row in await database.ask(_WAITING)]


class Emulator:
    """The emulated Graph API, by its control API."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def call(self, method: str, path: str, told: object = None) -> Any:  # noqa: ANN401 - any JSON
        reply = await self._client.request(method, f"{self._url}/_emu{path}", json=told)
        assert reply.is_success, f"{method} {path}: {reply.text}"
        return reply.json() if reply.content else None

    async def quiet(self) -> dict[str, int] | None:
        """Its counters if nothing waits for delivery and no status is still to come."""
        state = await self.call("GET", "/state")
        return None if state["pending_events"] or state["waiting_statuses"] else dict(state["counts"])

    async def read_books(self, texts: Mapping[str, str]) -> Books:
        """`texts` are those of the customers' messages by wamid: the ledger does not keep them."""
        ledger = await self.call("GET", f"/ledger?limit={ALL}")
        assert not ledger["spilled"], "the ledger has forgotten entries: nothing can be said"
        entries = [(entry["kind"], entry["data"]) for entry in ledger["entries"]]
        return Books(
            offered=[
                Offered(data["wamid"], data["sender"], texts[data["wamid"]])
                for kind, data in entries
                if kind == "inbound" and data["delivered"]
            ],
            sends=[_sent(data) for kind, data in entries if kind == "send"],
            statuses=sorted(
                {
                    (data["id"], data["type"])
                    for kind, data in entries
                    if kind == "webhook" and data["outcome"] == httpx.codes.OK and data["op"]
                }
            ),
        )


def _sent(data: dict[str, Any]) -> Sent:
    _, message_id, attempt = data["op"].split(":")
    return Sent(data["wamid"], message_id, int(attempt), data["to"], data["message"]["text"]["body"])
