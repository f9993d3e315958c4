"""The two sides of the Graph API emulator as tests see them: a client with one number, and a callback."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp

from inbox.emulators.graph_api.config import Behaviour, GraphApiConfig

Json = dict[str, Any]
WAIT_SECONDS = 10
TOKEN = "EMULATOR-TOKEN"
BUSINESS = "15550100199"
CUSTOMER = "15550142001"
PROMPT = Behaviour(
    latency=(0, 0),
    sent_delay=(0, 0),
    delivered_delay=(0, 0),
    read_delay=(0, 0),
    failed_delay=(0, 0),
    template_review_delay=(0, 0),
    retry_delays=(0.01,),
    check_window=False,
    batch_size=1,
    webhook_concurrency=1,
)


class Callback:
    """Our side of the webhook: records each POST and answers with the next of `answers`, else 200."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        self.answers: deque[int] = deque()
        self.handshakes: list[dict[str, str]] = []
        self.verify_token = "s3cret"
        self.gate: asyncio.Event | None = None  # answers wait for it
        self._changed = asyncio.Condition()

    async def take(self, body: bytes, signature: str) -> int:
        async with self._changed:
            self.bodies.append(body)
            self.signatures.append(signature)
            self._changed.notify_all()
        if self.gate is not None:
            await self.gate.wait()
        return self.answers.popleft() if self.answers else 200

    async def posts(self, least: int) -> list[Json]:
        """The bodies, once there are at least so many."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.bodies) >= least)
        return [json.loads(body) for body in self.bodies]

    def values(self) -> list[Json]:
        return [
            change["value"]
            for body in self.bodies
            for entry in json.loads(body)["entry"]
            for change in entry["changes"]
        ]

    def statuses(self) -> list[Json]:
        return [status for value in self.values() for status in value.get("statuses", [])]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(condition)


class GraphClient:
    """Talks to one emulator: the Graph API with the token, the control API without."""

    def __init__(self, url: str, session: aiohttp.ClientSession, callback: Callback) -> None:
        self.url = url
        self.session = session
        self.callback = callback
        self.waba_id = ""
        self.number_id = ""
        self.app_id = GraphApiConfig().app_id

    async def graph(
        self, method: str, path: str, *, json: object = None, data: object = None, token: str = TOKEN
    ) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.request(method, self.url + path, headers=headers, json=json, data=data) as response:
            return response.status, await response.json()

    async def control(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401  # any JSON
        async with self.session.request(method, f"{self.url}/_emu{path}", json=document) as response:
            text = await response.text()
            assert response.status < 300, text
            return json.loads(text) if text else None

    async def send(self, kind: str = "text", content: object = None, **others: object) -> tuple[int, Json]:
        return await self.graph("POST", f"/v24.0/{self.number_id}/messages", json=message(kind, content, **others))

    async def accepted(self, kind: str = "text", content: object = None, **others: object) -> str:
        """Send a message that is taken; return its wamid."""
        status, answer = await self.send(kind, content, **others)
        assert status == 200, answer
        wamid: str = answer["messages"][0]["id"]
        return wamid

    async def inbound(self, **others: object) -> Json:
        request = {"phone_number_id": self.number_id, "from": CUSTOMER, "name": "Dana Example", **others}
        answer: Json = await self.control("POST", "/inbound", request)
        return answer

    async def entries(self, kind: str) -> list[Json]:
        ledger = await self.control("GET", f"/ledger?kind={kind}")
        return [entry["data"] for entry in ledger["entries"]]

    async def settled(self, kind: str, least: int) -> list[Json]:
        """The ledger's entries of a kind, once there are at least so many."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:  # each look is a call to the emulator, which lets it go on
                found = await self.entries(kind)
                if len(found) >= least:
                    return found


def message(kind: str = "text", content: object = None, **others: object) -> Json:
    body = {"body": "Thanks for writing."} if content is None and kind == "text" else content
    whole = {"messaging_product": "whatsapp", "to": f"+{CUSTOMER}", "type": kind, kind: body, **others}
    return {key: value for key, value in whole.items() if value is not None}


RunGraph = Callable[..., AbstractAsyncContextManager[GraphClient]]
