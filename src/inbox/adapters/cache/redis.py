"""Redis (or Valkey) as the tier that all processes share.

Its word alone counts for nothing: an entry is used only if its load began after every forgetting that this process
knows of, its own and those that the bus told it (`Points`), and after the last one that Redis heard of
(`redis_scripts`). So a forgetting that Redis missed, being down, does no harm; nor do a server that comes back with old
data, a flush (the clock gets another id) and processes that start later (they believe nothing older than their first
question).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from secrets import token_hex
from typing import Final

import msgspec

from inbox.adapters.cache.redis_client import Client, NoAnswer, Patience
from inbox.adapters.cache.redis_entries import Points, Shape, Stamp, Vault
from inbox.adapters.cache.redis_scripts import FORGET, READ, STORE
from inbox.adapters.cache.shared import EVERYTHING, Found, Keep, Wanted
from inbox.kit.sealing import Sealer
from inbox.ports.cache import SharedStats

_CLOCK: Final = "inbox:clock"
_LONGEST: Final = 3_600_000
"""Milliseconds that an entry may live."""
_KEPT: Final = 2 * _LONGEST
"""Milliseconds that clock and tags are kept: longer than any entry that they judge."""
_MOST_TAGS: Final = 100
_SCANS: Final = 200
_SCANNED: Final = 1_000


class _Place(msgspec.Struct, frozen=True):
    """Where an entry lies: its name, and the keys that its scripts touch."""

    name: str
    keys: list[str]


class RedisTier:
    """Without Redis it answers nothing."""

    def __init__(
        self,
        url: str,
        sealer: Sealer,
        *,
        on_change: Callable[[bool], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        """`on_change` hears whether Redis is up, at each change."""
        self._client = Client(url, on_change=on_change, patience=patience or Patience())
        self._read = self._client.redis.register_script(READ)
        self._store = self._client.redis.register_script(STORE)
        self._forget = self._client.redis.register_script(FORGET)
        self._vault = Vault(sealer)
        self._points = Points()
        self._shapes: dict[object, Shape] = {}

    @property
    def is_up(self) -> bool:
        """Whether Redis is asked at all."""
        return self._client.is_up

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._client.running(probe=partial(self._told, ())):
            yield

    async def find(self, wanted: Wanted) -> Found | Keep | None:
        shape = self._shape(wanted.shape)
        name = self._vault.entry(wanted.key, wanted.tags, shape, wanted.family)
        place = _Place(name, [_CLOCK, f"inbox:entry:{name}", *self._tags((EVERYTHING, *wanted.tags))])
        try:
            stamp, left, payload = await self._asked(place, wanted.serial, self._points.floor(wanted.since))
            if payload is None:
                return partial(self._keep, place, stamp)
            text = self._vault.opened(payload, name, stamp)
            try:
                return Found(value=shape.read(text or ""), left=left / 1000)
            except msgspec.DecodeError:  # nobody can use it: what is loaded takes its place
                stamp, _, _ = await self._asked(place, wanted.serial, None)
                return partial(self._keep, place, stamp)
        except NoAnswer:
            return None

    async def forget(self, tags: tuple[str, ...]) -> None:
        few = tags if len(tags) <= _MOST_TAGS else (EVERYTHING,)
        with suppress(NoAnswer):  # every process that listens refuses the old entries by itself
            await self._client.call(partial(self._told, few))

    async def stats(self) -> SharedStats:
        sizes: dict[str, int] = {}
        cursor = -1
        with suppress(NoAnswer):
            for _ in range(_SCANS):
                scan = partial(self._client.redis.scan, max(cursor, 0), match="inbox:entry:*", count=_SCANNED)
                cursor, names = await self._client.call(scan)
                for name in names:
                    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
                    family = text.split(":")[2]
                    sizes[family] = sizes.get(family, 0) + 1
                if cursor == 0:
                    break
        return SharedStats(is_up=self.is_up, sizes=sizes, is_complete=cursor == 0)

    async def _asked(self, place: _Place, serial: int, floor: int | None) -> tuple[Stamp, int, object]:
        """The stamp, milliseconds left and payload of a good entry; or a stamp for a load, 0 and None.

        Good is one above `floor`, none if that is None.
        """
        known, above = (self._points.clock, floor) if floor is not None else ("", "")
        ask = partial(self._read, place.keys, [token_hex(8), _KEPT, known, above])
        clock, now, tick, *entry = await self._client.call(ask)
        self._points.learn(clock.decode(), serial, now)
        left, payload = entry or (0, None)
        return Stamp(clock.decode(), tick), left, payload

    async def _keep(self, place: _Place, stamp: Stamp, value: object, left: float) -> None:
        milliseconds = min(int(left * 1000), _LONGEST)
        payload = self._vault.sealed(value, place.name, stamp) if milliseconds > 0 else None
        if payload is not None:
            args: list[str | int | bytes] = [stamp.clock, stamp.tick, milliseconds, payload]
            with suppress(NoAnswer):  # if it fails, the next question says so
                await self._client.call(partial(self._store, place.keys, args))

    async def _told(self, tags: tuple[str, ...]) -> None:
        await self._forget([_CLOCK, *self._tags(tags)], [token_hex(8), _KEPT])

    def _tags(self, tags: tuple[str, ...]) -> list[str]:
        return [f"inbox:tag:{self._vault.tag(tag)}" for tag in tags]

    def _shape(self, shape: object) -> Shape:
        if shape not in self._shapes:
            self._shapes[shape] = Shape(shape)
        return self._shapes[shape]
