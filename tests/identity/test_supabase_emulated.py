"""The Supabase adapters against the emulator: sessions, keys and attacks of an independent other side."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts.trust import certificates
from identity.conftest import Clock
from identity.contract import IdentityCases
from identity.test_identity import POLICY
from inbox.adapters.identity.supabase import SupabaseIdentity, SupabaseSecretIdentity
from inbox.domain.errors import InvalidToken
from inbox.domain.upstream_errors import IdentityDown, IdentityTimeout, IdentityUnreachable
from inbox.emulators.serving import serve
from inbox.emulators.supabase_auth import Signing, SupabaseAuthConfig, create_app
from inbox.kit.http import ApiClient
from inbox.kit.resilience import Guard, Policy
from inbox.ports.identity import Identity

PUBLISHABLE, SECRET_KEY = "sb_publishable_q1W2invented", "sb_secret_q1W2invented"
JWT_SECRET = "an-invented-secret-of-more-than-32-bytes"
PASSWORD = "correct horse battery"


class Project:
    """An emulated project, with the identity that believes it."""

    def __init__(self, http: httpx.AsyncClient, url: str, stack: AsyncExitStack) -> None:
        self.http = http
        self.url = url
        self.stack = stack
        self.clock = Clock()
        self.clock.now = datetime.now(UTC)
        self.ticks = 1000.0
        self.identity: Identity = self.new_identity(url)

    def new_identity(self, url: str, policy: Policy = POLICY) -> SupabaseIdentity:
        api = ApiClient("supabase", url, tls=certificates())
        self.stack.push_async_callback(api.aclose)
        guard = Guard("supabase", policy)
        issuers = [f"{self.url}/auth/v1"]
        identity = SupabaseIdentity(api, guard, issuers=issuers, clock=self.clock, ticks=lambda: self.ticks)
        self.stack.push_async_callback(identity.aclose)
        return identity

    async def order(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        answer = await self.http.request(method, f"/_emu/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def add(self, name: str) -> UUID:
        seed = {"email": f"{name}@faro.example", "password": PASSWORD, "user_metadata": {"full_name": "Ana Ruiz"}}
        (user,) = await self.order("POST", "users", seed)
        return UUID(user["id"])

    async def sign_in(self, name: str) -> dict[str, Any]:
        answer = await self.http.post(
            "/auth/v1/token?grant_type=password",
            json={"email": f"{name}@faro.example", "password": PASSWORD},
            headers={"apikey": PUBLISHABLE},
        )
        session: dict[str, Any] = answer.json()
        return session

    async def person(self, name: str) -> tuple[str, UUID]:
        user_id = await self.add(name)
        return (await self.sign_in(name))["access_token"], user_id

    async def minted(self, user_id: UUID, **order: object) -> str:
        token: str = (await self.order("POST", "tokens", {"user_id": str(user_id), **order}))["access_token"]
        return token

    async def without_provider(self) -> Identity:
        return self.new_identity("http://127.0.0.1:9")


class SecretProject(Project):
    """One that signs with the shared secret. It has no provider to ask."""

    def __init__(self, http: httpx.AsyncClient, url: str, stack: AsyncExitStack) -> None:
        super().__init__(http, url, stack)
        secret = JWT_SECRET.encode()
        self.identity = SupabaseSecretIdentity(secret, issuers=[f"{url}/auth/v1"], clock=self.clock)

    async def without_provider(self) -> Identity:
        await self.stack.aclose()
        return self.identity


async def emulated(kind: type[Project], signing: Signing) -> AsyncIterator[Project]:
    config = SupabaseAuthConfig(
        publishable_keys=(PUBLISHABLE,), secret_keys=(SECRET_KEY,), signing=signing, jwt_secret=JWT_SECRET
    )
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(serve(create_app(config)))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=served.url, verify=certificates()))
        yield kind(http, served.url, stack)


WRONG_ORDERS: list[dict[str, Any]] = [
    {"attack": "alg_none"},
    {"attack": "hs256_public_key"},
    {"attack": "unknown_kid"},
    {"attack": "wrong_key"},
    {"attack": "tampered"},
    {"expires_in": -60},
    {"claims": {"iss": "https://other.supabase.co/auth/v1"}},
    {"claims": {"aud": "other"}},
    {"claims": {"role": "service_role"}},
    {"claims": {"sub": None}},
    {"claims": {"sub": "1"}},
    {"claims": {"is_anonymous": True}},
    {"claims": {"session_id": None}},
    {"claims": {"client_id": "b7c1f0e0-8a53-4a7e-9d0d-2f6c1b9e4a11"}},
    {"claims": {"iat": 4_000_000_000, "exp": 4_000_003_600}},
    {"claims": {"user_metadata": {"x": "x" * 9000}}},
]


OUTAGES = ["500", "504", "html_502", "connection_reset", "bad_json", "jwks_down"]


class EmulatedCases(IdentityCases):
    """For both ways of signing."""

    @pytest.mark.parametrize("order", WRONG_ORDERS, ids=str)
    async def test_a_wrong_token_of_the_project_is_invalid(self, side: Project, order: dict[str, Any]) -> None:
        user_id = await side.add("ana")
        good = await side.minted(user_id)
        assert (await side.identity.authenticate(good)).user_id == user_id
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(await side.minted(user_id, **order))

    async def test_the_legacy_keys_are_no_people(self, side: Project) -> None:
        keys = await side.order("GET", "keys")
        for name in ("anon", "service_role"):
            assert keys[name].count(".") == 2
            with pytest.raises(InvalidToken):
                await side.identity.authenticate(keys[name])

    async def test_the_keys_of_the_project_are_no_people(self, side: Project) -> None:
        for key in (PUBLISHABLE, SECRET_KEY):
            with pytest.raises(InvalidToken):
                await side.identity.authenticate(key)

    async def test_a_token_lives_on_after_the_session_until_it_ends(self, side: Project) -> None:
        user_id = await side.add("ana")
        token = (await side.sign_in("ana"))["access_token"]
        await side.order("POST", f"users/{user_id}/logout")
        assert (await side.identity.authenticate(token)).user_id == user_id
        side.clock.forward(seconds=3611)
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(token)

    async def test_the_profile_of_the_person_is_read(self, side: Project) -> None:
        token, _ = await side.person("ana")
        subject = await side.identity.authenticate(token)
        assert (subject.email, subject.display_name) == ("ana@faro.example", "Ana Ruiz")
        assert not subject.is_email_verified


class TestEmulatedKeys(EmulatedCases):
    @pytest.fixture
    async def side(self) -> AsyncIterator[Project]:
        async for project in emulated(Project, Signing.ES256):
            yield project

    async def test_a_token_without_key_id_is_invalid(self, side: Project) -> None:
        user_id = await side.add("ana")
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(await side.minted(user_id, attack="no_kid"))

    async def test_a_rotation_is_seamless(self, side: Project) -> None:
        before, user_id = await side.person("ana")
        await side.identity.authenticate(before)
        for _ in range(3):
            await side.order("POST", "keys/rotate")
            side.ticks += 10
            after = (await side.sign_in("ana"))["access_token"]
            assert after.split(".")[0] != before.split(".")[0]
            for token in (before, after):
                assert (await side.identity.authenticate(token)).user_id == user_id

    async def test_a_revoked_key_is_dead_ten_minutes_later_at_the_latest(self, side: Project) -> None:
        token, _ = await side.person("ana")
        await side.identity.authenticate(token)
        keys = await side.order("GET", "keys")
        await side.order("POST", "keys/rotate")
        await side.order("POST", f"keys/{keys['current']}/revoke")
        side.ticks += 600
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(token)

    @pytest.mark.parametrize("knob", OUTAGES)
    async def test_in_an_outage_known_keys_verify_and_new_processes_say_so(self, side: Project, knob: str) -> None:
        token, user_id = await side.person("ana")
        await side.identity.authenticate(token)
        await side.order("POST", "faults", {"knob": knob, "path": "jwks"})
        side.ticks += 3000
        assert (await side.identity.authenticate(token)).user_id == user_id
        with pytest.raises(IdentityDown if knob == "connection_reset" else IdentityUnreachable):
            await side.new_identity(side.url).authenticate(token)

    async def test_a_provider_that_hangs_is_a_timeout(self, side: Project) -> None:
        token, _ = await side.person("ana")
        await side.order("POST", "faults", {"knob": "timeout", "path": "jwks"})
        with pytest.raises(IdentityTimeout):
            await side.new_identity(side.url, Policy(total=0.2, attempt=0.1)).authenticate(token)


class TestEmulatedSecret(EmulatedCases):
    @pytest.fixture
    async def side(self) -> AsyncIterator[Project]:
        async for project in emulated(SecretProject, Signing.HS256):
            yield project
