"""What the worker does that screens show.

Each operation prepares, yields, and does the one thing.
"""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Final

from builders import a_status, execute
from inbox.domain.content import Media, MediaKind, Text
from inbox.domain.media import MediaState
from inbox.domain.outbound import State
from inbox.domain.outgoing import Reaction
from inbox.ports.records import MediaOutcome
from postgres.identity_scene import PHONE, happens, said, who
from postgres.ingest_scene import hear
from postgres.outbox_scene import settled, soon
from services.silence_scene import Scene

Steps = AsyncIterator[None]
Operation = Callable[[Scene], Steps]
A_DAY: Final = timedelta(days=1)


async def its_time_coming(s: Scene) -> Steps:
    await s.outbound.accept(s.ana, s.talk, Text(body="Tantôt"), key=None, send_at=s.clock() + timedelta(hours=1))
    yield
    await s.database.outbox.reap(soon(hours=1, seconds=1))


async def its_time_coming_too_late(s: Scene) -> Steps:
    await s.outbound.accept(s.ana, s.talk, Text(body="Demain"), key=None, send_at=s.clock() + 2 * A_DAY)
    yield
    await s.database.outbox.reap(soon(days=2, seconds=1))


async def whatsapp_taking_it(s: Scene) -> Steps:
    head, lane = await s.on_wire()
    yield
    await s.database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)


async def whatsapp_refusing_it_because_of_the_window(s: Scene) -> Steps:
    await execute(s.engine, "update conversations set window_expires_at = now() + interval '1 hour'")
    head, lane = await s.on_wire()
    refusal = {"reason": "whatsapp_rejected", "error_code": 131047, "error_message": "closed"}
    yield
    await s.database.outbox.settle(settled(head, State.FAILED, **refusal), lane)


async def whatsapp_taking_a_reaction_of_ours(s: Scene) -> Steps:
    wamid = f"wamid.{s.mine.phone_number_id}"
    head, lane = await s.on_wire(content=Reaction(wamid=wamid, emoji="👍"))
    yield
    await s.database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)


async def a_pause(s: Scene) -> Steps:
    head, lane = await s.on_wire()
    yield
    await s.database.outbox.settle(settled(head, State.QUEUED, wait=timedelta(), pause="token_invalid"), lane)


async def an_open_circuit(s: Scene) -> Steps:
    head, lane = await s.on_wire()
    yield
    await s.database.outbox.release(head.id, head.token, lane, timedelta(seconds=5))


async def the_answer_after_the_echo(s: Scene) -> Steps:
    head, lane = await s.on_wire()
    await execute(s.engine, "update outbox set state = 'delivered'")
    yield
    await s.database.outbox.settle(settled(head, State.ACCEPTED, wamid="wamid.A"), lane)


async def time_running_out(s: Scene) -> Steps:
    await s.ours(expires_at=soon(seconds=-1))
    yield
    await s.database.outbox.reap()


async def an_outcome_that_nobody_knows(s: Scene) -> Steps:
    await s.ours(State.WIRE, wire_at=soon(minutes=-1))
    yield
    await s.database.outbox.reap()


async def a_status_that_nobody_could_place(s: Scene) -> Steps:
    await hear(s.database, a_status(s.mine.phone_number_id, "wamid.A", "read"))
    await s.ours(State.ACCEPTED, wamid="wamid.A")
    yield
    await s.database.outbox.reap()


async def a_file_coming_home(s: Scene) -> Steps:
    photo = Media(kind=MediaKind.IMAGE, media_id="1")
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.file", content=photo))
    message = await s.id_of("wamid.file")
    yield
    async with s.database.transaction() as tx:
        gone = MediaOutcome(state=MediaState.REFUSED, reason="too_large")
        told = await tx.media_files.settle(s.mine.account_id, message, gone)
        assert told is not None
        await tx.record(told)


WORK: Final[tuple[Operation, ...]] = (
    its_time_coming,
    its_time_coming_too_late,
    whatsapp_taking_it,
    whatsapp_refusing_it_because_of_the_window,
    whatsapp_taking_a_reaction_of_ours,
    a_pause,
    an_open_circuit,
    the_answer_after_the_echo,
    time_running_out,
    an_outcome_that_nobody_knows,
    a_status_that_nobody_could_place,
    a_file_coming_home,
)
