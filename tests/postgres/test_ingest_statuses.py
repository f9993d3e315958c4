"""Statuses: matched with their message, and shown never backwards."""

from datetime import UTC, datetime

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, a_message, a_queued_message, a_status, an_account, execute
from event_builders import the_log
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.graph_error_messages import REJECTED
from inbox.domain.ids import ConversationId
from inbox.domain.messages import FAILURES
from inbox.domain.outbound import State
from inbox.ports.records import Applied
from postgres.ingest_scene import SECOND, hear, message_row, op, state_of

# --- what a status shows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["sent"], "sent"),
        (["delivered"], "delivered"),
        (["read"], "read"),
        (["played"], "read"),
        (["failed"], "failed"),
        (["read", "sent"], "read"),
        (["delivered", "failed"], "delivered"),
        (["failed", "sent"], "failed"),
        (["failed", "delivered"], "delivered"),
        (["held_for_quality_assessment"], "pending"),
        (["sent", "something_new"], "sent"),
    ],
)
async def test_the_public_status_only_rises(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    words: list[str],
    shown: str,
) -> None:
    message = await a_message(engine, account.account_id, conversation, status="pending", wamid="wamid.A")

    for word in words:
        await hear(database, a_status(account.phone_number_id, "wamid.A", word))

    assert (await message_row(engine, message))["status"] == shown


@pytest.mark.parametrize("old", [None, "accepted", "[status update]"])
async def test_a_word_that_an_old_row_holds_gives_way(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, old: str | None
) -> None:
    message = await a_message(engine, account.account_id, conversation, status=old, wamid="wamid.A")
    await hear(database, a_status(account.phone_number_id, "wamid.A", "sent"))
    assert (await message_row(engine, message))["status"] == "sent"


