"""The whole service in this process, webhook to status: routes, worker, gauges; only the vendors are faked."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from dishka import AsyncContainer, Provider
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.webhook_bodies import a_body, a_message, a_status
from api.conftest import APP_SECRET
from applications import Applications, a_browser
from builders import SEALER, a_client_number, a_conversation, a_number, an_account, execute
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.accounts import Channel
from inbox.domain.ids import ConversationId
from inbox.entrypoints.worker import Worker
from inbox.kit.signing import sign
from inbox.main.bot_settings import Bot
from inbox.main.container import build
from inbox.main.observing import observed
from inbox.main.runtime import Runtime
from inbox.main.settings import Settings
from inbox.main.vendors import Fakes

METRICS = {"authorization": "Bearer metrics-token"}


class Flow:
    """One account, one customer with the bot on, and everything at work."""

    def __init__(self, container: AsyncContainer, client: httpx.AsyncClient, engine: AsyncEngine) -> None:
        self.container = container
        self.client = client
        self.engine = engine
        self.number = a_client_number()
        self.account: Channel
        self.conversation: ConversationId
        self.assistant: FakeAssistant
        self.sender: FakeSender

    async def begin(self, **account: Any) -> None:  # noqa: ANN401 - of the builder
        self.account = await an_account(self.engine, **account)
        self.conversation = await a_conversation(
            self.engine, self.account.account_id, client_number=self.number, bot_enabled=True
        )
        self.assistant = await self.container.get(FakeAssistant)
        self.sender = await self.container.get(FakeSender)

    async def webhook(self, body: bytes, **headers: str) -> httpx.Response:
        signature = sign(APP_SECRET.encode(), body).decode()
        given = {"x-hub-signature-256": signature, "content-type": "application/json", **headers}
        return await self.client.post("/webhook/whatsapp", content=body, headers=given)

    async def customer_writes(self, text: str, *, name: str | None = None, **headers: str) -> httpx.Response:
        message = a_message(
            id=f"wamid.{a_number()}",
            text={"body": text},
            timestamp=str(int(time.time())),
            **{"from": self.number},
        )
        contacts = [{"profile": {"name": name}, "wa_id": self.number}] if name else ()
        return await self.webhook(a_body(message, number=self.account.phone_number_id, contacts=contacts), **headers)

    async def whatsapp_says(self, word: str, wamid: str, **members: object) -> httpx.Response:
        status = a_status(word, id=wamid, recipient_id=self.number, timestamp=str(int(time.time())), **members)
        return await self.webhook(a_body(statuses=[status], number=self.account.phone_number_id))

    async def until(self, statement: str, *, within: float = 20.0) -> None:
        """Looks until `statement` gives a row."""
        async with asyncio.timeout(within):
            while not await execute(self.engine, statement):
                pass

    async def page(self) -> str:
        answer = await self.client.get("/metrics", headers=METRICS)
        assert answer.status_code == 200
        return answer.text


@asynccontextmanager
async def flowing(
    applications: Applications,
    settings: Settings,
    database_url: str,
    engine: AsyncEngine,
    data_dir: Path,
    *overrides: Provider,
    **account: Any,  # noqa: ANN401
) -> AsyncIterator[Flow]:
    """Everything runs while the block does."""
    runtime = Runtime(
        settings=msgspec.structs.replace(settings, bot=Bot(quiet_seconds=0)),
        database_url=database_url,
        sealer=SEALER,
        token_secrets=(b"t" * 32,),
        data_dir=data_dir,
    )
    container = build(runtime, Fakes(), *overrides)
    try:
        worker = await container.get(Worker)
        async with (
            observed(container),
            applications.lent(runtime.settings, container) as app,
            app.lifespan(),
            a_browser(app) as client,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(worker.run())
            try:
                flow = Flow(container, client, engine)
                await flow.begin(**account)
                yield flow
            finally:
                worker.stop()
    finally:
        await container.close()
