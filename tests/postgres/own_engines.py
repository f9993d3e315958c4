"""Engines of a test's own, beside the one that all share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.engine import Limits, create_engine


@asynccontextmanager
async def an_engine(url: str, limits: Limits | None = None, pool_size: int = 1) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, pool_size=pool_size, limits=limits)
    yield engine
    await engine.dispose()
