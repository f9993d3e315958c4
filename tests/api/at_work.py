"""The service at work: its API with a worker beside it, as in production but for who signs in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar

from api.test_upstream_answers import people
from applications import Applications
from builders import SEALER
from inbox.entrypoints.worker import Worker
from inbox.main.container import build
from inbox.main.runtime import Runtime
from inbox.main.settings import Settings


@asynccontextmanager
async def at_work(
    applications: Applications, settings: Settings, database_url: str, data_dir: Path
) -> AsyncIterator[Litestar]:
    """`settings` say where WhatsApp is."""
    runtime = Runtime(
        settings=settings, database_url=database_url, sealer=SEALER, token_secrets=(b"t" * 32,), data_dir=data_dir
    )
    container = build(runtime, people())
    try:
        worker = await container.get(Worker)
        async with applications.lent(runtime.settings, container) as app, app.lifespan(), asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            try:
                yield app
            finally:
                worker.stop()
    finally:
        await container.close()
