"""The identity adapters against their contract."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.trust import certificates
from identity.conftest import EMAIL, ISSUER, Clock, Local
from identity.contract import IdentityCases, SignedCases
from identity.forging import Forger
from identity.keyserver import KeyServer
from inbox.adapters.identity.fake import FakeIdentity
from inbox.adapters.identity.local_identity import LocalIdentity
from inbox.adapters.identity.local_tokens import LocalTokens
from inbox.adapters.identity.supabase import SupabaseIdentity
from inbox.domain.access import Subject
from inbox.domain.errors import DatabaseUnavailable
from inbox.domain.ids import UserId
from inbox.domain.upstream_errors import IdentityUnreachable
from inbox.kit.breaker import Breakers
from inbox.kit.http import ApiClient
from inbox.kit.resilience import Guard, Policy
from inbox.ports.identity import Identity

POLICY = Policy(total=5.0, attempt=2.0)


# --- the fake


class FakeSide:
    def __init__(self) -> None:
        self.identity = FakeIdentity()

    async def person(self, name: str) -> tuple[str, UUID]:
        user_id = uuid4()
        return FakeIdentity.token(user_id), user_id

    async def without_provider(self) -> Identity:
        identity = FakeIdentity()
        identity.fail(IdentityUnreachable("down"))
        return identity


class TestFake(IdentityCases):
    @pytest.fixture
    async def side(self) -> FakeSide:
        return FakeSide()

    async def test_what_is_known_of_a_person_is_told(self) -> None:
        ana = Subject(user_id=UserId(uuid4()), email=EMAIL, is_email_verified=True, display_name="Ana")
        assert await FakeIdentity(ana).authenticate(FakeIdentity.token(ana.user_id)) == ana

    async def test_an_outage_ends(self) -> None:
        identity = FakeIdentity()
        identity.fail(IdentityUnreachable())
        identity.fail(None)
        await identity.authenticate(FakeIdentity.token(uuid4()))


# --- local accounts


class NoDatabase:
    """A database that cannot be reached."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        raise DatabaseUnavailable


class LocalSide:
    def __init__(self, local: Local) -> None:
        self.local = local
        self.clock = local.clock
        self.identity = local.identity

    async def person(self, name: str) -> tuple[str, UUID]:
        email = f"{name}@faro.example"
        person = await self.local.register(email)
        return (await self.local.session(email)).access_token, person.id

    async def without_provider(self) -> Identity:
        database: Any = NoDatabase()
        tokens = LocalTokens(database, ISSUER, clock=self.clock)
        return LocalIdentity(database, tokens, clock=self.clock)

    async def forger(self) -> Forger:
        session = await self.local.insert()
        forger = Forger(ISSUER, self.clock.now, await self.local.tokens.signing_key())
        forger.user_id, forger.session_id = session.user_id, session.id
        return forger


class TestLocal(SignedCases):
    @pytest.fixture
    async def side(self, local: Local) -> LocalSide:
        return LocalSide(local)

    async def test_a_confirmed_address_is_verified(self, local: Local) -> None:
        await local.register()
        subject = await local.identity.authenticate((await local.session()).access_token)
        assert subject.is_email_verified


# --- Supabase, by keys


class SupabaseSide:
    def __init__(self, server: KeyServer, clock: Clock, ticks: list[float]) -> None:
        self.server = server
        self.clock = clock
        self.ticks = ticks
        self.issuer = f"{server.url}/auth/v1"
        self.apis: list[ApiClient] = []
        self._forger = Forger(self.issuer, clock.now)
        server.keys = [self._forger.jwk()]
        self.identity = self.new_identity(server.url)

    def new_identity(
        self, url: str, breakers: Breakers | None = None, *, is_email_trusted: bool = False
    ) -> SupabaseIdentity:
        api = ApiClient("supabase", url, tls=certificates())
        self.apis.append(api)
        return SupabaseIdentity(
            api,
            Guard("supabase", POLICY, breakers, "supabase"),
            issuers=[self.issuer],
            clock=self.clock,
            is_email_trusted=is_email_trusted,
            ticks=lambda: self.ticks[0],
        )

    async def person(self, name: str) -> tuple[str, UUID]:
        forger = Forger(self.issuer, self.clock.now, self._forger.key)
        return forger.token(email=f"{name}@Faro.example"), forger.user_id

    async def without_provider(self) -> Identity:
        return self.new_identity("http://127.0.0.1:9")

    async def forger(self) -> Forger:
        return self._forger


class TestSupabase(SignedCases):
    @pytest.fixture
    async def side(self, clock: Clock) -> AsyncIterator[SupabaseSide]:
        async with KeyServer().serving() as server:
            side = SupabaseSide(server, clock, [1000.0])
            yield side
            for api in side.apis:
                await api.aclose()

    async def test_an_address_is_verified_only_if_the_project_says_so(self, side: SupabaseSide) -> None:
        token, _ = await side.person("ana")
        trusting = side.new_identity(side.server.url, is_email_trusted=True)
        assert not (await side.identity.authenticate(token)).is_email_verified
        assert (await trusting.authenticate(token)).is_email_verified
