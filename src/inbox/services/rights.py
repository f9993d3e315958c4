"""What callers may do, and what else is remembered, only while nothing can have changed it.

Rights, accounts and the assistant's profiles are read from the database unless this process knows, not older than
`RIGHTS_SECONDS`, that none of them was changed anywhere: it looks at one number every now and then. Signals make that
faster, the look makes it certain. Who changes something is answered only when nobody can answer from the old state.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Final, TypeVar

from inbox.domain.access import Actor, ActorKind, Permission, Subject
from inbox.domain.accounts import Channel
from inbox.domain.errors import (
    AccountNotFound,
    CommitUnknown,
    ConversationNotFound,
    InboxError,
    PermissionDenied,
    UserNotFound,
)
from inbox.domain.ids import AccountId, ConversationId
from inbox.ports.cache import Cache
from inbox.ports.database import Database, Transaction
from inbox.ports.monitoring import Peers
from inbox.ports.records import Owner
from inbox.ports.team import RIGHTS_SECONDS
from inbox.ports.views import Me

T = TypeVar("T")

RIGHTS_TAG: Final = "rights"
"""On whatever is remembered here: forgotten by `Rights.changing`."""
_ME_SECONDS: Final = 120.0
_ACCOUNT_SECONDS: Final = 60.0
_CONVERSATION_SECONDS: Final = 60.0
_LOOK_EVERY: Final = 0.4
_SURE_FOR: Final = RIGHTS_SECONDS - 0.1
"""Counted from the beginning of a look; the rest is for the request that relies on it."""


class Rights:
    """One per process."""

    def __init__(
        self,
        database: Database,
        cache: Cache,
        peers: Peers | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Without `peers` nobody knows of this process: it remembers nothing, and waits after each of its changes.

        `clock` in seconds, never set back.
        """
        self._database = database
        self._cache = cache
        self._peers = peers
        self._clock = clock
        self._sleep = sleep
        self._version = 0
        self._sure_until = 0.0

    # --- reading ------------------------------------------------------------------------------------------------------

    async def actor(self, subject: Subject) -> Actor | None:
        """The caller; None for a person without a row."""

        async def load() -> Actor:
            actor = await self._database.team.actor(subject)
            if actor is None:
                raise UserNotFound  # an absence is not remembered: the first sign-in ends it
            return actor

        try:
            return await self.remembered("actor", f"{subject.kind}:{subject.user_id}", load, ttl=_ME_SECONDS)
        except UserNotFound:
            return None

    async def me(self, actor: Actor) -> Me:
        """What front ends show of the caller. Raises `UserNotFound`."""

        async def load() -> Me:
            return await self._database.team.me(actor)

        return await self.remembered("me", f"{actor.kind}:{actor.user_id}", load, ttl=_ME_SECONDS)

    async def channel(self, account_id: AccountId) -> Channel:
        """How the account is reached at WhatsApp. Raises `AccountNotFound`, `SecretUnreadable`."""

        async def load() -> Channel:
            async with self._database.transaction() as tx:
                return await tx.accounts.channel(account_id)

        return await self.remembered("account", account_id, load, ttl=_ACCOUNT_SECONDS)

    async def require_account(self, account_id: AccountId) -> None:
        """Raises `AccountNotFound` if there is no such account, active or not."""

        async def load() -> bool:
            if not await self._database.queries.account_exists(account_id):
                raise AccountNotFound
            return True

        await self.remembered("account", f"{account_id}:exists", load, ttl=_ACCOUNT_SECONDS)

    async def require_accounts(self, account_ids: Collection[AccountId]) -> None:
        """One statement for all of them; a single one may be remembered. Raises `AccountNotFound` if one is missing."""
        if len(account_ids) > 1:
            if not (await self._database.queries.existing_accounts(account_ids)).issuperset(account_ids):
                raise AccountNotFound
            return
        for account_id in account_ids:
            await self.require_account(account_id)

    async def account_of(self, actor: Actor, conversation_id: ConversationId) -> AccountId:
        """To which account a conversation belongs, which never changes.

        Raises `ConversationNotFound`, also if the caller may not know of that account.
        """
        is_read = False

        async def load() -> Owner:
            nonlocal is_read
            is_read = True
            owner = await self._database.queries.owner_of_conversation(conversation_id)
            if owner is None:
                raise ConversationNotFound
            return owner

        owner = await self.remembered("conversation", conversation_id, load, ttl=_CONVERSATION_SECONDS)
        if not actor.knows(owner.account_id):
            if not is_read:
                await load()  # what is foreign costs as much as what is missing: else the time would tell them apart
            raise ConversationNotFound
        return owner.account_id

    async def require_conversations(self, actor: Actor, conversation_ids: Collection[ConversationId]) -> None:
        """One statement for all of them. Raises `ConversationNotFound` if the caller may not know of one of them."""
        if not conversation_ids:
            return
        owners = await self._database.queries.owners_of(conversation_ids)
        known = {owner.conversation_id for owner in owners if actor.knows(owner.account_id)}
        if not known.issuperset(conversation_ids):
            raise ConversationNotFound

    async def remembered(self, family: str, key: object, load: Callable[[], Awaitable[T]], *, ttl: float) -> T:
        """What `load` reads of the database, `ttl` seconds long, and never after a change of it was answered.

        `load` reads only what `changing` surrounds, or what never changes, and raises what must not be remembered, an
        absence for one. The value is immutable and may be secret: it stays in this process. Not to be called within a
        transaction.
        """
        if not self.is_sure():
            return await load()
        # Whoever knows of a newer version finds nothing under the older one, not even a load that is under way.
        return await self._cache.fetch(f"{family}:{key}@{self._version}", load, tags=[RIGHTS_TAG], ttl=ttl)

    def is_sure(self) -> bool:
        """True while what is remembered may be used."""
        return self._clock() < self._sure_until

    # --- changing -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Around a transaction that begins with `change_rights`. After it everybody reads what was written.

        A block that fails changed nothing, and nobody waits; unless one cannot know that.
        """
        try:
            yield
        except (CommitUnknown, asyncio.CancelledError):
            await self._forget()
            raise
        await self.changed()

    async def changed(self) -> None:
        """The end of `changing`: to be called after the commit, outside of any transaction.

        This process forgets, also if the caller is gone. Another one that lives has looked again, or stopped believing
        what it remembers, when `RIGHTS_SECONDS` are over: signals that get lost make no difference.
        """
        committed = self._clock()
        await self._forget()
        if await self._is_remembered_elsewhere():
            await self._sleep(max(0.0, committed + RIGHTS_SECONDS - self._clock()))

    async def _forget(self) -> None:
        task = asyncio.create_task(self._cache.forget(RIGHTS_TAG))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await task
            raise

    async def _is_remembered_elsewhere(self) -> bool:
        this = self._peers.id if self._peers else None
        try:
            return await self._database.operations.has_others(this)
        except InboxError:
            return True  # nobody knows: waiting is always right

    # --- looking ------------------------------------------------------------------------------------------------------

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
        while not stop.is_set():
            begun = self._clock()
            # Before the look: whoever changes something after it must find this process among those who live.
            is_counted = self._peers is not None and self._peers.is_counted()
            try:
                self._version = await self._database.team.rights_version()
            except InboxError:
                pass  # what is remembered ends by itself; requests meet the database themselves then
            else:
                self._sure_until = begun + _SURE_FOR if is_counted else 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await stop.wait()


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
