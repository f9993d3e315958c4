"""The model behind an assistant, as the cases of the contract see it: the Gemini emulator, or the fake's script."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import ModelFailed, ModelRefused, ModelSilent, ModelThrottled
from inbox.kit.http import ApiClient

KEY = "EMULATOR-GEMINI-KEY"


class ModelSide(Protocol):
    async def answers(self, value: object) -> None:
        """What the model writes next, as JSON."""

    async def fails(self, how: str) -> None:
        """The next prompt ends so: the name of the error, or the reason of `ModelSilent`."""


class FakeSide:
    _ERRORS: dict[str, Callable[[], InboxError]] = {  # noqa: RUF012 - a table
        "ModelRefused": ModelRefused,
        "ModelThrottled": lambda: ModelThrottled(retry_after=21.0),
        "ModelFailed": ModelFailed,
    }

    def __init__(self) -> None:
        self.assistant = FakeAssistant()

    async def answers(self, value: object) -> None:
        self.assistant.then(value)

    async def fails(self, how: str) -> None:
        self.assistant.then(self._ERRORS[how]() if how in self._ERRORS else ModelSilent(how))


class GeminiSide:
    """The emulator's control API."""

    _KNOBS: dict[str, dict[str, Any]] = {  # noqa: RUF012 - a table
        "ModelRefused": {"knob": "429_day", "count": 1},
        "ModelThrottled": {"knob": "429_minute", "count": 1, "options": {"retry_delay": 21}},
        "ModelFailed": {"knob": "503", "count": 3},
        "blocked": {"knob": "blocked_prompt", "count": 1},
        "empty": {"knob": "empty_stop", "count": 1},
        "cut": {"knob": "max_tokens_empty", "count": 1},
        "malformed": {"knob": "bad_output", "count": 1},
    }

    def __init__(self, control: ApiClient) -> None:
        self._control = control

    async def call(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401 - any JSON
        content = None if document is None else msgspec.json.encode(document)
        reply = await self._control.call(method, f"/_emu{path}", content=content)
        assert reply.status < 300, reply.body
        return msgspec.json.decode(reply.body) if reply.body else None

    async def arm(self, knob: str, **rule: object) -> None:
        await self.call("POST", "/faults", {"knob": knob, "count": 1, **rule})

    async def answers(self, value: object) -> None:
        await self.call("POST", "/script", {"json": value})

    async def fails(self, how: str) -> None:
        await self.arm(**self._KNOBS[how])

    async def calls(self) -> int:
        """How often the model was asked."""
        counts: dict[str, int] = (await self.call("GET", "/ledger"))["counts"]
        return counts.get("generate", 0)
