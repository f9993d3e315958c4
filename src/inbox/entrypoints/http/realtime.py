"""The part of Supabase Realtime that existing front ends use: channels with `postgres_changes` over Phoenix frames.

The same feed, the same rights. A channel has no cursor: who reconnects reads its lists anew, as these front ends do.
Protocol: Phoenix channels, serializers 1.0.0 (objects) and 2.0.0 (arrays); broadcast and presence are accepted and lead
nowhere.
"""

import asyncio
import itertools
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from dishka import AsyncContainer
from litestar import WebSocket, websocket
from msgspec import Meta

from inbox.domain.access import Actor
from inbox.domain.errors import AccountNotFound, ConversationNotFound, InboxError, Invalid, InvalidToken, Kind
from inbox.domain.feed import Interest
from inbox.domain.ids import AccountId, ConversationId
from inbox.entrypoints.connections import ConnectionLimits, Connections, Place
from inbox.entrypoints.feed import Feed
from inbox.entrypoints.http.interests import permitted
from inbox.entrypoints.http.origins import Origins, require_own_page
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.realtime_rows import TABLES, Binding, Filter, Row, interest_of, rows_of
from inbox.entrypoints.http.sockets import (
    CODES,
    FULL,
    IDLE,
    SEND_WITHIN,
    TRY_AGAIN,
    Ended,
    address_of,
    close,
    finish,
    texts,
    within,
)
from inbox.entrypoints.taps import Closing, Tap, TapClosed
from inbox.ports.identity import Identity
from inbox.services.members import Members
from inbox.services.rights import Rights

_SILENT: Final = 90.0
"""Seconds; supabase-js says something every 25."""
_MOST_CHANNELS, _MOST_BINDINGS = 20, 10
_TAKE: Final = 30.0
_PROOF_EVERY: Final = 60.0
"""Seconds between two looks at a channel's token."""
_ANY: Final = frozenset({"*", "INSERT", "UPDATE", "DELETE"})
_QUIET: Final = frozenset({"broadcast", "presence"})


class _Wanted(msgspec.Struct, frozen=True):
    event: str = "*"
    schema: str = "public"
    table: str = "*"
    filter: str | None = None


class _Config(msgspec.Struct, frozen=True):
    postgres_changes: Annotated[list[dict[str, Any]], Meta(max_length=_MOST_BINDINGS)] = []


class _Join(msgspec.Struct, frozen=True):
    config: _Config = _Config()
    access_token: str | None = None


