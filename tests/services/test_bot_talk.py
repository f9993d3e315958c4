"""What waits for the assistant, where a program speaks as well."""

from datetime import timedelta

from builders import NOON
from inbox.domain.ids import MessageId, uuid7
from inbox.domain.messages import Author
from inbox.ports.records import History
from inbox.services.bot_talk import Past, Unanswered, unanswered

HOUR, MINUTE = 3_600, 60


def customer(text: str, ago: float) -> History:
    return History(
        id=MessageId(uuid7()),
        is_inbound=True,
        author=None,
        content_text=text,
        content=None,
        at=NOON - timedelta(seconds=ago),
    )


def program(text: str, ago: float) -> History:
    return History(
        id=MessageId(uuid7()),
        is_inbound=False,
        author=Author.HUMAN,
        content_text=text,
        content=None,
        at=NOON - timedelta(seconds=ago),
        by_program=True,
    )


def waiting(*history: History) -> Unanswered:
    found = unanswered(Past(history=history, turns=(), epoch=0))
    assert found is not None
    return found


def texts(history: object) -> list[str]:
    return [message.content_text for message in history]  # type: ignore[attr-defined]


def test_what_a_program_answered_for_the_team_hours_ago_does_not_wait() -> None:
    old = [one for n in range(5) for one in (customer(f"q{n}", 5 * HOUR - n), program(f"a{n}", 5 * HOUR - n - 0.5))]
    found = waiting(*old, customer("Merci, et demain ?", 0))
    assert texts(found.waiting) == ["Merci, et demain ?"]
    assert texts(found.read) == [*texts(old), "Merci, et demain ?"]
    assert found.first_at == NOON


def test_what_a_program_sends_in_between_answers_nothing() -> None:
    found = waiting(customer("Bonjour", 2 * MINUTE), program("Rappel", MINUTE), customer("Alors ?", 0))
    assert texts(found.waiting) == ["Bonjour", "Alors ?"]
    assert texts(waiting(customer("Bonjour", HOUR), program("Rappel", 0)).waiting) == ["Bonjour"]


def test_who_wrote_hours_ago_without_an_answer_is_waited_for_when_they_write_again() -> None:
    found = waiting(customer("Vous êtes ouverts ?", 5 * HOUR), customer("Bonjour", 2), customer("Et demain ?", 0))
    assert texts(found.waiting) == ["Vous êtes ouverts ?", "Bonjour", "Et demain ?"]
    assert found.first_at == NOON - timedelta(seconds=2)
