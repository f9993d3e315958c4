"""A running Supabase Auth emulator with one user, and a caller with the right keys."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from inbox.emulators.serving import serve
from inbox.emulators.supabase_auth import SeedUser, SupabaseAuthConfig, create_app

Json = dict[str, Any]
PUBLISHABLE = "sb_publishable_q1W2invented"
SECRET = "sb_secret_invented"
EMAIL = "ana@faro.example"
PASSWORD = "correct horse battery"
JWT_SECRET = "0123456789abcdef0123456789abcdef"
ANA = "5b7c1f0e-8a53-4a7e-9d0d-2f6c1b9e4a11"


class Answered:
    """One HTTP answer."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text

    def json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """Status and error code in one, as in `403 bad_jwt`."""
        return f"{self.status} {self.headers.get('x-sb-error-code', '')}"


class SupabaseClient:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def auth(
        self, method: str, path: str, body: object = None, *, key: str = PUBLISHABLE, token: str = "", **headers: str
    ) -> Answered:
        """A call under `/auth/v1`; header names are given with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            sent["apikey"] = key
        if token:
            sent["authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = f"{self.url}/auth/v1{path}"
        async with self.session.request(method, url, data=data, headers=sent, allow_redirects=False) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answered(response.status, found, (await response.read()).decode("utf-8", "replace"))

    async def admin(self, method: str, path: str, body: object = None) -> Answered:
        return await self.auth(method, path, body, key=SECRET, token=SECRET)

    async def log_in(self, email: str = EMAIL, password: str = PASSWORD) -> Json:
        answer = await self.auth("POST", "/token?grant_type=password", {"email": email, "password": password})
        assert answer.status == 200, answer.text
        session: Json = answer.json()
        return session

    async def refresh(self, token: object) -> Answered:
        return await self.auth("POST", "/token?grant_type=refresh_token", {"refresh_token": token})

    async def user(self, token: str, **headers: str) -> Answered:
        return await self.auth("GET", "/user", token=token, **headers)

    async def jwks(self) -> list[Json]:
        answer = await self.auth("GET", "/.well-known/jwks.json", key="")
        assert answer.status == 200, answer.text
        keys: list[Json] = answer.json()["keys"]
        return keys

    async def control(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401 - JSON of any shape
        async with self.session.request(method, f"{self.url}/_emu{path}", json=document) as response:
            text = await response.text()
            assert response.status < 300, text
            return json.loads(text) if text else None

    async def mint(self, **order: object) -> str:
        token: str = (await self.control("POST", "/tokens", {"email": EMAIL, **order}))["access_token"]
        return token

    async def fault(self, knob: str, **rule: object) -> None:
        await self.control("POST", "/faults", {"knob": knob, **rule})


@asynccontextmanager
async def running(**config: Any) -> AsyncIterator[SupabaseClient]:  # noqa: ANN401 - any setting
    ana = SeedUser(id=ANA, email=EMAIL, password=PASSWORD, user_metadata={"full_name": "Ana Ruiz"})
    given = {"users": (ana,), **config}
    start = SupabaseAuthConfig(publishable_keys=(PUBLISHABLE,), secret_keys=(SECRET,), **given)
    async with serve(create_app(start)) as served, aiohttp.ClientSession() as session:
        yield SupabaseClient(served.url, session)
