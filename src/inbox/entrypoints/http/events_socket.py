"""What changed, over a WebSocket: one subscription at a time, presence of colleagues, and a sign of life.

Every message is a JSON object with a `type`. From the client: `subscribe`, `presence`, `ping`. To it: `subscribed`,
`event`, `presence`, `heartbeat`, `pong`, `reset`, `error`, `closing`.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID

import msgspec
from dishka import AsyncContainer
from litestar import WebSocket, websocket
from msgspec import Meta

from inbox.domain.access import Actor, Subject
from inbox.domain.errors import InboxError
from inbox.domain.feed import Interest
from inbox.domain.ids import AccountId, ConversationId
from inbox.domain.presence import Presence
from inbox.entrypoints.connections import ConnectionLimits, Connections, Place
from inbox.entrypoints.feed import Feed
from inbox.entrypoints.http.events import HEARTBEAT, Colleague
from inbox.entrypoints.http.interests import permitted
from inbox.entrypoints.http.middleware import caller_of
from inbox.entrypoints.http.origins import Origins, require_own_page
from inbox.entrypoints.http.sockets import (
    CODES,
    FULL,
    IDLE,
    SEND_WITHIN,
    TOO_MANY,
    TRY_AGAIN,
    Ended,
    address_of,
    close,
    ended,
    finish,
    texts,
    within,
)
from inbox.entrypoints.taps import Closing, Taken, Tap, TapClosed
from inbox.services.presence import Colleagues
from inbox.services.rights import Rights

_MOST_PRESENT: Final = 20
"""Conversations that one connection can be seen in."""
_Ids: TypeAlias = Annotated[list[UUID], Meta(min_length=1, max_length=200)]


class _Heard(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """What a client may say."""


class Subscribe(_Heard, frozen=True, kw_only=True, tag="subscribe"):
    """Takes the place of the subscription before. None is all that the caller may see."""

    accounts: _Ids | None = None
    conversations: _Ids | None = None
    after: Annotated[str, Meta(max_length=64)] | None = None
    presence: bool = False


class Present(_Heard, frozen=True, kw_only=True, tag="presence"):
    """What the caller does in a conversation."""

    conversation_id: UUID
    state: Presence


class Ping(_Heard, frozen=True, kw_only=True, tag="ping"):
    """Answered with `pong`."""


_decode: Final = msgspec.json.Decoder(Subscribe | Present | Ping).decode
_encode: Final = msgspec.json.Encoder().encode


@websocket("/events/ws", permission=None)
async def hold_socket(socket: WebSocket[Any, Any, Any]) -> None:
    """Authorised by a bearer token in the header, or by a ticket in the query. Ends with a reason and a code."""
    container: AsyncContainer = socket.app.state.dishka_container
    require_own_page(socket, await container.get(Origins))
    await socket.accept()
    connections = await container.get(Connections)
    with connections.held() as stopping, connections.unsubscribed.place(address_of(socket)) as place:
        if not place.take():
            await _close(socket, Ended(FULL, TRY_AGAIN))
            return
        try:
            actor = await caller_of(socket, ticket=True)
        except InboxError as error:
            await _close(socket, ended(error))
            return
        feed, rights = await container.get(Feed), await container.get(Rights)
        colleagues = await container.get(Colleagues)
        await _Talk(socket, actor, feed, rights, colleagues, connections.limits, place).hold(stopping)


class _Talk:
    """One connection: who reads and who writes."""

    def __init__(
        self,
        socket: WebSocket[Any, Any, Any],
        actor: Actor,
        feed: Feed,
        rights: Rights,
        colleagues: Colleagues,
        limits: ConnectionLimits,
        place: Place,
    ) -> None:
        """`place` is given back with the first subscription."""
        self._socket = socket
        self._actor = actor
        self._feed = feed
        self._rights = rights
        self._colleagues = colleagues
        self._limits = limits
        self._place = place
        self._ends_at = feed.clock() + feed.lifetime
        self._subscribed_at = -limits.subscribe_every
        self._sending = asyncio.Lock()
        self._wanted: asyncio.Queue[Subscribe] = asyncio.Queue(maxsize=1)
        self._tap: Tap | None = None
        self._present: set[ConversationId] = set()

    async def hold(self, stopping: asyncio.Future[None]) -> None:
        """Returns when the connection is over, from whichever side, or when `stopping` is done."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await finish(ends, partial(_close, self._socket))
        finally:
            await self._leave()

    # --- from the client ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        async for text in texts(self._socket):
            await self._heed(text)

    async def _heed(self, text: str) -> None:
        try:
            match _decode(text):
                case Subscribe() as wanted:
                    await self._replace(wanted)
                case Present() as present:
                    await self._tell(present)
                case Ping():
                    await self._send({"type": "pong"})
        except (msgspec.DecodeError, RecursionError):
            await self._send({"type": "error", "detail": "validation_error"})
        except InboxError as error:
            await self._send({"type": "error", "detail": error.code})

    async def _replace(self, wanted: Subscribe) -> None:
        now = time.monotonic()
        if now - self._subscribed_at < self._limits.subscribe_every:
            await self._send({"type": "error", "detail": TOO_MANY})
            return
        self._subscribed_at = now
        await self._wanted.put(wanted)
        if self._tap is not None:
            self._tap.close(Closing.REPLACED)

    async def _tell(self, present: Present) -> None:
        conversation_id = ConversationId(present.conversation_id)
        is_new = False
        if present.state is Presence.LEFT:
            self._go(conversation_id)
        elif conversation_id not in self._present and len(self._present) < _MOST_PRESENT:
            is_new = True
            # Before it is told: the person's other connection may go meanwhile, and must not say that they left.
            self._present.add(conversation_id)
            self._colleagues.come(self._actor.user_id, conversation_id)
        try:
            others = await self._colleagues.tell(self._actor, conversation_id, present.state)
        except InboxError:
            if is_new:  # who was shown before is shown still, and says at the end that they left
                self._go(conversation_id)
            raise
        await self._send({"type": "colleagues", "conversation_id": conversation_id, "colleagues": others})

    async def _leave(self) -> None:
        """Who is gone is not shown any longer."""
        for conversation_id in tuple(self._present):
            self._go(conversation_id)
            with suppress(InboxError):  # whoever may not see it any more is not shown for long either
                await self._colleagues.tell(self._actor, conversation_id, Presence.LEFT)

    def _go(self, conversation_id: ConversationId) -> None:
        if conversation_id in self._present:
            self._present.discard(conversation_id)
            self._colleagues.go(self._actor.user_id, conversation_id)

    # --- to the client ------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        async with within(self._limits.idle_for, IDLE):
            wanted = await self._wanted.get()
        while True:
            try:
                await self._serve(wanted)
            except TapClosed as closed:
                if closed.reason is not Closing.REPLACED:
                    raise Ended(closed.reason, CODES[closed.reason]) from None
            except InboxError as error:
                raise ended(error) from None
            wanted = await self._wanted.get()

    async def _serve(self, wanted: Subscribe) -> None:
        """Each time with the rights of now: the connection may be older than they are. Its end stays where it was."""
        actor = await self._rights.actor(Subject(user_id=self._actor.user_id, kind=self._actor.kind))
        if actor is None or not actor.is_active:
            raise Ended(Closing.RIGHTS, CODES[Closing.RIGHTS])
        self._actor = actor
        interest = await self._interest(wanted)
        async with self._feed.listening(actor, interest, wanted.after, ends_at=self._ends_at) as tap:
            self._tap = tap
            self._place.leave()
            if not self._wanted.empty():
                return
            await self._send({"type": "subscribed", "cursor": str(tap.cursor)})
            while True:
                for message in _messages(await tap.take(HEARTBEAT * tap.pace), tap):
                    tap.check()
                    await self._send_bytes(message)

    async def _interest(self, wanted: Subscribe) -> Interest:
        accounts = None if wanted.accounts is None else [*map(AccountId, wanted.accounts)]
        conversations = None if wanted.conversations is None else [*map(ConversationId, wanted.conversations)]
        return await permitted(self._rights, self._actor, accounts, conversations, presence=wanted.presence)

    async def _send(self, message: object) -> None:
        await self._send_bytes(_encode(message))

    async def _send_bytes(self, message: bytes) -> None:
        async with within(SEND_WITHIN, Closing.SLOW), self._sending:
            await self._socket.send_text(message.decode())


def _messages(taken: Taken, tap: Tap) -> Iterator[bytes]:
    if taken.is_reset:
        yield _encode({"type": "reset", "reason": "cursor_expired", "cursor": str(tap.cursor)})
    for item in taken.items:
        yield b'{"type":"event",' + item.json[1:]
    for seen in taken.whispers:
        yield b'{"type":"presence",' + _encode(Colleague.of(seen))[1:]
    if not (taken.items or taken.whispers or taken.is_reset):
        yield _encode({"type": "heartbeat", "cursor": str(tap.cursor)})


async def _close(socket: WebSocket[Any, Any, Any], end: Ended) -> None:
    await close(socket, end, said=_encode({"type": "closing", "reason": end.reason, "code": end.code}).decode())
