"""Two people do not answer past each other: who saw less than there is learns it before the customer does."""

import asyncio
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import LOCK_WAIT, a_conversation, a_message, an_inbound_message, execute, received, until
from inbox.domain.access import Actor, ActorKind, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.content import Text
from inbox.domain.errors import Invalid
from inbox.domain.ids import ConversationId, MessageId, uuid7
from inbox.domain.messages import Author
from inbox.domain.outgoing import Reaction
from inbox.domain.sending_errors import ConversationMoved
from inbox.ports.database import Database
from inbox.ports.records import InboundBatch
from inbox.services.outbound import Outbound
from inbox.services.unseen import LastSeen
from member_builders import a_user
from services.conftest import Clock, Make
from services.scenes import customer_writes
from statement_counts import counting

HELLO = Text(body="Bonjour")
NUMBER = "33612345678"
EMPTY = LastSeen(None)


@pytest.fixture
def outbound(make: Make) -> Outbound:
    return make()


@pytest.fixture
async def conversation(engine: AsyncEngine, account: Channel) -> ConversationId:
    opens = datetime.now(UTC) + timedelta(hours=20)
    return await a_conversation(engine, account.account_id, client_number=NUMBER, window_expires_at=opens)


async def somebody(engine: AsyncEngine, *codes: Permission, kind: ActorKind = ActorKind.PERSON) -> Actor:
    grants = tuple(Grant(code=code, account_id=None) for code in (Permission.MESSAGES_SEND, *codes))
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants, kind=kind)


@pytest.fixture
async def ana(engine: AsyncEngine) -> Actor:
    return await somebody(engine, Permission.MESSAGES_VIEW)


@pytest.fixture
async def bea(engine: AsyncEngine) -> Actor:
    return await somebody(engine, Permission.MESSAGES_VIEW)


@pytest.fixture
async def question(engine: AsyncEngine, account: Channel, conversation: ConversationId) -> MessageId:
    return await a_question(engine, account, conversation, ago=timedelta(minutes=1))


async def a_question(
    engine: AsyncEngine, account: Channel, conversation: ConversationId, *, ago: timedelta
) -> MessageId:
    return await a_message(
        engine,
        account.account_id,
        conversation,
        direction="inbound",
        author=Author.CONTACT,
        wamid=f"wamid.{uuid7()}",
        timestamp=datetime.now(UTC) - ago,
    )


async def send(outbound: Outbound, actor: Actor, conversation: ConversationId, **given: Any) -> MessageId:  # noqa: ANN401
    return (await outbound.accept(actor, conversation, HELLO, **{"key": None, **given})).message_id


async def thread(engine: AsyncEngine) -> list[MessageId]:
    return [row.id for row in await execute(engine, 'select id from messages order by "timestamp", id')]


# --- what counts ------------------------------------------------------------------------------------------------------


async def test_who_saw_everything_sends_as_ever_also_into_an_empty_thread(
    outbound: Outbound, ana: Actor, bea: Actor, conversation: ConversationId
) -> None:
    first = await send(outbound, ana, conversation, last_seen=EMPTY)
    await send(outbound, bea, conversation, last_seen=LastSeen(first))


async def test_what_comes_late_and_stands_above_the_newest_refuses_nobody_who_may_have_read_it(
    engine: AsyncEngine, outbound: Outbound, account: Channel, ana: Actor, bea: Actor, conversation: ConversationId
) -> None:
    newest = await send(outbound, bea, conversation)
    late = await a_question(engine, account, conversation, ago=timedelta(seconds=2))
    sent = await send(outbound, ana, conversation, last_seen=LastSeen(newest))
    assert await thread(engine) == [late, newest, sent]


async def test_what_one_sent_oneself_is_no_news(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId, question: MessageId
) -> None:
    sent = [await send(outbound, ana, conversation, last_seen=LastSeen(question)) for _ in range(3)]
    assert await thread(engine) == [question, *sent]


