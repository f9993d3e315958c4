import asyncio

import pytest

from inbox.kit.boundaries import forbid_open_transaction, inside_transaction


def test_outside_a_transaction_calls_are_allowed() -> None:
    forbid_open_transaction()


def test_inside_a_transaction_calls_are_refused_and_allowed_again_afterwards() -> None:
    with inside_transaction(), pytest.raises(RuntimeError, match="open database transaction"):
        forbid_open_transaction()
    forbid_open_transaction()


def test_an_inner_block_that_ends_leaves_the_outer_one_open() -> None:
    with inside_transaction():
        with inside_transaction():
            pass
        with pytest.raises(RuntimeError):
            forbid_open_transaction()


async def test_a_task_born_inside_the_block_is_inside_and_one_born_before_is_not() -> None:
    go = asyncio.Event()

    async def check() -> bool:
        await go.wait()
        try:
            forbid_open_transaction()
        except RuntimeError:
            return False
        return True

    before = asyncio.create_task(check())
    with inside_transaction():
        born_inside = asyncio.create_task(check())
        go.set()
        assert await before is True
        assert await born_inside is False
