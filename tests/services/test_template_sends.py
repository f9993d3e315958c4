"""A message of a template: refused with the reason before it is queued, and shown as the customer reads it."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_queued_message, execute
from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import Channel
from inbox.domain.content import Text
from inbox.domain.outbound import State
from inbox.domain.outgoing_template import BodyComponent, TemplateMessage, TextParameter
from inbox.domain.template_errors import TemplateDisabled, TemplatePaused, TemplateRejected, TemplateUnknown
from inbox.services.decisions import Decisions
from services.scenes import said_by_us
from services.team_scene import somebody
from template_builders import a_sync, a_template, set_waba, with_waba

OPEN = datetime(2099, 1, 1, tzinfo=UTC)
READY = TemplateMessage(
    name="velo_pret", language="fr", components=(BodyComponent(parameters=(TextParameter(text="Léa"),)),)
)


@pytest.fixture
async def channel(engine: AsyncEngine) -> Channel:
    return await with_waba(engine)


@pytest.fixture
async def conversation(engine: AsyncEngine, channel: Channel):
    return await a_conversation(engine, channel.account_id)


@pytest.fixture
async def ana(engine: AsyncEngine) -> Actor:
    return await somebody(engine, Permission.MESSAGES_SEND)


async def rows(engine: AsyncEngine) -> int:
    (found,) = await execute(engine, "select (select count(*) from messages) + (select count(*) from outbox) as count")
    return int(found.count)


@pytest.mark.parametrize(
    ("status", "error"), [("PAUSED", TemplatePaused), ("REJECTED", TemplateRejected), ("DISABLED", TemplateDisabled)]
)
async def test_what_whatsapp_would_refuse_is_not_even_stored(
    engine, make, channel, conversation, ana, status, error
) -> None:
    await a_template(engine, channel, status=status)
    with pytest.raises(error):
        await make().accept(ana, conversation, READY, key="once")
    assert await rows(engine) == 0
    await execute(engine, "update message_templates set status = 'APPROVED'")
    await make().accept(ana, conversation, READY, key="once")
    assert await rows(engine) == 2


async def test_a_repeated_request_is_answered_as_before_whatever_became_of_the_template(
    engine, make, channel, conversation, ana
) -> None:
    await a_template(engine, channel)
    first = await make().accept(ana, conversation, READY, key="once")
    await execute(engine, "update message_templates set status = 'PAUSED'")
    again = await make().accept(ana, conversation, READY, key="once")
    assert again.message_id == first.message_id


async def test_a_template_that_is_not_in_a_list_that_was_read_is_unknown(
    engine, make, channel, conversation, ana
) -> None:
    await a_template(engine, channel, language="en")
    await make().accept(ana, conversation, READY, key=None)  # the list was never read
    await a_sync(engine, channel)
    with pytest.raises(TemplateUnknown):
        await make().accept(ana, conversation, READY, key=None)
    await set_waba(engine, channel, "another")
    await make().accept(ana, conversation, READY, key=None)


async def test_the_conversation_shows_what_the_customer_reads(engine, make, channel, conversation, ana) -> None:
    await a_template(engine, channel)
    await make().accept(ana, conversation, READY, key=None)
    assert await said_by_us(engine, conversation) == ["Bonjour Léa, votre vélo est prêt."]


@pytest.mark.parametrize("components", [None, (), ({"type": 7},)])
async def test_without_the_content_of_the_template_its_name_and_values_are_shown(
    engine, make, channel, conversation, ana, components
) -> None:
    await a_template(engine, channel, components=components)
    await make().accept(ana, conversation, READY, key=None)
    assert await said_by_us(engine, conversation) == ["[modèle : velo_pret] Léa"]


async def test_other_messages_ask_for_no_template(engine, make, channel, ana) -> None:
    conversation = await a_conversation(engine, channel.account_id, window_expires_at=OPEN)
    await a_sync(engine, channel)
    await make().accept(ana, conversation, Text(body="Bonjour"), key=None)
    assert await said_by_us(engine, conversation) == ["Bonjour"]


async def test_a_failed_message_is_not_sent_again_while_its_template_is_paused(
    engine, database, clock, channel, conversation, ana
) -> None:
    template = await a_template(engine, channel, status="PAUSED")
    message = await a_queued_message(engine, channel.account_id, conversation, state=State.FAILED, content=READY)
    decisions = Decisions(database, clock)
    with pytest.raises(TemplatePaused):
        await decisions.resend(ana, message)
    (row,) = await execute(engine, "select state from outbox")
    assert row.state == "failed"
    await execute(engine, "update message_templates set status = 'APPROVED' where id = :id", id=template)
    await decisions.resend(ana, message)
    (row,) = await execute(engine, "select state from outbox")
    assert row.state == "queued"
