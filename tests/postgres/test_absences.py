"""Sending again without a person: off, and on only what surely never arrived, once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import (
    SEALER,
    a_conversation,
    a_delivery,
    a_quarantined_delivery,
    a_queued_message,
    an_account,
    execute,
)
from event_builders import the_log
from inbox.adapters.database.postgres.absences import Absences
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.ids import ConversationId, MessageId
from inbox.domain.outbound import State
from inbox.domain.signals import LogGrew, WorkWaiting
from inbox.domain.work import WorkKind
from postgres.outbox_scene import on_wire, outbox_row, settled, soon, take


@pytest.fixture
async def conversation(engine: AsyncEngine, account) -> ConversationId:
    return await a_conversation(engine, account.account_id, window_expires_at=soon(hours=20))


@pytest.fixture
def absences(engine: AsyncEngine, signals) -> Absences:
    return Absences(engine, signals)


@pytest.fixture
async def lost(engine, account, conversation) -> MessageId:
    """A message of which its worker could not say what became of it, eleven minutes ago."""
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.UNCONFIRMED, attempt=1, wire_at=soon(minutes=-11)
    )
    await execute(engine, "update outbox set reason = 'whatsapp_timeout'")
    return message


@pytest.fixture
async def canaries(engine, account, lost) -> list[MessageId]:
    """Three later messages of the same number whose echo came."""
    others = []
    for state in (State.SENT, State.DELIVERED, State.READ):
        other = await a_conversation(engine, account.account_id)
        others.append(await a_queued_message(engine, account.account_id, other, state=state, wire_at=soon(minutes=-5)))
    return others


async def change(engine: AsyncEngine, message: MessageId, members: str, **values: Any) -> None:  # noqa: ANN401 - bound values
    await execute(engine, f"update outbox set {members} where id = :id", id=message, **values)  # noqa: S608 - of this test


async def test_what_surely_never_arrived_is_sent_once_more(
    engine, database: PostgresDatabase, signals, absences, account, lost, canaries
) -> None:
    assert await absences.resend() == 1
    row = await outbox_row(engine, lost)
    assert (row.state, row.auto_resends, row.resends, row.attempt) == ("queued", 1, 0, 1)
    assert WorkWaiting(WorkKind.SEND) in signals.published
    (line,) = await execute(engine, "select * from audit_entries")
    assert (line.action, line.actor_kind, line.target) == ("message.resent", "system", str(lost))
    (told,) = await the_log(engine)
    assert (told.message_id, told.status, told.delivery_state) == (lost, "pending", "queued")
    assert LogGrew() in signals.published
    (head,) = [taken.head for taken in await take(database) if taken.head]
    assert (head.id, head.attempt) == (lost, 1)


async def test_it_happens_once_and_then_a_person_decides(engine, database, absences, lost, canaries) -> None:
    assert await absences.resend() == 1
    await change(engine, lost, "state = 'unconfirmed', reason = 'whatsapp_timeout'")
    assert await absences.resend() == 0


async def test_it_is_off_unless_somebody_switches_it_on(
    engine, intake_engine, signals, database: PostgresDatabase, lost, canaries
) -> None:
    await database.outbox.reap()
    assert (await outbox_row(engine, lost)).state == "unconfirmed"
    switched_on = PostgresDatabase(engine, intake_engine, SEALER, signals)
    async with switched_on.running(auto_resend=True):
        await switched_on.outbox.reap()
    assert (await outbox_row(engine, lost)).state == "queued"


@pytest.mark.parametrize(
    "members",
    [
        "wire_at = now() - interval '9 min'",
        "reason = null",
        "resends = 1",
        "expires_at = now()",
        "wamid = 'wamid.1'",
        "state = 'unknown'",
    ],
)
async def test_without_its_part_of_the_proof_it_waits_for_a_person(engine, absences, lost, canaries, members) -> None:
    await change(engine, lost, members)
    before = await outbox_row(engine, lost)
    assert await absences.resend() == 0
    assert await outbox_row(engine, lost) == before


@pytest.mark.parametrize(
    "statement",
    [
        "update outbox set state = 'accepted' where state = 'read'",
        "update outbox set wire_at = now() - interval '12 min' where state = 'read'",
        "update conversations set window_expires_at = now() + interval '30 s'",
        """update messages set content = '{"type": "template", "name": "a", "language": "fr"}'""",
    ],
    ids=["two echoes alone", "an echo of something earlier", "the window closes", "a template"],
)
async def test_without_what_surrounds_it_there_is_no_proof(engine, absences, lost, canaries, statement) -> None:
    await execute(engine, statement)
    assert await absences.resend() == 0


async def test_echoes_of_another_number_prove_nothing(engine, absences, lost, canaries) -> None:
    other = await an_account(engine)
    await change(engine, canaries[0], "account_id = :account", account=other.account_id)
    assert await absences.resend() == 0


async def test_webhooks_that_wait_may_hold_the_echo(engine, absences, lost, canaries) -> None:
    delivery = await a_delivery(engine)
    assert await absences.resend() == 1
    await change(engine, lost, "state = 'unconfirmed', auto_resends = 0, reason = 'whatsapp_timeout'")
    await execute(engine, "update deliveries set received_at = now() - interval '31 s' where id = :id", id=delivery)
    assert await absences.resend() == 0


async def test_a_webhook_that_nobody_could_read_may_be_the_echo(engine, absences, lost, canaries) -> None:
    await a_quarantined_delivery(engine)
    assert await absences.resend() == 0


@pytest.mark.parametrize(("received", "expected"), [(timedelta(minutes=-1), 0), (timedelta(minutes=-12), 1)])
async def test_a_status_that_nobody_could_place_may_be_the_echo(
    engine, absences, account, lost, canaries, received: timedelta, expected: int
) -> None:
    at: datetime = soon() + received
    await execute(
        engine,
        """insert into message_statuses (phone_number_id, wamid, status, occurred_at, received_at)
           values (:number, 'wamid.unknown', 'sent', :at, :at)""",
        number=account.phone_number_id,
        at=at,
    )
    assert await absences.resend() == expected


async def test_only_the_worker_itself_can_say_that_its_attempt_is_over(engine, database, account, conversation) -> None:
    reported, lane = await on_wire(database, engine, account, conversation)
    await database.outbox.settle(
        settled(reported, State.UNKNOWN, reason="whatsapp_timeout", unknown_for=timedelta(minutes=10)), lane
    )
    assert (await outbox_row(engine, reported.id)).reason == "whatsapp_timeout"
    dead = await a_queued_message(engine, account.account_id, conversation, state=State.WIRE, wire_at=soon(minutes=-1))
    await execute(engine, "update outbox set reason = 'whatsapp_throttled' where id = :id", id=dead)
    await database.outbox.reap()
    row = await outbox_row(engine, dead)
    assert (row.state, row.reason) == ("unknown", None)
