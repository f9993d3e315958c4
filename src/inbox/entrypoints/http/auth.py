"""Who am I, and what may I do."""

from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get
from litestar.di import NamedDependency

from inbox.domain.access import Actor
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.views import Me
from inbox.services.rights import Rights


@get("/auth/me", permission="signed in", responses=documented(*SIGNED_IN))
@inject
async def me(actor: NamedDependency[Actor], rights: FromDishka[Rights]) -> Me:
    """The caller's profile, roles, overrides and expanded permissions."""
    return await rights.me(actor)


auth_router = Router("/", route_handlers=[me])
