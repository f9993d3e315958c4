"""Numbers that WhatsApp answers with a fault of theirs: when they rest, for how long, and who tries them."""

from datetime import timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from builders import a_conversation, a_queued_message, an_account, execute
from inbox.domain.errors import InboxError
from inbox.domain.ids import AccountId
from inbox.domain.outbound import State
from inbox.domain.upstream_errors import AccountProblem, NothingSent, OutcomeUnknown, Refused, TryLater
from inbox.domain.work import WorkKind
from inbox.services.resting import Resting
from services.delivery_scene import SECOND, Special, deliver, due_in, row_of
from services.scenes import lose_lease

ONE, OTHER = AccountId(UUID(int=1)), AccountId(UUID(int=2))
UPGRADE = TryLater("upgrade", graph_code=131057)
UNKNOWN = OutcomeUnknown("500", graph_code=131000)


class Bench:
    """What a process knows, and its clock."""

    def __init__(self) -> None:
        self.at = 100.0
        self.resting = Resting(clock=lambda: self.at)

    def fails(self, error: InboxError, account_id: AccountId = ONE) -> timedelta | None:
        """A send that may leave, and fails."""
        with self.resting.trying(account_id) as number:
            assert number is not None
            return number.failed(error)

    def is_accepted(self) -> None:
        with self.resting.trying(ONE) as number:
            assert number is not None
            number.accepted()

    def may_leave(self, account_id: AccountId = ONE) -> bool:
        with self.resting.trying(account_id) as number:
            return number is not None

    def rests(self, error: InboxError, times: int) -> list[float]:
        """Each try comes when the rest before it is over."""
        found = []
        for _ in range(times):
            rest = self.fails(error)
            assert rest is not None
            found.append(rest.total_seconds())
            self.at += rest.total_seconds()
        return found


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_upgrade_lets_the_number_rest_at_once_and_is_tried_every_ten_seconds(bench: Bench) -> None:
    assert bench.rests(UPGRADE, 5) == [2, 4, 8, 10, 10]


def test_three_unknown_outcomes_in_a_row_let_the_number_rest_longer_and_longer(bench: Bench) -> None:
    assert [bench.fails(UNKNOWN), bench.fails(UNKNOWN)] == [None, None]
    assert bench.rests(UNKNOWN, 7) == [2, 4, 8, 16, 32, 60, 60]


def test_what_whatsapp_takes_ends_the_row_and_the_rests(bench: Bench) -> None:
    for _ in range(3):
        assert [bench.fails(UNKNOWN), bench.fails(UNKNOWN)] == [None, None]
        bench.is_accepted()
    bench.rests(UPGRADE, 3)
    bench.is_accepted()
    assert bench.rests(UPGRADE, 1) == [2]


@pytest.mark.parametrize("judged", [Refused(), AccountProblem(), TryLater("pair"), TryLater("number")])
def test_any_answer_that_is_a_judgement_ends_the_row(bench: Bench, judged: InboxError) -> None:
    bench.fails(UNKNOWN)
    bench.fails(UNKNOWN)
    assert [bench.fails(error) for error in (judged, UNKNOWN, UNKNOWN)] == [None] * 3
    assert bench.fails(UNKNOWN) == 2 * SECOND


@pytest.mark.parametrize("silent", [NothingSent(), TryLater("service"), OutcomeUnknown("cut")])
def test_an_outage_of_whatsapp_says_nothing_about_the_number(bench: Bench, silent: InboxError) -> None:
    assert [bench.fails(error) for error in (silent, silent, silent, UNKNOWN, UNKNOWN, silent)] == [None] * 6
    assert bench.fails(UNKNOWN) == 2 * SECOND


def test_while_a_number_rests_nothing_of_it_leaves_and_other_numbers_send(bench: Bench) -> None:
    bench.fails(UPGRADE)
    assert (bench.may_leave(), bench.may_leave(OTHER)) == (False, True)
    bench.at += 1.9
    assert not bench.may_leave()
    bench.at += 0.2
    assert bench.may_leave()


def test_after_a_rest_one_message_at_a_time_tries_the_number(bench: Bench) -> None:
    bench.rests(UPGRADE, 1)
    with bench.resting.trying(ONE) as number:
        assert number is not None
        assert not bench.may_leave()
    assert bench.may_leave()
    bench.is_accepted()
    with bench.resting.trying(ONE):
        assert bench.may_leave()


@pytest.mark.parametrize("answer", [None, Refused()])
def test_what_was_under_way_when_the_rest_began_does_not_end_it(bench: Bench, answer: InboxError | None) -> None:
    with bench.resting.trying(ONE) as early:
        assert early is not None
        assert bench.rests(UPGRADE, 2) == [2, 4]
        if answer is None:
            early.accepted()
        else:
            early.failed(answer)
    assert bench.rests(UPGRADE, 1) == [8]


