"""What a ledger run stands on: one database of its own, and the processes that come and go on it."""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
import httpx

from crash.evidence import Database
from crash.service import Service
from crash.stage import Stage
from inbox.emulators.ledger import Ledger

from .waiting import until

# A storm of kills looks like a poisonous delivery: after some deaths it is set aside.
_BLAMED: Final = "select count(*) from deliveries where state = 'quarantined' and reason = 'worker_died'"
_REPLAY: Final = ("events", "replay", "--all", "--state", "quarantined", "--reason", "worker_died")
DOWN: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asking a database raises that is just going down; the last one if it says farewell between two messages."""


class Rig:
    """The parts of a run in either direction. `ports` are those of its web processes; chance begins with `seed`.

    `settings` are variables beside those of the stage.
    """

    def __init__(
        self,
        stage: Stage,
        url: str,
        client: httpx.AsyncClient,
        ports: Sequence[int],
        *,
        seed: int,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.stage = stage
        self.client = client
        self.ports = ports
        self.seed = seed
        self.database = Database(url, seconds=120)
        self.ledger = Ledger(stage.folder / "ledger.jsonl", capacity=1_000)
        self.environment: Mapping[str, str] = {**stage.environment, "INBOX_DATABASE_URL": url, **(settings or {})}
        self._services: list[Service] = []

    @property
    def urls(self) -> list[str]:
        """The addresses of the web processes."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    async def close(self) -> None:
        """Whatever still runs is killed."""
        for service in self._services:
            await service.kill()
        self.ledger.close()

    async def start(
        self, command: Sequence[str], *, port: int | None = None, module: str = "inbox", failpoints: str = ""
    ) -> Service:
        """A process on this database; not yet ready."""
        port = port or self.ports[0]
        environment = {
            **self.environment,
            "INBOX_HTTP_PORT": str(port),
            "INBOX_TEST_FAILPOINTS": failpoints,
        }
        log = self.stage.folder / "ledger.log"
        service = await Service.start(
            self.stage.warm, command, environment, f"http://127.0.0.1:{port}", log, module=module
        )
        self._services = [*(one for one in self._services if one.is_running), service]
        return service

    async def done(self, statement: str, *values: object) -> bool:
        """False while the database is down."""
        try:
            await self.database.ask(statement, *values)
        except DOWN:
            return False
        return True

    async def until(self, statement: str, *, seconds: float = 30.0) -> None:
        """Looks until `statement` gives something true."""
        await until(lambda: self.database.value(statement), seconds=seconds)

    async def lapse(self, *, everything: bool = False) -> None:
        """Time passes for leases and waits; for all of them only if no worker runs."""
        raise NotImplementedError

    async def replayed(self) -> int:
        """How many deliveries had been set aside because workers died with them; an operator has them tried again."""
        blamed = int(await self.database.value(_BLAMED))
        if blamed:
            command = await self.start(_REPLAY)
            assert await command.ended() == 0, command.said()
        return blamed
