"""What an answer of the Graph API to a send means: the outcome classes R, P, F and U.

What a code means is said in `inbox.domain.graph_errors`; here answers are read, and judged where they hold no code.
"""

from collections.abc import Mapping
from typing import Final

from inbox.adapters.messaging.cloud_api.wire import Error, error_of
from inbox.domain.errors import InboxError
from inbox.domain.graph_error_rows import Verdict
from inbox.domain.graph_errors import find, judge, may_be_under_way
from inbox.domain.upstream_errors import AccountProblem, NothingSent, OutcomeUnknown, Refused, TryLater
from inbox.kit.redaction import scrub

_MAX_SAID: Final = 300
_NOT_OURS_TO_JUDGE: Final = frozenset({401, 403, 404, 407})
"""Without an error of the Graph API these come from a proxy or a wrong address: no fault of the message."""
_NUMBERS_OF_AN_OUTAGE: Final = 3


class NotTried(NothingSent):
    """Nothing was sent for a reason of our own, like no free connection: it says nothing about WhatsApp."""


class OfOneNumber(OutcomeUnknown):
    """An answer that leaves the outcome open, and that other numbers do not get: it says nothing about WhatsApp."""


class FileOfOneNumber(NothingSent):
    """Likewise, in answer to a file: it may be given once more."""


class Doubts:
    """Which numbers got answers that leave the outcome open, since WhatsApp last took a message of anybody.

    Codes 1 and 131000 come to one number in trouble, and to all while WhatsApp is.
    """

    def __init__(self) -> None:
        self._numbers: set[str] = set()

    def end(self) -> None:
        """WhatsApp took a message."""
        self._numbers.clear()

    def judged(self, error: InboxError, phone_number_id: str) -> InboxError:
        """`error`, as `OfOneNumber` where it speaks against the number alone."""
        if not isinstance(error, OutcomeUnknown) or error.graph_code is None:
            return error
        if len(self._numbers) < _NUMBERS_OF_AN_OUTAGE:
            self._numbers.add(phone_number_id)
        if len(self._numbers) == _NUMBERS_OF_AN_OUTAGE:
            return error
        return OfOneNumber(str(error), graph_code=error.graph_code)


def of_send(status: int, headers: Mapping[str, str], body: bytes) -> InboxError:
    """The error for an answer that is not 2xx."""
    error = error_of(body)
    retry_after = _seconds(headers.get("retry-after"))
    if status == 425:  # noqa: PLR2004 - Too Early: the server has not processed it
        return NothingSent("WhatsApp asks to send again later.", retry_after=retry_after)
    if error is None:
        return _without_graph_error(status, retry_after)
    return _of_code(error, status, retry_after)


def is_outage(error: Exception) -> bool | None:
    """True for what speaks against WhatsApp as a whole, and so moves the breaker; None for what says nothing about it.

    One account's bad token, a throttle, an upgrade of one number or a refused message show that it lives.
    """
    if isinstance(error, TryLater):
        return error.scope == "service"
    if isinstance(error, AccountProblem | Refused):
        return False
    if isinstance(error, NotTried | OfOneNumber | FileOfOneNumber):
        return None
    return True if isinstance(error, NothingSent | OutcomeUnknown) else None


def _without_graph_error(status: int, retry_after: float | None) -> InboxError:
    if status == 429:  # noqa: PLR2004
        return TryLater("number", retry_after=retry_after)
    if status in _NOT_OURS_TO_JUDGE:
        return AccountProblem(f"Something on the way to WhatsApp refuses the account's calls ({status}).")
    if 300 <= status < 400:  # noqa: PLR2004
        return AccountProblem(f"WhatsApp redirects ({status}): check the address of the Graph API.")
    if may_be_under_way(status):
        return OutcomeUnknown(f"WhatsApp answered {status} without an error of the Graph API.")
    return Refused(f"WhatsApp refused the message ({status}).")


def _of_code(error: Error, status: int, retry_after: float | None) -> InboxError:
    code = error.code or 0
    judged = judge(code, status=status, subcode=error.error_subcode)
    match judged.verdict:
        case Verdict.LATER:
            return TryLater(judged.scope, retry_after=retry_after, graph_code=code)
        case Verdict.ACCOUNT:
            row = find(code, error.error_subcode)
            said = row.sentence() if row else "WhatsApp refuse les appels du compte."
            return AccountProblem(f"{said} (code {code})", graph_code=code)
        case Verdict.UNKNOWN:
            return OutcomeUnknown(f"WhatsApp answered {status} with code {code}.", graph_code=code)
        case Verdict.REFUSED | Verdict.WINDOW:
            return Refused(words_of(error), graph_code=code)


def words_of(error: Error) -> str:
    """Meta's words, which may quote the request: people see them, so no token and no whole number.

    Of a code that has no row they are all that is known: the title as well as the details.
    """
    title, more = error.message or error.title or "", error.more or ""
    if find(error.code, error.error_subcode) is None and title:
        more = title if more in title else f"{title}: {more}"
    return scrub(more or title)[:_MAX_SAID]


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
