"""The emulated Meta's side of webhooks: it offers, and offers again whatever was not answered with 200."""

import asyncio
import heapq
import random
from collections.abc import Sequence
from typing import Final

import httpx

from inbox.emulators.ledger import Ledger
from ledger.waiting import until

from .batches import Batch, signature
from .items import Plan

AT_ONCE: Final = 8
"""Webhooks under way at the same time."""
_MOST_WAITING: Final = 64
"""Batches that were refused and come again later; while so many wait nothing new is offered."""
_PATIENCE: Final = 5.0
_AGAIN: Final = (0.2, 1.5)
"""After so many seconds. Meta waits longer; nothing here depends on it."""
_PATH: Final = "/webhook/whatsapp"


class Meta:
    """Posts signed bodies to one of several addresses, as behind a load balancer. Keeps numbers, never bodies."""

    def __init__(self, plan: Plan, secret: str, urls: Sequence[str], client: httpx.AsyncClient, ledger: Ledger) -> None:
        self._plan = plan
        self._secret = secret.encode()
        self._urls = urls
        self._client = client
        self._ledger = ledger
        self._chance = random.Random(f"{plan.seed}:meta")  # noqa: S311 - which web process gets what is no secret
        self._refused: list[tuple[float, int, Batch]] = []
        self._serial = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None

    async def offer(self, batch: Batch) -> None:
        """Returns when the batch is on its way: at once, or as soon as there is room."""
        await self._room()
        while len(self._refused) >= _MOST_WAITING or self._is_due():
            await self._again()
        self._send(batch)

    async def settled(self) -> None:
        """Returns when every batch was answered with 200."""
        while self._refused or self._under_way:
            if self._refused:
                await self._again()
            else:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        if self._bug is not None:
            raise self._bug

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()

    async def deliver(self, batch: Batch) -> None:
        """This batch alone, until it is answered with 200."""
        await until(lambda: self.post(batch), seconds=None)

    async def post(self, batch: Batch) -> bool:
        """Once; True if the answer was 200."""
        body = batch.body(self._plan)
        headers = {"X-Hub-Signature-256": signature(self._secret, body), "Content-Type": "application/json"}
        url = self._chance.choice(self._urls)
        try:
            answer = await self._client.post(f"{url}{_PATH}", content=body, headers=headers, timeout=_PATIENCE)
            outcome = str(answer.status_code)
        except httpx.TransportError as error:
            outcome = type(error).__name__
        self._ledger.add("webhook", url=url, items=len(batch.numbers), first=batch.numbers[0], outcome=outcome)
        return outcome == "200"

    def _is_due(self) -> bool:
        return bool(self._refused) and self._refused[0][0] <= asyncio.get_running_loop().time()

    async def _again(self) -> None:
        due, _, batch = heapq.heappop(self._refused)
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        await self._room()
        self._send(batch)

    async def _room(self) -> None:
        while len(self._under_way) >= AT_ONCE:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    def _send(self, batch: Batch) -> None:
        task = asyncio.create_task(self._attempt(batch))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (bug := task.exception()):
            self._bug = bug

    async def _attempt(self, batch: Batch) -> None:
        if not await self.post(batch):
            self._serial += 1
            due = asyncio.get_running_loop().time() + self._chance.uniform(*_AGAIN)
            heapq.heappush(self._refused, (due, self._serial, batch))
