"""The public keys that verify access tokens, remembered for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import jwt

from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import IdentityUnreachable

FRESH_FOR: Final = 300.0
"""Seconds for which a set of keys is used without asking again."""
REPLACED_AFTER: Final = 600.0
"""Seconds after which a set is used only if it cannot be replaced. Providers rotate keys on this assumption."""
STALE_FOR: Final = 3600.0
"""Seconds after which a set is not used any more, come what may."""
COOLDOWN: Final = 10.0
"""Seconds between two questions: unknown key ids must not become a lever against the provider."""
_EMPTY_COOLDOWN: Final = 1.0


class KeyRing:
    """Keys by key id. A new set replaces the old one whole, so that a revoked key is gone with the next set.

    Asks once however many wait, and in the background while the keys at hand are good enough.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Mapping[str, jwt.PyJWK]]], *, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        """`fetch` gets the current set, bounded in time, and raises errors that a message alone can make."""
        self._fetch = fetch
        self._ticks = ticks
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failure: InboxError | None = None
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        """True if the last answer had no usable key, or if there was no answer yet."""
        return not self._keys

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key; None if the provider does not know it. Raises what `fetch` raises if nobody can say."""
        age = self._ticks() - self._fetched_at
        key = self._known(kid)
        refreshing = self._refresh() if key is None or age >= FRESH_FOR else None
        # Who holds a key does not wait for a provider that failed to answer a moment ago.
        is_worth_waiting = key is None or (age >= REPLACED_AFTER and self._failure is None)
        if refreshing is not None and is_worth_waiting:
            await asyncio.shield(refreshing)
            key = self._known(kid)
        if key is None and (self._failure is not None or self._ticks() - self._fetched_at >= STALE_FOR):
            raise self._fresh_failure()
        return key

    def expect_change(self) -> None:
        """The keys have just changed: the next unknown key id may ask at once."""
        self._tried_at = float("-inf")

    async def aclose(self) -> None:
        """Ends a question that is under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])

    def _refresh(self) -> asyncio.Task[None] | None:
        """The question under way, started unless it is too early; None if it is too early."""
        if self._refreshing is not None:
            return self._refreshing
        now = self._ticks()
        is_usable = bool(self._keys) and now - self._fetched_at < STALE_FOR
        if now - self._tried_at < (COOLDOWN if is_usable else _EMPTY_COOLDOWN):
            return None
        self._tried_at = now
        self._refreshing = asyncio.create_task(self._load(now))
        return self._refreshing

    def _known(self, kid: str) -> jwt.PyJWK | None:
        return self._keys.get(kid) if self._ticks() - self._fetched_at < STALE_FOR else None

    def _fresh_failure(self) -> InboxError:
        """A copy of the last failure: one shared object would collect the tracebacks of all who met it."""
        if self._failure is None:
            return IdentityUnreachable("The keys could not be read.")
        return type(self._failure)(str(self._failure), retry_after=self._failure.retry_after)

    async def _load(self, now: float) -> None:
        try:
            self._keys = await self._fetch()
            self._fetched_at = now
            self._failure = None
        except InboxError as error:
            # Kept for those who find no key; the others go on with the keys at hand. The caller's guard reports it.
            self._failure = error
        finally:
            self._refreshing = None
