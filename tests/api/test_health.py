"""`GET /health`: each dependency in the shape of the contract, and nothing that a stranger should not read."""

import asyncio
import re

import msgspec
import pytest
import structlog

from inbox.adapters.identity.fake import FakeIdentity
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.upstream_errors import IdentityTimeout, WhatsAppUnavailable
from inbox.kit.breaker import Breakers
from inbox.main.people import PeopleIdentity

BREAKER = {"failure_count": 0, "success_count": 0, "last_failure_time": None, "opened_at": None, "state": "closed"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def test_all_is_well(client):
    answer = await client.get("/health")
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["status", "timestamp", "dependencies", "circuit_breakers"]
    assert body["status"] == "ok"
    assert TIME.fullmatch(body["timestamp"])
    assert body["dependencies"]["supabase"] == body["dependencies"]["database"]
    assert set(body["dependencies"]) == {"database", "supabase", "whatsapp", "gemini", "identity"}
    for found in body["dependencies"].values():
        assert found == {"status": "ok", "latency_ms": found["latency_ms"]}
        assert found["latency_ms"] >= 0


async def test_the_breakers_have_the_names_and_keys_of_the_contract(client):
    shown = (await client.get("/health")).json()["circuit_breakers"]
    assert shown == {
        "gemini": {"name": "gemini_api", **BREAKER},
        "whatsapp": {"name": "whatsapp_api", **BREAKER},
        "supabase": {"name": "supabase", **BREAKER},
        "media": {"name": "whatsapp_media", **BREAKER},
    }


async def test_an_open_breaker_shows_when(client, container):
    (await container.get(Breakers)).trip("gemini")
    shown = (await client.get("/health")).json()["circuit_breakers"]["gemini"]
    assert shown["state"] == "open"
    assert TIME.fullmatch(shown["opened_at"])


async def test_each_question_to_another_service_has_its_line(client, container):
    (await container.get(FakeSender)).fail_probes(WhatsAppUnavailable("token EAAG-canary at 10.0.0.7"))
    with structlog.testing.capture_logs() as lines:
        await client.get("/health")
    told = {(line["upstream"], line["outcome"], line["log_level"]) for line in lines if line["event"] == "probe"}
    assert told == {
        ("whatsapp", "WhatsAppUnavailable", "info"),
        ("gemini", "ok", "debug"),
        ("supabase", "ok", "debug"),
    }
    assert "canary" not in str(lines)


async def test_a_dependency_that_is_down_degrades_and_is_named_by_its_kind_only(client, container):
    (await container.get(FakeSender)).fail_probes(WhatsAppUnavailable("token EAAG-canary at 10.0.0.7"))
    identity = await container.get(PeopleIdentity)
    assert isinstance(identity, FakeIdentity)
    identity.fail(IdentityTimeout("canary"))
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["dependencies"]["whatsapp"] == {"status": "error", "error": "whatsapp_unavailable"}
    assert answer.json()["dependencies"]["identity"] == {"status": "timeout", "error": "timeout"}
    assert "canary" not in answer.text


async def test_checks_move_no_circuit(client, container):
    (await container.get(FakeSender)).fail_probes(WhatsAppUnavailable())
    before = (await container.get(Breakers)).inspect()
    await asyncio.gather(*(client.get("/health") for _ in range(20)))
    assert (await container.get(Breakers)).inspect() == before


async def test_a_round_is_shared_by_all_who_ask(client):
    answers = await asyncio.gather(*(client.get("/health") for _ in range(50)))
    assert len({answer.json()["timestamp"] for answer in answers}) == 1


class TestWithoutADatabase:
    @pytest.fixture
    def settings(self, settings):
        """The pool gives up at once."""
        database = msgspec.structs.replace(settings.database, pool_size=1)
        return msgspec.structs.replace(settings, database=database)

    async def test_it_is_an_error(self, client, shared_engine, container):
        from inbox.ports.database import Database  # noqa: PLC0415 - only here

        database = await container.get(Database)
        await database._engine.dispose()
        held = await database._engine.connect()
        try:
            answer = await client.get("/health")
        finally:
            await held.close()
        assert answer.status_code == 503
        assert answer.json()["status"] == "error"
        assert answer.json()["dependencies"]["database"] == {"status": "timeout", "error": "timeout"}
        assert answer.json()["dependencies"]["supabase"] == answer.json()["dependencies"]["database"]
        assert answer.json()["dependencies"]["whatsapp"]["status"] == "ok"
