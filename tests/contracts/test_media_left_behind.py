"""What a put leaves in a folder when its process is killed, or its task cancelled, in the middle of it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from obstore.store import LocalStore

from inbox.adapters.media.obstore import STAGING, ObstoreMediaStore

from .test_media import MIB, a_key, pieces, read, stored

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> ObstoreMediaStore:
    return ObstoreMediaStore.in_folder(tmp_path)


def staged(folder: Path) -> set[Path]:
    return set(folder.glob(f"{STAGING}/*"))


@asynccontextmanager
async def half_written(store: ObstoreMediaStore, folder: Path) -> AsyncIterator[Path]:
    """What the store itself makes of a file that does not come to its end."""
    begun = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * (6 * MIB)
        begun.set()
        await asyncio.Event().wait()

    before = staged(folder)
    putting = asyncio.create_task(store.put(a_key(), stalls(), limit=9 * MIB))
    async with asyncio.timeout(10):
        await begun.wait()
    (made,) = staged(folder) - before
    try:
        yield made
    finally:
        putting.cancel()
        with suppress(asyncio.CancelledError):
            await putting


async def test_what_a_killed_process_left_half_written_goes_and_nothing_else(
    store: ObstoreMediaStore, tmp_path: Path
) -> None:
    assert await store.clear(HOUR) == 0
    key = await stored(store, b"whole")
    async with half_written(store, tmp_path) as dead, half_written(store, tmp_path) as alive:
        os.utime(dead, times=(time.time() - 7200,) * 2)
        (dead.parent / "0").symlink_to("nothing")  # a name without a file, as one that goes after it was listed
        assert await store.clear(HOUR) == 1
        assert (dead.exists(), alive.exists()) == (False, True)
    assert (await read(store, key))[1] == b"whole"


@pytest.mark.parametrize("is_known_as_a_folder", [True, False])
async def test_processes_that_clear_at_once_do_not_disturb_each_other(
    tmp_path: Path, *, is_known_as_a_folder: bool
) -> None:
    (tmp_path / STAGING).mkdir()
    for number in range(50):
        (tmp_path / STAGING / str(number)).touch()
    store = ObstoreMediaStore(LocalStore(tmp_path), folder=tmp_path if is_known_as_a_folder else None)
    assert sum(await asyncio.gather(*[store.clear(-HOUR) for _ in range(3)])) == 50


async def test_who_is_cancelled_just_after_the_file_was_moved_ends_as_cancelled(
    store: ObstoreMediaStore, tmp_path: Path
) -> None:
    key = a_key()
    putting = asyncio.create_task(store.put(key, pieces(b"whole"), limit=9))
    async with asyncio.timeout(10):
        while not (tmp_path / str(key)).exists():  # noqa: ASYNC110 - nobody else tells of it
            await asyncio.sleep(0)
    while staged(tmp_path):  # the loop must not hear of the end of it before
        pass
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await read(store, key) == (5, b"whole")
