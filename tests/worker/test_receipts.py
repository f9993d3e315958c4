"""Receipts by a whole worker: beside everything else, and as often as it takes."""

from datetime import UTC, datetime

import pytest

from builders import a_message, execute
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.contacts import CountryCode
from inbox.domain.upstream_errors import AccountProblem, WhatsAppUnavailable
from inbox.services.conversations import Conversations
from member_builders import a_user
from services.rights_scene import forgetful
from worker.house import House, running

DONE = "select 1 from lanes where kind = 'receipt' and ver = done"


@pytest.fixture
def house(database, engine, signals, clock) -> House:
    return House(database, engine, signals, clock)


async def read(house: House, account, *wamids: str) -> None:
    """Somebody reads a conversation with these messages."""
    conversation, _ = await house.a_talk(account, bot_enabled=False)
    for wamid in wamids:
        await a_message(
            house.engine,
            account.account_id,
            conversation,
            direction="inbound",
            wamid=wamid,
            timestamp=datetime.now(UTC),
        )
    grants = (Grant(code=Permission.CONVERSATIONS_VIEW, account_id=account.account_id),)
    reader = Actor(user_id=await a_user(house.engine), email=None, is_active=True, grants=grants)
    service = Conversations(house.database, forgetful(house.database), house.clock, CountryCode("33"))
    await service.mark_read(reader, conversation)


async def test_what_was_read_before_the_worker_started_is_told(house: House, account) -> None:
    await read(house, account, "wamid.A", "wamid.B")
    async with running(house.worker()):
        await house.until(DONE)
    assert [told.wamid for told in house.receipts.told] == ["wamid.B"]
    assert house.done("receipt", "told") == 1


async def test_an_outage_is_waited_out(house: House, account) -> None:
    await read(house, account, "wamid.A")
    for _ in range(3):
        house.receipts.fail_next(WhatsAppUnavailable())
    async with running(house.worker()):
        await house.until(DONE)
    assert [told.wamid for told in house.receipts.told] == ["wamid.A"]
    assert house.done("receipt", WhatsAppUnavailable.code) == 3


async def test_a_token_that_is_refused_ends_the_receipt_and_pauses_nobody(house: House, account) -> None:
    await read(house, account, "wamid.A")
    house.receipts.fail_next(AccountProblem(graph_code=190))
    async with running(house.worker()):
        await house.until(DONE)
    assert house.done("receipt", "dropped") == 1
    assert list(house.receipts.told) == []
    assert await execute(house.engine, "select 1 from whatsapp_accounts where paused_at is not null") == []