@pytest.mark.parametrize("who", ["customer", "colleague", "program", "bot", "scheduled", "failed", "phone"])
async def test_whatever_anybody_else_added_is_shown_instead_of_sending(
    engine: AsyncEngine,
    database: Database,
    outbound: Outbound,
    account: Channel,
    ana: Actor,
    conversation: ConversationId,
    question: MessageId,
    who: str,
) -> None:
    if who == "customer":
        (added,) = await customer_writes(database, account, NUMBER, "Vous êtes là ?")
    elif who in ("bot", "phone"):
        added = await a_message(
            engine, account.account_id, conversation, author=Author(who), timestamp=datetime.now(UTC)
        )
    else:
        if who == "failed":
            await execute(engine, "update conversations set window_expires_at = null")
        other = await somebody(engine, kind=ActorKind.API_KEY if who == "program" else ActorKind.PERSON)
        later = datetime.now(UTC) + timedelta(days=1) if who == "scheduled" else None
        added = await send(outbound, other, conversation, send_at=later)
    for seen in (LastSeen(question), EMPTY):
        with pytest.raises(ConversationMoved) as moved:
            await send(outbound, ana, conversation, last_seen=seen)
        shown = [item.id for item in moved.value.added]  # type: ignore[attr-defined]
        assert (shown, moved.value.has_more) == ([added] if seen.message_id else [question, added], False)
    assert await thread(engine) == [question, added]
    await send(outbound, ana, conversation, last_seen=LastSeen(added), key="k")


async def test_reactions_are_no_news(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, bea: Actor, conversation: ConversationId, question: MessageId
) -> None:
    (row,) = await execute(engine, "select wa_message_id from messages")
    reaction = Reaction(wamid=row.wa_message_id, emoji="👍")
    await outbound.accept(bea, conversation, reaction, key=None, last_seen=LastSeen(question))
    await send(outbound, ana, conversation, last_seen=LastSeen(question))


async def test_what_is_no_message_of_the_conversation_names_the_field(
    engine: AsyncEngine, outbound: Outbound, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    other = await a_conversation(engine, account.account_id)
    foreign = await a_question(engine, account, other, ago=timedelta())
    for unknown in (MessageId(uuid7()), foreign):
        with pytest.raises(Invalid) as caught:
            await send(outbound, ana, conversation, last_seen=LastSeen(unknown))
        assert [error["path"] for error in caught.value.errors] == ["body.expected_last_message_id"]
    assert await thread(engine) == [foreign]


@pytest.mark.parametrize(("added", "shown", "has_more"), [(20, 20, False), (21, 20, True)])
async def test_the_newest_twenty_are_shown_oldest_first(
    engine: AsyncEngine,
    outbound: Outbound,
    account: Channel,
    ana: Actor,
    conversation: ConversationId,
    question: MessageId,
    added: int,
    shown: int,
    has_more: bool,  # noqa: FBT001 - a case
) -> None:
    ids = [await a_question(engine, account, conversation, ago=timedelta(seconds=50 - n)) for n in range(added)]
    with pytest.raises(ConversationMoved) as moved:
        await send(outbound, ana, conversation, last_seen=LastSeen(question))
    assert [item.id for item in moved.value.added] == ids[-shown:]  # type: ignore[attr-defined]
    assert moved.value.has_more is has_more


async def test_who_may_not_read_learns_that_it_moved_and_nothing_else(
    engine: AsyncEngine, outbound: Outbound, conversation: ConversationId, question: MessageId
) -> None:
    with pytest.raises(ConversationMoved) as moved:
        await send(outbound, await somebody(engine), conversation, last_seen=EMPTY)
    assert (list(moved.value.added), moved.value.has_more) == ([], True)


# --- once, and nothing else -------------------------------------------------------------------------------------------


async def test_a_refused_send_leaves_nothing_and_its_key_can_be_used_for_another(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId, question: MessageId
) -> None:
    with pytest.raises(ConversationMoved):
        await send(outbound, ana, conversation, last_seen=EMPTY, key="k-1")
    for table in ("outbox", "lanes", "idempotency_keys", "event_log"):
        assert await execute(engine, f"select * from {table}") == []  # noqa: S608 - names of ours
    seen = LastSeen(question)
    sent = (await outbound.accept(ana, conversation, Text(body="Alors oui"), key="k-1", last_seen=seen)).message_id
    assert await thread(engine) == [question, sent]


async def test_a_repetition_of_what_was_accepted_is_answered_as_before_whatever_came_since(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, bea: Actor, conversation: ConversationId, question: MessageId
) -> None:
    sent = await send(outbound, ana, conversation, last_seen=LastSeen(question), key="k-1")
    answer = await send(outbound, bea, conversation)
    for seen in (LastSeen(question), LastSeen(answer), None):
        assert await send(outbound, ana, conversation, last_seen=seen, key="k-1") == sent
    assert await thread(engine) == [question, sent, answer]


async def test_it_costs_a_transaction_with_one_statement_more(
    engine: AsyncEngine, outbound: Outbound, ana: Actor, conversation: ConversationId, question: MessageId
) -> None:
    costs = []
    for seen in (None, LastSeen(question)):
        with counting(engine) as statements:
            await send(outbound, ana, conversation, last_seen=seen)
        costs.append(len(statements))
    assert costs == [3, 5]  # the owner of the conversation, the channel; the message, and before it lock and look


# --- at the same moment -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", range(6))
async def test_of_two_who_send_at_once_with_the_same_expectation_one_is_accepted(
    engine: AsyncEngine,
    outbound: Outbound,
    ana: Actor,
    bea: Actor,
    conversation: ConversationId,
    question: MessageId,
    run: int,
) -> None:
    """Both wait for the conversation, in either order, and in some runs the first one is not waited for."""
    people = [ana, bea] if run % 2 else [bea, ana]
    async with engine.connect() as connection, asyncio.timeout(20):
        async with connection.begin():
            await connection.execute(
                text("select 1 from conversations where id = :id for update"), {"id": conversation}
            )
            sends = []
            for place, person in enumerate(people, start=1):
                task = asyncio.create_task(send(outbound, person, conversation, last_seen=LastSeen(question)))
                sends.append(task)
                if run < 4:
                    await until(engine, f"select 1 from ({LOCK_WAIT}) w having count(*) >= {place}")  # noqa: S608 - ours
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, ConversationMoved)]
    accepted = [one for one in outcomes if not isinstance(one, BaseException)]
    assert (len(accepted), len(refused)) == (1, 1)
    assert [item.id for item in refused[0].added] == accepted  # type: ignore[attr-defined]
    assert await thread(engine) == [question, *accepted]