async def test_each_status_has_its_time_beside_and_moves_no_other(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_message(engine, account.account_id, conversation, status="pending", wamid="wamid.A")
    before = await execute(engine, "select * from conversations")
    [stamps] = await execute(engine, 'select "timestamp", created_at from messages')

    words = ["sent", "delivered", "read"]
    await hear(
        database,
        *(
            a_status(account.phone_number_id, "wamid.A", word, occurred_at=NOON + n * SECOND)
            for n, word in enumerate(words)
        ),
    )

    row = await message_row(engine, message)
    assert [row["sent_at"], row["delivered_at"], row["read_at"], row["failed_at"]] == [
        NOON,
        NOON + SECOND,
        NOON + 2 * SECOND,
        None,
    ]
    assert await execute(engine, "select * from conversations") == before
    assert await execute(engine, 'select "timestamp", created_at from messages') == [stamps]


async def test_a_known_failure_is_shown_in_the_words_of_the_contract(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_message(engine, account.account_id, conversation, wamid="wamid.A")

    await hear(database, a_status(account.phone_number_id, "wamid.A", "failed", error_code=131047, error_title="Title"))

    row = await message_row(engine, message)
    assert (row["error_code"], row["error_message"]) == (131047, FAILURES[131047])


async def test_where_only_whatsapp_knows_the_fault_its_words_follow_without_numbers(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_message(engine, account.account_id, conversation, wamid="wamid.A")
    failed = a_status(account.phone_number_id, "wamid.A", "failed", error_code=131053, error_title="Media upload error")
    details = "The file of 33612345678 cannot be fetched"
    await hear(database, msgspec.structs.replace(failed, error_details=details))
    said = (await message_row(engine, message))["error_message"]
    assert said.startswith(FAILURES[131053])
    assert said.endswith("cannot be fetched)")
    assert "33612345678" not in said


@pytest.mark.parametrize(
    ("title", "details", "said"),
    [
        ("Odd", None, " (Odd)"),
        ("Odd", "Odd", " (Odd)"),
        ("Odd", "Very", " (Odd: Very)"),
        (None, "Very", " (Very)"),
        (None, None, ""),
        ("Odd", "x" * 400, f" (Odd: {'x' * 295})"),
    ],
)
async def test_another_failure_is_shown_in_a_general_sentence_and_the_words_of_whatsapp(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    title: str | None,
    details: str | None,
    said: str,
) -> None:
    message = await a_message(engine, account.account_id, conversation, wamid="wamid.A")
    failed = a_status(account.phone_number_id, "wamid.A", "failed", error_code=7, error_title=title)
    await hear(database, msgspec.structs.replace(failed, error_details=details))
    row = await message_row(engine, message)
    assert (row["error_code"], row["error_message"]) == (7, f"{REJECTED.sentence()}{said}")


async def test_a_proof_of_delivery_takes_the_error_away(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_message(engine, account.account_id, conversation, wamid="wamid.A")
    await hear(database, a_status(account.phone_number_id, "wamid.A", "failed", error_code=131026))
    await hear(database, a_status(account.phone_number_id, "wamid.A", "delivered"))
    row = await message_row(engine, message)
    assert (row["status"], row["error_code"], row["error_message"]) == ("delivered", None, None)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_two_failures_the_earlier_one_is_shown_whichever_came_first(
    database: PostgresDatabase,
    engine: AsyncEngine,
    account: Channel,
    conversation: ConversationId,
    order: tuple[int, int],
) -> None:
    message = await a_message(engine, account.account_id, conversation, wamid="wamid.A")
    failures = [
        a_status(account.phone_number_id, "wamid.A", "failed", occurred_at=NOON + n * SECOND, error_code=n + 1)
        for n in (0, 1)
    ]
    for n in order:
        await hear(database, failures[n])
    row = await message_row(engine, message)
    assert (row["error_code"], row["failed_at"]) == (1, NOON)


# --- whose status it is -----------------------------------------------------------------------------------------------


async def test_an_echo_with_our_op_id_teaches_the_wamid_to_message_and_outbox(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=State.UNKNOWN, attempt=1)

    await hear(database, a_status(account.phone_number_id, "wamid.A", "sent", op_id=op(message)))

    assert await state_of(engine, message) == ("sent", "wamid.A")
    row = await message_row(engine, message)
    assert (row["status"], row["wa_message_id"]) == ("sent", "wamid.A")


@pytest.mark.parametrize("state", [s for s in State if s not in {State.READ, State.DELIVERED}])
async def test_an_echo_is_proof_in_any_state(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, state: State
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=state, attempt=1)
    if state in {State.EXPIRED, State.CANCELLED, State.FAILED}:
        await execute(engine, "update messages set status = 'failed', error_message = 'given up'")

    await hear(database, a_status(account.phone_number_id, "wamid.A", "delivered", op_id=op(message)))

    assert (await state_of(engine, message))[0] == "delivered"
    row = await message_row(engine, message)
    assert (row["status"], row["error_message"]) == ("delivered", None)


@pytest.mark.parametrize("state", [State.EXPIRED, State.CANCELLED])
async def test_a_message_that_was_given_up_and_sent_nevertheless_shows_as_sent(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, state: State
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=state, attempt=1)
    await execute(engine, "update messages set status = 'failed', error_message = 'given up'")

    await hear(database, a_status(account.phone_number_id, "wamid.A", "sent", op_id=op(message)))

    assert (await state_of(engine, message))[0] == "sent"
    assert (await message_row(engine, message))["status"] == "sent"


async def test_an_op_id_of_an_attempt_that_never_was_proves_nothing(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=State.WIRE, attempt=1)

    for number, attempt in enumerate((0, 2, 10**12)):
        await hear(database, a_status(account.phone_number_id, f"wamid.{number}", "sent", op_id=op(message, attempt)))

    assert await state_of(engine, message) == ("wire", None)


async def test_the_op_id_of_another_account_moves_nothing_of_ours(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    stranger = await an_account(engine)
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.WIRE, attempt=1, wamid="wamid.mine"
    )

    await hear(
        database,
        a_status(stranger.phone_number_id, "wamid.forged", "failed", op_id=op(message)),
        a_status(stranger.phone_number_id, "wamid.mine", "read"),
    )

    assert await state_of(engine, message) == ("wire", "wamid.mine")
    assert (await message_row(engine, message))["status"] == "pending"


@pytest.mark.parametrize(
    "op_id",
    ["1:", "1:x:1", "2:00000000-0000-0000-0000-000000000000:1", "hello", "1:01234567-89ab-7def-8123-456789abcdef:1"],
)
async def test_an_op_id_that_leads_nowhere_leaves_the_wamid_to_decide(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId, op_id: str
) -> None:
    message = await a_message(engine, account.account_id, conversation, status="pending", wamid="wamid.A")
    await hear(database, a_status(account.phone_number_id, "wamid.A", "sent", op_id=op_id))
    assert (await message_row(engine, message))["status"] == "sent"


async def test_a_status_of_nobody_is_parked_and_makes_neither_contact_nor_conversation(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel
) -> None:
    applied = await hear(
        database,
        a_status(account.phone_number_id, "wamid.later", "sent", recipient="33611111111"),
        a_status("999", "wamid.elsewhere", "sent"),
    )

    assert applied == Applied(new_messages=0, new_statuses=2, unrouted=0)
    parked = await execute(engine, "select message_id, wamid from message_statuses order by id")
    assert sorted((row.message_id, row.wamid) for row in parked) == [(None, "wamid.elsewhere"), (None, "wamid.later")]
    for table in ("contacts", "conversations", "messages", "event_log"):
        assert await execute(engine, f"select * from {table}") == []  # noqa: S608


async def test_parked_statuses_follow_when_an_echo_names_their_message(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(engine, account.account_id, conversation, state=State.WIRE, attempt=1)
    await hear(database, a_status(account.phone_number_id, "wamid.A", "read"))

    await hear(database, a_status(account.phone_number_id, "wamid.A", "sent", op_id=op(message)))

    assert await state_of(engine, message) == ("read", "wamid.A")
    assert await execute(engine, "select 1 from message_statuses where message_id is null") == []


async def test_a_status_that_two_transactions_missed_is_found_by_the_reaper(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    await hear(database, a_status(account.phone_number_id, "wamid.A", "delivered"))
    message = await a_message(engine, account.account_id, conversation, status="sent", wamid="wamid.A")

    await database.outbox.reap(datetime.now(UTC))

    assert (await message_row(engine, message))["status"] == "delivered"


async def test_two_wamids_for_one_message_are_an_event_that_nobody_can_miss(
    database: PostgresDatabase, engine: AsyncEngine, account: Channel, conversation: ConversationId
) -> None:
    message = await a_queued_message(
        engine, account.account_id, conversation, state=State.SENT, attempt=1, wamid="wamid.A"
    )
    twice = a_status(account.phone_number_id, "wamid.B", "delivered", op_id=op(message))

    await hear(database, twice)
    await hear(database, twice)

    [alarm] = await the_log(engine, "message.doubled")
    assert (alarm.message_id, alarm.wa_message_id, alarm.other_wa_message_id) == (message, "wamid.A", "wamid.B")
    assert await state_of(engine, message) == ("delivered", "wamid.A")
