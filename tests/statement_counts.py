"""How many statements a piece of work costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

_IS_WORK: Final[ContextVar[bool]] = ContextVar("is_work", default=False)
"""Tasks that began before, the watchers of a process, do not have it."""


@contextmanager
def counting(engine: AsyncEngine | None = None) -> Iterator[list[str]]:
    """The statements that run on `engine` during the block, or those of the block itself on any engine.

    BEGIN and COMMIT are not among them.
    """
    target = Engine if engine is None else engine.sync_engine
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        if engine is not None or _IS_WORK.get():
            seen.append(statement)

    token = _IS_WORK.set(True)
    event.listen(target, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(target, "before_cursor_execute", note)
        _IS_WORK.reset(token)
