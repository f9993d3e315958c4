"""What an answer of the Graph API to a send means: the outcome classes R, P, F and U.

The table follows Meta's error codes; the cautious cases (1, 131000, any 5xx that the table does not name) are unknown:
the message may be on its way.
"""

from collections.abc import Mapping
from typing import Final

from inbox.adapters.messaging.cloud_api.wire import Error, error_of
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import AccountProblem, NothingSent, OutcomeUnknown, Refused, TryLater
from inbox.kit.redaction import scrub

_THROTTLES: Final[Mapping[int, str]] = {4: "app", 80007: "waba", 130429: "number", 131056: "pair"}
_BUSY: Final = frozenset({2, 131016, 131057, 133004})
_SOMETHING_WENT_WRONG: Final = frozenset({1, 131000})
_ACCOUNT: Final = frozenset({0, 3, 10, 33, 104, 190, 368, 131005, 131031, 131037, 131042, 131045, 133010})
_PERMISSIONS: Final = range(200, 300)
_UNKNOWN_OBJECT: Final = 33
"""Subcode under code 100: the phone number id does not exist or the token has no right on it."""


_MAX_TITLE: Final = 300
_NOT_OURS_TO_JUDGE: Final = frozenset({401, 403, 404, 407})
"""Without an error of the Graph API these come from a proxy or a wrong address: no fault of the message."""


class NotTried(NothingSent):
    """Nothing was sent for a reason of our own, like no free connection: it says nothing about WhatsApp."""


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
    """True for what speaks against WhatsApp as a whole, and so moves the breaker; None for what WhatsApp never saw.

    One account's bad token, a throttle or a refused message show that it lives.
    """
    if isinstance(error, TryLater):
        return error.scope == "service"
    if isinstance(error, AccountProblem | Refused):
        return False
    is_tried = isinstance(error, NothingSent | OutcomeUnknown) and not isinstance(error, NotTried)
    return True if is_tried else None


def _without_graph_error(status: int, retry_after: float | None) -> InboxError:
    if status == 429:  # noqa: PLR2004
        return TryLater("number", retry_after=retry_after)
    if status in _NOT_OURS_TO_JUDGE:
        return AccountProblem(f"Something on the way to WhatsApp refuses the account's calls ({status}).")
    if 300 <= status < 400:  # noqa: PLR2004
        return AccountProblem(f"WhatsApp redirects ({status}): check the address of the Graph API.")
    if _may_be_under_way(status):
        return OutcomeUnknown(f"WhatsApp answered {status} without an error of the Graph API.")
    return Refused(f"WhatsApp refused the message ({status}).")


def _of_code(error: Error, status: int, retry_after: float | None) -> InboxError:
    code = error.code
    if code in _THROTTLES or status == 429:  # noqa: PLR2004
        return TryLater(_THROTTLES.get(code or 0, "number"), retry_after=retry_after, graph_code=code)
    if code in _BUSY:
        return TryLater("service", retry_after=retry_after, graph_code=code)
    if code in _SOMETHING_WENT_WRONG:
        return OutcomeUnknown(f"WhatsApp answered code {code}.", graph_code=code)
    if _is_about_the_account(error, status):
        return AccountProblem(f"WhatsApp refuses the account's calls (code {code}).", graph_code=code)
    if _may_be_under_way(status):
        return OutcomeUnknown(f"WhatsApp answered {status} with code {code}.", graph_code=code)
    return Refused(_title(error), graph_code=code)


def _may_be_under_way(status: int) -> bool:
    return status >= 500 or status == 408  # noqa: PLR2004 - Request Timeout: some of it was read


def _is_about_the_account(error: Error, status: int) -> bool:
    code = error.code
    unknown_number = code == 100 and error.error_subcode == _UNKNOWN_OBJECT  # noqa: PLR2004
    return code in _ACCOUNT or code in _PERMISSIONS or status == 401 or unknown_number  # noqa: PLR2004


def _title(error: Error) -> str:
    """Meta's words, which may quote the request: people see them, so no token and no whole number."""
    return scrub(error.more or error.message or error.title or "WhatsApp refused the message.")[:_MAX_TITLE]


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
