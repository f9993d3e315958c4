"""What a run says: so many conversations, and in each of them so many messages, one after the other.

Which message it is stands in its text, so what a customer received can be held against what was asked without asking
the service anything.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from crash.stage import NUMBER, NUMBER_ID

FIRST_CUSTOMER: Final = 33_700_000_000
_UNREACHABLE: Final = 40
"""Each so many-th customer has no WhatsApp: the message is accepted, and some time later it has failed."""
_TEXT: Final = re.compile(r"Message (\d+) de la conversation (\d+)\.")


class Number(NamedTuple):
    """A number of ours; each has an account of its own."""

    id: str
    digits: str


NUMBERS: Final = (
    Number(NUMBER_ID, NUMBER),
    *(Number(str(900_555_000_222_000 + n), str(33_465_720_000 + n)) for n in range(1, 4)),
)


class Said(NamedTuple):
    """A message: the conversation, and its place there from 0."""

    conversation: int
    place: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much is said."""

    seed: int
    sends: int
    conversations: int

    @property
    def numbers(self) -> Sequence[Number]:
        """Those that are used."""
        return NUMBERS[: self.conversations]

    def length(self, conversation: int) -> int:
        """How many messages are said there."""
        each, more = divmod(self.sends, self.conversations)
        return each + (conversation < more)

    def number(self, conversation: int) -> Number:
        return NUMBERS[conversation % len(NUMBERS)]

    def customer(self, conversation: int) -> str:
        return str(FIRST_CUSTOMER + conversation)

    def is_unreachable(self, conversation: int) -> bool:
        return conversation % _UNREACHABLE == _UNREACHABLE - 1

    def key(self, said: Said) -> str:
        """The idempotency key."""
        return f"{self.seed}-{said.conversation}-{said.place}"


def text_of(said: Said) -> str:
    return f"Message {said.place} de la conversation {said.conversation}."


def said_in(text: str) -> Said | None:
    """None for a text of somebody else."""
    found = _TEXT.fullmatch(text)
    return Said(int(found[2]), int(found[1])) if found else None
