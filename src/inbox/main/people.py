"""Who signs in where."""

from collections.abc import AsyncIterator
from typing import Protocol

from dishka import Provider, Scope, provide

from inbox.adapters.identity.api_keys import ApiKeyIdentity
from inbox.adapters.identity.introspection import SupabaseIntrospection
from inbox.adapters.identity.links import OneTimeLinks
from inbox.adapters.identity.local import LocalSignIn
from inbox.adapters.identity.local_identity import LocalIdentity
from inbox.adapters.identity.local_tokens import LocalTokens
from inbox.adapters.identity.passwords import Passwords
from inbox.adapters.identity.supabase import SupabaseIdentity, SupabaseSecretIdentity
from inbox.domain.clock import Clock
from inbox.main.runtime import Runtime
from inbox.main.upstreams import Upstreams
from inbox.ports.cache import Cache
from inbox.ports.database import Database
from inbox.ports.identity import Identity, Links, SignIn
from inbox.services.invitations import Invitations
from inbox.services.rights import Rights


class PeopleIdentity(Identity, Protocol):
    """Who signs people in; API keys are looked at before."""


class People(Provider):
    """Who signs in where: at Supabase if it is configured, else at this service itself."""

    scope = Scope.APP

    @provide
    def tokens(self, runtime: Runtime, database: Database, clock: Clock) -> LocalTokens:
        return LocalTokens(database, f"{public_url(runtime)}/auth/v1", clock=clock)

    @provide
    def sign_in(self, runtime: Runtime, database: Database, tokens: LocalTokens, clock: Clock) -> SignIn:
        return LocalSignIn(database, tokens, Passwords(), secrets=runtime.token_secrets, clock=clock)

    @provide
    def links(self, runtime: Runtime, clock: Clock) -> Links:
        return OneTimeLinks(public_url(runtime), clock=clock)

    @provide
    def invitations(self, runtime: Runtime, database: Database, rights: Rights, links: Links) -> Invitations:
        return Invitations(database, rights, links, default_role=default_role(runtime))

    @provide
    def identity(self, people: PeopleIdentity, database: Database, rights: Rights, clock: Clock) -> Identity:
        return ApiKeyIdentity(database, people, rights, clock=clock)

    @provide
    async def people(
        self,
        runtime: Runtime,
        database: Database,
        tokens: LocalTokens,
        upstreams: Upstreams,
        cache: Cache,
        clock: Clock,
    ) -> AsyncIterator[PeopleIdentity]:
        supabase = runtime.settings.supabase
        if supabase.url is None:
            yield LocalIdentity(database, tokens, clock=clock)
            return
        issuers = [f"{supabase.url.rstrip('/')}/auth/v1"]
        trusted = supabase.email_trusted
        if supabase.jwt_secret is not None and supabase.mode in (None, "secret"):
            secret = supabase.jwt_secret.reveal().encode()
            yield SupabaseSecretIdentity(secret, issuers=issuers, clock=clock, is_email_trusted=trusted)
            return
        api, guard = upstreams.supabase_client(supabase.url), upstreams.supabase_guard()
        if supabase.mode == "introspection" and supabase.key is not None:
            key = supabase.key.reveal()
            yield SupabaseIntrospection(
                api, guard, cache, key=key, issuers=issuers, clock=clock, is_email_trusted=trusted
            )
        else:
            identity = SupabaseIdentity(api, guard, issuers=issuers, clock=clock, is_email_trusted=trusted)
            yield identity
            await identity.aclose()
        await api.aclose()


def default_role(runtime: Runtime) -> str | None:
    """The slug of the role that newcomers get."""
    slug = runtime.settings.users.default_role
    return None if slug == "none" else slug


def public_url(runtime: Runtime) -> str:
    """Where people reach this service; the issuer of its tokens."""
    http = runtime.settings.http
    return (http.public_url or f"http://{http.host}:{http.port}").rstrip("/")
