"""A project's key set over real HTTP, told what to answer, and counting."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, get

from inbox.emulators.serving import abort_connection, serve


class KeyServer:
    """Answers `/auth/v1/.well-known/jwks.json`. `body` None aborts the connection."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.status = 200
        self.body: bytes | None = b""
        self.asked = 0
        self.seen: list[dict[str, str]] = []
        self.url = ""

    def answer(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        self.asked += 1
        self.seen.append(dict(request.headers))
        if self.body is None:
            abort_connection(request.scope)
        body = self.body or json.dumps({"keys": self.keys}).encode()
        return Response(body, status_code=self.status, media_type="application/json")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["KeyServer"]:
        @get("/auth/v1/.well-known/jwks.json")
        async def jwks(request: Request[Any, Any, Any]) -> Response[bytes]:
            return self.answer(request)

        async with serve(Litestar([jwks], logging_config=None, openapi_config=None)) as served:
            self.url = served.url
            yield self
