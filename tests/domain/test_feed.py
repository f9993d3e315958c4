"""What is final in the log, whatever order transactions draw their numbers and commit in; cursors; who sees what."""

from typing import get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.events import (
    SERVICE,
    AccountResumed,
    ContactStep,
    ContactUpdated,
    ConversationCreated,
    Event,
    MessageDoubled,
)
from inbox.domain.feed import SEEN_WITH, Cursor, Horizon, Interest, View
from inbox.domain.feed_errors import CursorExpired
from inbox.domain.ids import AccountId, ContactId, ConversationId, MessageId, UserId


class Transactions(RuleBasedStateMachine):
    """A log with writers, and a reader whose look is made of three steps, between which anything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0
        self.names = 0
        self.writing: dict[str, list[int]] = {}
        self.committed: set[int] = set()
        self.horizon = Horizon()
        self.read_to = 0
        self.seen: list[int] = []
        self.last: int | None = None
        self.until: int | None = None

    @rule()
    def somebody_begins_to_write(self) -> None:
        self.names += 1
        self.writing[str(self.names)] = []

    @precondition(lambda self: self.writing)
    @rule(data=st.data())
    def a_number_is_drawn(self, data: st.DataObject) -> None:
        self.drawn += 1
        self.writing[data.draw(st.sampled_from(sorted(self.writing)))].append(self.drawn)

    @precondition(lambda self: self.writing)
    @rule(data=st.data(), commits=st.booleans())
    def a_writer_ends(self, *, data: st.DataObject, commits: bool) -> None:
        numbers = self.writing.pop(data.draw(st.sampled_from(sorted(self.writing))))
        if commits:
            self.committed.update(numbers)

    @rule()
    def the_database_crashes(self) -> None:
        """Nobody writes any more, and numbers that nobody committed are drawn again. The reader begins anew."""
        self.writing.clear()
        self.drawn = max(self.committed, default=0)
        self.horizon = Horizon()
        self.read_to = max(self.seen, default=0)
        self.last = self.until = None

    @precondition(lambda self: self.last is None and self.until is None)
    @rule()
    def the_reader_asks_for_the_greatest_number(self) -> None:
        self.last = self.drawn

    @precondition(lambda self: self.last is not None)
    @rule()
    def and_then_for_the_writers(self) -> None:
        assert self.last is not None
        self.until = self.horizon.look(self.last, frozenset(self.writing))
        self.last = None

    @precondition(lambda self: self.until is not None)
    @rule()
    def and_then_for_the_rows(self) -> None:
        assert self.until is not None
        self.seen += sorted(number for number in self.committed if self.read_to < number <= self.until)
        self.read_to, self.until = max(self.read_to, self.until), None

    @invariant()
    def nothing_is_skipped_doubled_or_out_of_order(self) -> None:
        due = sorted(number for number in self.committed if number <= self.read_to)
        assert self.seen == due
        assert not [n for numbers in self.writing.values() for n in numbers if n <= self.read_to]

    def teardown(self) -> None:
        """When everybody is done, two looks at most find all that there is."""
        self.writing.clear()
        for _ in range(2):
            self.until = self.horizon.look(self.drawn, frozenset())
            self.and_then_for_the_rows()
        assert self.seen == sorted(self.committed)
        assert not self.horizon.is_waiting


Transactions.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestTransactions = Transactions.TestCase


def test_who_wrote_nothing_yet_holds_nobody_up() -> None:
    horizon = Horizon()
    assert horizon.look(5, frozenset({"a"})) == 0
    assert horizon.look(9, frozenset({"b"})) == 5
    assert horizon.is_waiting
    assert horizon.look(9, frozenset()) == 9
    assert not horizon.is_waiting


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert Cursor.parse(str(Cursor("00ff00ff00ff", 12))) == Cursor("00ff00ff00ff", 12)


@pytest.mark.parametrize(
    "text",
    ["", "12", "00ff00ff00ff", "00ff00ff00ff-", "00ff00ff00ff--1", "00FF00ff00ff-1", "00ff00ff00ff-\u0661", "x" * 99],
)
def test_what_is_no_cursor_has_expired(text: str) -> None:
    with pytest.raises(CursorExpired):
        Cursor.parse(text)


HERE, THERE = AccountId(UUID(int=1)), AccountId(UUID(int=2))
TALK = ConversationId(UUID(int=3))


def somebody(*grants: Grant) -> Actor:
    return Actor(user_id=UserId(uuid4()), email=None, is_active=True, grants=grants)


def may(code: Permission, account: AccountId | None = None, *, allowed: bool = True) -> Grant:
    return Grant(code=code, account_id=account, is_allowed=allowed)


CREATED = ConversationCreated(account_id=HERE, conversation_id=TALK, by=SERVICE)
DOUBLED = MessageDoubled(
    account_id=HERE,
    conversation_id=TALK,
    message_id=MessageId(uuid4()),
    wa_message_id=None,
    other_wa_message_id="wamid.2",
)
CONTACT = ContactUpdated(contact_id=ContactId(uuid4()), change=ContactStep.CHANGED)


def test_an_event_is_shown_to_who_may_see_the_same_in_rest() -> None:
    of_messages = View(somebody(may(Permission.MESSAGES_VIEW, HERE)), Interest())
    assert (of_messages.shows(DOUBLED), of_messages.shows(CREATED), of_messages.shows(CONTACT)) == (True, False, False)
    of_conversations = View(somebody(may(Permission.CONVERSATIONS_VIEW)), Interest())
    assert (of_conversations.shows(DOUBLED), of_conversations.shows(CREATED)) == (False, True)
    of_contacts = View(somebody(may(Permission.CONTACTS_VIEW)), Interest())
    assert of_contacts.shows(CONTACT)
    assert not View(somebody(may(Permission.CONTACTS_VIEW, HERE)), Interest()).shows(CONTACT)
    assert View(somebody(may(Permission.ACCOUNTS_VIEW)), Interest()).shows(AccountResumed(account_id=HERE))


def test_a_denial_for_one_account_beats_a_right_everywhere() -> None:
    denied = somebody(may(Permission.MESSAGES_VIEW), may(Permission.MESSAGES_VIEW, HERE, allowed=False))
    assert not View(denied, Interest()).shows(DOUBLED)


@pytest.mark.parametrize(
    ("interest", "is_wanted"),
    [
        (Interest(), True),
        (Interest(accounts=frozenset({HERE})), True),
        (Interest(accounts=frozenset({THERE})), False),
        (Interest(conversations=frozenset({TALK})), True),
        (Interest(conversations=frozenset({ConversationId(uuid4())})), False),
        (Interest(accounts=frozenset({THERE}), conversations=frozenset({TALK})), False),
    ],
)
def test_only_what_is_wanted_is_shown(interest: Interest, *, is_wanted: bool) -> None:
    assert View(somebody(may(Permission.MESSAGES_VIEW)), interest).shows(DOUBLED) is is_wanted


def test_what_colleagues_do_is_for_those_who_asked_and_may_see_the_conversation() -> None:
    asks = Interest(presence=True)
    assert View(somebody(may(Permission.CONVERSATIONS_VIEW)), asks).hears(HERE, TALK)
    assert not View(somebody(may(Permission.CONVERSATIONS_VIEW)), Interest()).hears(HERE, TALK)
    assert not View(somebody(may(Permission.MESSAGES_VIEW)), asks).hears(HERE, TALK)


def test_every_kind_of_event_has_a_right() -> None:
    kinds = {str(kind.__struct_config__.tag) for kind in get_args(Event)}
    assert {kind.partition(".")[0] for kind in kinds} == set(SEEN_WITH)
