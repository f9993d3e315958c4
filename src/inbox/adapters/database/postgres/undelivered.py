"""An answer of the bot that failed or expired: its conversation's turn is due once more, and looks what to do about it.

Called behind everything else that a transaction locks, but before it tells what happened: the lanes of turns come last.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.events import Event, StatusChanged
from inbox.domain.messages import Status
from inbox.domain.signals import Signal, WorkWaiting
from inbox.domain.work import WorkKind

# Also what was lost after the epoch had moved on: what it answered waits again after an off and on of the bot, or where
# two conversations became one. Where a person wrote since, nobody waits for the bot, even if that gets lost as well.
# Whether the bot is on is not asked: whoever is just switching it on takes this answer for given, and is not seen here.
# A turn that finds it off answers nothing.
_CONCERNED: Final = """
select c.id, c.account_id
from outbox o join conversations c on c.id = o.conversation_id join messages m on m.id = o.id
where o.id = any(cast(:ids as uuid[]))
  and (o.epoch = c.epoch and o.state in ('failed', 'expired')
       or o.epoch < c.epoch and o.state in ('failed', 'expired', 'cancelled')
          and not exists (select from messages h
                          where h.conversation_id = c.id and h."timestamp" >= m."timestamp" and h.author = 'human'
                            and not exists (select from api_keys k where k.id = h.author_id)))
group by c.id, c.account_id order by c.id::text
"""
_FIND: Final = text(_CONCERNED)

_ENQUEUE: Final = text(f"""
insert into lanes (kind, key, account_id)
select 'turn', concerned.id::text, concerned.account_id from ({_CONCERNED}) concerned
on conflict (kind, key) do update
set ver = lanes.ver + 1, due = case when lanes.ver = lanes.done then excluded.due else lanes.due end
""")  # noqa: S608 - a constant of ours


async def enqueue(connection: AsyncConnection, events: Iterable[Event]) -> list[Signal]:
    """Of the messages that `events` tell of. Returns what is to be published after the commit."""
    failed = _failed(events)
    if not failed or not (await connection.execute(_ENQUEUE, {"ids": failed})).rowcount:
        return []
    return [WorkWaiting(WorkKind.TURN)]


async def find(connection: AsyncConnection, events: Iterable[Event]) -> Sequence[Row[Any]]:
    """The conversations, with their accounts, whose turns have to look. For who enqueues turns anyway."""
    failed = _failed(events)
    return (await connection.execute(_FIND, {"ids": failed})).all() if failed else []


def _failed(events: Iterable[Event]) -> list[UUID]:
    return sorted({one.message_id for one in events if isinstance(one, StatusChanged) and one.status is Status.FAILED})
