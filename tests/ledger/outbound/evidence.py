"""Both sides of the story: what the emulator took, followed while it goes on, and what the database holds."""

import asyncio
from typing import Any, Final

from crash.evidence import Database, Emulator

from .books import Row, Sent

_PAGE: Final = 10_000
_FOLLOWS_EVERY: Final = 0.5

_ROWS: Final = """
select m.id::text, a.phone_number_id as number, c.client_number as customer, m.content_text as text, m.status, o.state,
       coalesce(m.error_message, o.reason) as reason, m.wa_message_id as wamid
from messages m join whatsapp_accounts a on a.id = m.account_id join conversations c on c.id = m.conversation_id
left join outbox o on o.id = m.id
where m.direction = 'outbound'
"""
_UNKNOWN: Final = """
select distinct body ->> 'message_id' from event_log
where kind = 'message.status' and body ->> 'delivery_state' = 'unknown'
"""
_PARKED: Final = "select op_id from message_statuses where message_id is null order by id"


class Taken:
    """The messages that the emulator took. Its ledger forgets, so somebody has to read along."""

    def __init__(self, emulator: Emulator) -> None:
        self.sends: list[Sent] = []
        self._emulator = emulator
        self._after: int | None = None
        self._reading = asyncio.Lock()

    async def follow(self) -> None:
        """For ever."""
        while True:
            await self.read()
            await asyncio.sleep(_FOLLOWS_EVERY)

    async def read(self) -> None:
        """All there are by now."""
        async with self._reading:
            while await self._page():
                pass

    async def _page(self) -> bool:
        """True if there may be more."""
        ledger = await self._emulator.call("GET", f"/ledger?kind=send&after={self._after or 0}&limit={_PAGE}")
        kept = sum(ledger["counts"].values()) - ledger["spilled"]
        oldest = ledger["last_serial"] - kept + 1
        assert not ledger["spilled"] or self._after is None or oldest <= self._after + 1, "the ledger forgot sends"
        assert self._after is not None or not ledger["spilled"], "the ledger forgot sends"
        entries = ledger["entries"]
        self.sends += [_sent(entry["data"]) for entry in entries]
        is_full = len(entries) == _PAGE
        self._after = entries[-1]["serial"] if is_full else ledger["last_serial"]
        return is_full


def _sent(data: dict[str, Any]) -> Sent:
    _, message_id, _ = data["op"].split(":")
    return Sent(data["wamid"], message_id, data["number"], data["to"], data["message"]["text"]["body"])


async def read_rows(database: Database) -> list[Row]:
    return [Row(**row) for row in await database.ask(_ROWS)]


async def read_unknown(database: Database) -> frozenset[str]:
    """The ids of messages whose outcome was unknown at some time."""
    return frozenset(row[0] for row in await database.ask(_UNKNOWN))


async def read_parked(database: Database) -> list[str]:
    """The op ids of statuses that found no message; here every status is of a message of ours."""
    return [row[0] for row in await database.ask(_PARKED)]
