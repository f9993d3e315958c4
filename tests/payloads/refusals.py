"""The example answers that refuse a call, and what each means for a send."""

import json
from pathlib import Path
from typing import Any

import msgspec

from inbox.domain.graph_error_rows import Verdict


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer of the Graph API, or of whoever stands before it."""

    status: int
    headers: dict[str, str] = {}
    json: dict[str, Any] | None = None
    text: str = ""

    @property
    def body(self) -> bytes:
        return self.text.encode() if self.json is None else json.dumps(self.json).encode()


class Meaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`code` is Meta's, `scope` what has to wait."""

    verdict: Verdict
    code: int | None = None
    scope: str | None = None


def examples() -> dict[str, Refusal]:
    return _read("error.json", dict[str, Refusal])


def expected() -> dict[str, Meaning]:
    return _read("expected_error.json", dict[str, Meaning])


def _read(name: str, shape: type) -> Any:  # noqa: ANN401 - of the shape
    return msgspec.json.decode(Path(__file__).with_name(name).read_text("utf-8"), type=shape)
