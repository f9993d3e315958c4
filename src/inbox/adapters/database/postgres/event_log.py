"""The event log: what changed, in rows that are visible exactly if their change is. The last table to be locked.

One rule, on which readers rely: the ids of the events of one conversation are drawn in the order in which their
transactions commit. Otherwise an event could become visible behind one with a higher id, and whoever follows the ids
would be shown the older state last. So who tells of a conversation holds its row, and who tells of what becomes of a
message holds the message, or its row in the outbox, its file or its reaction; the ids are drawn behind that lock, and
nobody else draws one for the same thing before the commit. Who reads where a message is, to tell of it, holds it too:
a merge takes it to another conversation.

And a second one: a statement that inserts here waits for nothing, nor does its transaction afterwards. It holds the
lock on this table from its beginning, and until it has committed the events of everybody wait (`event_feed.py`). So
`record` is the last statement of its transaction. Three statements write a change together with its event, which is
joined to the row that they hold: that of `messages.py` finds conversation and lane locked, those of `outbox_posting.py`
and `outbox_accepted.py` pass by what somebody else holds. Only a key that is used in another conversation at the same
moment, and a change of the account, can hold up a message that brings its event along, and `lock_timeout` ends that.

After the commit whoever wrote events publishes `LogGrew`, once.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.domain.events import Cause, ConversationUpdated, Event, kind_of
from inbox.domain.signals import LogGrew

_RECORD: Final = text("""
insert into event_log (account_id, conversation_id, kind, body)
select u.account_id, u.conversation_id, u.kind, u.body::jsonb
from unnest(cast(:account_ids as uuid[]), cast(:conversation_ids as uuid[]), cast(:kinds as text[]),
            cast(:bodies as text[])) with ordinality u(account_id, conversation_id, kind, body, n)
order by u.n
""")

_WEIGHT: Final = {
    cause: weight
    for weight, cause in enumerate(
        (Cause.CONTACT, Cause.PREFERENCES, Cause.WINDOW, Cause.MESSAGE, Cause.HISTORY, Cause.THREAD)
    )
}
"""Of several causes the one that asks most of who is told."""
_COLUMNS: Final = ("kind", "account_id", "conversation_id")
_encode: Final = msgspec.json.Encoder().encode


async def record(connection: AsyncConnection, events: Sequence[Event]) -> list[LogGrew]:
    """Appends `events` in their order, in one statement. Returns what is to be published after the commit."""
    if not events:
        return []
    told = _once(events)
    values = {
        "account_ids": [event.account_id for event in told],
        "conversation_ids": [event.conversation_id for event in told],
        "kinds": [kind_of(event) for event in told],
        "bodies": [body(event) for event in told],
    }
    await connection.execute(_RECORD, values)
    return [LogGrew()]


def body(event: Event) -> str:
    """What the row holds beside its columns, as JSON."""
    fields = msgspec.to_builtins(event, builtin_types=(UUID,))
    return _encode({name: value for name, value in fields.items() if name not in _COLUMNS}).decode()


def _once(events: Sequence[Event]) -> list[Event]:
    """Of each conversation one update, behind everything else."""
    updates: dict[UUID, ConversationUpdated] = {}
    others: list[Event] = []
    for event in events:
        if not isinstance(event, ConversationUpdated):
            others.append(event)
            continue
        known = updates.get(event.conversation_id)
        if known is None or _WEIGHT[event.cause] > _WEIGHT[known.cause]:
            updates[event.conversation_id] = event
    return [*others, *updates.values()]
