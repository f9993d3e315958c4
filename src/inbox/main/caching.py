"""Which cache stands behind the port: that of the process, with or without a Redis behind it."""

from functools import partial
from importlib.util import find_spec

from inbox.adapters.cache.memory import MemoryCache
from inbox.kit.telemetry import Metrics
from inbox.main.runtime import Runtime
from inbox.main.settings import SettingsError
from inbox.ports.events import Events


def open_cache(runtime: Runtime, events: Events, metrics: Metrics) -> MemoryCache:
    """The cache that the settings choose. Raises `SettingsError` if its library is not installed."""
    url = runtime.settings.cache.redis_url
    if url is None:
        return MemoryCache(events)
    redis_must_be_installed("INBOX_CACHE_REDIS_URL")
    from inbox.adapters.cache.redis import RedisTier  # noqa: PLC0415 - its library is an extra

    tier = RedisTier(url.reveal(), runtime.sealer, on_change=partial(_changed, metrics))
    return MemoryCache(events, tier)


def redis_must_be_installed(setting: str) -> None:
    """Raises `SettingsError` if the library that this setting needs is not there."""
    if find_spec("redis") is None:
        raise SettingsError(f'{setting} needs the extra "redis": pip install "whatsapp-inbox[redis]".')


def _changed(metrics: Metrics, is_up: bool) -> None:  # noqa: FBT001 - as the cache tells it
    metrics.cache_up("redis", is_up=is_up)
