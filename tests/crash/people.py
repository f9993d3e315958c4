"""The main job: customers write through the emulator, an agent answers through REST as a browser does."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

from .evidence import Emulator
from .oracle import Posted
from .service import LOOK_EVERY
from .stage import ANNA, EMAIL, MARC, NUMBER_ID, PASSWORD, ZOE

_COME_AGAIN: Final = frozenset({httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT})
_QUESTIONS: Final = (
    (ANNA, "Bonjour, question une : êtes-vous ouverts demain ?"),
    (MARC, "Bonjour, question deux : combien coûte une révision ?"),
    (ZOE, "Bonjour, question trois : mon vélo est-il prêt ?"),
)
PATIENCE: Final = 40.0
"""Seconds that a person goes on trying while the service is away."""


class Said(msgspec.Struct, frozen=True):
    """What the agent posted, and the texts of the customers by wamid."""

    posts: list[Posted]
    texts: dict[str, str]


async def play(emulator: Emulator, url: str, client: httpx.AsyncClient) -> Said:
    """Ends when everything is said and the agent has had an answer to each request."""
    texts = dict([await _write(emulator, customer, text) for customer, text in _QUESTIONS])
    try:
        async with asyncio.timeout(PATIENCE):
            browser = Browser(url, client)
            await browser.sign_in()
            conversation = await browser.conversation_with_words(ZOE)
            first = await browser.say(conversation, "key-1", "Bonjour, ici Léa de l'atelier.")
            texts |= [await _write(emulator, ANNA, "Encore, question quatre : et dimanche ?")]
            second = await browser.say(conversation, "key-2", "Votre vélo est prêt depuis ce matin.", is_answer=True)
    except TimeoutError:
        raise AssertionError(f"for {PATIENCE:.0f} s the agent saw no message of the customer, or no answer") from None
    return Said([first, second], texts)


async def _write(emulator: Emulator, customer: str, text: str) -> tuple[str, str]:
    told = {"phone_number_id": NUMBER_ID, "from": customer, "name": f"Client {customer[-1]}", "text": text}
    return (await emulator.call("POST", "/inbound", told))["wamid"], text


class Browser:
    """Repeats what got no answer, under the same idempotency key, as front ends do."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client
        self._headers: dict[str, str] = {}

    async def sign_in(self) -> None:
        told = {"email": EMAIL, "password": PASSWORD}
        session = await self._call("POST", "/auth/v1/token?grant_type=password", told)
        self._headers = {"authorization": f"Bearer {session['access_token']}"}

    async def conversation_with_words(self, customer: str) -> str:
        """The id of the customer's conversation, once there is an unread message in it."""
        [account] = await self._call("GET", "/accounts")
        while True:
            for row in await self._call("GET", f"/conversations?account_id={account['id']}"):
                if row["client_number"] == customer and row["unread_count"]:
                    return str(row["id"])
            await asyncio.sleep(LOOK_EVERY)

    async def say(self, conversation: str, key: str, text: str, *, is_answer: bool = False) -> Posted:
        """Sends a text until it is answered, and then once more, as by a finger that hit twice.

        An answer quotes what the customer wrote: it takes a transaction, a usual line one statement.
        """
        told = {"conversation_id": conversation, "content": text}
        if is_answer:
            rows = await self._call("GET", f"/messages/{conversation}")
            told["reply_to_message_id"] = next(row["id"] for row in rows if row["direction"] == "inbound")
        answers = [
            await self._call("POST", "/messages/send", told, {"idempotency-key": key}),
            await self._call("POST", "/messages/send", told, {"idempotency-key": key, "prefer": "respond-async"}),
        ]
        return Posted(key=key, text=text, answers=frozenset(answer["id"] for answer in answers))

    async def _call(self, method: str, path: str, told: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
        while True:
            try:
                reply = await self._client.request(
                    method, f"{self._url}{path}", json=told, headers={**self._headers, **(headers or {})}
                )
            except httpx.TransportError:
                await asyncio.sleep(LOOK_EVERY)
                continue
            if reply.is_success:
                return reply.json()
            # A service that stops, or has lost its database or waited for it in vain, says so: come again.
            assert reply.status_code in _COME_AGAIN, reply.text
            await asyncio.sleep(LOOK_EVERY)
