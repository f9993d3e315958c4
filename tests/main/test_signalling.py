"""The bus that the settings choose."""

import pytest

from builders import NOWHERE, SEALER
from contracts.redis_side import until
from inbox.adapters.events.postgres import PostgresEvents
from inbox.kit.telemetry import Metrics
from inbox.main.events_settings import NO_REDIS
from inbox.main.runtime import Runtime
from inbox.main.settings import SettingsError, load
from inbox.main.signalling import open_bus
from redis_server import RedisServer


def runtime(**given: str) -> Runtime:
    url = "postgresql+asyncpg://u:p@db.example/inbox"
    return Runtime(settings=load(given), database_url=url, sealer=SEALER, token_secrets=(), data_dir=NOWHERE)


def test_a_redis_for_the_cache_does_not_move_the_bus():
    bus = open_bus(runtime(INBOX_CACHE_REDIS_URL="redis://cache.example"), Metrics())
    assert isinstance(bus, PostgresEvents)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, NO_REDIS),
        ({"INBOX_CACHE_REDIS_URL": "redis://cache.example?c4n4ry=1"}, "INBOX_CACHE_REDIS_URL, setting cache.redis_url"),
    ],
)
def test_a_bus_over_redis_needs_an_address_that_can_be_used(given: dict[str, str], said: str):
    with pytest.raises(SettingsError) as caught:
        open_bus(runtime(INBOX_EVENTS_BUS="redis", **given), Metrics())
    assert str(caught.value).startswith(said)
    assert "c4n4ry" not in str(caught.value)


async def test_the_metric_says_whether_the_others_are_reached(redis_server: RedisServer):
    metrics = Metrics()
    bus = open_bus(runtime(INBOX_EVENTS_BUS="redis", INBOX_CACHE_REDIS_URL=redis_server.url), metrics)
    async with bus.running():
        await until(lambda: b'inbox_bus_up{bus="redis"} 1.0' in metrics.render()[0])
        redis_server.kill()
        await until(lambda: b'inbox_bus_up{bus="redis"} 0.0' in metrics.render()[0])
