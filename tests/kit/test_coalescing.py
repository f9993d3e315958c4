import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox.domain.errors import DatabaseTimeout, DatabaseUnavailable, InboxError, Invalid, Overloaded
from inbox.kit.boundaries import forbid_open_transaction, inside_transaction
from inbox.kit.coalescing import Batching, Coalescer


class Store:
    """Records batches; while `gate` is closed a flush waits."""

    def __init__(self, fails: Callable[[Sequence[int]], BaseException | None] = lambda _: None) -> None:
        self.batches: list[list[int]] = []
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0
        self._fails = fails

    async def flush(self, items: Sequence[int]) -> list[int | InboxError]:
        self.batches.append(list(items))
        self.began.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if (error := self._fails(items)) is not None:
            raise error
        return [item * 10 for item in items]


def a_coalescer(store: Store, batching: Batching | None = None) -> Coalescer[int, int]:
    return Coalescer(
        store.flush,
        on_timeout=DatabaseTimeout,
        batching=batching,
        size_of=lambda item: item,
        is_of_a_row=lambda error: isinstance(error, Invalid),
    )


async def held(store: Store, coalescer: Coalescer[int, int], items: Sequence[int]) -> list["asyncio.Task[int]"]:
    """The first item is being flushed and held; the others wait."""
    store.gate.clear()
    first = asyncio.create_task(coalescer.add(items[0]))
    await store.began.wait()
    others = [asyncio.create_task(coalescer.add(item)) for item in items[1:]]
    await asyncio.sleep(0)
    return [first, *others]


async def test_the_first_is_flushed_at_once_and_those_who_come_meanwhile_are_one_batch() -> None:
    store = Store()
    coalescer = a_coalescer(store)
    async with coalescer.running():
        tasks = await held(store, coalescer, range(1, 6))
        assert store.batches == [[1]]
        store.gate.set()
        assert await asyncio.gather(*tasks) == [10, 20, 30, 40, 50]
    assert store.batches == [[1], [2, 3, 4, 5]]


async def test_nobody_hears_before_the_flush_of_its_item_is_over() -> None:
    store = Store()
    coalescer = a_coalescer(store)
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2])
        assert not any(task.done() for task in tasks)
        store.gate.set()
        await asyncio.gather(*tasks)


async def test_a_batch_has_at_most_so_many_items() -> None:
    store = Store()
    coalescer = a_coalescer(store, Batching(items=2))
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2, 3, 4, 5, 6])
        store.gate.set()
        await asyncio.gather(*tasks)
    assert store.batches == [[1], [2, 3], [4, 5], [6]]


async def test_a_batch_has_at_most_so_many_bytes_and_a_larger_item_goes_alone() -> None:
    store = Store()
    coalescer = a_coalescer(store, Batching(size=10))
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 6, 4, 50, 3, 3])
        store.gate.set()
        await asyncio.gather(*tasks)
    assert store.batches == [[1], [6, 4], [50], [3, 3]]


async def test_a_full_queue_refuses_at_once() -> None:
    store = Store()
    coalescer = a_coalescer(store, Batching(waiting=2))
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2, 3])
        with pytest.raises(Overloaded):
            await coalescer.add(4)
        store.gate.set()
        assert await asyncio.gather(*tasks) == [10, 20, 30]


async def test_a_queue_with_too_many_bytes_refuses_at_once_and_takes_again_when_they_are_gone() -> None:
    store = Store()
    coalescer = a_coalescer(store, Batching(waiting_size=60))
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 20, 30])
        with pytest.raises(Overloaded):
            await coalescer.add(11)
        store.gate.set()
        assert await asyncio.gather(*tasks) == [10, 200, 300]
        assert await coalescer.add(70) == 700, "what is too large for the queue may wait alone"


async def test_a_caller_that_leaves_does_not_cancel_its_batch() -> None:
    store = Store()
    coalescer = a_coalescer(store)
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2])
        tasks[0].cancel()
        await asyncio.wait({tasks[0]})
        store.gate.set()
        assert await tasks[1] == 20
    assert tasks[0].cancelled()
    assert store.cancelled == 0


async def test_an_item_whose_caller_left_before_its_batch_began_is_dropped() -> None:
    store = Store()
    coalescer = a_coalescer(store)
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2, 3])
        tasks[1].cancel()
        await asyncio.wait({tasks[1]})
        store.gate.set()
        assert await tasks[2] == 30
    assert store.batches == [[1], [3]]


async def test_an_error_reaches_every_caller_of_its_batch_and_no_other() -> None:
    store = Store(lambda items: DatabaseUnavailable() if 2 in items else None)
    coalescer = a_coalescer(store)
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2, 3])
        store.gate.set()
        await asyncio.wait(tasks)
        assert await coalescer.add(4) == 40
    assert tasks[0].result() == 10
    assert isinstance(tasks[1].exception(), DatabaseUnavailable)
    assert isinstance(tasks[2].exception(), DatabaseUnavailable)
    assert store.batches == [[1], [2, 3], [4]]


async def test_an_error_of_one_row_is_found_by_flushing_each_once_by_itself() -> None:
    store = Store(lambda items: Invalid("body", "NUL") if 3 in items else None)
    coalescer = a_coalescer(store)
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2, 3, 4])
        store.gate.set()
        await asyncio.wait(tasks)
    assert [tasks[place].result() for place in (0, 1, 3)] == [10, 20, 40]
    assert isinstance(tasks[2].exception(), Invalid)
    assert store.batches == [[1], [2, 3, 4], [2], [3], [4]]


