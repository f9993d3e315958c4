"""The load generator: a process of its own, so that it shares no event loop with the service.

    python -m bench.resilience_load < plan.json > seen.json

Requests start at fixed times whether earlier ones were answered or not, so a slow answer hides nothing. Webhooks that
are not answered with 200 are delivered again, as Meta does. It stops at the end of its standard input.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final

import aiohttp
import msgspec
import uvloop

from .resilience_plan import ENDPOINTS, MIX, NO_ANSWER, PATIENCE, SEND, SIGN_IN, WEBHOOK, Plan, Sample, Seen, Talk

_AGAIN_AFTER: Final = (0.5, 1.0, 2.0)
"""Seconds before a webhook is delivered again; the last one repeats."""
_SETTLES_WITHIN: Final = 45.0
_OK: Final = 200


class Generator:
    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._samples: list[Sample] = []
        self._offered: list[str] = []
        self._never_taken: list[str] = []
        self._redelivered = 0
        self._late = 0.0
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._serial = itertools.count()
        self._tokens = itertools.cycle(plan.tokens)
        self._new_tokens = iter(plan.new_tokens)
        world = plan.world
        self._accounts = itertools.cycle(world.accounts)
        self._read, self._written = itertools.cycle(world.read), itertools.cycle(world.written)
        self._sent, self._bot = itertools.cycle(world.sent), itertools.cycle(world.bot)
        self._calls: dict[str, Callable[[], Awaitable[None]]] = {
            "conversations": lambda: self._get("conversations", f"/conversations?account_id={next(self._accounts)}"),
            "messages": lambda: self._get("messages", f"/messages/{next(self._read).id}"),
            "me": lambda: self._get("me", "/auth/me"),
            "accounts": lambda: self._get("accounts", "/accounts"),
            "contacts": lambda: self._get("contacts", "/contacts"),
            WEBHOOK: lambda: self._webhook(next(self._written)),
            SEND: self._send,
            SIGN_IN: self._sign_in,
            "bot": lambda: self._webhook(next(self._bot)),
        }

    async def run(self, told: Awaitable[object]) -> Seen:
        """Until `told` is done; then every webhook that was offered gets its chance to be taken."""
        plan = self._plan
        if plan.rate:
            rates = ((plan.rate, MIX), (plan.sends, (SEND,)), (plan.bot, ("bot",)), (plan.sign_ins, (SIGN_IN,)))
            clocks = [asyncio.create_task(self._steadily(rate, names)) for rate, names in rates if rate]
        else:
            clocks = [asyncio.create_task(self._closely()) for _ in range(plan.width)]
        await told
        self._stopping.set()
        await asyncio.gather(*clocks)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_SETTLES_WITHIN)
        return Seen(
            samples=self._samples,
            offered=self._offered,
            never_taken=self._never_taken,
            redelivered=self._redelivered,
            late=self._late,
        )

    async def _steadily(self, rate: float, names: tuple[str, ...]) -> None:
        begun = time.monotonic()
        for number, name in enumerate(itertools.cycle(names)):
            due = begun + number / rate
            now = time.monotonic()
            if due > now:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), due - now)
            if self._stopping.is_set():
                return
            self._late = max(self._late, time.monotonic() - due)
            task = asyncio.ensure_future(self._calls[name]())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _closely(self) -> None:
        for name in itertools.cycle(MIX):
            if self._stopping.is_set():
                return
            await self._calls[name]()

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _get(self, name: str, path: str, token: str = "") -> None:
        await self._request(name, "GET", path, headers=_bearer(token or next(self._tokens)))

    async def _sign_in(self) -> None:
        token = next(self._new_tokens, "")
        if token:
            await self._get(SIGN_IN, "/auth/me", token)

    async def _send(self) -> None:
        told = {"conversation_id": next(self._sent).id, "content": f"Bench {self._plan.label} {next(self._serial)}"}
        headers = {**_bearer(next(self._tokens)), "content-type": "application/json"}
        await self._request(SEND, "POST", "/messages/send", body=json.dumps(told).encode(), headers=headers)

    async def _webhook(self, talk: Talk) -> None:
        wamid = f"wamid.BENCH.{self._plan.label}.{next(self._serial)}"
        body = _delivery(talk, wamid)
        signature = hmac.new(self._plan.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": f"sha256={signature}", "content-type": "application/json"}
        self._offered.append(wamid)
        give_up = None
        for wait in _waits():
            if await self._request(WEBHOOK, "POST", "/webhook/whatsapp", body=body, headers=headers) == _OK:
                return
            if self._stopping.is_set():
                give_up = give_up or time.monotonic() + _SETTLES_WITHIN - PATIENCE
                if time.monotonic() > give_up:
                    break
            self._redelivered += 1
            await asyncio.sleep(wait)
        self._never_taken.append(wamid)

    async def _request(
        self, name: str, method: str, path: str, *, headers: dict[str, str], body: bytes | None = None
    ) -> int:
        begun = time.monotonic()
        try:
            async with self._session.request(method, f"{self._plan.url}{path}", data=body, headers=headers) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = NO_ANSWER
        self._samples.append(Sample(ENDPOINTS.index(name), begun, time.monotonic() - begun, status))
        return status


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _waits() -> Iterator[float]:
    yield from _AGAIN_AFTER
    while True:
        yield _AGAIN_AFTER[-1]


def _delivery(talk: Talk, wamid: str) -> bytes:
    """One text of a customer in Meta's envelope."""
    message = {
        "from": talk.customer,
        "id": wamid,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": "Bonjour, êtes-vous ouverts demain ?"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100001", "phone_number_id": talk.number_id},
        "contacts": [{"profile": {"name": f"Client {talk.customer[-4:]}"}, "wa_id": talk.customer}],
        "messages": [message],
    }
    entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, ensure_ascii=False).encode()


async def _play(plan: Plan) -> Seen:
    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        return await Generator(plan, session).run(loop.run_in_executor(None, sys.stdin.buffer.read))


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(_play(plan))
    sys.stdout.buffer.write(msgspec.json.encode(seen))


if __name__ == "__main__":
    main()
