"""Reading Server-Sent Events as the HTML Standard says."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Sent:
    """One event: `name` is `message` unless it says another."""

    name: str
    data: Any
    last_id: str | None


@dataclass
class Stream:
    """What a browser's EventSource would keep."""

    lines: AsyncIterator[str]
    last_id: str | None = None
    _data: list[str] = field(default_factory=list)
    _name: str = ""

    async def next(self) -> Sent:
        """The next event; blocks without data only move `last_id`."""
        async for line in self.lines:
            if not line:
                if self._data:
                    sent = Sent(self._name or "message", json.loads("\n".join(self._data)), self.last_id)
                    self._data, self._name = [], ""
                    return sent
                continue
            name, _, value = line.partition(":")
            match name:
                case "data":
                    self._data.append(value.removeprefix(" "))
                case "event":
                    self._name = value.removeprefix(" ")
                case "id":
                    self.last_id = value.removeprefix(" ")
                case _:
                    pass
        raise EOFError

    async def placed(self) -> str:
        """The cursor that the stream begins with."""
        async for line in self.lines:
            if line.startswith("id:"):
                self.last_id = line[3:].strip()
                return self.last_id
        raise EOFError


@asynccontextmanager
async def stream(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Stream]:
    async with client.stream("GET", path, headers={"accept": "text/event-stream", **headers}) as answer:
        if answer.status_code != 200:
            await answer.aread()
            raise AssertionError((answer.status_code, answer.text))
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer.aiter_lines())
