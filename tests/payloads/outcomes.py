"""The example webhooks, and what is written down about each.

An outcome leaves out what is null, false or empty, and the value that a notice keeps as it came. A message says in
addition what people see of it: `shown`, the type and the line.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from inbox.domain.content import message_type, preview
from inbox.domain.inbound import AccountNotice, Amendment, InboundEvent, InboundMessage, Unknown

FOLDERS = ("inbound", "status", "field")

Json = dict[str, Any]


def examples() -> dict[str, Json]:
    """Name of the example, with its file in front -> the body that Meta would post."""
    return {f"{folder}/{name}": body for folder in FOLDERS for name, body in _read(f"{folder}.json").items()}


def expected() -> dict[str, list[Json]]:
    """Name of the example -> its outcomes, in order."""
    return {f"{folder}/{name}": rows for folder in FOLDERS for name, rows in _read(f"expected_{folder}.json").items()}


def outcome(event: InboundEvent) -> Json:
    plain = json.loads(msgspec.json.encode(event))
    if isinstance(event, AccountNotice | Unknown):
        del plain["raw"]
    if isinstance(event, InboundMessage) or (isinstance(event, Amendment) and event.content is not None):
        assert event.content is not None
        plain["shown"] = [message_type(event.content), preview(event.content)]
    return _filled(plain)


def _filled(plain: Json) -> Json:
    members = {key: _filled(value) if isinstance(value, dict) else value for key, value in plain.items()}
    return {key: value for key, value in members.items() if value not in (None, False, [], {}, "")}


def _read(name: str) -> Json:
    return json.loads(Path(__file__).with_name(name).read_text("utf-8"))
