"""One attempt at WhatsApp: what leaves, what is written down, and when it is tried again."""

from datetime import timedelta

import pytest

from builders import a_conversation, a_queued_message, an_account, execute
from inbox.adapters.database.failpoints import Failpoints
from inbox.adapters.database.faulty import FaultyDatabase
from inbox.domain.contacts import Address
from inbox.domain.errors import CircuitOpen
from inbox.domain.graph_errors import sentence
from inbox.domain.messages import FAILURES, Author
from inbox.domain.outbound import OpId, State
from inbox.domain.upstream_errors import AccountProblem, NothingSent, OutcomeUnknown, Refused, TryLater
from inbox.domain.work import WorkKind
from inbox.ports.records import HeadTaken
from services.delivery_scene import MINUTE, SECOND, Special, deliver, due_in, head, row_of
from services.scenes import all_rows, claimed, is_done, lose_lease

# --- the outcome classes ----------------------------------------------------------------------------------------------


async def test_a_message_that_whatsapp_took_is_sent(engine, database, make, sender, message, conversation) -> None:
    assert await deliver(make(), database) is State.ACCEPTED
    (sent,) = sender.sent
    assert (sent.to, sent.op) == (Address(wa_id="33612345678"), OpId(message, 1))
    row = await row_of(engine, message)
    assert (row.state, row.status, row.wamid, row.wa_message_id) == ("accepted", "sent", sent.wamid, sent.wamid)
    assert row.attempt == 1
    assert await is_done(database, WorkKind.SEND)


async def test_a_yes_without_a_readable_wamid_is_a_yes(engine, database, make, sender, message) -> None:
    sender.hide_next_wamid()
    assert await deliver(make(), database) is State.ACCEPTED
    row = await row_of(engine, message)
    assert (row.state, row.status, row.wa_message_id) == ("accepted", "sent", None)
    assert await is_done(database, WorkKind.SEND)


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (NothingSent("refused"), 0 * SECOND, SECOND),
        (NothingSent("425", retry_after=7), 6 * SECOND, 7 * SECOND),
        (TryLater("number", retry_after=0), 0.9 * SECOND, 1 * SECOND),
        (TryLater("pair", graph_code=131056), 0 * SECOND, 4 * SECOND),
        (TryLater("number", graph_code=130429), 0 * SECOND, SECOND),
        (TryLater("service", graph_code=2), 0 * SECOND, 5 * SECOND),
        (TryLater("app", graph_code=4), 5 * SECOND, MINUTE),
        (TryLater("waba", graph_code=80007), 5 * SECOND, MINUTE),
        (TryLater("app", retry_after=120), 119 * SECOND, 120 * SECOND),
        (TryLater("app", retry_after=86_400), 299 * SECOND, 300 * SECOND),
    ],
)
async def test_what_was_surely_not_taken_is_queued_again_after_its_wait(
    engine, database, make, sender, message, error, least, most
) -> None:
    sender.fail_next(error)
    assert await deliver(make(), database) is State.QUEUED
    row = await row_of(engine, message)
    assert (row.state, row.status, row.attempt, row.error_message) == ("queued", "pending", 1, None)
    assert least <= row.rests <= most
    assert least <= await due_in(engine) <= most
    await lose_lease(engine)
    await execute(engine, "update outbox set not_before = now()")
    assert await deliver(make(), database) is State.ACCEPTED
    assert [sent.op for sent in sender.sent] == [OpId(message, 2)]


async def test_the_waits_of_a_throttle_grow(engine, database, make, sender, message) -> None:
    await execute(engine, "update outbox set attempt = 5")
    sender.fail_next(TryLater("service"))
    await deliver(make(), database)
    assert 6 * SECOND < (await row_of(engine, message)).rests <= 160 * SECOND


async def test_a_pair_that_gets_too_much_waits_four_times_longer_each_time(
    engine, database, make, sender, message
) -> None:
    for wait in (1, 4, 16, 64, 256, 256):
        sender.fail_next(TryLater("pair", graph_code=131056))
        assert await deliver(make(), database) is State.QUEUED
        assert wait - 1 < (await due_in(engine)).total_seconds() <= wait
        await lose_lease(engine)
        await execute(engine, "update outbox set not_before = now()")
    assert await deliver(make(), database) is State.ACCEPTED
    assert [row.pair_refusals for row in await execute(engine, "select pair_refusals from lanes")] == [0]


