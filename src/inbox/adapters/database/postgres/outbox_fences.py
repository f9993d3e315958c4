"""The last commit before the first byte: those of one moment are one statement, and each waits for that very commit."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.direct import Direct
from inbox.adapters.database.postgres.engine import autocommit, database_errors
from inbox.domain.errors import CommitUnknown
from inbox.domain.ids import MessageId
from inbox.kit.coalescing import Batching, Coalescer

_BATCHING: Final = Batching(items=200, waiting=2_000, deadline=2.0)

# Messages that wait for nobody: those without an epoch, which are not the bot's. The clock is read after the locks. The
# state is a column and no condition: the index of claimed rows is full of those that are claimed no more. Behind the
# inner `select` the planner does not see how many they are: for a few it would make a plan of their own, each time.
_TOGETHER: Final = text("""
with held as materialized (
  select o.id, o.state = 'claimed' and o.epoch is null as is_ready
  from unnest((select cast(:ids as uuid[])), cast(:tokens as uuid[])) u(id, token)
  join outbox o on o.id = u.id and o.token = u.token
  order by o.id for update of o
)
update outbox o
set state = 'wire', attempt = o.attempt + 1, wire_at = clock_timestamp(), updated_at = clock_timestamp()
from held
where o.id = held.id and held.is_ready and o.lease_until > clock_timestamp()
returning o.id, o.token, o.attempt
""")

# `for share` makes a message of the bot wait for a take-over in flight and see its epoch; so it waits alone. The clock
# is read after that wait.
_ALONE: Final = text("""
with c as (
  select c.id, c.epoch from conversations c
  where c.id = (select o.conversation_id from outbox o where o.id = :id and o.token = :token and o.epoch is not null)
  for share
)
update outbox o
set state = 'wire', attempt = o.attempt + 1, wire_at = clock_timestamp(), updated_at = clock_timestamp()
where o.id = :id and o.token = :token and o.state = 'claimed'
  and o.epoch is not null and o.epoch = (select c.epoch from c) and o.lease_until > clock_timestamp()
returning o.attempt
""")


class Fences:
    """Commits `claimed` to `wire`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = autocommit(engine)
        self._direct = Direct(engine)
        self._coalescer: Coalescer[tuple[MessageId, UUID], int | None] = Coalescer(
            self._flush, on_timeout=CommitUnknown, batching=_BATCHING
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Fences can be passed inside."""
        return self._coalescer.running()

    async def passed(self, message_id: MessageId, token: UUID) -> int | None:
        """The number of the attempt, None if nothing may be sent. If the commit is unclear, it is so for the batch."""
        attempt = await self._coalescer.add((message_id, token))
        return attempt if attempt is not None else await self._alone(message_id, token)

    async def _flush(self, items: Sequence[tuple[MessageId, UUID]]) -> list[int | None]:
        values = {"ids": [message_id for message_id, _ in items], "tokens": [token for _, token in items]}
        rows = await self._direct.rows(_TOGETHER, values, committing=True)
        attempts = {(row.id, row.token): row.attempt for row in rows}
        return [attempts.pop(item, None) for item in items]  # one passage for each claim

    async def _alone(self, message_id: MessageId, token: UUID) -> int | None:
        with database_errors():
            async with self._engine.connect() as connection:
                with database_errors(committing=True):
                    values = {"id": message_id, "token": token}
                    attempt: int | None = (await connection.execute(_ALONE, values)).scalar_one_or_none()
                    return attempt