class _Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A Phoenix message. `join_ref` names the subscription to a topic, `ref` the message, for its reply."""

    topic: str
    event: str
    payload: Any = None
    ref: str | None = None
    join_ref: str | None = None


_FRAME: Final = msgspec.json.Decoder(_Frame)
_ARRAY: Final = msgspec.json.Decoder(tuple[str | None, str | None, str, str, Any])
_encode: Final = msgspec.json.Encoder().encode


@websocket("/realtime/v1/websocket", permission=None)
async def hold_realtime(socket: WebSocket[Any, Any, Any]) -> None:
    """Open to all; each channel shows its token when it is joined."""
    container: AsyncContainer = socket.app.state.dishka_container
    require_own_page(socket, await container.get(Origins))
    await socket.accept()
    connections = await container.get(Connections)
    with connections.held() as stopping, connections.unjoined.place(address_of(socket)) as place:
        if not place.take():
            await close(socket, Ended(FULL, TRY_AGAIN))
            return
        feed, rights = await container.get(Feed), await container.get(Rights)
        door = _Doorkeeper(await container.get(Identity), await container.get(Members), feed)
        await _Link(socket, feed, rights, door, connections.limits, place).hold(stopping)


class _Doorkeeper:
    def __init__(self, identity: Identity, members: Members, feed: Feed) -> None:
        self._identity = identity
        self._members = members
        self._feed = feed

    async def actor(self, token: str | None) -> Actor:
        """Raises `InvalidToken` and what else keeps somebody out."""
        if not token:
            raise InvalidToken
        async with self._feed.opening():
            return await self._members.sign_in(await self._identity.authenticate(token))


class _Link:
    """One connection with its channels."""

    def __init__(
        self,
        socket: WebSocket[Any, Any, Any],
        feed: Feed,
        rights: Rights,
        door: _Doorkeeper,
        limits: ConnectionLimits,
        place: Place,
    ) -> None:
        """`place` is the one that it takes while nothing is joined."""
        self._socket = socket
        self._feed = feed
        self._rights = rights
        self.door = door
        self.lifetime = feed.lifetime
        self._is_array = socket.query_params.get("vsn", "1.0.0").startswith("2.")
        self._sending = asyncio.Lock()
        self._ids = itertools.count(1)
        self._channels: dict[str, _Channel] = {}
        self._limits = limits
        self._place = place
        self._idle: asyncio.TimerHandle | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hold(self, stopping: asyncio.Future[None]) -> None:
        """Returns when the connection is over, from whichever side, or when `stopping` is done."""
        self._is_idle()
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait((reader, self._failed, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._failed.cancel()
            self._is_used()
            tasks = [channel.task for channel in self._channels.values()]
            for task in (reader, *tasks):
                task.cancel()
            ends = await asyncio.gather(reader, self._failed, *tasks, return_exceptions=True)
        await finish(ends, partial(close, self._socket))

    def _is_idle(self) -> None:
        """Nothing is joined: one of few, and not for long."""
        if self._failed.done():
            return
        if self._place.take():
            self._idle = asyncio.get_running_loop().call_later(
                self._limits.idle_for, self._fail, Ended(IDLE, CODES[IDLE])
            )
        else:
            self._fail(Ended(FULL, TRY_AGAIN))

    def _is_used(self) -> None:
        self._place.leave()
        if self._idle is not None:
            self._idle.cancel()

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    async def _read(self) -> None:
        async for text in texts(self._socket, silent_for=_SILENT):
            try:
                await self._heed(self._decoded(text))
            except (msgspec.DecodeError, RecursionError):
                raise Ended("bad_frame", 1007) from None

    def _decoded(self, text: str) -> _Frame:
        if not self._is_array:
            return _FRAME.decode(text)
        join_ref, ref, topic, event, payload = _ARRAY.decode(text)
        return _Frame(topic=topic, event=event, payload=payload, ref=ref, join_ref=join_ref)

    async def _heed(self, frame: _Frame) -> None:
        match frame.event:
            case "heartbeat":
                await self.reply(frame, {})
            case "phx_join":
                await self._join(frame)
            case "phx_leave":
                await self._leave(frame.topic)
                await self.reply(frame, {})
            case "access_token":
                await self._renew(frame)
            case event if event in _QUIET and frame.topic in self._channels:
                await self.reply(frame, {})
            case _:
                await self.reply(frame, {"reason": "unmatched topic"}, status="error")

    # --- channels -----------------------------------------------------------------------------------------------------

    async def _join(self, frame: _Frame) -> None:
        await self._leave(frame.topic)  # joined twice: the later one counts
        try:
            if len(self._channels) >= _MOST_CHANNELS:
                raise Invalid("channels", f"at most {_MOST_CHANNELS}")
            asked = msgspec.convert(frame.payload or {}, _Join)
            given = asked.config.postgres_changes
            bindings = [self._binding(msgspec.convert(one, _Wanted)) for one in given]
            actor = await self.door.actor(asked.access_token)
            interest = await self._interest(actor, bindings)
        except (InboxError, msgspec.ValidationError) as error:
            reason = str(error) if isinstance(error, Invalid) else getattr(error, "code", "validation_error")
            await self.reply(frame, {"reason": reason}, status="error")
            return
        channel = _Channel(self, frame, actor, asked.access_token or "", bindings)
        self._channels[frame.topic] = channel
        self._is_used()
        channel.task = asyncio.create_task(channel.pump(self._feed, interest, given))
        channel.task.add_done_callback(lambda _: self._done(frame.topic, channel))

    def _binding(self, wanted: _Wanted) -> Binding:
        """Raises `Invalid` for what this service has not."""
        if wanted.schema not in ("public", "*") or wanted.table not in {*TABLES, "*"} or wanted.event not in _ANY:
            raise Invalid("postgres_changes", "there are messages, conversations and message_reactions of public")
        found = Filter.parse(wanted.filter) if wanted.filter else None
        if wanted.filter and found is None:
            raise Invalid("postgres_changes.filter", "only column=eq.value is understood")
        return Binding(id=next(self._ids), event=wanted.event, schema=wanted.schema, table=wanted.table, filter=found)

    async def _interest(self, actor: Actor, bindings: list[Binding]) -> Interest:
        """Raises `AccountNotFound` and `ConversationNotFound` for what the caller may not know of."""
        accounts, conversations = interest_of(bindings)
        return await permitted(
            self._rights,
            actor,
            None if accounts is None else [AccountId(object_id(one, AccountNotFound)) for one in accounts],
            None
            if conversations is None
            else [ConversationId(object_id(one, ConversationNotFound)) for one in conversations],
        )

    async def _leave(self, topic: str) -> None:
        channel = self._channels.get(topic)
        if channel is not None:
            channel.task.cancel()
            await asyncio.wait((channel.task,))
            self._done(topic, channel)

    async def _renew(self, frame: _Frame) -> None:
        """supabase-js tells each channel the next token before the last one ends."""
        channel = self._channels.get(frame.topic)
        token = frame.payload.get("access_token") if isinstance(frame.payload, dict) else None
        if channel is None or not isinstance(token, str):
            return
        channel.token = token
        if channel.tap is not None:
            await channel.prove(channel.tap)

    def _done(self, topic: str, channel: "_Channel") -> None:
        """A channel that ended by itself is known to its client; what broke the connection ends all of it."""
        if self._channels.get(topic) is channel:
            del self._channels[topic]
            if not self._channels:
                self._is_idle()
        if not channel.task.cancelled() and (error := channel.task.exception()) is not None:
            self._fail(error)

    # --- frames -------------------------------------------------------------------------------------------------------

    async def reply(self, frame: _Frame, response: object, *, status: str = "ok") -> None:
        payload = {"status": status, "response": response}
        await self.send(frame.topic, "phx_reply", payload, frame.ref, frame.join_ref)

    async def send(
        self, topic: str, event: str, payload: object, ref: str | None = None, join_ref: str | None = None
    ) -> None:
        if self._is_array:
            said = _encode((join_ref, ref, topic, event, payload))
        else:
            said = _encode({"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": join_ref})
        async with within(SEND_WITHIN, Closing.SLOW), self._sending:
            await self._socket.send_text(said.decode())


class _Channel:
    """One topic: a tap, translated."""

    task: "asyncio.Task[None]"

    def __init__(self, link: _Link, frame: _Frame, actor: Actor, token: str, bindings: list[Binding]) -> None:
        self._link = link
        self.token = token
        self._frame = frame
        self.actor = actor
        self._bindings = bindings
        self.tap: Tap | None = None

    async def pump(self, feed: Feed, interest: Interest, given: Sequence[dict[str, Any]]) -> None:
        """Until it is cancelled, or its tap is closed; the client joins again then, with the token it has."""
        frame = self._frame
        try:
            async with feed.listening(self.actor, interest, None) as tap:
                self.tap = tap
                echoed = [{**one, "id": binding.id} for one, binding in zip(given, self._bindings, strict=True)]
                await self._link.reply(frame, {"postgres_changes": echoed})
                await self._tell_system("ok", "Subscribed to PostgreSQL")
                proof = feed.clock()
                while True:
                    for item in (await tap.take(_TAKE)).items:
                        if item.delivered is not None:
                            tap.check()
                            await self._tell(rows_of(item.delivered), item.delivered.at)
                    if feed.clock() - proof > _PROOF_EVERY:
                        await self.prove(tap)
                        proof = feed.clock()
        except TapClosed as closed:
            if closed.reason is Closing.STOPPING:
                raise Ended(closed.reason, CODES[closed.reason]) from None
            await self._tell_system("error", closed.reason)
            await self._link.send(frame.topic, "phx_error", {}, join_ref=frame.join_ref)
        except InboxError as error:
            await self._link.reply(frame, {"reason": error.code}, status="error")

    async def prove(self, tap: Tap) -> None:
        """Is the token good, and of the same person? Ends the channel if not."""
        try:
            actor = await self._link.door.actor(self.token)
        except InboxError as error:
            if error.kind in (Kind.UNAUTHENTICATED, Kind.FORBIDDEN):
                tap.close(Closing.LIFETIME)
            return  # who checks tokens is out of reach: asked again at the next look, the lifetime is the limit
        if actor.user_id == self.actor.user_id:
            tap.renew(self._link.lifetime)
        else:
            tap.close(Closing.RIGHTS)

    async def _tell(self, rows: Sequence[Row], at: str) -> None:
        for row in rows:
            ids = [binding.id for binding in self._bindings if binding.wants(row)]
            if ids:
                data = {
                    "schema": "public",
                    "table": row.table,
                    "type": row.change,
                    "commit_timestamp": at,
                    "columns": row.columns,
                    "record": row.record or {},
                    "errors": None,
                    **({} if row.old_id is None else {"old_record": {"id": row.old_id}}),
                }
                payload = {"ids": ids, "data": data}
                await self._link.send(self._frame.topic, "postgres_changes", payload, join_ref=self._frame.join_ref)

    async def _tell_system(self, status: str, message: str) -> None:
        payload = {
            "channel": self._frame.topic.removeprefix("realtime:"),
            "extension": "postgres_changes",
            "message": message,
            "status": status,
        }
        await self._link.send(self._frame.topic, "system", payload, join_ref=self._frame.join_ref)