def test_what_was_under_way_when_the_rest_began_makes_it_no_longer(bench: Bench) -> None:
    with bench.resting.trying(ONE) as late:
        bench.fails(UPGRADE)
        assert late is not None
        assert late.failed(UPGRADE) is None
    bench.at += 2
    assert bench.fails(UPGRADE) == 4 * SECOND


@pytest.mark.parametrize(("named", "rest"), [(1.0, 2), (45.0, 45), (86_400.0, 300)])
def test_a_time_that_whatsapp_names_for_an_upgrade_is_obeyed(bench: Bench, named: float, rest: int) -> None:
    assert bench.fails(TryLater("upgrade", retry_after=named)) == rest * SECOND


def test_of_very_many_numbers_in_trouble_the_latest_are_remembered(bench: Bench) -> None:
    for n in range(1_001):
        bench.fails(UPGRADE, AccountId(UUID(int=n)))
    assert bench.may_leave(AccountId(UUID(int=0)))
    assert not bench.may_leave(AccountId(UUID(int=1)))
    assert not bench.may_leave(AccountId(UUID(int=1_000)))


# --- with the database ------------------------------------------------------------------------------------------------


async def test_an_upgrade_holds_the_number_back_and_leaves_its_rate_alone(
    engine, database, make, sender, message
) -> None:
    other = await an_account(engine)
    sender.fail_next(UPGRADE)
    with capture_logs() as logs:
        assert await deliver(make(), database) is State.QUEUED
    assert [(line["event"], line["seconds"]) for line in logs] == [("number_rests", 2.0)]
    row = await row_of(engine, message)
    assert (row.state, row.status, row.error_message) == ("queued", "pending", None)
    assert await due_in(engine) <= SECOND
    (pace,) = await execute(engine, "select learned, free_at - now() as ahead from number_paces")
    assert (pace.learned, SECOND < pace.ahead <= 2.2 * SECOND) == (None, True)
    await execute(engine, "update lanes set due = now()")
    await a_queued_message(engine, other.account_id, await a_conversation(engine, other.account_id))
    claimed = await database.work.claim(WorkKind.SEND, 10)
    assert [lane.account_id for lane in claimed] == [other.account_id]


async def test_what_meets_the_rest_of_its_number_waits_and_burns_nothing(
    engine, database, make, sender, message
) -> None:
    outbound, at = make(), [0.0]
    outbound.resting = Resting(clock=lambda: at[0])
    sender.fail_next(UPGRADE)
    await deliver(outbound, database)
    for _ in range(2):
        await again(engine)
        assert await deliver(outbound, database) is State.QUEUED
        assert 0.5 * SECOND < await due_in(engine) <= SECOND
    assert ((await row_of(engine, message)).attempt, len(sender.sent)) == (1, 0)
    at[0] += 2
    await again(engine)
    assert await deliver(outbound, database) is State.ACCEPTED


@pytest.mark.parametrize(("answer", "seconds"), [(None, 0), (Refused(), 0), (UPGRADE, 4), (OutcomeUnknown("cut"), 20)])
async def test_while_a_message_tries_the_number_no_process_claims_another_one(
    engine, database, make, sender, message, answer, seconds
) -> None:
    outbound, at = make(), [0.0]
    outbound.resting = Resting(clock=lambda: at[0])
    sender.fail_next(UPGRADE)
    await deliver(outbound, database)
    at[0] += 2
    await again(engine)
    if answer is not None:
        sender.fail_next(answer)
    await deliver(outbound, database)
    (pace,) = await execute(engine, "select free_at - now() as ahead from number_paces")
    assert (seconds - 1) * SECOND < pace.ahead <= (seconds + 0.2) * SECOND


async def test_a_number_whose_outcomes_are_unknown_stops_after_three(engine, database, make, sender, account) -> None:
    outbound, found = make(), []
    for _ in range(4):
        await a_queued_message(engine, account.account_id, await a_conversation(engine, account.account_id))
        sender.fail_next(UNKNOWN)
        found.append(await deliver(outbound, database))
        await execute(engine, "update lanes set due = 'infinity'")
        await execute(engine, "update number_paces set free_at = null")
    assert found == [State.UNKNOWN] * 3 + [State.QUEUED]


async def test_what_never_passed_its_fence_says_nothing_about_the_number(
    engine, database, make, account, message
) -> None:
    outbound = make(Special(before=UPGRADE))
    assert await deliver(outbound, database) is State.QUEUED
    assert await execute(engine, "select 1 from number_paces where free_at < now() + interval '1 s'")
    with outbound.resting.trying(account.account_id) as number:
        assert number is not None


async def again(engine) -> None:
    """The lane is due, and the number has a token."""
    await lose_lease(engine)
    await execute(engine, "update outbox set not_before = now()")
    await execute(engine, "update number_paces set free_at = null")
