"""Many awaits, one flush: intake, fences, outcomes, bus pump.

The first caller is flushed at once; those who arrive while that flush runs are the next batch. So an idle service adds
no delay, and a busy one pays one commit for many rows; where `every` is set, at most one in that time. A caller hears
only after the flush with its own item is over.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import msgspec

from inbox.domain.errors import InboxError, Overloaded
from inbox.kit.boundaries import forbid_open_transaction

T = TypeVar("T")
R = TypeVar("R")


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """Items and bytes of one batch at most, items and bytes that may wait, seconds for one batch with its repetitions.

    `every` is the least time in seconds between the beginnings of two flushes, unless enough wait to fill a batch: what
    waiting for company may add to a latency.
    An item that is larger than `size` by itself is flushed alone.
    """

    items: int = 100
    size: int = 8 << 20
    waiting: int = 1_000
    waiting_size: int = 64 << 20
    deadline: float = 3.0
    every: float = 0.0


class _Waiter(Generic[T, R]):
    __slots__ = ("future", "item", "size")

    def __init__(self, item: T, size: int, future: "asyncio.Future[R]") -> None:
        self.item = item
        self.size = size
        self.future = future


class Coalescer(Generic[T, R]):
    """One task flushes; it is started by main, never from inside a transaction, and belongs to one event loop."""

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R | InboxError]]],
        *,
        on_timeout: Callable[[], InboxError],
        batching: Batching | None = None,
        size_of: Callable[[T], int] = lambda _: 0,
        is_of_a_row: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        """`flush` answers one result for each item, in order; an InboxError among them is raised to its caller alone.

        If it raises, all callers of the batch get the error, unless `is_of_a_row` says that a single item is to blame:
        then each item is flushed by itself, once. `on_timeout` makes the error when the batch took too long; then
        nobody knows whether its effects are there.
        """
        self._flush = flush
        self._on_timeout = on_timeout
        self._batching = batching or Batching()
        self._size_of = size_of
        self._is_of_a_row = is_of_a_row
        self._queue: deque[_Waiter[T, R]] = deque()
        self._waiting_size = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_open = False
        self._next_flush = 0.0

    async def add(self, item: T) -> R:
        """Wait for the flush that contains `item`, and return its result.

        Raises Overloaded when too many wait, or before `start` and after `stop`. If the caller is cancelled, its batch
        goes on; an item that is not in a batch yet is dropped.
        """
        size = self._size_of(item)
        if not self._is_open or self._is_full(size):
            raise Overloaded
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiter(item, size, future))
        self._waiting_size += size
        self._wake.set()
        return await future

    def _is_full(self, size: int) -> bool:
        limits = self._batching
        is_crowded = len(self._queue) >= limits.waiting
        return is_crowded or bool(self._queue and self._waiting_size + size > limits.waiting_size)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started inside the block; what waits at its end is flushed."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def start(self) -> None:
        """Begin to flush. RuntimeError inside a transaction or if it runs already."""
        forbid_open_transaction()
        if self._task is not None:
            raise RuntimeError("the coalescer runs already")
        self._is_open = True
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Take no more, flush what waits, then end. Lasts at most `deadline` for each batch that waits."""
        self._is_open = False
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def _run(self) -> None:
        try:
            while self._is_open or self._queue:
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                await self._gather()
                if batch := self._next_batch():
                    await self._serve(batch)
        finally:
            self._is_open = False
            _refuse(self._queue, Overloaded())

    async def _gather(self) -> None:
        """Lets some company arrive, if the last flush began just now."""
        clock = asyncio.get_running_loop().time
        rest = self._next_flush - clock()
        if rest > 0 and self._is_open and len(self._queue) < self._batching.items:
            await asyncio.sleep(rest)
        self._next_flush = clock() + self._batching.every

    def _next_batch(self) -> list[_Waiter[T, R]]:
        """The items that waited longest; those whose caller has left are dropped."""
        batch: list[_Waiter[T, R]] = []
        size = 0
        while self._queue and len(batch) < self._batching.items:
            waiter = self._queue[0]
            size += waiter.size
            if batch and size > self._batching.size:
                break
            self._queue.popleft()
            self._waiting_size -= waiter.size
            if waiter.future.done():
                size -= waiter.size
            else:
                batch.append(waiter)
        return batch

    async def _serve(self, batch: list[_Waiter[T, R]]) -> None:
        """Flush and answer everyone."""
        until = asyncio.get_running_loop().time() + self._batching.deadline
        error = await self._attempt(batch, until)
        if error is not None and len(batch) > 1 and self._is_of_a_row(error):
            for waiter in batch:
                _refuse([waiter], await self._attempt([waiter], until))
        else:
            _refuse(batch, error)

    async def _attempt(self, batch: list[_Waiter[T, R]], until: float) -> BaseException | None:
        """Flush once and answer everyone; or return the error of the flush, with nobody answered yet.

        The flush is a task of its own: its error is a value here and ends no loop, and its callers are answered at the
        deadline, however long it takes to give up.
        """
        task = asyncio.ensure_future(self._flush([waiter.item for waiter in batch]))
        try:
            await asyncio.wait({task}, timeout=until - asyncio.get_running_loop().time())
        finally:
            if is_late := not task.done():
                _refuse(batch, self._on_timeout())
                task.cancel()
        if is_late:
            await asyncio.wait({task}, timeout=self._batching.deadline)
            return None
        if task.cancelled():
            return RuntimeError("the flush was cancelled by somebody else")
        return task.exception() or _answer(batch, task.result())


def _answer(batch: Sequence[_Waiter[T, R]], results: Sequence[R | InboxError]) -> BaseException | None:
    if len(results) != len(batch):
        return RuntimeError(f"the flush answered {len(results)} results for {len(batch)} items")
    for waiter, result in zip(batch, results, strict=True):
        if isinstance(result, InboxError):
            _refuse([waiter], result)
        elif not waiter.future.done():
            waiter.future.set_result(result)
    return None


def _refuse(batch: Iterable[_Waiter[T, R]], error: BaseException | None) -> None:
    """Raise `error`, if there is one, to every caller of the batch that still waits."""
    for waiter in batch:
        if error is not None and not waiter.future.done():
            waiter.future.set_exception(error)
