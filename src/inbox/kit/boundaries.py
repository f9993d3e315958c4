"""Where a transaction is open, nothing remote may be called.

A lock that waits for somebody else's network is an outage of ours. The database adapter marks its blocks, `Guard`
refuses to call inside one. The mark is a context variable: it follows child tasks, so coalescers, tailers and pumps are
started by main and never from inside a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_open: ContextVar[bool] = ContextVar("inbox_transaction_is_open", default=False)


@contextmanager
def inside_transaction() -> Iterator[None]:
    """Mark this task, and tasks born inside the block, as inside a transaction."""
    token = _is_open.set(True)
    try:
        yield
    finally:
        _is_open.reset(token)


def forbid_open_transaction() -> None:
    """Raise RuntimeError inside a transaction: the caller is about to wait for another service."""
    if _is_open.get():
        raise RuntimeError("a remote call was tried inside an open database transaction")
