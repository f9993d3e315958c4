"""Double clicks, two browsers, retries and lost answers with one key: the customer gets one message."""

import asyncio
import contextlib

import httpx
import pytest

from api.at_work import at_work
from api.conftest import a_caller
from api.test_send_contents import OPEN
from api.test_upstream_answers import TOKEN, arm, graph, with_whatsapp
from applications import a_browser
from builders import a_conversation, an_account, execute
from contracts.trust import certificates
from inbox.domain.access import Permission

__all__ = ["graph"]

CONTENT = {"type": "buttons", "body": "Quel jour ?", "buttons": [{"id": "mon", "title": "Lundi"}]}


@contextlib.asynccontextmanager
async def two_browsers(applications, settings, database_url, graph, data_dir):
    """Before one API, with a worker that sends through the emulator."""
    async with (
        at_work(applications, with_whatsapp(settings, graph), database_url, data_dir) as app,
        a_browser(app) as one,
        a_browser(app) as other,
    ):
        yield one, other


async def a_number(graph):
    async with httpx.AsyncClient(verify=certificates()) as http:
        answer = await http.post(f"{graph}/_emu/wabas", json={"numbers": [{"phone": "33190000000"}]})
    return answer.json()["numbers"][0]["id"]


async def arrived(graph):
    async with httpx.AsyncClient(verify=certificates()) as http:
        ledger = (await http.get(f"{graph}/_emu/ledger")).json()
    return [entry["data"] for entry in ledger["entries"] if entry["kind"] == "send"]


@pytest.mark.parametrize("fault", [None, "reset_after_accept", "reset_before_accept", "truncated_json", "html_502"])
async def test_however_often_it_is_clicked_the_customer_gets_it_once(
    applications, settings, database_url, engine, graph, tmp_path, fault
):
    account = (await an_account(engine, phone_number_id=await a_number(graph), access_token=TOKEN)).account_id
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    headers = await a_caller(engine, account, Permission.MESSAGES_SEND) | {"idempotency-key": "click-1"}
    body = {"conversation_id": str(conversation), "content": CONTENT}
    if fault is not None:
        await arm(graph, action=fault, kind="send", count=1)

    async with two_browsers(applications, settings, database_url, graph, tmp_path) as (one, other):

        async def click(browser):
            return await browser.post("/messages/send", json=body, headers=headers)

        async def lose(browser):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await click(browser)

        await asyncio.gather(lose(one), lose(other))
        answers = await asyncio.gather(*(click(browser) for browser in (one, other) * 3))
        async with asyncio.timeout(20):
            while await execute(engine, "select 1 from outbox where state in ('queued', 'claimed', 'wire')"):
                pass
        answers += [await click(one), await click(other)]
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await execute(engine, "select 1 from messages")) == 1
    taken = await arrived(graph)
    assert len(taken) == (0 if fault in ("reset_before_accept", "html_502") else 1)
    assert [row.attempt for row in await execute(engine, "select attempt from outbox")] == [1]


async def test_the_message_arrives_as_it_was_asked_for(applications, settings, database_url, engine, graph, tmp_path):
    account = (await an_account(engine, phone_number_id=await a_number(graph), access_token=TOKEN)).account_id
    conversation = await a_conversation(engine, account, window_expires_at=OPEN)
    headers = await a_caller(engine, account, Permission.MESSAGES_SEND)
    body = {"conversation_id": str(conversation), "content": CONTENT}
    async with two_browsers(applications, settings, database_url, graph, tmp_path) as (browser, _):
        await browser.post("/messages/send", json=body, headers=headers)
        async with asyncio.timeout(20):
            while not (sent := await arrived(graph)):
                pass
    (message,) = sent
    assert message["message"]["interactive"]["action"]["buttons"] == [
        {"type": "reply", "reply": {"id": "mon", "title": "Lundi"}}
    ]
    assert message["message"]["interactive"]["body"] == {"text": "Quel jour ?"}