async def test_a_result_that_is_an_error_is_raised_to_its_caller_alone() -> None:
    async def flush(items: Sequence[int]) -> list[int | InboxError]:
        return [Invalid("x", "odd") if item % 2 else item for item in items]

    coalescer = Coalescer[int, int](flush, on_timeout=DatabaseTimeout)
    async with coalescer.running():
        results = await asyncio.gather(*(coalescer.add(item) for item in range(4)), return_exceptions=True)
    assert [result if isinstance(result, int) else type(result) for result in results] == [0, Invalid, 2, Invalid]


async def test_a_flush_that_answers_too_few_results_is_an_error_for_all() -> None:
    async def flush(items: Sequence[int]) -> list[int | InboxError]:
        return [*items[1:]]

    coalescer = Coalescer[int, int](flush, on_timeout=DatabaseTimeout)
    async with coalescer.running():
        with pytest.raises(RuntimeError, match="0 results for 1 items"):
            await coalescer.add(1)


async def test_a_batch_that_takes_too_long_is_cancelled_and_the_next_one_works() -> None:
    store = Store()
    coalescer = a_coalescer(store, Batching(deadline=0.05))
    async with coalescer.running():
        tasks = await held(store, coalescer, [1])
        await asyncio.wait(tasks)
        assert isinstance(tasks[0].exception(), DatabaseTimeout)
        store.gate.set()
        assert await coalescer.add(2) == 20
    assert store.cancelled == 1


async def test_callers_are_answered_at_the_deadline_even_when_the_flush_does_not_give_up() -> None:
    stubborn = asyncio.Event()

    async def flush(items: Sequence[int]) -> list[int | InboxError]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await stubborn.wait()
        return list(items)

    coalescer = Coalescer[int, int](flush, on_timeout=DatabaseTimeout, batching=Batching(deadline=0.05))
    async with coalescer.running():
        with pytest.raises(DatabaseTimeout):
            await coalescer.add(1)
        stubborn.set()


async def test_stop_flushes_what_waits_and_takes_no_more() -> None:
    store = Store()
    coalescer = a_coalescer(store)
    await coalescer.start()
    tasks = await held(store, coalescer, [1, 2, 3])
    stop = asyncio.create_task(coalescer.stop())
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await coalescer.add(4)
    store.gate.set()
    await stop
    assert [task.result() for task in tasks] == [10, 20, 30]


async def test_before_start_nothing_is_taken() -> None:
    with pytest.raises(Overloaded):
        await a_coalescer(Store()).add(1)


async def test_it_is_not_started_twice_nor_inside_a_transaction() -> None:
    coalescer = a_coalescer(Store())
    with inside_transaction(), pytest.raises(RuntimeError, match="transaction"):
        await coalescer.start()
    async with coalescer.running():
        with pytest.raises(RuntimeError, match="already"):
            await coalescer.start()


async def test_a_flush_does_not_inherit_the_callers_transaction() -> None:
    async def flush(items: Sequence[int]) -> list[int | InboxError]:

        forbid_open_transaction()
        return list(items)

    coalescer = Coalescer[int, int](flush, on_timeout=DatabaseTimeout)
    async with coalescer.running():
        with inside_transaction():
            assert await coalescer.add(1) == 1


async def test_if_its_task_dies_nobody_waits_for_ever() -> None:
    store = Store()
    coalescer = a_coalescer(store)
    await coalescer.start()
    tasks = await held(store, coalescer, [1, 2])
    assert coalescer._task is not None
    coalescer._task.cancel()
    await asyncio.wait(tasks)
    assert isinstance(tasks[0].exception(), DatabaseTimeout)
    assert isinstance(tasks[1].exception(), Overloaded)
    with pytest.raises(Overloaded):
        await coalescer.add(3)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(min_value=0, max_value=30), max_size=60),
    st.integers(min_value=1, max_value=7),
    st.integers(min_value=1, max_value=60),
)
def test_every_item_is_flushed_once_in_order_within_the_limits(items: list[int], most: int, size: int) -> None:
    async def scenario() -> tuple[Store, list[int]]:
        store = Store()
        coalescer = a_coalescer(store, Batching(items=most, size=size, waiting=100))
        async with coalescer.running():
            return store, list(await asyncio.gather(*map(coalescer.add, items)))

    store, results = asyncio.run(scenario())
    assert results == [item * 10 for item in items]
    assert [item for batch in store.batches for item in batch] == items
    assert all(len(batch) <= most and (len(batch) == 1 or sum(batch) <= size) for batch in store.batches)


async def test_flushes_that_follow_each_other_begin_a_while_apart_and_take_along_who_came_meanwhile() -> None:
    store = Store()
    clock = asyncio.get_running_loop().time
    coalescer = a_coalescer(store, Batching(every=0.05))
    async with coalescer.running():
        begun = clock()
        await coalescer.add(1)
        assert clock() - begun < 0.05  # nobody was flushed just before: at once
        second = asyncio.create_task(coalescer.add(2))
        await asyncio.sleep(0)
        third = asyncio.create_task(coalescer.add(3))
        await asyncio.gather(second, third)
        assert clock() - begun >= 0.05
    assert store.batches == [[1], [2, 3]]


async def test_a_full_batch_waits_for_nobody() -> None:
    store = Store()
    coalescer = a_coalescer(store, Batching(items=2, every=3600.0))
    async with coalescer.running():
        tasks = await held(store, coalescer, [1, 2, 3])
        store.gate.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
    assert store.batches == [[1], [2, 3]]


async def test_what_waits_for_company_is_flushed_at_the_end() -> None:
    store = Store()
    coalescer = a_coalescer(store, Batching(every=0.2))
    async with coalescer.running():
        await coalescer.add(1)
        waiting = asyncio.create_task(coalescer.add(2))
        await asyncio.sleep(0)
    assert await waiting == 20
