"""Whoever uses the API: people and programs, who repeat what got no answer under the same key, and hit keys twice."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

import aiohttp
import msgspec

from .plan import Plan, Said, text_of

_TALKS_AT_ONCE: Final = 12
"""Conversations that one client goes back and forth between."""
_PATIENCE: Final = aiohttp.ClientTimeout(total=5.0)
_AGAIN: Final = (0.05, 0.4)
"""Seconds until what got no answer is repeated."""
_TWICE: Final = 0.03
"""The share of messages that a finger sends twice at once."""
_LATER: Final = 0.03
"""The share that is sent once more after it was answered."""
_COME_AGAIN: Final = frozenset({429, 502, 503, 504})
_LAST: Final = 20
"""So many messages wait until there were as many faults as asked for."""


class Clients:
    """`answers` says which ids each message was given; more than one would be a mistake of the service."""

    def __init__(
        self, plan: Plan, urls: Sequence[str], session: aiohttp.ClientSession, conversations: Sequence[str]
    ) -> None:
        """`conversations` are the ids, in the order of the plan."""
        self.answers: dict[Said, set[str]] = {}
        self._plan = plan
        self._urls = urls
        self._session = session
        self._conversations = conversations
        self._chance = random.Random(f"{plan.seed}:clients")  # noqa: S311 - who says what when is no secret
        self._begun = 0

    async def play(self, credentials: Sequence[str], rate: float, enough: asyncio.Event) -> None:
        """All of the plan, a client for each of the bearer tokens, `rate` messages a second at most.

        The last ones wait for `enough`.
        """
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for n, token in enumerate(credentials):
                own = range(n, self._plan.conversations, len(credentials))
                group.create_task(self._play(own, token, began, rate, enough))

    async def _play(self, own: Sequence[int], token: str, began: float, rate: float, enough: asyncio.Event) -> None:
        rest = iter(own)
        open_talks = [[conversation, 0] for conversation in islice(rest, _TALKS_AT_ONCE)]
        while open_talks:
            talk = self._chance.choice(open_talks)
            self._begun += 1
            if self._begun > self._plan.sends - _LAST:
                await enough.wait()
            await asyncio.sleep(max(0.0, began + self._begun / rate - time.monotonic()))
            await self.say(Said(*talk), token)
            talk[1] += 1
            if talk[1] == self._plan.length(talk[0]):
                open_talks.remove(talk)
                open_talks += [[conversation, 0] for conversation in islice(rest, 1)]

    async def say(self, said: Said, token: str) -> None:
        """Returns when the API has answered that it has the message."""
        headers = {
            "authorization": f"Bearer {token}",
            "idempotency-key": self._plan.key(said),
            "prefer": "respond-async",
        }
        told = {"conversation_id": self._conversations[said.conversation], "content": text_of(said)}
        times = 2 if self._chance.random() < _TWICE else 1
        ids = set(await asyncio.gather(*(self._posted(told, headers) for _ in range(times))))
        if self._chance.random() < _LATER:
            ids.add(await self._posted(told, headers))
        self.answers.setdefault(said, set()).update(ids)

    async def _posted(self, told: object, headers: Mapping[str, str]) -> str:
        while True:
            url = f"{self._chance.choice(self._urls)}/api/messages/send"
            try:
                async with self._session.post(url, json=told, headers=headers, timeout=_PATIENCE) as answer:
                    said = await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                pass
            else:
                # A failure that names a row is what became of a message that was taken before.
                if message_id := _id_in(said):
                    return message_id
                assert answer.status in _COME_AGAIN, f"{answer.status}: {said!r}"
            await asyncio.sleep(self._chance.uniform(*_AGAIN))


def _id_in(said: bytes) -> str | None:
    """The id of the message in an answer that has one."""
    try:
        found: str | None = msgspec.json.decode(said).get("id")
    except msgspec.DecodeError:
        return None
    return found
