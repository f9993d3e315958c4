"""The page for people says what the table says, and the table explains words that exist."""

from architecture.error_page import PAGE, rows
from inbox.domain.errors import InboxError
from inbox.domain.failure_texts import WORDS
from inbox.domain.outbound import State, Step

STATES = {"overtaken", "paused", "unsupported_media_type"}
"""Words that are neither a code nor a state: why the bot's message was given up, why messages wait, the framework's."""


def codes(error: type[InboxError]) -> set[str]:
    return {getattr(error, "code", "")}.union(*(codes(child) for child in error.__subclasses__()))


def test_the_page_holds_the_lines_of_the_table_in_order():
    assert [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")] == rows()


def test_each_word_that_is_explained_exists():
    assert not WORDS.keys() - codes(InboxError) - {*State, *Step} - STATES
