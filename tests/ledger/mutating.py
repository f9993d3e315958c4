"""How a broken variant of our code is made: it is put around the real parts when a process starts.

Nothing of it is in the product.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from dishka import Provider, Scope, decorate

from inbox.ports.database import Database
from inbox.ports.messaging import Sender, WebhookCodec

F = TypeVar("F", bound=StrEnum)
Wrap: TypeAlias = Callable[[Any], Any]
SOUND: Final = "sound"
"""Our code as it is. Scenarios are played with it as well, and then nothing may be wrong."""


def _as_it_is(inner: Any) -> Any:  # noqa: ANN401 - any part
    return inner


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What is put around each part. `schema` is what the database lacks."""

    database: Wrap = _as_it_is
    codec: Wrap = _as_it_is
    sender: Wrap = _as_it_is
    schema: str = ""


class Mutant(Parts, Generic[F], frozen=True, kw_only=True):
    """`fault` is what the comparison has to find."""

    fault: F


class Around:
    """The real thing, but for what a subclass says."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any part
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any part
        return getattr(self._inner, name)


class AroundDatabase(Around):
    """Transactions, deliveries and the outbox pass through the functions that are named after them."""

    def __init__(
        self,
        inner: Any,  # noqa: ANN401 - any database
        *,
        transaction_of: Wrap = _as_it_is,
        deliveries_of: Wrap = _as_it_is,
        outbox_of: Wrap = _as_it_is,
    ) -> None:
        super().__init__(inner)
        self.deliveries = deliveries_of(inner.deliveries)
        self.outbox = outbox_of(inner.outbox)
        self._transaction_of = transaction_of

    @asynccontextmanager
    async def transaction(self, *, within: float = 5.0) -> AsyncIterator[Any]:
        async with self._inner.transaction(within=within) as tx:
            yield self._transaction_of(tx)


class Mutation(Provider):
    """Puts a mutant around what the other providers give; and around the database, within it, also `stops`."""

    scope = Scope.APP

    def __init__(self, parts: Parts, stops: Wrap | None) -> None:
        super().__init__()
        self._parts = parts
        self._stops = stops or _as_it_is

    @decorate
    def database(self, inner: Database) -> Database:
        database: Database = self._stops(self._parts.database(inner))
        return database

    @decorate
    def codec(self, inner: WebhookCodec) -> WebhookCodec:
        codec: WebhookCodec = self._parts.codec(inner)
        return codec

    @decorate
    def sender(self, inner: Sender) -> Sender:
        sender: Sender = self._parts.sender(inner)
        return sender


def stand_still() -> None:
    """This process, like one that the machine forgot, until somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def under(part: Any, name: str) -> Any:  # noqa: ANN401 - of whatever stands around the real one
    """The private field of the real part that others stand around."""
    while name not in vars(part):
        part = vars(part)["_inner"]
    return vars(part)[name]
