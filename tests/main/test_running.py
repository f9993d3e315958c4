"""The service inside this process: what it refuses to start with, in which order it stops, and a worker that dies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import structlog
from dishka import Provider, Scope
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import SEALER, an_account
from inbox.entrypoints.worker import Worker
from inbox.kit.breaker import Breakers
from inbox.main import migrating, serve
from inbox.main.runtime import Runtime
from inbox.main.secret import Secret
from inbox.main.settings import Database, Http, Metrics, Settings, SettingsError, WhatsApp
from inbox.main.settings import Worker as WorkerSettings
from inbox.main.vendors import Fakes
from inbox.ports.monitoring import Circuits
from main.command import call, free_port


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Runtime:
    settings = Settings(
        http=Http(port=free_port()),
        database=Database(allow_unsafe_durability=True),
        whatsapp=WhatsApp(app_secret=(Secret("s"),)),
    )
    return Runtime(
        settings=settings, database_url=database_url, sealer=SEALER, token_secrets=(b"t" * 32,), data_dir=tmp_path
    )


def with_default_account(runtime: Runtime, phone_id: str) -> Runtime:
    whatsapp = WhatsApp(app_secret=(Secret("s"),), phone_id=phone_id, token=Secret("EAAG"), verify_token=Secret("v"))
    return msgspec.structs.replace(runtime, settings=msgspec.structs.replace(runtime.settings, whatsapp=whatsapp))


class ScriptedWorker:
    """Stands for the worker: `end` runs when it is told to stop, or at once if it does not wait for that."""

    def __init__(self, end: Callable[[], object], *, waits: bool = True) -> None:
        self._end = end
        self._told = asyncio.Event()
        if not waits:
            self._told.set()

    def stop(self) -> None:
        self._told.set()

    async def run(self) -> None:
        await self._told.wait()
        await asyncio.to_thread(self._end)


def instead(worker: ScriptedWorker) -> Provider:
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: worker, provides=Worker, override=True)
    return provider


async def test_it_answers_while_the_block_runs_and_not_after(runtime):
    port = runtime.settings.http.port
    async with serve.running(runtime, Fakes(), worker=False):
        assert await asyncio.to_thread(call, port, "GET", "/health/ready") == (200, {"status": "ready"})
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(call, port, "GET", "/health/live")


async def test_connections_that_others_keep_open_lock_nobody_out(runtime):
    port = runtime.settings.http.port
    kept = []
    async with serve.running(runtime, Fakes(), worker=False):
        for _ in range(200):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            kept.append(writer)
            writer.write(b"GET /health/live HTTP/1.1\r\nhost: inbox\r\n\r\n")
            async with asyncio.timeout(10):
                await reader.readuntil(b"alive")
        assert await asyncio.to_thread(call, port, "GET", "/health/live") == (200, {"status": "alive"})
        for writer in kept:
            writer.close()


async def test_while_the_worker_finishes_the_service_is_not_ready_but_still_answers(runtime):
    port, seen = runtime.settings.http.port, []

    def look() -> None:
        seen.append(call(port, "GET", "/health/ready"))
        seen.append(call(port, "GET", "/health/live"))

    async with serve.running(runtime, Fakes(), instead(ScriptedWorker(look))):
        pass
    assert seen == [
        (503, {"status": "not_ready", "reason": {"error": "stopping", "status": "error"}}),
        (200, {"status": "alive"}),
    ]


async def test_a_service_whose_worker_dies_ends_with_what_it_raised(runtime):
    def die() -> None:
        raise ZeroDivisionError("a bug in the worker")

    dead = instead(ScriptedWorker(die, waits=False))
    with pytest.raises(ZeroDivisionError, match="a bug in the worker"):
        async with asyncio.timeout(20):
            await serve.run(runtime, Fakes(), dead, web=True, worker=True, started=lambda: None, stop=asyncio.Event())
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(call, runtime.settings.http.port, "GET", "/health/live")


async def test_with_a_port_of_their_own_metrics_leave_the_one_of_the_api(runtime):
    port = free_port()
    settings = msgspec.structs.replace(runtime.settings, metrics=Metrics(port=port))
    apart = msgspec.structs.replace(runtime, settings=settings)
    async with serve.running(apart, Fakes(), worker=False):
        assert (await asyncio.to_thread(call, port, "GET", "/metrics"))[0] == 200
        assert await asyncio.to_thread(call, port, "GET", "/health/ready") == (200, {"status": "ready"})
        assert (await asyncio.to_thread(call, port, "GET", "/accounts"))[0] == 404
        assert (await asyncio.to_thread(call, settings.http.port, "GET", "/metrics"))[0] == 404
        assert (await asyncio.to_thread(call, settings.http.port, "GET", "/health/live"))[0] == 200
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(call, port, "GET", "/health/live")


async def test_with_neither_port_nor_token_nobody_sees_metrics_and_the_start_says_so(runtime):
    with structlog.testing.capture_logs() as lines:
        async with serve.running(runtime, Fakes(), worker=False):
            for path in ("/metrics", "/api/metrics"):
                assert (await asyncio.to_thread(call, runtime.settings.http.port, "GET", path))[0] == 404
    (line,) = [line for line in lines if line["event"] == "metrics_not_served"]
    assert "INBOX_METRICS_AUTH_TOKEN" in line["reason"]
    assert "INBOX_METRICS_PORT" in line["reason"]


async def test_requests_at_the_monitoring_port_have_their_lines(runtime):
    port = free_port()
    settings = msgspec.structs.replace(runtime.settings, metrics=Metrics(port=port))
    apart = msgspec.structs.replace(runtime, settings=settings)
    with structlog.testing.capture_logs() as lines:
        async with serve.running(apart, Fakes(), worker=False):
            for path in ("/health/live", "/metrics", "/nothing"):
                await asyncio.to_thread(call, port, "GET", path)
    told = [(line["log_level"], line["handler"], line["status"]) for line in lines if line["event"] == "request"]
    assert told == [("debug", "/health/live", 200), ("debug", "/metrics", 200), ("info", "none", 404)]
    assert "metrics_not_served" not in {line["event"] for line in lines}


async def test_a_bug_in_what_tells_the_others_ends_the_service(runtime):
    class Broken(Breakers):
        def inspect(self):
            raise ZeroDivisionError("a bug in a report")

    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: Broken([]), provides=Circuits, override=True)
    with pytest.raises(ZeroDivisionError, match="a bug in a report"):
        async with asyncio.timeout(20):
            await serve.run(
                runtime, Fakes(), provider, web=True, worker=False, started=lambda: None, stop=asyncio.Event()
            )


async def test_a_worker_alone_shows_health_and_metrics_on_its_own_port_and_nothing_else(runtime):
    port = free_port()
    settings = msgspec.structs.replace(runtime.settings, worker=WorkerSettings(port=port))
    alone = msgspec.structs.replace(runtime, settings=settings)
    async with serve.running(alone, Fakes(), instead(ScriptedWorker(lambda: None)), web=False):
        assert await asyncio.to_thread(call, port, "GET", "/health/ready") == (200, {"status": "ready"})
        assert (await asyncio.to_thread(call, port, "GET", "/metrics"))[0] == 200
        assert (await asyncio.to_thread(call, port, "GET", "/accounts"))[0] == 404
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(call, alone.settings.http.port, "GET", "/health/live")


async def test_a_name_is_as_good_as_a_number_to_listen_on(runtime):
    http = msgspec.structs.replace(runtime.settings.http, host="localhost")
    named = msgspec.structs.replace(runtime, settings=msgspec.structs.replace(runtime.settings, http=http))
    async with serve.running(named, Fakes(), worker=False):
        pass


async def test_a_port_that_another_process_has_is_refused(runtime):
    async with serve.running(runtime, Fakes(), worker=False):
        with pytest.raises(SettingsError, match=r"Cannot listen on .* Address already in use"):
            async with serve.running(runtime, Fakes(), worker=False):
                pytest.fail("both listen")


@asynccontextmanager
async def default_accounts(engine: AsyncEngine) -> AsyncIterator[list[tuple[str, str]]]:
    async with engine.connect() as connection:
        found = await connection.execute(
            text("select slug, phone_number_id from whatsapp_accounts order by created_at")
        )
        yield [(row.slug, row.phone_number_id) for row in found]


async def test_the_account_of_the_environment_is_made_once_and_follows_it(runtime, engine):
    for phone_id in ("106540352242922", "106540352242922", "106540352242923"):
        async with serve.running(with_default_account(runtime, phone_id), Fakes(), web=False, worker=False):
            pass
    async with default_accounts(engine) as found:
        assert found == [("default-env-account", "106540352242923")]


async def test_a_number_that_another_account_has_stops_the_start_in_words(runtime, engine):
    await an_account(engine, phone_number_id="106540352242922")
    with pytest.raises(SettingsError, match="INBOX_WHATSAPP_PHONE_ID names a number that another account has"):
        async with serve.running(with_default_account(runtime, "106540352242922"), Fakes(), web=False, worker=False):
            pytest.fail("it started")


def test_a_database_of_ones_own_is_never_migrated_by_the_way(postgres, runtime):
    postgres.query("drop database if exists not_migrated")
    postgres.query("create database not_migrated")
    other = msgspec.structs.replace(runtime, database_url=postgres.url_for("not_migrated"))
    with pytest.raises(
        SettingsError, match=f"at no revision, this version needs {migrating.head()}: run `inbox migrate`"
    ):
        serve.bring_schema_up(other)
    assert postgres.query("select count(*) from pg_tables where schemaname = 'public'", database="not_migrated") == "0"


def test_a_migrated_database_is_accepted(runtime):
    serve.bring_schema_up(runtime)