async def test_a_message_that_is_just_coming_in_is_waited_for(
    engine: AsyncEngine,
    database: Database,
    outbound: Outbound,
    account: Channel,
    ana: Actor,
    conversation: ConversationId,
    question: MessageId,
) -> None:
    coming = an_inbound_message(account.phone_number_id, sender=NUMBER, sent_at=datetime.now(UTC))
    async with database.transaction() as tx:
        await tx.apply(InboundBatch(messages=[received(coming)]))
        sending = asyncio.get_running_loop().create_task(
            send(outbound, ana, conversation, last_seen=LastSeen(question)), context=Context()
        )
        await until(engine, LOCK_WAIT)
    with pytest.raises(ConversationMoved):
        await sending


async def test_a_clock_that_is_behind_lets_nobody_answer_past_anybody(
    engine: AsyncEngine, make: Make, clock: Clock, ana: Actor, bea: Actor, conversation: ConversationId
) -> None:
    """Two processes whose clocks differ: whoever is slow writes behind what they saw, not before it."""
    first = await send(make(), ana, conversation, last_seen=EMPTY)
    clock.forward(seconds=-5)
    answer = await send(make(), bea, conversation, last_seen=LastSeen(first))
    assert await thread(engine) == [first, answer]
    with pytest.raises(ConversationMoved):
        await send(make(), ana, conversation, last_seen=LastSeen(first))


async def test_a_time_that_no_clock_explains_moves_no_message_there(
    engine: AsyncEngine, outbound: Outbound, account: Channel, ana: Actor, conversation: ConversationId
) -> None:
    odd = await a_question(engine, account, conversation, ago=-timedelta(days=900))
    sent = await send(outbound, ana, conversation, last_seen=LastSeen(odd))
    assert await thread(engine) == [sent, odd]
