"""What was committed against what each client heard. Pure: no clock, no connection."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias

import msgspec

Talk: TypeAlias = str
"""The id of a conversation."""


class Fault(StrEnum):
    MISSED = "missed"
    DOUBLED = "doubled"
    FOREIGN = "foreign"
    ORDER = "order_errors"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a client got it: the `number` of the change in its conversation, from 1."""

    account: str
    talk: Talk
    number: int


def compared(
    changes: Mapping[Talk, int], of: Mapping[Talk, str], may: frozenset[str], heard: Sequence[Heard]
) -> Counter[Fault]:
    """The faults of one client.

    `changes` is how many changes of each conversation were committed, `of` the account of each conversation, `may` the
    accounts that the client may see. What was rolled back has no number: the next change gets it.
    """
    faults: Counter[Fault] = Counter()
    by_talk: dict[Talk, list[int]] = {}
    for one in heard:
        if one.account not in may or of.get(one.talk) != one.account:
            faults[Fault.FOREIGN] += 1
        else:
            by_talk.setdefault(one.talk, []).append(one.number)
    for talk, account in of.items():
        if account not in may:
            continue
        numbers = by_talk.get(talk, [])
        seen = Counter(numbers)
        faults[Fault.MISSED] += sum(number not in seen for number in range(1, changes.get(talk, 0) + 1))
        faults[Fault.DOUBLED] += sum(count - 1 for count in seen.values())
        faults[Fault.FOREIGN] += sum(not 1 <= number <= changes.get(talk, 0) for number in seen)
        firsts = list(dict.fromkeys(numbers))
        faults[Fault.ORDER] += sum(later < earlier for earlier, later in pairwise(firsts))
    return +faults
