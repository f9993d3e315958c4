"""Wiring of what operators look at: health, the processes, circuits, caches and queues."""

from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import version
from os import getpid
from socket import gethostname

from dishka import Provider, Scope, provide

from inbox.domain.clock import Clock
from inbox.domain.ids import uuid7
from inbox.ports.cache import Cache
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.identity import Identity
from inbox.ports.llm import Assistant
from inbox.ports.messaging import Sender
from inbox.ports.monitoring import Circuits, Process, ProcessKind
from inbox.services.health import DATABASE, Check, Health
from inbox.services.monitoring import Monitoring
from inbox.services.processes import Processes


class Watching(Provider):
    """Nothing of the product's work depends on it."""

    scope = Scope.APP
    monitoring = provide(Monitoring)

    @provide
    async def health(
        self, database: Database, sender: Sender, assistant: Assistant, identity: Identity, clock: Clock
    ) -> AsyncIterator[Health]:
        health = Health(
            [
                Check(name=DATABASE, probe=partial(_answers, database)),
                Check(name="whatsapp", probe=sender.probe),
                Check(name="gemini", probe=assistant.probe, unset="GEMINI_API_KEY not set"),
                Check(name="identity", probe=identity.probe),
            ],
            clock,
        )
        yield health
        await health.aclose()

    @provide
    def processes(
        self, database: Database, events: Events, circuits: Circuits, cache: Cache, clock: Clock
    ) -> Processes:
        this = Process(
            id=uuid7(),
            kind=ProcessKind.BOTH,
            host=gethostname(),
            pid=getpid(),
            version=version("whatsapp-inbox"),
            started_at=clock(),
        )
        return Processes(database, events, circuits, cache, this=this)


async def _answers(database: Database) -> bool:
    await database.queries.ping()
    return True
