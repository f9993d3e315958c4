"""Files in an object store: a local folder, or a bucket of S3 and its like, with the same code.

A put that must not replace anything is one request for obstore, with the whole file in memory. So a file is streamed
to a name of its own first and then moved to its key, which fails if the key is taken. What a killed process leaves
behind lies below `STAGING` and belongs to nobody. In a bucket that is mostly an unfinished multipart upload, which no
list shows: the bucket's own lifecycle rule removes it.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from inbox.domain.errors import AlreadyStored, MediaGone, MediaUnavailable, PayloadTooLarge
from inbox.kit.file_types import HEAD_BYTES, true_type
from inbox.ports.media import MediaBody, MediaKey, Span, Stored

STAGING: Final = "incoming"
"""No key begins with it: keys begin with the UUID of an account."""
_PART: Final = 5 * 1024 * 1024
"""Bytes of one part of an upload, the smallest that S3 takes."""
_PARTS_AT_ONCE: Final = 2
_CHUNK: Final = 256 * 1024


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: a whole put, the source's pace included; any other call; and between two pieces of a file."""

    put: float = 120.0
    call: float = 10.0
    idle: float = 15.0


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bucket is and who may use it. `endpoint` None is Amazon's own."""

    name: str
    region: str
    access_key_id: str
    secret_access_key: str
    endpoint: str | None = None

    def __repr__(self) -> str:
        """Without the keys."""
        return f"Bucket(name={self.name!r}, region={self.region!r}, endpoint={self.endpoint!r})"


