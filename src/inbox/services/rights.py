"""What callers may do, remembered only while nothing can have changed it.

A right is read from the database unless this process knows, not older than `RIGHTS_SECONDS`, that no right was changed
anywhere: it looks at one number every now and then. Signals make that faster, the look makes it certain.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Final

from inbox.domain.access import Actor, ActorKind, Permission, Subject
from inbox.domain.errors import AccountNotFound, InboxError, PermissionDenied, UserNotFound
from inbox.domain.ids import AccountId
from inbox.ports.cache import Cache
from inbox.ports.database import Database, Transaction
from inbox.ports.team import RIGHTS_SECONDS
from inbox.ports.views import Me

RIGHTS_TAG: Final = "rights"
"""On whatever is remembered of rights, and of the accounts that they name: forgotten by `Rights.changed`."""
_KEPT_SECONDS: Final = 120.0
_LOOK_EVERY: Final = 0.4
_SURE_FOR: Final = RIGHTS_SECONDS - 0.1
"""Counted from the beginning of a look; the rest is for the request that relies on it."""


class Rights:
    """One per process."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache
        self._version = 0
        self._sure_until = 0.0

    async def actor(self, subject: Subject) -> Actor | None:
        """The caller; None for a person without a row."""

        async def load() -> Actor:
            actor = await self._database.team.actor(subject)
            if actor is None:
                raise UserNotFound  # an absence is not remembered: the first sign-in ends it
            return actor

        try:
            if not self.is_sure():
                return await load()
            return await self._cache.fetch(
                f"actor:{self._version}:{subject.kind}:{subject.user_id}", load, tags=[RIGHTS_TAG], ttl=_KEPT_SECONDS
            )
        except UserNotFound:
            return None

    async def me(self, actor: Actor) -> Me:
        """What front ends show of the caller. Raises `UserNotFound`."""

        async def load() -> Me:
            return await self._database.team.me(actor)

        if not self.is_sure():
            return await load()
        return await self._cache.fetch(
            f"me:{self._version}:{actor.kind}:{actor.user_id}", load, tags=[RIGHTS_TAG], ttl=_KEPT_SECONDS
        )

    async def changed(self) -> None:
        """To be called after a transaction that changed rights: the next request sees them, here and elsewhere."""
        await self._cache.forget(RIGHTS_TAG)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Looks for changes while the block runs; outside of it nothing is remembered."""
        stop = asyncio.Event()
        # A context of its own: whoever comes first must not lend this task their request id.
        task = asyncio.create_task(self._watch(stop), context=Context())
        try:
            yield
        finally:
            # Not cancelled: a driver that is interrupted may report a failure instead. A look ends by itself soon.
            stop.set()
            await task

    async def _watch(self, stop: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        while not stop.is_set():
            begun = clock()
            try:
                self._version = await self._database.team.rights_version()
            except InboxError:
                pass  # what is remembered ends by itself; requests meet the database themselves then
            else:
                self._sure_until = begun + _SURE_FOR
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await stop.wait()

    def is_sure(self) -> bool:
        """True while what is remembered may be used."""
        return asyncio.get_running_loop().time() < self._sure_until


async def require_at(database: Database, actor: Actor, code: Permission, account_id: AccountId) -> None:
    """For calls about an account that the caller names.

    Raises `AccountNotFound` for one that is missing or not known to the caller, else `PermissionDenied` without `code`.
    """
    try:
        actor.require(code, account_id, AccountNotFound)
    except PermissionDenied:
        # Who holds another code everywhere "knows" every account, also one that does not exist.
        if not await database.queries.account_exists(account_id):
            raise AccountNotFound from None
        raise


async def changing_rights(tx: Transaction, actor: Actor, *codes: Permission) -> Actor:
    """The caller as they are now. The first call of a transaction that changes what people may do: one at a time.

    What a request knows of its caller may be a second old: long enough for somebody whose rights were just taken away
    to give them back to themselves. Raises `PermissionDenied` unless all `codes` are still held, and for programs.
    """
    await tx.change_rights()
    if actor.kind is ActorKind.SYSTEM:
        return actor
    is_person = actor.kind is ActorKind.PERSON
    now = await tx.members.actor(actor.user_id) if is_person else None
    if now is None or not now.is_active:
        raise PermissionDenied
    now.require_everywhere(*codes)
    return now
