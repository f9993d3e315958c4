"""Wiring of what operators look at: health, the processes, circuits, caches and queues."""

import time
from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import version
from os import getpid
from socket import gethostname

import structlog
from dishka import Provider, Scope, provide

from inbox.domain.clock import Clock
from inbox.domain.errors import InboxError
from inbox.domain.ids import uuid7
from inbox.kit.breaker import Breakers
from inbox.kit.recovery import Recovery
from inbox.main.llm_settings import circuit_of
from inbox.main.runtime import Runtime
from inbox.ports.cache import Cache
from inbox.ports.database import Database
from inbox.ports.events import Events
from inbox.ports.identity import Identity
from inbox.ports.llm import Assistant
from inbox.ports.messaging import Sender
from inbox.ports.monitoring import Circuits, Probe, Process, ProcessKind
from inbox.services.health import DATABASE, Check, Health
from inbox.services.monitoring import Monitoring
from inbox.services.processes import Processes

_calls = structlog.stdlib.get_logger("inbox.calls")


class Watching(Provider):
    """Nothing of the product's work depends on it."""

    scope = Scope.APP
    monitoring = provide(Monitoring)

    @provide
    async def health(
        self,
        runtime: Runtime,
        database: Database,
        sender: Sender,
        assistant: Assistant,
        identity: Identity,
        clock: Clock,
    ) -> AsyncIterator[Health]:
        model = circuit_of(runtime.settings.llm)
        health = Health(
            [
                Check(name=DATABASE, probe=partial(_answers, database)),
                Check(name="whatsapp", probe=told("whatsapp", sender.probe)),
                Check(name=model, probe=told(model, assistant.probe), unset="GEMINI_API_KEY not set"),
                Check(name="identity", probe=told("supabase", identity.probe)),
            ],
            clock,
            within=runtime.settings.health.timeout,
        )
        yield health
        await health.aclose()

    @provide
    def recovery(
        self, runtime: Runtime, breakers: Breakers, sender: Sender, assistant: Assistant, identity: Identity
    ) -> Recovery:
        model = circuit_of(runtime.settings.llm)
        # Files stand behind the same API as sends.
        probes = {
            "whatsapp": told("whatsapp", sender.probe),
            "media": told("whatsapp", sender.probe),
            model: told(model, assistant.probe),
            "supabase": told("supabase", identity.probe),
        }
        return Recovery(breakers, probes, every=runtime.settings.breaker.probe_seconds)

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


def told(name: str, probe: Probe) -> Probe:
    """The same, with a line for each call: at debug while all is well."""

    async def probed() -> bool:
        begun, outcome = time.perf_counter(), "cancelled"
        try:
            is_set_up = await probe()
            outcome = "ok" if is_set_up else ""
        except InboxError as error:
            outcome = type(error).__name__
            raise
        finally:
            if outcome:
                log = _calls.debug if outcome == "ok" else _calls.info
                log("probe", upstream=name, outcome=outcome, ms=round((time.perf_counter() - begun) * 1000, 1))
        return is_set_up

    return probed


async def _answers(database: Database) -> bool:
    await database.queries.ping()
    return True
