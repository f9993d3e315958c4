"""kill -9 of the service and of its embedded PostgreSQL at once: what was answered is on the disk."""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from inbox.main.embedded import attach, find_binaries
from inbox.main.embedded_cluster import Cluster, _server_processes

from .harness import world
from .stage import Stage, seed

ON_WIRE = "select exists (select from outbox where state = 'wire')"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """The server's data below the folder of `inbox serve`; whatever runs on it is stopped in the end."""
    data_dir = tmp_path / "postgres"
    yield data_dir
    server = attach(data_dir)
    if server is not None:
        server.stop()


@pytest.fixture
def environment(stage: Stage, data_dir: Path) -> Mapping[str, str]:
    """Without a database URL, so with a server of its own, which is seeded already."""
    environment = {**stage.environment, "INBOX_DATA_DIR": str(data_dir.parent)}
    seed(environment)
    return environment


async def test_nothing_is_lost_when_the_database_server_is_killed_too(
    stage: Stage, environment: Mapping[str, str], data_dir: Path
) -> None:
    socket_dir = Cluster(data_dir, find_binaries()).socket_dir
    url = f"postgresql://postgres@/postgres?host={socket_dir}&port=5432"
    async with world(stage, environment, url) as one, asyncio.TaskGroup() as group:
        await one.emulator.call("PATCH", "/behaviour", {"latency": (0.3, 0.3)})
        service = await one.start()
        await service.ready(one.client)
        playing = group.create_task(one.play())
        await one.until(ON_WIRE)
        for pid in [service.pid, *_server_processes(data_dir)]:
            with suppress(ProcessLookupError):  # a backend may leave by itself, whose client has just died
                os.kill(pid, signal.SIGKILL)
        assert await service.ended() == -signal.SIGKILL
        web = await one.start(command=["serve", "--no-worker"])
        await web.ready(one.client)
        on_wire = await one.minute_after_the_kill()
        worker = await one.start(command=["worker"])
        said = await playing
        await one.drained()
        verdict = await one.verdict(said, on_wire, died=True)
        assert verdict.complaints == [], verdict.story
        assert (await worker.terminate())[0] == 0, worker.said()
        assert (await web.terminate())[0] == 0, web.said()
