"""The demo looks at the service as anybody would: over HTTP, from outside."""

from typing import Any

import msgspec

from inbox.kit.http import ApiClient


class Refused(Exception):
    """An answer that is not a success; the message holds its status and body."""


class Browser:
    """Calls JSON endpoints of one server, signed in or not."""

    def __init__(self, name: str, base_url: str) -> None:
        self._api = ApiClient(name, base_url)
        self._token: str | None = None

    async def sign_in(self, email: str, password: str) -> None:
        """As supabase-js does."""
        session = await self.post("/auth/v1/token?grant_type=password", {"email": email, "password": password})
        self._token = session["access_token"]

    async def get(self, path: str, **params: str) -> Any:  # noqa: ANN401 - any JSON
        return await self._call("GET", path, None, params)

    async def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - any JSON
        return await self._call("POST", path, body, {})

    async def put(self, path: str, body: object) -> Any:  # noqa: ANN401 - any JSON
        return await self._call("PUT", path, body, {})

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _call(self, method: str, path: str, body: object, params: dict[str, str]) -> Any:  # noqa: ANN401
        path, _, query = path.partition("?")
        params |= dict(pair.split("=", 1) for pair in query.split("&") if pair)
        headers = {"content-type": "application/json"} if body is not None else {}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        content = msgspec.json.encode(body) if body is not None else None
        reply = await self._api.call(method, path, headers=headers, content=content, params=params or None)
        if reply.status >= 300:  # noqa: PLR2004 - RFC 9110, classes of success
            raise Refused(f"{method} {path} answered {reply.status}: {reply.body[:300].decode(errors='replace')}")
        return msgspec.json.decode(reply.body) if reply.body else None
