"""What people write, who they are and every secret: none of it leaves in a log line or on the page of metrics."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator

import jwt
import pytest
import structlog

from api.conftest import bearer
from api.flow import flowing
from builders import SEALER, execute
from inbox.domain.access import Permission
from inbox.domain.upstream_errors import ModelSilent, Refused
from inbox.kit import telemetry
from inbox.ports.cache import Cache
from inbox.ports.monitoring import ProcessKind
from inbox.services.processes import Processes
from member_builders import a_role, a_user, give_role

TEXT, NAME, ANSWER = "C4NARYcustomertext", "C4NARYprofilename", "C4NARYbotanswer"
SENT, TOKEN, SECRET = "C4NARYagenttext", "EAAGC4NARYaccesstoken", "C4NARYappsecret0123456789"
QUERY, ERROR = "C4NARYquerystring", "C4NARYwordsofanerror"
JWT = jwt.encode({"sub": "C4NARYsubject"}, "k" * 32, algorithm="HS256")
PHONE = "33698765432"
PASSED = {
    ("request", "info"),
    ("work_failed", "error"),
    ("internal_error", "error"),
    ("cache_miss", "debug"),
    ("cache_set", "debug"),
    ("cache_hit", "debug"),
}
CANARIES = [TEXT, NAME, ANSWER, SENT, TOKEN, SECRET, QUERY, ERROR, JWT, JWT.split(".")[1], PHONE, "C4NARY"]


@pytest.fixture
def logs(capfd: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield capfd
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_no_canary_comes_out_of_requests_webhooks_sends_bot_turns_and_failures(
    applications, settings, database_url, engine, tmp_path, logs
):
    telemetry.configure("DEBUG")
    structlog.configure(cache_logger_on_first_use=False)  # loggers of modules would keep this test's output for ever
    async with (
        flowing(applications, settings, database_url, engine, tmp_path, access_token=TOKEN) as flow,
        (await flow.container.get(Processes)).running(ProcessKind.BOTH),
    ):
        flow.number = PHONE
        await execute(engine, "update conversations set client_number = :phone", phone=PHONE)
        await execute(engine, "update contacts set whatsapp_number = :phone", phone=PHONE)
        user = await a_user(engine)
        await give_role(engine, user, await a_role(engine, *Permission), None)
        await _talk(flow)
        await _ask(flow, bearer(user))
        await _ask_again(flow, bearer(user))
        await _fail(flow, bearer(user))
        page = await flow.page()
    written = logs.readouterr()
    everything = written.out + written.err + page
    levels = {(line["event"], line["level"]) for line in map(json.loads, written.err.splitlines())}
    assert levels >= PASSED, "the canaries must have come by here"
    assert [canary for canary in CANARIES if canary in everything] == []
    shown = {found for found in re.findall(r"\d{5,}", everything) if found in PHONE}
    assert shown == set(), "a number shows its last four digits at most"


async def _talk(flow) -> None:
    """The customer writes, the bot answers, a status comes; then one each of what can go wrong with it."""
    flow.assistant.then({"confidence": 0.9, "action": "reply", "handoff_reason": "none", "reply": ANSWER})
    await flow.customer_writes(TEXT, name=NAME)
    await flow.until("select 1 from outbox where state = 'accepted'")
    await flow.whatsapp_says("delivered", flow.sender.sent[0].wamid)
    await flow.whatsapp_says("failed", f"wamid.{PHONE}", errors=[{"code": 131000, "title": ERROR, "message": ERROR}])
    await flow.until("select 1 from message_statuses where status = 'failed'")
    flow.assistant.then(ModelSilent(ERROR), ZeroDivisionError(f"{ERROR} {PHONE} {TOKEN}"))
    await flow.customer_writes(TEXT)
    await flow.until("select 1 from bot_turns where state = 'handed_over'")
    await flow.webhook(f'{{"object": "whatsapp_business_account", "entry": "{TEXT} {PHONE}"}}'.encode())
    await flow.webhook(TEXT.encode())
    await flow.client.post("/webhook/whatsapp", content=TEXT, headers={"x-hub-signature-256": f"sha256={SECRET}"})


async def _ask(flow, headers) -> None:
    """Requests of every sort, with the canaries in all their corners."""
    await execute(flow.engine, "update conversations set window_expires_at = now() + interval '1 hour'")
    send = {"conversation_id": str(flow.conversation), "content": SENT}
    flow.sender.fail_next(Refused(ERROR))
    await flow.client.post("/messages/send", json=send, headers=headers)
    await flow.until("select 1 from outbox where state = 'failed'")
    await flow.client.get(f"/messages/{flow.conversation}?search={QUERY}", headers=headers)
    await flow.client.get(f"/conversations?account_id={flow.account.account_id}&q={QUERY}", headers=headers)
    await flow.client.get(f"/{QUERY}/{PHONE}?token={SECRET}")
    await flow.client.get("/auth/me", headers={"authorization": f"Bearer {JWT}", "traceparent": SECRET})
    await flow.client.get("/auth/me", headers={"authorization": f"Basic {SECRET}", "x-request-id": f"{PHONE} {SECRET}"})
    await flow.client.post("/contacts", json={"whatsapp_number": f"+{PHONE}", "display_name": NAME}, headers=headers)
    account = {"name": NAME, "slug": "c", "phone_number_id": "123", "access_token": TOKEN, "app_secret": SECRET}
    await flow.client.post("/accounts", json={**account, "verify_token": SECRET}, headers=headers)
    login = {"email": f"{NAME}@example.org", "password": SECRET}
    await flow.client.post("/auth/v1/token?grant_type=password", json=login)
    await flow.client.get(f"/webhook/whatsapp?hub.mode=subscribe&hub.verify_token={SECRET}&hub.challenge={TEXT}")


async def _ask_again(flow, headers) -> None:
    """The same until it is remembered: what is read comes through the cache then."""
    cache = await flow.container.get(Cache)
    async with asyncio.timeout(20):
        while not any(family.hits for family in cache.stats().families):
            assert (await flow.client.get("/auth/me", headers=headers)).status_code == 200


async def _fail(flow, headers) -> None:
    """Bugs, whose words may hold anything; statements that fail on a value; a seal that does not open."""
    sealed = SEALER.seal(TOKEN, table="whatsapp_accounts", column="elsewhere", row_id=flow.account.account_id)
    flow.sender.fail_next(ZeroDivisionError(f"{{'text': '{SENT}'}} Bearer {TOKEN} +{PHONE}"))
    send = {"conversation_id": str(flow.conversation), "content": SENT}
    await flow.client.post("/messages/send", json=send, headers=headers)
    await flow.until("select 1 from lanes where kind = 'send' and attempts > 0")
    await execute(flow.engine, "update whatsapp_accounts set access_token_sealed = :sealed", sealed=sealed)
    await flow.client.post("/messages/send", json=send, headers=headers)
    await execute(flow.engine, "alter table contacts rename column display_name to elsewhere")
    try:
        await flow.client.post(
            "/contacts", json={"whatsapp_number": "+33612345678", "display_name": NAME}, headers=headers
        )
        await flow.customer_writes(TEXT, name=NAME)
    finally:
        await execute(flow.engine, "alter table contacts rename column elsewhere to display_name")
