"""What every media store keeps: whole files or none, written once, streamed both ways, bounded."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore, MemoryStore

from inbox.adapters.media.memory import MemoryMediaStore
from inbox.adapters.media.obstore import Bucket, Deadlines, ObstoreMediaStore
from inbox.domain.errors import AlreadyStored, MediaGone, MediaUnavailable, PayloadTooLarge
from inbox.domain.ids import AccountId
from inbox.ports.media import MediaKey, MediaStore, Span

MIB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01"


def a_key() -> MediaKey:
    return MediaKey(AccountId(uuid4()), uuid4())


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


async def stored(store: MediaStore, content: bytes) -> MediaKey:
    key = a_key()
    await store.put(key, pieces(content), limit=len(content))
    return key


async def read(store: MediaStore, key: MediaKey, span: Span | None = None) -> tuple[int, bytes]:
    async with asyncio.timeout(30), store.open(key, span) as body:
        return body.size, b"".join([chunk async for chunk in body.chunks])


class MediaCases:
    async def test_a_file_comes_back_as_it_was_written(self, store: MediaStore) -> None:
        key = a_key()
        written = await store.put(key, pieces(b"all ", b"", b"of it"), limit=100)
        assert written.size == 9
        assert written.sha256 == hashlib.sha256(b"all of it").digest()
        assert await read(store, key) == (9, b"all of it")

    @pytest.mark.parametrize(
        ("content", "claim", "known_as"),
        [
            (PNG, "image/png", "image/png"),
            (PNG, "image/jpeg", "image/png"),
            (OGG, "audio/ogg; codecs=opus", "audio/ogg"),
            (OGG, "video/mp4", "video/mp4"),
            (b"<html><script>alert(1)</script>", "image/png", "text/html"),
            (b"nothing known", "image/png", "application/octet-stream"),
            (b"nothing known", "application/pdf", "application/octet-stream"),
            (b"a,b,c", "text/csv", "text/csv"),
            (b"a,b,c", None, "application/octet-stream"),
            (b"", "TEXT/Plain", "text/plain"),
        ],
    )
    async def test_a_file_is_what_its_bytes_are(
        self, store: MediaStore, content: bytes, claim: str | None, known_as: str
    ) -> None:
        written = await store.put(a_key(), pieces(content[:5], content[5:]), limit=1000, mime_type=claim)
        assert written.mime_type == known_as

    async def test_an_empty_file_is_a_file(self, store: MediaStore) -> None:
        key = a_key()
        assert (await store.put(key, pieces(), limit=0)).size == 0
        assert await read(store, key) == (0, b"")

    async def test_a_large_file_is_streamed_both_ways(self, store: MediaStore) -> None:
        key = a_key()
        content = [bytes([number]) * MIB for number in range(12)]
        written = await store.put(key, pieces(*content), limit=12 * MIB)
        assert written.size == 12 * MIB
        digest = hashlib.sha256()
        async with store.open(key) as body:
            async for chunk in body.chunks:
                digest.update(chunk)
        assert digest.digest() == written.sha256

    async def test_a_file_may_be_exactly_as_large_as_the_limit(self, store: MediaStore) -> None:
        assert (await store.put(a_key(), pieces(b"12345"), limit=5)).size == 5

    async def test_a_file_over_the_limit_is_refused_and_not_kept(self, store: MediaStore) -> None:
        key = a_key()
        with pytest.raises(PayloadTooLarge):
            await store.put(key, pieces(b"123", b"456"), limit=5)
        with pytest.raises(MediaGone):
            await read(store, key)
        await store.put(key, pieces(b"12345"), limit=5)

    async def test_no_more_is_read_than_the_limit_needs(self, store: MediaStore) -> None:
        taken = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield b"x" * 1000

        with pytest.raises(PayloadTooLarge):
            await store.put(a_key(), endless(), limit=10_000)
        assert taken == 11

    async def test_a_key_is_written_once(self, store: MediaStore) -> None:
        key = await stored(store, b"the first")
        with pytest.raises(AlreadyStored):
            await store.put(key, pieces(b"the second"), limit=100)
        assert await read(store, key) == (9, b"the first")

    async def test_what_is_stored_can_be_measured_again(self, store: MediaStore) -> None:
        key, png = a_key(), b"\x89PNG\r\n\x1a\n" + b"x" * 3 * MIB
        told = await store.put(key, pieces(png), limit=4 * MIB, mime_type="image/png")
        assert await store.measured(key, "image/png") == told
        with pytest.raises(MediaGone):
            await store.measured(a_key())

    async def test_one_of_several_writers_at_once_wins(self, store: MediaStore) -> None:
        key = a_key()
        results = await asyncio.gather(
            *(store.put(key, pieces(bytes([number]) * 100), limit=100) for number in range(8)), return_exceptions=True
        )
        winners = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(winners) == 1
        assert [type(r) for r in results if isinstance(r, BaseException)] == [AlreadyStored] * 7
        assert await read(store, key) == (100, bytes([winners[0]]) * 100)

    async def test_a_file_that_does_not_come_in_time_is_given_up_and_not_kept(self, store: MediaStore) -> None:
        key = a_key()

        async def stalls() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.Event().wait()

        with pytest.raises(MediaUnavailable):
            await store.put(key, stalls(), limit=1000, within=0.05)
        with pytest.raises(MediaGone):
            await read(store, key)
        assert (await store.put(key, pieces(b"12345"), limit=5, within=60)).size == 5

    async def test_what_the_source_raises_reaches_the_caller_and_nothing_is_kept(self, store: MediaStore) -> None:
        key = a_key()

        async def breaks_off() -> AsyncIterator[bytes]:
            yield b"x" * 100
            raise ConnectionResetError("the source")

        with pytest.raises(ConnectionResetError, match="the source"):
            await store.put(key, breaks_off(), limit=1000)
        with pytest.raises(MediaGone):
            await read(store, key)
        await store.put(key, pieces(b"again"), limit=5)

    async def test_a_cancelled_put_keeps_nothing_and_leaves_its_source(self, store: MediaStore) -> None:
        key = a_key()
        waiting, left = asyncio.Event(), asyncio.Event()

        async def stalls() -> AsyncIterator[bytes]:
            yield b"x" * 100
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        put = asyncio.create_task(store.put(key, stalls(), limit=1000))
        await waiting.wait()
        put.cancel()
        await asyncio.wait([put])
        assert put.cancelled()
        assert left.is_set()
        with pytest.raises(MediaGone):
            await read(store, key)

    @pytest.mark.parametrize(
        ("span", "content"),
        [
            (Span(0), b"0123456789"),
            (Span(4), b"456789"),
            (Span(2, 5), b"234"),
            (Span(9, 10), b"9"),
            (Span(8, 200), b"89"),
            (Span(0, 0), b""),
            (Span(5, 5), b""),
            (Span(5, 3), b""),
            (Span(10), b""),
            (Span(30, 40), b""),
        ],
        ids=str,
    )
    async def test_a_span_gives_its_bytes_and_the_size_of_the_whole(
        self, store: MediaStore, span: Span, content: bytes
    ) -> None:
        key = await stored(store, b"0123456789")
        assert await read(store, key, span) == (10, content)

    async def test_a_reader_may_leave_early(self, store: MediaStore) -> None:
        key = await stored(store, b"x" * (4 * MIB))
        async with store.open(key) as body:
            assert await anext(body.chunks)
        assert (await read(store, key))[0] == 4 * MIB

    async def test_a_missing_file_is_gone(self, store: MediaStore) -> None:
        for span in (None, Span(0, 1)):
            with pytest.raises(MediaGone):
                await read(store, a_key(), span)

    async def test_a_deleted_file_is_gone_and_its_key_is_free(self, store: MediaStore) -> None:
        key = await stored(store, b"old")
        await store.delete(key)
        with pytest.raises(MediaGone):
            await read(store, key)
        await store.put(key, pieces(b"new"), limit=3)
        assert await read(store, key) == (3, b"new")

    async def test_deleting_what_is_not_there_is_no_error(self, store: MediaStore) -> None:
        key = await stored(store, b"x")
        await store.delete(key)
        await store.delete(key)
        await store.delete(a_key())

    async def test_accounts_do_not_see_each_others_files(self, store: MediaStore) -> None:
        key = await stored(store, b"mine")
        with pytest.raises(MediaGone):
            await read(store, MediaKey(AccountId(uuid4()), key.id))


class TestMemoryMediaStore(MediaCases):
    @pytest.fixture
    def store(self) -> MemoryMediaStore:
        return MemoryMediaStore(capacity=16 * MIB)

    async def test_it_takes_no_more_than_its_capacity(self) -> None:
        store = MemoryMediaStore(capacity=10)
        key = await stored(store, b"12345678")
        with pytest.raises(MediaUnavailable):
            await store.put(a_key(), pieces(b"123"), limit=100)
        await store.put(a_key(), pieces(b"12"), limit=100)
        await store.delete(key)
        await store.put(a_key(), pieces(b"12345678"), limit=100)

    async def test_a_refused_file_takes_no_room(self) -> None:
        store = MemoryMediaStore(capacity=10)
        key = await stored(store, b"12345")
        for _ in range(5):
            with pytest.raises(PayloadTooLarge):
                await store.put(a_key(), pieces(b"1234", b"5"), limit=4)
            with pytest.raises(AlreadyStored):
                await store.put(key, pieces(b"1234", b"5"), limit=5)
        await store.put(a_key(), pieces(b"12345"), limit=5)


class TestObstoreInMemory(MediaCases):
    """The same code on a store that is no folder."""

    @pytest.fixture
    def store(self) -> ObstoreMediaStore:
        return ObstoreMediaStore(MemoryStore())


class TestObstoreInFolder(MediaCases):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "média of the inbox"

    @pytest.fixture
    def store(self, folder: Path) -> ObstoreMediaStore:
        return ObstoreMediaStore.in_folder(folder)

    async def test_the_folder_is_for_its_owner_alone(self, store: ObstoreMediaStore, folder: Path) -> None:
        await stored(store, b"x")
        assert _mode(folder) == 0o700

    async def test_a_file_lies_under_its_account_and_nothing_else_is_left(
        self, store: ObstoreMediaStore, folder: Path
    ) -> None:
        key = await stored(store, b"x" * (6 * MIB))
        with pytest.raises(AlreadyStored):
            await store.put(key, pieces(b"y"), limit=1)
        with pytest.raises(PayloadTooLarge):
            await store.put(a_key(), pieces(b"y" * (6 * MIB), b"y"), limit=6 * MIB)
        assert _files(folder) == [str(key)]

    async def test_a_file_is_never_in_memory_as_a_whole(self, store: ObstoreMediaStore) -> None:
        key = await stored(store, b"x" * (6 * MIB))
        async with store.open(key) as body:
            assert max([len(chunk) async for chunk in body.chunks]) <= MIB

    async def test_files_outlive_the_process(self, store: ObstoreMediaStore, folder: Path) -> None:
        key = await stored(store, b"kept")
        assert await read(ObstoreMediaStore.in_folder(folder), key) == (4, b"kept")

    async def test_a_source_that_stalls_ends_with_the_deadline(self, folder: Path) -> None:
        store = ObstoreMediaStore(LocalStore(folder, mkdir=True), Deadlines(put=0.05))
        left = asyncio.Event()

        async def stalls() -> AsyncIterator[bytes]:
            yield b"x"
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        with pytest.raises(MediaUnavailable):
            await store.put(a_key(), stalls(), limit=100)
        assert left.is_set()

    async def test_a_folder_that_cannot_be_written_is_an_outage(self, store: ObstoreMediaStore, folder: Path) -> None:
        _replace_by_file(folder)
        with pytest.raises(MediaUnavailable):
            await store.put(a_key(), pieces(b"x"), limit=1)

    @settings(
        max_examples=40,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        deadline=None,
    )
    @given(
        content=st.lists(st.binary(max_size=50), max_size=8),
        start=st.integers(min_value=0, max_value=450),
        end=st.none() | st.integers(min_value=0, max_value=450),
    )
    async def test_any_span_of_any_file_is_what_slicing_gives(
        self, store: ObstoreMediaStore, content: list[bytes], start: int, end: int | None
    ) -> None:
        whole = b"".join(content)
        key = a_key()
        await store.put(key, pieces(*content), limit=400)
        assert await read(store, key, Span(start, end)) == (len(whole), whole[start:end])


class TestObstoreInBucket(MediaCases):
    """A bucket behind real HTTP, as an S3 server has it."""

    @pytest.fixture
    def store(self, bucket: Bucket) -> ObstoreMediaStore:
        return ObstoreMediaStore.in_bucket(bucket)

    async def test_a_server_that_is_gone_is_an_outage(self, bucket: Bucket) -> None:
        store = ObstoreMediaStore.in_bucket(msgspec.structs.replace(bucket, endpoint="http://127.0.0.1:9"))
        with pytest.raises(MediaUnavailable):
            await store.put(a_key(), pieces(b"x"), limit=1)
        with pytest.raises(MediaUnavailable):
            await read(store, a_key())

    async def test_keys_that_are_refused_are_an_outage_not_a_missing_file(self, bucket: Bucket) -> None:
        store = ObstoreMediaStore.in_bucket(msgspec.structs.replace(bucket, name="somebody-elses"))
        with pytest.raises(MediaUnavailable):
            await store.put(a_key(), pieces(b"x"), limit=1)

    def test_the_keys_never_show(self, bucket: Bucket) -> None:
        assert bucket.secret_access_key not in repr(bucket)


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _replace_by_file(folder: Path) -> None:
    folder.rmdir()
    folder.touch()
