"""The Litestar application of the emulated Graph API."""

from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, asgi
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import Receive, Scope, Send

from inbox.emulators.graph_api.config import GraphApiConfig
from inbox.emulators.graph_api.control import Traffic
from inbox.emulators.graph_api.control_accounts import Accounts
from inbox.emulators.graph_api.emulator import Emulator
from inbox.emulators.graph_api.graph import MAX_MEDIA_BODY, Graph


def create_app(config: GraphApiConfig) -> Litestar:
    """An emulator with a state of its own. `inbox.emulators.serving.serve` runs it: faults reset connections."""
    emulator = Emulator(config)
    graph = Graph(emulator)

    @asgi("/", is_mount=True, copy_scope=False)
    async def graph_api(scope: Scope, receive: Receive, send: Send) -> None:
        await graph(scope, receive, send)

    def the_emulator() -> Emulator:
        return emulator

    control = Router(
        "/_emu",
        route_handlers=[Traffic, Accounts],
        dependencies={"emulator": Provide(the_emulator, sync_to_thread=False)},
        exception_handlers={ValueError: _bad_request, msgspec.ValidationError: _bad_request},
    )
    return Litestar(
        route_handlers=[graph_api, control],
        on_startup=[emulator.start],
        on_shutdown=[emulator.stop],
        request_max_body_size=MAX_MEDIA_BODY,
        openapi_config=None,
        logging_config=None,
    )


def _bad_request(_: Request[None, None, State], error: Exception) -> Response[dict[str, Any]]:
    """What the control API cannot do, with the reason."""
    reasons = error.extra if isinstance(error, HTTPException) else None
    return Response({"detail": str(error), "reasons": reasons}, status_code=400)
