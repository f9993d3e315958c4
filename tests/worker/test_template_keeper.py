"""Beside the worker the lists of templates are read when they are due; a failure ends a round, not the keeper."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from builders import execute, until
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.messaging.fake_templates import FakeTemplateSource
from inbox.domain.errors import DatabaseUnavailable
from inbox.entrypoints.template_keeper import TemplateKeeper
from inbox.services.templates import Templates
from services.rights_scene import forgetful
from template_builders import WABA, with_waba


class Failing(Templates):
    """Fails, in two ways, before it goes well."""

    failures: list[Exception]

    async def refresh(self) -> int:
        if self.failures:
            raise self.failures.pop(0)
        return await super().refresh()


async def test_lists_are_read_again_and_again_whatever_fails(database: PostgresDatabase, engine: AsyncEngine) -> None:
    await with_waba(engine)
    source, every = FakeTemplateSource(), timedelta(microseconds=1)
    templates = Failing(
        database, forgetful(database), source, MemoryMediaStore(), lambda: datetime.now(UTC), every=every
    )
    templates.failures = [DatabaseUnavailable(), ZeroDivisionError("a bug")]
    source.put(WABA, "one")
    async with TemplateKeeper(templates).running(every=0.01):
        await until(engine, "select 1 from message_templates where name = 'one'")
        source.put(WABA, "two")
        await until(engine, "select 1 from message_templates where name = 'two'")
    assert templates.failures == []
    seen = await execute(engine, "select count(*) as count from template_syncs where synced_at is not null")
    assert seen[0].count == 1