@pytest.mark.parametrize("scope", ["number", "waba", "app"])
async def test_a_number_that_sends_too_fast_slows_down(engine, database, make, sender, message, scope) -> None:
    sender.fail_next(TryLater(scope))
    await deliver(make(), database)
    assert [row.learned for row in await execute(engine, "select learned from number_paces")] == [40]


async def test_a_busy_service_or_pair_slows_no_number_down(engine, database, make, sender, message) -> None:
    for scope in ("service", "pair"):
        sender.fail_next(TryLater(scope))
        await deliver(make(), database)
        await lose_lease(engine)
        await execute(engine, "update outbox set not_before = now()")
    assert [row.learned for row in await execute(engine, "select learned from number_paces")] == [None]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (131026, FAILURES[131026]),
        (131047, FAILURES[131047]),
        (132000, f"{FAILURES[132000]} (Template is odd)"),
        (777_777, f"{sentence(777_777, '')} (Template is odd)"),
    ],
)
async def test_what_whatsapp_refuses_is_failed_with_a_readable_reason(
    engine, database, make, sender, message, code, said
) -> None:
    sender.fail_next(Refused("Template is odd", graph_code=code))
    assert await deliver(make(), database) is State.FAILED
    row = await row_of(engine, message)
    assert (row.state, row.status, row.reason) == ("failed", "failed", "whatsapp_rejected")
    assert (row.error_code, row.error_message) == (code, said)
    assert await is_done(database, WorkKind.SEND)


async def test_a_refusal_without_words_shows_no_word_of_machines(engine, database, make, sender, message) -> None:
    sender.fail_next(Refused(graph_code=777_777))
    assert await deliver(make(), database) is State.FAILED
    assert (await row_of(engine, message)).error_message == sentence(777_777, "")


async def test_a_problem_of_the_account_pauses_it_and_fails_nothing(
    engine, database, make, sender, message, account
) -> None:
    sender.fail_next(AccountProblem("WhatsApp answered code 190: expired", graph_code=190))
    assert await deliver(make(), database) is State.QUEUED
    row = await row_of(engine, message)
    assert (row.state, row.status) == ("queued", "pending")
    assert 59 * SECOND < row.rests <= MINUTE
    (paused,) = await execute(engine, "select paused_at, paused_reason from whatsapp_accounts")
    assert paused.paused_at is not None
    assert paused.paused_reason == "WhatsApp answered code 190: expired"


async def test_the_spam_limit_refuses_one_message_and_pauses_the_account_before_the_next(
    engine, database, make, sender, message
) -> None:
    sender.fail_next(Refused("Spam rate limit hit", graph_code=131048))
    assert await deliver(make(), database) is State.FAILED
    assert (await row_of(engine, message)).error_message == FAILURES[131048]
    (paused,) = await execute(engine, "select paused_at, paused_reason from whatsapp_accounts")
    assert paused.paused_at is not None
    assert paused.paused_reason == FAILURES[131048]


@pytest.mark.parametrize(
    ("error", "minutes"),
    [(OutcomeUnknown("cut"), 10), (OutcomeUnknown("500", graph_code=131000), 2), (OutcomeUnknown(graph_code=1), 2)],
)
async def test_what_may_have_arrived_is_never_sent_again(
    engine, database, make, sender, message, conversation, account, clock, error, minutes
) -> None:
    sender.fail_next(error, accepted=True)
    follower = await a_queued_message(engine, account.account_id, conversation)
    assert await deliver(make(), database) is State.UNKNOWN
    row = await row_of(engine, message)
    assert (row.state, row.status, row.error_message) == ("unknown", "pending", None)
    assert timedelta(minutes=minutes) - 5 * SECOND < row.unknown_for <= timedelta(minutes=minutes)
    assert 14 * SECOND < await due_in(engine) <= 15 * SECOND
    await execute(engine, "update outbox set updated_at = updated_at - interval '16 s' where state = 'unknown'")
    await lose_lease(engine)
    assert await deliver(make(), database) is State.ACCEPTED
    assert [sent.op.message_id for sent in sender.sent] == [message, follower]
    await execute(engine, "update outbox set unknown_until = now() where state = 'unknown'")
    await database.outbox.reap()
    assert (await row_of(engine, message)).state == "unconfirmed"
    assert await is_done(database, WorkKind.SEND)


