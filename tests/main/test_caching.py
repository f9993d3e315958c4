"""The cache that the settings choose."""

from builders import NOWHERE, SEALER
from contracts.redis_side import until
from inbox.adapters.events.memory import MemoryEvents
from inbox.kit.telemetry import Metrics
from inbox.main.caching import open_cache
from inbox.main.runtime import Runtime
from inbox.main.secret import Secret
from inbox.main.settings import Cache, Settings
from redis_server import RedisServer


def runtime(url: str | None) -> Runtime:
    settings = Settings(cache=Cache(redis_url=Secret(url) if url else None))
    return Runtime(settings=settings, database_url="", sealer=SEALER, token_secrets=(), data_dir=NOWHERE)


async def test_without_an_address_each_process_remembers_for_itself():
    assert await open_cache(runtime(None), MemoryEvents(), Metrics()).shared() is None


async def test_with_an_address_redis_is_asked_and_the_metric_says_whether_it_answers(redis_server: RedisServer):
    metrics = Metrics()
    cache = open_cache(runtime(redis_server.url), MemoryEvents(), metrics)
    assert b"inbox_cache_up{" not in metrics.render()[0]
    async with cache.running():
        await until(lambda: b'inbox_cache_up{tier="redis"} 1.0' in metrics.render()[0])
        redis_server.kill()
        await until(lambda: b'inbox_cache_up{tier="redis"} 0.0' in metrics.render()[0])
