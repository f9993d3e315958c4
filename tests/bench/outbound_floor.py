"""The least that a service can do that never sends twice: what the own share of sends is held against.

    python outbound_floor.py PORT DSN URL TOKEN

The server that we use with a bare ASGI application: a row is committed, another commit says that it is on its way, one
call goes to `URL`, and a third commit keeps what came of it. Nobody is asked who they are, nothing is in order, nothing
has a limit, and nobody hears of anything.
"""

import asyncio
import sys
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
import msgspec
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from inbox.domain.ids import uuid7

_TABLE: Final = "create table if not exists bare (id uuid primary key, said text not null, state text not null)"
_STORED: Final = "insert into bare (id, said, state) values ($1, $2, 'queued')"
_MOVED: Final = "update bare set state = $2 where id = $1"
_CONNECTIONS: Final = 10


class Order(msgspec.Struct):
    """What a client posts."""

    to: str
    content: str


class Bare:
    """The application."""

    def __init__(self, pool: Any, session: aiohttp.ClientSession, url: str) -> None:  # noqa: ANN401 - no types
        self._pool = pool
        self._session = session
        self._url = url

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as in ASGI
        if scope["type"] != "http":
            return
        given = (await receive())["body"]
        is_look = scope["method"] == "GET"
        said = {} if is_look else await self._sent(uuid7(), msgspec.json.decode(given, type=Order))
        body = msgspec.json.encode(said)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _sent(self, row: UUID, order: Order) -> dict[str, str]:
        await self._pool.execute(_STORED, row, order.content)
        await self._pool.execute(_MOVED, row, "wire")
        message = {"messaging_product": "whatsapp", "type": "text", "text": {"body": order.content}, "to": order.to}
        async with self._session.post(self._url, data=msgspec.json.encode(message)) as answer:
            wamid = msgspec.json.decode(await answer.read())["messages"][0]["id"]
        await self._pool.execute(_MOVED, row, "accepted")
        return {"id": str(row), "message_id": wamid}


async def _as_it_is(_: object) -> None:
    """Nothing is left behind in a connection: the pool need not ask three times to be sure."""


async def serve(port: int, dsn: str, url: str, token: str) -> None:
    """Until the process is told to stop."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    async with (
        asyncpg.create_pool(dsn, min_size=_CONNECTIONS, max_size=_CONNECTIONS, reset=_as_it_is) as pool,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        await pool.execute(_TABLE)
        application = Bare(pool, session, url)
        await Server(application, port=port, interface=Interfaces.ASGI, log_enabled=False).serve()


if __name__ == "__main__":
    given = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(given[0]), *given[1:]))
