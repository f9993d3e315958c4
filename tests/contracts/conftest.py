"""The emulated neighbours of a module, fresh for each test, and the adapters that talk to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from litestar import Litestar, Request, post
from litestar.datastructures import State

from inbox.emulators.gemini.app import create_app as create_gemini
from inbox.emulators.gemini.config import GeminiConfig
from inbox.emulators.graph_api.app import create_app as create_graph
from inbox.emulators.graph_api.config import Behaviour, GraphApiConfig, PayloadVersion
from inbox.emulators.openai import OpenAiConfig
from inbox.emulators.openai import create_app as create_openai
from inbox.emulators.serving import serve
from inbox.kit.http import ApiClient

from .asking import StartAssistant, WiredAssistant
from .bucket_side import bucket  # noqa: F401 - a fixture
from .model_side import GEMINI_KNOBS, KEY, OPENAI_KNOBS, EmulatedSide
from .sending import StartSender, WiredSender
from .trust import certificates
from .whatsapp_side import TOKEN, GraphSide, Webhooks

PROMPT = Behaviour(latency=(0, 0), auto_statuses=False, check_window=False, payload_version=PayloadVersion.BSUID)


@pytest.fixture(scope="module")
def webhooks() -> Webhooks:
    return asyncio.Queue(1_000)


@pytest.fixture(scope="module")
async def graph_url(webhooks: Webhooks) -> AsyncIterator[str]:
    @post("/webhook", status_code=200)
    async def webhook(request: Request[None, None, State]) -> None:
        await webhooks.put((request.headers["x-hub-signature-256"].encode(), await request.body()))

    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(serve(Litestar([webhook], openapi_config=None, logging_config=None)))
        config = GraphApiConfig(access_token=TOKEN, callback_url=f"{receiver.url}/webhook", behaviour=PROMPT)
        yield (await stack.enter_async_context(serve(create_graph(config)))).url


@pytest.fixture
async def graph(graph_url: str) -> AsyncIterator[GraphSide]:
    control = ApiClient("control", graph_url, tls=certificates())
    side = GraphSide(control)
    await side.restart()
    yield side
    await control.aclose()


@pytest.fixture
async def start_sender(graph_url: str) -> AsyncIterator[StartSender]:
    async with AsyncExitStack() as stack:

        def start(url: str = "", **wiring: Any) -> WiredSender:  # noqa: ANN401 - as WiredSender takes it
            wired = WiredSender(url or graph_url, **wiring)
            stack.push_async_callback(wired.api.aclose)
            return wired

        yield start


@pytest.fixture(scope="module")
async def gemini_url() -> AsyncIterator[str]:
    config = GeminiConfig(api_keys=(KEY,), leaked_keys=("leaked-key",), foreign_keys=("foreign-key",))
    async with serve(create_gemini(config)) as served:
        yield served.url


@pytest.fixture
async def gemini(gemini_url: str) -> AsyncIterator[EmulatedSide]:
    control = ApiClient("control", gemini_url, tls=certificates())
    side = EmulatedSide(gemini_url, control, GEMINI_KNOBS)
    await side.call("POST", "/reset")
    yield side
    await control.aclose()


@pytest.fixture(scope="module")
async def openai_url() -> AsyncIterator[str]:
    async with serve(create_openai(OpenAiConfig(api_keys=(KEY,)))) as served:
        yield served.url


@pytest.fixture
async def openai(openai_url: str) -> AsyncIterator[EmulatedSide]:
    control = ApiClient("control", openai_url, tls=certificates())
    side = EmulatedSide(f"{openai_url}/v1", control, OPENAI_KNOBS)
    await side.call("POST", "/reset")
    yield side
    await control.aclose()


@pytest.fixture
async def start_assistant() -> AsyncIterator[StartAssistant]:
    async with AsyncExitStack() as stack:

        def start(url: str, **wiring: Any) -> WiredAssistant:  # noqa: ANN401 - as WiredAssistant takes it
            wired = WiredAssistant(url, **wiring)
            stack.push_async_callback(wired.api.aclose)
            return wired

        yield start
