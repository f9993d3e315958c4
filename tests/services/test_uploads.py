"""Files from people: whole and looked at, or not there at all; unused ones go."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import (
    AccountNotFound,
    Invalid,
    MediaGone,
    MediaUnavailable,
    Overloaded,
    PayloadTooLarge,
    PermissionDenied,
)
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.domain.uploads import MOST_BYTES, UploadKind
from inbox.ports.database import Database
from inbox.ports.media import MediaKey
from inbox.ports.uploads import UploadItem
from inbox.services.uploads import GivenFile, UnusedUploads, Uploads
from sample_files import MP3, PNG, opus
from services.rights_scene import forgetful


def an_actor(account: AccountId, *codes: Permission) -> Actor:
    grants = tuple(Grant(code=code, account_id=account, is_allowed=True) for code in codes)
    return Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=grants)


async def chunks(*pieces: bytes | Exception) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece


class Clumsy(MemoryMediaStore):
    """Fails to delete as often as told."""

    failures = 0
    unfinished = 0
    stuck: frozenset[UUID] = frozenset()
    """Files that are never deleted."""

    async def clear(self, age: timedelta) -> int:
        return self.unfinished

    async def delete(self, key: MediaKey) -> None:
        if self.failures:
            self.failures -= 1
            raise MediaUnavailable
        if key.id in self.stuck:
            raise MediaUnavailable
        await super().delete(key)


class Scene:
    def __init__(self, engine: AsyncEngine, database: Database, account: Channel) -> None:
        self.engine, self.database, self.account = engine, database, account.account_id
        self.store = Clumsy()
        self.uploads = Uploads(database, forgetful(database), self.store, within=30, at_once=4)
        self.unused = UnusedUploads(database, self.store, age=timedelta(days=7))
        self.agent = an_actor(self.account, Permission.MESSAGES_SEND)
        self.removed: list[tuple[str, int]] = []

    async def take(
        self,
        *pieces: bytes | Exception,
        kind: str = "image",
        name: str | None = "velo.png",
        mime_type: str | None = "image/png",
    ) -> UploadItem:
        given = GivenFile(name=name, mime_type=mime_type, chunks=chunks(*pieces))
        return await self.uploads.take(self.agent, self.account, UploadKind(kind), given)

    async def states(self) -> list[str]:
        return [row.state for row in await execute(self.engine, "select state from uploads order by id")]

    async def kept(self, upload_id: str | UUID) -> bytes:
        async with self.store.open(MediaKey(self.account, UUID(str(upload_id)))) as body:
            return b"".join([piece async for piece in body.chunks])

    async def sweep(self) -> int:
        self.removed.clear()
        await self.unused.sweep(lambda what, count: self.removed.append((what, count)), rests=0)
        return sum(count for what, count in self.removed if what == "uploads")

    async def only_id(self) -> UUID:
        ((found,),) = await execute(self.engine, "select id from uploads")
        return UUID(str(found))


@pytest.fixture
def scene(engine, database, account: Channel) -> Scene:
    return Scene(engine, database, account)


async def test_a_file_is_kept_as_what_it_is_under_the_name_that_it_came_with(scene: Scene) -> None:
    item = await scene.take(PNG[:5], PNG[5:], name="C:\\photos\\velo.png", mime_type="application/octet-stream")
    assert (item.kind, item.mime_type, item.size, item.name) == ("image", "image/png", len(PNG), "velo.png")
    assert await scene.kept(item.id) == PNG
    ((state, created_by),) = await execute(scene.engine, "select state, created_by from uploads")
    assert (state, created_by) == ("stored", scene.agent.user_id)


async def test_a_voice_note_that_is_mp3_is_refused_with_the_reason_and_nothing_is_kept(scene: Scene) -> None:
    with pytest.raises(Invalid) as caught:
        await scene.take(MP3, kind="voice", mime_type="audio/mpeg")
    assert "OGG with Opus" in caught.value.errors[0]["message"]
    assert await scene.states() == []
    assert (await scene.take(opus(), kind="voice", mime_type="audio/ogg; codecs=opus")).mime_type == "audio/ogg"


async def test_the_opus_of_a_voice_note_is_found_however_small_the_pieces_are(scene: Scene) -> None:
    item = await scene.take(*[bytes([byte]) for byte in opus()], kind="voice", mime_type="audio/ogg")
    assert item.size == len(opus())


async def test_a_refused_file_that_cannot_be_deleted_goes_with_the_unused_ones(scene: Scene) -> None:
    scene.store.failures = 1
    with pytest.raises(Invalid):
        await scene.take(b"GIF89a" + bytes(20), mime_type="image/gif")
    assert await scene.states() == ["pending"]
    key = MediaKey(scene.account, await scene.only_id())
    await execute(scene.engine, "update uploads set created_at = created_at - interval '8 days'")
    assert await scene.sweep() == 1
    with pytest.raises(MediaGone):
        await scene.kept(key.id)


async def test_too_much_is_refused_at_the_limit_of_the_kind_and_not_behind_it(scene: Scene) -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 65_536
            yield PNG + bytes(65_536 - len(PNG))

    file = GivenFile(name=None, mime_type="image/png", chunks=endless())
    with pytest.raises(PayloadTooLarge):
        await scene.uploads.take(scene.agent, scene.account, UploadKind.IMAGE, file)
    assert given <= MOST_BYTES[UploadKind.IMAGE] + 65_536


@pytest.mark.parametrize("failure", [Invalid("body", "cut"), TimeoutError(), ZeroDivisionError()])
async def test_a_file_that_breaks_off_is_not_there(scene: Scene, failure: Exception) -> None:
    with pytest.raises(type(failure)):
        await scene.take(PNG, failure)
    assert await scene.states() == ["pending"]
    with pytest.raises(MediaGone):
        await scene.kept(await scene.only_id())
    async with scene.database.transaction() as tx:
        assert await tx.uploads.use(scene.account, [await scene.only_id()]) == []


async def test_a_process_that_dies_between_file_and_row_leaves_nothing_that_can_be_sent(scene: Scene) -> None:
    class Dying(Clumsy):
        async def put(self, key, body, *, limit, mime_type=None, within=None):
            await scene.store.put(key, body, limit=limit, mime_type=mime_type)
            raise ZeroDivisionError("the process dies")

    uploads = Uploads(scene.database, forgetful(scene.database), Dying(), within=30)
    file = GivenFile(name=None, mime_type="image/png", chunks=chunks(PNG))
    with pytest.raises(ZeroDivisionError):
        await uploads.take(scene.agent, scene.account, UploadKind.IMAGE, file)
    upload = await scene.only_id()
    assert await scene.kept(upload) == PNG
    async with scene.database.transaction() as tx:
        assert await tx.uploads.use(scene.account, [upload]) == []
    await execute(scene.engine, "update uploads set created_at = created_at - interval '8 days'")
    assert await scene.sweep() == 1
    with pytest.raises(MediaGone):
        await scene.kept(upload)


async def test_one_that_was_given_up_while_it_came_is_not_taken(scene: Scene) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield PNG
        await execute(scene.engine, "update uploads set created_at = created_at - interval '8 days'")
        assert await scene.sweep() == 1

    with pytest.raises(Invalid):
        await scene.uploads.take(
            scene.agent,
            scene.account,
            UploadKind.IMAGE,
            GivenFile(name=None, mime_type="image/png", chunks=slow()),
        )
    assert await scene.states() == []


async def test_only_who_may_send_may_upload(scene: Scene) -> None:
    viewer = an_actor(scene.account, Permission.MESSAGES_VIEW)
    stranger = an_actor((await an_account(scene.engine)).account_id, Permission.MESSAGES_SEND)
    file = GivenFile(name=None, mime_type=None, chunks=chunks(PNG))
    for actor, error in ((viewer, PermissionDenied), (stranger, AccountNotFound)):
        with pytest.raises(error):
            await scene.uploads.admit(actor, scene.account)
        with pytest.raises(error):
            await scene.uploads.take(actor, scene.account, UploadKind.IMAGE, file)
    assert await scene.states() == []


async def test_who_may_send_everywhere_is_told_when_there_is_no_such_account(scene: Scene) -> None:
    grant = Grant(code=Permission.MESSAGES_SEND, account_id=None, is_allowed=True)
    everywhere = Actor(user_id=UserId(uuid7()), email=None, is_active=True, grants=(grant,))
    await scene.uploads.admit(everywhere, scene.account)
    with pytest.raises(AccountNotFound):
        await scene.uploads.admit(everywhere, AccountId(uuid7()))


async def test_one_account_has_half_of_the_places_and_one_more_file_is_told_to_wait(scene: Scene) -> None:
    other = (await an_account(scene.engine)).account_id
    colleague = an_actor(other, Permission.MESSAGES_SEND)
    go_on, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def held() -> AsyncIterator[bytes]:
        begun.release()
        await go_on.wait()
        yield PNG

    async def one(actor: Actor, account: AccountId) -> UploadItem:
        file = GivenFile(name=None, mime_type="image/png", chunks=held())
        return await scene.uploads.take(actor, account, UploadKind.IMAGE, file)

    third = (await an_account(scene.engine)).account_id
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[UploadItem]] = []
        for actor, account in ((scene.agent, scene.account), (colleague, other)):
            await scene.uploads.admit(actor, account)
            tasks += [group.create_task(one(actor, account)) for _ in range(2)]
            for _ in range(2):
                await begun.acquire()
            with pytest.raises(Overloaded):
                await scene.uploads.admit(actor, account)
        with pytest.raises(Overloaded):
            await scene.take(PNG)
        with pytest.raises(Overloaded):
            await scene.uploads.admit(an_actor(third, Permission.MESSAGES_SEND), third)
        go_on.set()
    await scene.uploads.admit(scene.agent, scene.account)
    assert len({task.result().id for task in tasks}) == 4


async def test_unused_files_go_after_some_days_and_used_ones_stay(scene: Scene) -> None:
    used, unused = await scene.take(PNG), await scene.take(PNG)
    async with scene.database.transaction() as tx:
        await tx.uploads.use(scene.account, [UUID(used.id)])
    assert await scene.sweep() == 0
    await execute(scene.engine, "update uploads set created_at = created_at - interval '8 days'")
    assert await scene.sweep() == 1
    assert await scene.kept(used.id) == PNG
    with pytest.raises(MediaGone):
        await scene.kept(unused.id)


async def test_a_file_that_cannot_be_deleted_holds_nothing_else_up(scene: Scene) -> None:
    stuck, other = await scene.take(PNG), await scene.take(PNG)
    await execute(scene.engine, "update uploads set created_at = created_at - interval '8 days'")
    await execute(
        scene.engine, "update uploads set created_at = created_at - interval '1 day' where id = :id", id=UUID(stuck.id)
    )
    scene.store.failures, scene.store.unfinished = 1, 3
    with pytest.raises(MediaUnavailable):
        await scene.sweep()
    assert await scene.only_id() == UUID(stuck.id)
    assert scene.removed == [("uploads", 1), ("unfinished_files", 3)]
    with pytest.raises(MediaGone):
        await scene.kept(other.id)


async def many_old(scene: Scene, count: int) -> list[UUID]:
    """Unused files, the oldest first; their bytes are not there any more."""
    rows = await execute(
        scene.engine,
        """insert into uploads (id, account_id, kind, created_by, created_at)
           select gen_random_uuid(), :account, 'image', gen_random_uuid(), now() - interval '9 days' + n * interval '1s'
           from generate_series(1, cast(:count as int)) n
           returning id, created_at""",
        account=scene.account,
        count=count,
    )
    return [row.id for row in sorted(rows, key=lambda row: row.created_at)]


async def test_a_store_that_is_down_is_not_asked_again_and_again(scene: Scene) -> None:
    await many_old(scene, 5)
    scene.store.failures, scene.store.unfinished = 1_000, 3
    with pytest.raises(MediaUnavailable):
        await scene.sweep()
    assert (scene.store.failures, scene.removed) == (997, [])


async def test_however_many_files_cannot_be_deleted_those_behind_them_go(scene: Scene) -> None:
    *stuck, good = await many_old(scene, 102)
    scene.store.stuck = frozenset(stuck)
    removed = 0
    for _ in range(34):
        with pytest.raises(MediaUnavailable):
            await scene.sweep()
        removed += sum(count for _, count in scene.removed)
    assert removed == 1
    assert good not in [row.id for row in await execute(scene.engine, "select id from uploads")]
    scene.store.stuck = frozenset()
    assert await scene.sweep() == 101  # from the beginning again


async def test_files_that_cannot_be_deleted_are_tried_once_in_a_sweep(scene: Scene) -> None:
    old = await many_old(scene, 150)
    scene.store.stuck = frozenset(old[::2])
    with pytest.raises(MediaUnavailable):
        await scene.sweep()
    assert scene.removed == [("uploads", 50), ("uploads", 25)]


async def test_nothing_is_removed_while_another_process_sweeps(scene: Scene) -> None:
    await many_old(scene, 1)
    scene.store.unfinished = 3
    async with scene.database.retention.alone():
        assert await scene.sweep() == 0
        assert scene.removed == []
    assert await scene.sweep() == 1


async def test_a_sweep_that_the_store_ends_goes_on_the_next_time(scene: Scene) -> None:
    await scene.take(PNG)
    await execute(scene.engine, "update uploads set created_at = created_at - interval '8 days'")
    scene.store.failures = 1
    with pytest.raises(MediaUnavailable):
        await scene.sweep()
    assert await scene.states() == ["removed"]
    assert await scene.sweep() == 1
    assert await scene.states() == []
