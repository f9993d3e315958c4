"""Meta's error codes: one table for what a code means, what becomes of the send, and what people read.

A code that has no row falls to its family, else to the HTTP status of the answer: see `judge`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from inbox.domain.explanations import Language
from inbox.domain.graph_error_messages import MESSAGE_ROWS, REJECTED
from inbox.domain.graph_error_rows import ACCOUNT_ROWS, GraphError, Verdict, by_code

GRAPH_ERRORS: Final[Mapping[int, GraphError]] = by_code(*ACCOUNT_ROWS, *MESSAGE_ROWS)
"""By code. Codes of rules for templates come as subcodes of 100."""

FAMILIES: Final[Mapping[range, Verdict]] = {
    range(200, 300): Verdict.ACCOUNT,
    range(133000, 134000): Verdict.ACCOUNT,
}
"""Codes without a row whose number says what they are about: rights, and the registration of the number."""

WINDOW_CODES: Final = tuple(code for code, row in GRAPH_ERRORS.items() if row.verdict is Verdict.WINDOW)
"""The customer service window was closed. 470 is that of earlier versions."""

STOPPING: Final = frozenset({131048})
"""Refusals after which the account is paused as well: the spam limit would refuse whatever follows."""

_INVALID: Final = 100
_TOO_MANY: Final = 429
_UNAUTHORIZED: Final = 401
_REQUEST_TIMEOUT: Final = 408
_MAX_SAID: Final = 300


class Judgement(msgspec.Struct, frozen=True):
    """What an answer means for the send. `scope` is what has to wait if it is `later`."""

    verdict: Verdict
    scope: str = "number"


def find(code: int | None, subcode: int | None = None) -> GraphError | None:
    """The row of a code; that of the subcode where 100 alone says nothing. None for a code that has none."""
    said = telling(code, subcode)
    return None if said is None else GRAPH_ERRORS.get(said)


def telling(code: int | None, subcode: int | None) -> int | None:
    """That of the two which says more: the subcode where 100 alone says nothing."""
    return subcode if code == _INVALID and subcode in GRAPH_ERRORS else code


def judge(code: int, *, status: int, subcode: int | None = None) -> Judgement:
    """What an error of the Graph API in answer to a send means.

    HTTP 429 is a throttle whatever the code is; a code that refuses the message counts only if the HTTP status does not
    leave open whether the message is under way.
    """
    row = find(code, subcode)
    verdict = row.verdict if row else next((one for codes, one in FAMILIES.items() if code in codes), None)
    scope = row.scope if row else None
    if status == _TOO_MANY:
        return Judgement(Verdict.LATER, scope if scope and scope != "service" else "number")
    if verdict is Verdict.LATER and scope is not None:
        return Judgement(verdict, scope)
    if verdict in (Verdict.UNKNOWN, Verdict.ACCOUNT):
        return Judgement(verdict)
    if status == _UNAUTHORIZED:
        return Judgement(Verdict.ACCOUNT)
    return Judgement(Verdict.UNKNOWN if may_be_under_way(status) else verdict or Verdict.REFUSED)


def may_be_under_way(status: int) -> bool:
    """True for an HTTP status after which the message may have been taken: part of it was read at least."""
    return status >= 500 or status == _REQUEST_TIMEOUT  # noqa: PLR2004


def sentence(code: int | None, said: str) -> str:
    """What a failed message shows: the table's words and the next step, and what WhatsApp `said` if that says more."""
    row = find(code)
    shown = (row or REJECTED).sentence()
    says_more = row is None or row.says_more
    return f"{shown} ({said[:_MAX_SAID]})" if says_more and said else shown


def words_in(code: int | None, shown: str) -> str:
    """What WhatsApp said, out of what `sentence` made of it; empty if nothing of it is there."""
    begin = f"{sentence(code, '')} ("
    return shown[len(begin) : -1] if shown.startswith(begin) and shown.endswith(")") else ""


SENTENCES: Final[Mapping[int, str]] = {code: row.sentence(Language.FRENCH) for code, row in GRAPH_ERRORS.items()}
"""What `sentence` says of each code, without what may follow."""
OPEN_ENDED: Final = frozenset(code for code, row in GRAPH_ERRORS.items() if row.says_more)
"""Codes of which WhatsApp's own words say more."""