async def test_messages_of_a_conversation_leave_in_their_order(
    engine, database, make, sender, message, conversation, account
) -> None:
    others = [await a_queued_message(engine, account.account_id, conversation) for _ in range(2)]
    for _ in range(3):
        await deliver(make(), database)
    assert [sent.op.message_id for sent in sender.sent] == [message, *others]
    assert await is_done(database, WorkKind.SEND)


# --- before the fence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (NothingSent("refused"), 0 * SECOND, SECOND),
        (CircuitOpen("whatsapp", retry_after=20), 0.5 * SECOND, SECOND),
        (AccountProblem("no token"), 59 * SECOND, MINUTE),
        (Refused("no such type"), 59 * SECOND, MINUTE),
    ],
)
async def test_what_fails_before_the_fence_burns_no_attempt(
    engine, database, make, message, error, least, most
) -> None:
    assert await deliver(make(Special(before=error)), database) is State.QUEUED
    row = await row_of(engine, message)
    assert (row.state, row.attempt, row.token, row.status) == ("queued", 0, None, "pending")
    assert least <= await due_in(engine) <= most


async def test_an_account_that_lost_its_token_is_not_tried_all_the_time(engine, database, make, sender) -> None:
    account = await an_account(engine, access_token=None)
    message = await a_queued_message(engine, account.account_id, await a_conversation(engine, account.account_id))
    assert await deliver(make(), database) is State.QUEUED
    assert await due_in(engine) > 59 * SECOND
    assert (await row_of(engine, message)).attempt == 0
    (stored,) = await execute(engine, "select paused_at from whatsapp_accounts")
    assert stored.paused_at is None


async def test_a_paused_account_burns_nothing(engine, database, make, sender, message) -> None:
    await execute(engine, "update whatsapp_accounts set paused_at = now()")
    for _ in range(3):
        assert await deliver(make(), database) is State.QUEUED
        assert 59 * SECOND < await due_in(engine) <= MINUTE
        await lose_lease(engine)
    row = await row_of(engine, message)
    assert (row.state, row.attempt, row.status, len(sender.sent)) == ("queued", 0, "pending", 0)
    await execute(engine, "update whatsapp_accounts set paused_at = null")
    assert await deliver(make(), database) is State.ACCEPTED


async def test_who_lost_the_claim_sends_nothing(engine, database, make, sender, message) -> None:
    slow = await head(make(), database)
    await lose_lease(engine)
    assert await deliver(make(), database) is State.ACCEPTED
    before = await all_rows(engine)
    assert await make().deliver(*slow) is State.QUEUED
    assert await all_rows(engine) == before
    assert len(sender.sent) == 1


async def test_run_twice_one_message_leaves(engine, database, make, sender, message) -> None:
    taken = await head(make(), database)
    await make().deliver(*taken)
    before = await all_rows(engine)
    await make().deliver(*taken)
    assert await all_rows(engine) == before
    assert len(sender.sent) == 1


async def test_an_answer_of_the_bot_that_was_overtaken_at_the_fence_is_cancelled(
    engine, database, make, sender, account, conversation
) -> None:
    answer = await a_queued_message(engine, account.account_id, conversation, author=Author.BOT, epoch=0)
    taken = await head(make(), database)
    await execute(engine, "update conversations set epoch = 1")
    assert await make().deliver(*taken) is State.QUEUED
    (nothing,) = await database.outbox.take_heads([await claimed(database, WorkKind.SEND)])
    assert nothing == HeadTaken(lane=nothing.lane)
    row = await row_of(engine, answer)
    assert (row.state, row.status, len(sender.sent)) == ("cancelled", "failed", 0)


async def test_after_an_unclear_fence_nothing_is_sent_and_the_message_comes_back(
    engine, database, make, sender, message
) -> None:
    unclear = FaultyDatabase(database, Failpoints.parse("outbox.to_wire:after=raise@1"))
    assert await deliver(make(database=unclear), database) is State.QUEUED
    row = await row_of(engine, message)
    assert (row.state, row.attempt, len(sender.sent)) == ("queued", 0, 0)
    await lose_lease(engine)
    assert await deliver(make(), database) is State.ACCEPTED
    assert [sent.op for sent in sender.sent] == [OpId(message, 1)]


async def test_a_second_connection_for_the_same_attempt_does_not_start(engine, database, make, message) -> None:
    stutterer = Special(stutters=True)
    assert await deliver(make(stutterer), database) is State.UNKNOWN
    assert len(stutterer.sent) == 0
    assert (await row_of(engine, message)).state == "unknown"
