"""Bytes as Meta puts them on the wire, and their signature (facts 1.2)."""

import hmac
import json
from typing import Any


def webhook_bytes(document: dict[str, Any]) -> bytes:
    r"""Compact ASCII JSON with lower-case \uXXXX and \/: who parses and re-serialises gets another signature."""
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def signature(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256`."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
