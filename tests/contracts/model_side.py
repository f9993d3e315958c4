"""The model behind an assistant, as the cases of the contract see it: an emulator, or the fake's script."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from inbox.adapters.llm.fake import FakeAssistant
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import ModelFailed, ModelRefused, ModelSilent, ModelThrottled
from inbox.kit.http import ApiClient

KEY = "EMULATOR-MODEL-KEY"

Knobs = Mapping[str, dict[str, Any]]

GEMINI_KNOBS: Knobs = {
    "ModelRefused": {"knob": "429_day", "count": 1},
    "ModelThrottled": {"knob": "429_minute", "count": 1, "options": {"retry_delay": 21}},
    "ModelFailed": {"knob": "503", "count": 3},
    "blocked": {"knob": "blocked_prompt", "count": 1},
    "empty": {"knob": "empty_stop", "count": 2},
    "cut": {"knob": "max_tokens_empty", "count": 2},
    "malformed": {"knob": "bad_output", "count": 2},
}
OPENAI_KNOBS: Knobs = {
    "ModelRefused": {"knob": "429_quota", "count": 1},
    "ModelThrottled": {"knob": "429_rate", "count": 1},
    "ModelFailed": {"knob": "503", "count": 3},
    "blocked": {"knob": "content_filter", "count": 1},
    "empty": {"knob": "empty", "count": 2},
    "cut": {"knob": "length_empty", "count": 2},
    "malformed": {"knob": "bad_output", "count": 2},
}


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


class EmulatedSide:
    """An emulator's control API. `url` is where the assistant finds it."""

    def __init__(self, url: str, control: ApiClient, knobs: Knobs) -> None:
        self.url = url
        self._control = control
        self._knobs = knobs

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
        await self.arm(**self._knobs[how])

    async def calls(self) -> int:
        """How often the model was asked."""
        counts: dict[str, int] = (await self.call("GET", "/ledger"))["counts"]
        return counts.get("generate", 0) + counts.get("stream", 0)

    async def asked(self) -> list[str]:
        """The models that were asked, in order."""
        entries = (await self.call("GET", "/ledger"))["entries"]
        return [entry["data"]["model"] for entry in entries if entry["kind"] in ("generate", "stream")]
