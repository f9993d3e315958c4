"""Examples of stored webhooks."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_values import AT, Example

_ONE: Final = {
    "id": 481516,
    "received_at": AT,
    "state": "done",
    "reason": None,
    "tries": 0,
    "replays": 0,
    "done_at": AT,
    "size": 512,
    "set_aside": 1,
}

DELIVERIES: Final[Mapping[str, Example]] = {
    "deliveries.list_deliveries": Example(answer=[_ONE]),
    "deliveries.read_delivery": Example(
        answer={
            **_ONE,
            "body": {"object": "whatsapp_business_account", "entry": []},
            "items": [{"position": 0, "reason": "unknown_number", "created_at": AT, "raw": {"type": "message"}}],
        }
    ),
    "deliveries.replay_delivery": Example(answer={"id": 481516, "replayed": 1, "status": "open"}),
    "deliveries.replay_deliveries": Example(
        request={"state": "set_aside", "reason": "unknown_number"}, answer={"replayed": 500, "next": 481016}
    ),
    "deliveries.discard_delivery": Example(answer={"id": 481516, "status": "discarded"}),
    "deliveries.reconcile": Example(
        answer={
            "since": AT,
            "until": AT,
            "deliveries": 900,
            "items": {
                "received": 1200,
                "applied": 1190,
                "quarantined": 1,
                "parked": 9,
                "expired": 0,
                "waiting": 0,
                "missing": 0,
            },
            "missing": [],
            "next_cursor": None,
        }
    ),
}
