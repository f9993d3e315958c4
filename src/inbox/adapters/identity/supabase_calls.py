"""How Supabase Auth is asked, and what its silence means: never that a token is bad."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from inbox.domain.errors import CircuitOpen, InboxError
from inbox.domain.upstream_errors import IdentityDown, IdentityTimeout, IdentityUnreachable
from inbox.kit.http import ApiClient, CallFailed, Reach, Reply
from inbox.kit.resilience import Guard

T = TypeVar("T")

_OK: Final = 200
_TIMEOUTS: Final = frozenset({"connect_timeout", "read_timeout", "pool_timeout"})


async def ask(
    api: ApiClient, guard: Guard, path: str, read: Callable[[Reply], T], *, headers: Mapping[str, str] | None = None
) -> T:
    """What `read` makes of the answer to one GET.

    Raises `IdentityDown` without a connection and while the circuit is open, `IdentityTimeout`, `IdentityUnreachable`
    for an answer that breaks off, and what `read` raises.
    """

    async def attempt() -> T:
        try:
            reply = await api.call("GET", path, headers=headers)
        except CallFailed as error:
            raise _failure(error) from error
        return read(reply)

    try:
        return await guard.call(attempt, on_timeout=_timed_out)
    except CircuitOpen as error:
        message = "Supabase Auth failed too often; it is not asked for a while."
        raise IdentityDown(message, retry_after=error.retry_after) from None


async def probe(api: ApiClient, path: str, *, headers: Mapping[str, str] | None = None) -> bool:
    """One GET past the guard. Raises what `ask` raises, but for an open circuit."""
    try:
        reply = await api.call("GET", path, headers=headers)
    except CallFailed as error:
        raise _failure(error) from error
    if reply.status != _OK:
        raise IdentityUnreachable(f"Supabase Auth answered {reply.status}.")
    return True


def _failure(error: CallFailed) -> InboxError:
    if error.reason in _TIMEOUTS:
        return _timed_out()
    if error.reach is Reach.ANSWERED:
        return IdentityUnreachable("The answer of Supabase Auth broke off.")
    return IdentityDown("Supabase Auth could not be reached.")


def _timed_out() -> IdentityTimeout:
    return IdentityTimeout("Supabase Auth did not answer in time.")