class ObstoreMediaStore:
    """Nothing of a file is visible before all of it is stored."""

    def __init__(self, store: ObjectStore, deadlines: Deadlines | None = None, *, folder: Path | None = None) -> None:
        """A `store` that speaks HTTP needs few retries and short timeouts of its own; obstore's are generous.

        `folder` is where a local one keeps its files: obstore leaves it to the system when they reach the disk.
        """
        self._store = store
        self._deadlines = deadlines or Deadlines()
        self._folder = folder

    @classmethod
    def in_folder(cls, folder: Path) -> "ObstoreMediaStore":
        """Makes the folder, readable for the owner alone, if it is not there. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(LocalStore(folder), folder=folder)

    @classmethod
    def in_bucket(cls, bucket: Bucket) -> "ObstoreMediaStore":
        """The server must take conditional writes (`If-None-Match`), as Amazon's, MinIO and R2 do."""
        return cls(
            S3Store(
                bucket.name,
                region=bucket.region,
                endpoint=bucket.endpoint,
                access_key_id=bucket.access_key_id,
                secret_access_key=bucket.secret_access_key,
                copy_if_not_exists="multipart",
                client_options={"allow_http": bucket.endpoint is not None, "timeout": "30s", "connect_timeout": "3s"},
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
            )
        )

    async def put(
        self,
        key: MediaKey,
        body: AsyncIterator[bytes],
        *,
        limit: int,
        mime_type: str | None = None,
        within: float | None = None,
    ) -> Stored:
        source = _Measured(body, limit)
        staged = f"{STAGING}/{uuid4().hex}"
        try:
            async with _within(self._deadlines.put if within is None else within):
                await obstore.put_async(self._store, staged, source, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)
                await self._move(staged, key)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if source.failure is not None:
                raise source.failure from None
            if isinstance(error, MediaGone):
                raise MediaUnavailable("The media store lost a file on its way.") from error
            raise
        finally:
            await source.stop()
        return source.told(mime_type)

    async def measured(self, key: MediaKey, mime_type: str | None = None) -> Stored:
        async with self.open(key) as body:
            source = _Measured(body.chunks, body.size)
            async for _ in source:
                pass
        return source.told(mime_type)

    @asynccontextmanager
    async def open(self, key: MediaKey, span: Span | None = None) -> AsyncIterator[MediaBody]:
        async with _within(self._deadlines.call):
            size, chunks = await self._find(str(key), span)
        async with aclosing(chunks):
            yield MediaBody(size=size, chunks=chunks)

    async def clear(self, age: timedelta) -> int:
        before = datetime.now(UTC) - age
        async with _within(self._deadlines.put):
            if self._folder is not None:
                return await asyncio.to_thread(_clear, self._folder / STAGING, before)
            removed = 0
            async for page in obstore.list(self._store, f"{STAGING}/"):
                for path in [found["path"] for found in page if found["last_modified"] < before]:
                    with suppress(FileNotFoundError):  # another process was faster
                        await obstore.delete_async(self._store, path)
                        removed += 1
        return removed

    async def delete(self, key: MediaKey) -> None:
        with suppress(MediaGone):
            async with _within(self._deadlines.call):
                await obstore.delete_async(self._store, str(key))

    async def _move(self, staged: str, key: MediaKey) -> None:
        """Once it is over, a power cut takes neither the bytes nor the name."""
        try:
            await self._on_disk(staged)
            await obstore.rename_async(self._store, staged, str(key), overwrite=False)
        except BaseException as error:
            with suppress(BaseError, OSError):  # moved after all, or for `clear`: what went wrong before counts
                await obstore.delete_async(self._store, staged)
            if isinstance(error, AlreadyExistsError):
                raise AlreadyStored from error
            raise
        await self._on_disk(str(key.account_id), "")

    async def _on_disk(self, *names: str) -> None:
        if self._folder is not None and sys.platform != "win32":  # Windows flushes no folders
            await asyncio.to_thread(_flush, [self._folder / name for name in names])

    async def _find(self, path: str, span: Span | None) -> tuple[int, AsyncGenerator[bytes, None]]:
        if span is None:
            found = await obstore.get_async(self._store, path)
            return found.meta["size"], self._pieces(found.stream(min_chunk_size=_CHUNK))
        # Stores refuse a range that holds nothing in ways of their own.
        size = (await obstore.head_async(self._store, path))["size"]
        end = size if span.end is None else min(span.end, size)
        if span.start >= end:
            return size, _nothing()
        found = await obstore.get_async(self._store, path, options={"range": (span.start, end)})
        return size, self._pieces(found.stream(min_chunk_size=_CHUNK))

    async def _pieces(self, stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        while True:
            async with _within(self._deadlines.idle):
                piece = await anext(stream, None)
            if piece is None:
                return
            yield bytes(piece)  # a view of obstore's memory until here


class _Measured(AsyncIterator[bytes]):
    """The source, counted and hashed. `failure` is what it raised, or that it is too large."""

    def __init__(self, body: AsyncIterator[bytes], limit: int) -> None:
        self._body = body
        self._limit = limit
        self._puller: asyncio.Task[object] | None = None
        self.size = 0
        self.head = bytearray()
        self.sha256 = hashlib.sha256()
        self.failure: BaseException | None = None

    async def __anext__(self) -> bytes:
        self._puller = asyncio.current_task()
        try:
            piece = await anext(self._body)
            self.size += len(piece)
            if self.size > self._limit:
                raise PayloadTooLarge  # noqa: TRY301 - noted like any other failure of the source
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self.failure = error
            raise
        self.sha256.update(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        return piece

    def told(self, mime_type: str | None) -> Stored:
        return Stored(size=self.size, sha256=self.sha256.digest(), mime_type=true_type(mime_type, self.head))

    async def stop(self) -> None:
        """Obstore pulls in tasks of its own and leaves them behind when the put is cancelled."""
        if self._puller is not None and not self._puller.done():
            self._puller.cancel()
            await asyncio.wait([self._puller])


def _flush(paths: Sequence[Path]) -> None:
    for path in paths:
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _clear(folder: Path, before: datetime) -> int:
    """As the system names them: obstore does not list what is being written."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except FileNotFoundError:  # nothing was ever stored
        return 0
    removed = 0
    for entry in found:
        with suppress(FileNotFoundError):  # finished, or another process was faster
            if entry.stat().st_mtime < before.timestamp():
                Path(entry).unlink()
                removed += 1
    return removed


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """A deadline, and the store's failures in our words."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except FileNotFoundError as error:
        raise MediaGone from error
    except (BaseError, OSError) as error:  # TimeoutError is an OSError
        raise MediaUnavailable(f"The media store failed ({type(error).__name__}).") from error


async def _nothing() -> AsyncGenerator[bytes, None]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece
