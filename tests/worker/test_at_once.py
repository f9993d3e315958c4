"""A message that is stored in a process with a worker leaves at once: nobody looks for it, nobody has to be woken."""

import asyncio
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from builders import execute
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.content import Text
from inbox.domain.outbound import State
from inbox.domain.work import Lane, WorkKind
from inbox.entrypoints.worker import Limits, Worker
from inbox.services.outbound import Accepted, Outbound
from member_builders import a_user
from services.file_scene import no_files
from services.rights_scene import forgetful
from worker.house import QUICK, House, Silent, running

_whose: ContextVar[str] = ContextVar("whose", default="nobody's")


class Blind:
    """A database, or its lanes, in which workers find nothing to do, as soon as they may look."""

    def __init__(self, inner: Any, may_look: asyncio.Event) -> None:  # noqa: ANN401 - whatever is looked at
        self._inner = inner
        self._may_look = may_look

    async def claim(self, *_: object, **__: object) -> list[Lane]:
        await self._may_look.wait()
        return []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it has
        found = getattr(self._inner, name)
        return Blind(found, self._may_look) if name == "work" else found


class Scene:
    """A worker, and somebody who writes through the same process."""

    def __init__(self, house: House, account, actor: Actor) -> None:
        self.house = house
        self._account = account
        self._actor = actor
        self.may_look = asyncio.Event()
        self.may_look.set()
        files = no_files(house.database, house.clock)
        self.outbound = Outbound(
            house.database, forgetful(house.database), house.sender, house.signals, house.clock, files
        )

    def worker(self, limits: Limits = QUICK) -> Worker:
        return self.house.worker(limits, outbound=self.outbound)

    def blind_worker(self, limits: Limits = QUICK) -> Worker:
        """Sends only what is given to it."""
        blind = Blind(self.house.database, self.may_look)
        return self.house.worker(limits, outbound=self.outbound, database=blind)

    async def says(self, text: str) -> Accepted:
        """In a conversation in which something was sent before."""
        conversation, _ = await self.house.a_talk(self._account, bot_enabled=False)
        await execute(
            self.house.engine,
            """with talk as (update conversations set window_expires_at = :until where id = :id returning *),
                    pace as (insert into number_paces (account_id) select account_id from talk on conflict do nothing)
               insert into lanes (kind, key, account_id, ver, done)
               select 'send', id::text, account_id, 1, 1 from talk""",
            until=datetime.now(UTC) + timedelta(hours=20),
            id=conversation,
        )
        return await self.outbound.accept(self._actor, conversation, Text(body=text), key=None)

    async def rests(self) -> None:
        """Until the worker has begun."""
        await self.house.until_true(self.is_free)

    def is_free(self) -> bool:
        with self.outbound.hands.held() as is_held:
            return is_held


@pytest.fixture
async def scene(database, engine, clock, account) -> Scene:
    grant = Grant(code=Permission.MESSAGES_SEND, account_id=account.account_id)
    actor = Actor(user_id=await a_user(engine), email=None, is_active=True, grants=(grant,))
    return Scene(House(database, engine, Silent(), clock), account, actor)


async def test_it_is_sent_although_no_worker_finds_it(scene: Scene) -> None:
    async with running(scene.blind_worker()):
        await scene.rests()
        for n in range(5):
            await scene.says(f"{n}")
        await scene.house.until_done("send", "accepted", 5)
    assert scene.house.sender.texts() == ["0", "1", "2", "3", "4"]
    assert await scene.house.states() == {f"{n}": State.ACCEPTED for n in range(5)}
    assert await execute(scene.house.engine, "select 1 from lanes where ver > done or attempts > 0") == []


async def test_what_finds_no_slot_waits_for_one(scene: Scene) -> None:
    scene.house.sender.behind |= {"hangs"}
    async with running(scene.worker(msgspec.structs.replace(QUICK, sends=1))):
        await scene.rests()
        await scene.says("hangs")
        await scene.house.sender.holds.wait()
        await scene.says("waits")
        assert (await scene.house.states())["waits"] == State.QUEUED
        scene.house.sender.let_go.set()
        await scene.house.until_done("send", "accepted", 2)


async def test_while_a_worker_looks_for_what_waits_longer_nothing_new_is_given_to_it(scene: Scene) -> None:
    async with running(scene.blind_worker()):
        await scene.rests()
        scene.may_look.clear()
        await scene.house.until_true(lambda: not scene.is_free())
        await scene.says("waits its turn")
        scene.may_look.set()
        await scene.rests()
        assert await scene.house.states() == {"waits its turn": State.QUEUED}


class Circuit:
    """Lets so much through; None is all."""

    left: int | None = None

    def room(self) -> int | None:
        return self.left

    async def moved(self, seen: int) -> int:
        await asyncio.Event().wait()
        return seen


@pytest.mark.parametrize("room", [0, 1])
async def test_a_circuit_that_is_not_closed_is_left_to_the_loop(scene: Scene, room: int) -> None:
    circuit = Circuit()
    async with running(scene.blind_worker(msgspec.structs.replace(QUICK, gates={WorkKind.SEND: circuit}))):
        await scene.rests()
        circuit.left = room
        await scene.says("held back")
        assert await scene.house.states() == {"held back": State.QUEUED}


async def test_a_worker_that_stops_ends_what_it_has_begun(scene: Scene) -> None:
    scene.house.sender.behind |= {"under way"}
    async with running(worker := scene.blind_worker()):
        await scene.rests()
        await scene.says("under way")
        await scene.house.sender.holds.wait()
        worker.stop()
        await scene.says("too late")
        scene.house.sender.let_go.set()
    assert await scene.house.states() == {"under way": State.ACCEPTED, "too late": State.QUEUED}


async def test_the_send_does_not_run_in_the_context_of_the_request(scene: Scene) -> None:
    seen: list[str] = []
    send = scene.house.sender.send

    async def looked(*given: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the port says
        seen.append(_whose.get())
        return await send(*given, **options)

    scene.house.sender.send = looked  # type: ignore[method-assign]
    async with running(scene.blind_worker()):
        await scene.rests()
        _whose.set("Ana's request")
        await scene.says("Bonjour")
        await scene.house.until_done("send", "accepted", 1)
    assert seen == ["nobody's"]
