"""Which bus joins the processes: over PostgreSQL, which is there anyway, or over Redis."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

from inbox.adapters.events.postgres import PostgresEvents
from inbox.kit.telemetry import Metrics
from inbox.main.caching import redis_must_be_installed
from inbox.main.events_settings import NO_REDIS
from inbox.main.runtime import Runtime
from inbox.main.settings import SettingsError
from inbox.ports.events import Events


class Bus(Events, Protocol):
    """One that has to be connected."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Connects to the others while the block runs."""
        ...


def open_bus(runtime: Runtime, metrics: Metrics) -> Bus:
    """The bus that the settings choose. Raises `SettingsError` if it has no address, a bad one, or no library."""
    bus, url = runtime.settings.events.bus, runtime.settings.cache.redis_url
    changed = partial(_changed, metrics, bus)
    if bus == "postgres":
        dsn = runtime.database_url.replace("postgresql+asyncpg://", "postgresql://", 1)
        return PostgresEvents(dsn, on_change=changed)
    if url is None:
        raise SettingsError(NO_REDIS)
    redis_must_be_installed("INBOX_EVENTS_BUS=redis")
    from inbox.adapters.events.redis import RedisEvents  # noqa: PLC0415 - its library is an extra

    try:
        return RedisEvents(url.reveal(), runtime.sealer, on_change=changed)
    except ValueError as error:
        raise SettingsError(f"INBOX_CACHE_REDIS_URL, setting cache.redis_url: {error}.") from None


def _changed(metrics: Metrics, bus: str, is_up: bool) -> None:  # noqa: FBT001 - as the bus tells it
    metrics.bus_up(bus, is_up=is_up)
