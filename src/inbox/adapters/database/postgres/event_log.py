"""The event log: what changed, in rows that are visible exactly if their change is. The last table to be locked."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.events import Event

_RECORD: Final = text("""
insert into event_log (account_id, conversation_id, kind, body)
select u.account_id, u.conversation_id, u.kind, u.body::jsonb
from unnest(cast(:account_ids as uuid[]), cast(:conversation_ids as uuid[]), cast(:kinds as text[]),
            cast(:bodies as text[])) with ordinality u(account_id, conversation_id, kind, body, n)
order by u.n
""")

_encode: Final = msgspec.json.Encoder().encode


async def record(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Appends `events` in their order, in one statement."""
    if not events:
        return
    values = {
        "account_ids": [event.account_id for event in events],
        "conversation_ids": [event.conversation_id for event in events],
        "kinds": [event.kind for event in events],
        "bodies": [_encode(event.body).decode() for event in events],
    }
    await connection.execute(_RECORD, values)
