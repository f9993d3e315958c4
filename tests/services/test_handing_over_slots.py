"""Large files on their way to WhatsApp: they leave room for everything else, and their messages stay claimed."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from builders import an_account, execute
from inbox.adapters.events.memory import MemoryEvents
from inbox.domain.accounts import Channel
from inbox.domain.errors import InboxError
from inbox.domain.outbound import State
from inbox.domain.outgoing_files import Image
from inbox.domain.upstream_errors import AccountProblem, Refused
from inbox.domain.work import WorkKind
from inbox.services.handing_over import HandingOver
from inbox.services.outbound import Outbound
from services.rights_scene import forgetful
from services.test_handing_over import Scene, Strict


class Hanging(Strict):
    """Takes nothing until told so; `begun` counts what began."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.begun = asyncio.Event(), asyncio.Semaphore(0)

    async def upload(self, channel, file):
        self.begun.release()
        await self.go_on.wait()
        return await super().upload(channel, file)


@pytest.fixture
def scene(engine, database, clock, account: Channel) -> Scene:
    return Scene(engine, database, clock, account)


def through(scene: Scene, uploader: Strict, at_once: int = 8) -> None:
    """From now on files go out by this uploader."""
    files = HandingOver(scene.database, uploader, scene.store, scene.clock, at_once=at_once)
    scene.outbound = Outbound(
        scene.database, forgetful(scene.database), scene.sender, MemoryEvents(), scene.clock, files
    )


async def queued(scene: Scene, account: Channel, upload: UUID | None = None) -> None:
    """A message of the account with a file of its own, if it is not this one."""
    first, scene.account = scene.account, account
    await scene.queued(Image(upload_id=upload or await scene.an_upload()))
    scene.account = first


async def deliveries(scene: Scene):
    """The delivery of each message that waits, in the order in which they were queued."""
    await execute(scene.engine, "update lanes set due = now() where ver > done")
    await execute(scene.engine, "update outbox set not_before = null")
    taken = await scene.database.outbox.take_heads(await scene.database.work.claim(WorkKind.SEND, 10))
    found = sorted(((one.head, one.lane) for one in taken if one.head is not None), key=lambda pair: pair[0].id)
    return [scene.outbound.deliver(head, lane) for head, lane in found]


async def test_files_take_a_part_of_the_room_and_those_of_one_account_half_of_it(scene: Scene) -> None:
    hanging, second, third = Hanging(), await an_account(scene.engine), await an_account(scene.engine)
    through(scene, hanging, at_once=2)
    for account in (scene.account, scene.account, second, third):
        await queued(scene, account)
    first, of_the_same, of_another, too_many = await deliveries(scene)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        going = [group.create_task(first)]
        await hanging.begun.acquire()
        assert await of_the_same is State.QUEUED
        going.append(group.create_task(of_another))
        await hanging.begun.acquire()
        assert await too_many is State.QUEUED
        hanging.go_on.set()
    assert [task.result() for task in going] == [State.ACCEPTED] * 2
    assert [await delivery for delivery in await deliveries(scene)] == [State.ACCEPTED] * 2
    assert len(hanging.given) == 4


async def test_only_some_messages_wait_for_a_file_that_another_one_gives(scene: Scene) -> None:
    hanging, upload = Hanging(), await scene.an_upload()
    through(scene, hanging, at_once=1)
    for _ in range(3):
        await queued(scene, scene.account, upload)
    first, *others = await deliveries(scene)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        giving = group.create_task(first)
        await hanging.begun.acquire()
        tasks = {group.create_task(other) for other in others}
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        hanging.go_on.set()
    assert [task.result() for task in (giving, *done, *waiting)] == [State.ACCEPTED, State.QUEUED, State.ACCEPTED]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, State.ACCEPTED),
        (Refused("Media upload error", graph_code=131053), State.FAILED),
        (AccountProblem("The token is over.", graph_code=190), State.QUEUED),
    ],
)
async def test_a_message_stays_claimed_while_its_file_takes_longer_than_a_claim(
    scene: Scene, error: InboxError | None, state: State
) -> None:
    message = await scene.queued(Image(upload_id=await scene.an_upload()))

    class Slow(Strict):
        async def upload(self, channel, file):
            await scene.database.outbox.reap(datetime.now(UTC) + timedelta(seconds=119))
            return await super().upload(channel, file)

    slow = Slow()
    through(scene, slow)
    if error is not None:
        slow.fail_next(error)
    assert await scene.deliver() is state
    assert (await scene.row(message)).state == state.value
    paused = await execute(scene.engine, "select 1 from whatsapp_accounts where paused_at is not null")
    assert bool(paused) is isinstance(error, AccountProblem)


async def test_a_message_that_is_somebody_elses_by_now_gives_no_file(scene: Scene) -> None:
    await scene.queued(Image(upload_id=await scene.an_upload()))
    (late,) = await deliveries(scene)
    await scene.database.outbox.reap(datetime.now(UTC) + timedelta(seconds=31))
    assert await late is State.QUEUED
    assert not scene.uploader.given
