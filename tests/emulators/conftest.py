"""A running Graph API emulator with one number, and a callback that takes what it delivers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State

from emulators.graph_side import BUSINESS, PROMPT, Callback, GraphClient, RunGraph
from inbox.emulators.graph_api.app import create_app
from inbox.emulators.graph_api.config import GraphApiConfig
from inbox.emulators.serving import serve


@pytest.fixture
async def callback() -> AsyncIterator[Callback]:
    taken = Callback()

    @post("/webhook", status_code=200)
    async def webhook(request: Request[None, None, State]) -> Response[None]:
        status = await taken.take(await request.body(), request.headers["x-hub-signature-256"])
        return Response(None, status_code=status)

    @get("/webhook", media_type="text/plain")
    async def handshake(request: Request[None, None, State]) -> Response[str]:
        query = {key: str(value) for key, value in request.query_params.items()}
        taken.handshakes.append(query)
        if query["hub.verify_token"] != taken.verify_token:
            return Response("", status_code=403)
        return Response(query["hub.challenge"])

    app = Litestar([webhook, handshake], openapi_config=None, logging_config=None)
    async with serve(app) as served:
        taken.url = f"{served.url}/webhook"
        yield taken


@pytest.fixture
def run_graph(callback: Callback) -> RunGraph:
    @asynccontextmanager
    async def run(config: GraphApiConfig | None = None, **behaviour: object) -> AsyncIterator[GraphClient]:
        start = GraphApiConfig(callback_url=callback.url, behaviour=PROMPT) if config is None else config
        async with serve(create_app(start)) as served, aiohttp.ClientSession() as session:
            client = GraphClient(served.url, session, callback)
            if behaviour:
                await client.control("PATCH", "/behaviour", behaviour)
            waba = await client.control("POST", "/wabas", {"numbers": [{"phone": BUSINESS}]})
            client.waba_id, client.number_id = waba["id"], waba["numbers"][0]["id"]
            yield client

    return run


@pytest.fixture
async def graph(run_graph: RunGraph) -> AsyncIterator[GraphClient]:
    """Delays are zero and windows are open; a test that wants otherwise says so."""
    async with run_graph() as client:
        yield client
