"""The bus between processes over Redis (or Valkey) publish and subscribe.

One connection listens and one tells. Letters are sealed with the installation's key and go to a channel named by it:
who gets at Redis can neither read nor forge one, and installations that share it do not meet. Nothing is stored.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from inbox.adapters.events.letters import Letters
from inbox.adapters.events.lines import Lines, Patience
from inbox.domain.errors import SecretUnreadable
from inbox.domain.signals import Signal
from inbox.kit.sealing import Sealer
from inbox.ports.events import Wanted

_MOST_BYTES: Final = 16 * 1024
"""Some hundred signals: no letter alone fills the queue of a subscriber."""
_BROKEN: Final = (OSError, RedisError, TimeoutError)
_TABLE: Final = "bus"
_COLUMN: Final = "letter"


class RedisEvents:
    """Hints through a Redis that all processes share."""

    def __init__(
        self,
        url: str,
        sealer: Sealer,
        *,
        on_change: Callable[[bool], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        """`on_change` hears whether the others are reached, at each change.

        Raises ValueError, without the value, for options of the URL that redis-py does not take.
        """
        self._url = url
        self._sealer = sealer
        self._channels = [f"inbox:signals:{name.hex()[:32]}" for name in sealer.digests("signals", "bus")]
        """Of all keys, newest first: while keys are rotated a process may still seal with an older one."""
        self._patience = patience or Patience()
        self._letters = Letters(most_bytes=_MOST_BYTES)
        self._lines = Lines("redis", self._connected, _BROKEN, on_change=on_change, patience=self._patience)
        try:
            pool = self._client().connection_pool
            pool.connection_class(**pool.connection_kwargs)  # opens nothing
        except (TypeError, ValueError, RedisError):
            raise ValueError("an option of the address cannot be used") from None

    def publish(self, *signals: Signal) -> None:
        self._letters.publish(*signals)

    def subscribe(self, wanted: Wanted | None = None) -> AbstractAsyncContextManager[AsyncIterator[Signal]]:
        return self._letters.subscribe(wanted)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connects to the others while the block runs."""
        async with self._lines.running(self._listen, self._tell):
            yield

    def _client(self) -> Redis:
        """It repeats nothing by itself: a gap must be seen."""
        return Redis.from_url(
            self._url,
            protocol=2,
            retry=Retry(NoBackoff(), 0, supported_errors=()),
            socket_timeout=None,
            socket_connect_timeout=self._patience.answer,
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Redis]:
        """Connects with the first command, which has the same time for both."""
        redis = self._client()
        try:
            yield redis
        finally:
            with suppress(*_BROKEN):
                await redis.aclose()

    async def _listen(self, redis: Redis, works: Callable[[], None]) -> None:
        async with redis.pubsub() as pubsub:
            async with asyncio.timeout(self._patience.answer):
                await pubsub.subscribe(*self._channels)
                for _ in self._channels:
                    await pubsub.get_message(timeout=None)
            self._letters.missed()  # after SUBSCRIBE: what was missed before it is looked for now
            works()
            while True:
                await self._hear(pubsub)

    async def _hear(self, pubsub: PubSub) -> None:
        """What Redis says next, if only because it was asked."""
        message = await pubsub.get_message(timeout=self._patience.silence)
        if message is None:
            async with asyncio.timeout(self._patience.answer):
                await pubsub.ping()
                message = await pubsub.get_message(timeout=None)
        if message["type"] == "message":
            self._received(message["data"])
            await asyncio.sleep(0)  # subscribers keep up with what is read already

    def _received(self, envelope: bytes) -> None:
        try:
            letter = self._sealer.open(envelope, table=_TABLE, column=_COLUMN, row_id="")
        except SecretUnreadable:  # by somebody without the key, or with a newer one
            self._letters.missed()
            return
        self._letters.received(letter)

    async def _tell(self, redis: Redis, works: Callable[[], None]) -> None:
        await self._publish(redis, [])
        works()
        while True:
            letters = await self._letters.outgoing(within=self._patience.silence)
            try:
                await self._publish(redis, letters)
            except _BROKEN:
                if letters:
                    self._letters.lost()
                raise

    async def _publish(self, redis: Redis, letters: Sequence[str]) -> None:
        """In one round trip. Without letters an empty one: it shows that Redis lives and takes letters from us."""
        async with asyncio.timeout(self._patience.answer), redis.pipeline(transaction=False) as pipeline:
            for letter in letters or [self._letters.empty()]:
                envelope = self._sealer.seal(letter, table=_TABLE, column=_COLUMN, row_id="")
                pipeline.publish(self._channels[0], envelope)
            await pipeline.execute()
