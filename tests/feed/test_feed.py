"""The feed over a log that misbehaves: a new history while it runs, rows that cannot be read, listeners that rest."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.access import Actor, Grant, Permission, Reach, Subject
from inbox.domain.errors import DatabaseTimeout
from inbox.domain.events import SERVICE, FavoriteSet
from inbox.domain.feed import Interest
from inbox.domain.feed_errors import CursorExpired, TooManyConnections
from inbox.domain.ids import AccountId, ConversationId, MessageId, UserId
from inbox.domain.signals import LogGrew
from inbox.entrypoints.feed import Feed
from inbox.entrypoints.listeners import FeedLimits
from inbox.entrypoints.taps import Closing, Taken, TapClosed
from inbox.ports.feed import LogEnd, Logged, LogState, WantedConversation, WantedMessage
from inbox.ports.views import ConversationItem, MessageItem

HERE, TALK = AccountId(uuid4()), ConversationId(UUID(int=7))


@dataclass
class Log:
    """In memory. `outages` calls for rows of conversations fail first."""

    rows: list[Logged] = field(default_factory=list)
    generation: str = "0" * 12
    history: str = "first"
    last: int = 0
    floor: int = 0
    writers: frozenset[str] = frozenset()
    outages: int = 0
    begun: int = 0
    asked: list[int] = field(default_factory=list)
    bus: MemoryEvents = field(default_factory=MemoryEvents)

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            self.last += 1
            event = FavoriteSet(account_id=HERE, conversation_id=TALK, is_favorite=True, by=SERVICE)
            self.rows.append(Logged(id=self.last, at="2026-11-22T00:00:00.000000Z", event=event))
        self.hint()

    def hint(self) -> None:
        self.bus.publish(LogGrew())

    async def begin(self) -> LogState:
        self.begun += 1
        return await self.state()

    async def state(self) -> LogState:
        return LogState(generation=self.generation, floor=self.floor)

    async def end(self) -> LogEnd:
        return LogEnd(last=self.last, writers=self.writers, rights_version=1, history=self.history)

    async def read(self, after: int, until: int, limit: int) -> Sequence[Logged]:
        return [row for row in self.rows if after < row.id <= until][:limit]

    async def newest(self, until: int, limit: int) -> Sequence[Logged]:
        return [row for row in self.rows if row.id <= until][-limit:]

    async def read_within(
        self, reach: Reach, interest: Interest, after: int, until: int, limit: int
    ) -> Sequence[Logged]:
        return await self.read(after, until, limit)

    async def has_new_lines(self, account_id: AccountId, after: int) -> bool:
        raise NotImplementedError

    async def has_new_messages(self, account_id: AccountId, conversation_id: ConversationId, after: int) -> bool:
        raise NotImplementedError

    async def messages(self, wanted: Iterable[WantedMessage]) -> dict[MessageId, MessageItem]:
        return {}

    async def conversations(self, wanted: Iterable[WantedConversation]) -> dict[ConversationId, ConversationItem]:
        self.asked.append(len(list(wanted)))
        if self.outages:
            self.outages -= 1
            raise DatabaseTimeout
        return {}


ADA = Actor(
    user_id=UserId(uuid4()),
    email=None,
    is_active=True,
    grants=(Grant(code=Permission.CONVERSATIONS_VIEW, account_id=None),),
)


@dataclass
class Team:
    known: Actor | None = ADA

    async def actors(self, subjects: Collection[Subject]) -> dict[Subject, Actor]:
        return {} if self.known is None else dict.fromkeys(subjects, self.known)


@dataclass
class Stored:
    event_log: Log
    team: Team


class Heard:
    def hear(self, _: object) -> None:
        """Nobody is there."""


@pytest.fixture
def log() -> Log:
    return Log()


@asynccontextmanager
async def fed(log: Log, **limits: int) -> AsyncIterator[Feed]:
    feed = Feed(Stored(log, Team()), log.bus, Heard(), FeedLimits(**limits))  # type: ignore[arg-type]
    async with feed.running():
        yield feed


async def number(taken: Taken) -> list[int]:
    return [item.id for item in taken.items]


async def test_a_listener_gets_what_is_written_and_nothing_of_before(log: Log) -> None:
    log.write(3)
    async with fed(log) as feed, feed.listening(ADA, Interest(), None) as tap:
        log.write(2)
        async with asyncio.timeout(5):
            assert await number(await tap.take(4)) == [4, 5]
        assert str(tap.cursor) == f"{log.generation}-5"


async def test_a_listener_hears_until_they_have_to_show_who_they_are(log: Log) -> None:
    async with fed(log) as feed, feed.listening(ADA, Interest(), None, ends_at=feed.clock()) as tap:
        with pytest.raises(TapClosed) as closed:
            await tap.take(4)
        assert closed.value.reason is Closing.LIFETIME


class Busy(Log):
    """At each look somebody else has just written and not committed yet."""

    async def end(self) -> LogEnd:
        self.write()
        return LogEnd(last=self.last, writers=frozenset({str(self.last)}), rights_version=1, history=self.history)


async def test_a_feed_that_starts_under_load_is_ready_all_the_same() -> None:
    async with fed(Busy()) as feed:
        await feed.page(ADA, Interest(), None, 10)  # raises if it is not
        assert feed.head.id > 0


async def test_who_wants_little_of_a_long_log_gets_on_in_stretches(log: Log) -> None:
    log.write()
    log.last += 120_000
    log.write()
    async with fed(log) as feed:
        cursor, pages = type(feed.head)(log.generation, 1), []
        while (page := await feed.page(ADA, Interest(), cursor, 10)).has_more:
            pages.append(page)
            cursor = cursor.parse(page.cursor)
        assert [len(one.events) for one in (*pages, page)] == [0, 0, 1]


async def test_another_history_is_noticed_without_any_failure(log: Log) -> None:
    async with fed(log) as feed, feed.listening(ADA, Interest(), None) as tap:
        log.write()
        await tap.take(4)
        log.generation, log.history, log.rows, log.last = "f" * 12, "second", [], 0
        log.hint()
        async with asyncio.timeout(5):
            with pytest.raises(TapClosed) as closed:
                await tap.take(4)
        assert closed.value.reason is Closing.RESET
        async with feed.listening(ADA, Interest(), str(tap.cursor)) as again:
            log.write()
            async with asyncio.timeout(5):
                assert [one.is_reset for one in [await again.take(4)]] == [True]
                assert await number(await again.take(4)) == [1]


async def test_after_a_crash_what_was_seen_of_writers_counts_no_more(log: Log) -> None:
    async with fed(log) as feed, feed.listening(ADA, Interest(), None) as tap:
        log.write()
        await tap.take(4)
        log.last, log.writers = 9, frozenset({"3/9"})
        log.hint()
        await tap.take(0.2)  # it waits for that writer, who dies with the database
        log.last, log.writers, log.history = 2, frozenset({"5/2"}), "second"
        await tap.take(0.2)
        assert feed.state.held_back > 0
        log.last = 1
        log.writers = frozenset()
        log.write()
        async with asyncio.timeout(5):
            assert await number(await tap.take(4)) == [2]


async def test_rows_that_could_not_be_read_come_again_and_do_not_pile_up(log: Log) -> None:
    async with fed(log) as feed, feed.listening(ADA, Interest(), None) as tap:
        log.outages = 3
        log.write(1_500)
        for _ in range(3):
            with pytest.raises(DatabaseTimeout):
                await tap.take(4)
        found: list[int] = []
        async with asyncio.timeout(10):
            while len(found) < 1_500:
                found += await number(await tap.take(4))
        assert found == list(range(1, 1_501))
        assert len(feed._unfilled) <= 200


async def test_who_rests_costs_nothing_and_is_where_the_others_are(log: Log) -> None:
    elsewhere = Interest(accounts=frozenset({AccountId(uuid4())}))
    async with fed(log) as feed, feed.listening(ADA, elsewhere, None) as tap:
        await tap.take(0)
        log.write(50)
        async with feed.listening(ADA, Interest(), f"{log.generation}-0") as other:
            async with asyncio.timeout(5):
                while len((await other.take(4)).items) == 0:
                    pass
        assert (await tap.take(0)).items == ()
        assert str(tap.cursor) == str(feed.head)


async def test_a_cursor_ahead_of_the_log_has_expired(log: Log) -> None:
    log.write(5)
    async with fed(log) as feed:
        with pytest.raises(CursorExpired):
            await feed.page(ADA, Interest(), type(feed.head)(log.generation, 9), 10)


async def test_a_person_and_a_process_hold_only_so_many(log: Log) -> None:
    async with fed(log, per_user=1) as feed, feed.listening(ADA, Interest(), None):
        with pytest.raises(TooManyConnections):
            async with feed.listening(ADA, Interest(), None):
                pass


async def test_who_lost_every_right_hears_nothing_of_what_came_later(log: Log) -> None:
    stored = Stored(log, Team())
    feed = Feed(stored, log.bus, Heard(), FeedLimits())  # type: ignore[arg-type]
    async with feed.running(), feed.listening(ADA, Interest(), None) as tap:
        stored.team.known = None
        log.hint()
        async with asyncio.timeout(5):
            with pytest.raises(TapClosed) as closed:
                while True:
                    await tap.take(4)
        assert closed.value.reason is Closing.RIGHTS
