"""A database in which conversations begin, and what is put around it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, an_account, execute
from inbox.adapters.database.postgres.engine import INTAKE, create_engine
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.accounts import Channel
from ledger.mutating import Parts
from services.bot_scene import Scene
from services.conftest import Clock


class Desk(msgspec.Struct, frozen=True):
    """Our code on a database, or a broken variant of it."""

    database: PostgresDatabase
    engine: AsyncEngine
    account: Channel
    parts: Parts

    async def scene(self, *, name: str | None = None, account: Channel | None = None) -> Scene:
        """A conversation with the bot on."""
        database = self.parts.database(self.database)
        return await Scene(database, self.engine, account or self.account, Clock()).begin(display_name=name)

    async def other_account(self) -> Channel:
        return await an_account(self.engine)

    def as_variant(self, parts: Parts) -> "Desk":
        return msgspec.structs.replace(self, parts=parts)

    async def lapse(self) -> None:
        """Whoever held something is dead."""
        await execute(self.engine, "update lanes set due = now() where ver > done")
        await execute(self.engine, "update outbox set lease_until = now() where state = 'claimed'")

    async def forget(self) -> None:
        """What a variant left undone is nobody's work any more."""
        await execute(self.engine, "update lanes set done = ver where ver > done")

    async def turn_states(self, scene: Scene) -> Sequence[str]:
        rows = await execute(
            self.engine, "select state from bot_turns where conversation_id = :id", id=scene.conversation
        )
        return [row.state for row in rows]


@asynccontextmanager
async def desk(url: str) -> AsyncIterator[Desk]:
    """On a migrated database."""
    engine, intake = create_engine(url, pool_size=12), create_engine(url, pool_size=2, limits=INTAKE)
    try:
        database = PostgresDatabase(engine, intake, SEALER, MemoryEvents())
        async with database.running():
            yield Desk(database, engine, await an_account(engine), Parts())
    finally:
        await intake.dispose()
        await engine.dispose()
