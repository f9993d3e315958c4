"""Examples of what changed."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_inbox import INBOX
from inbox.entrypoints.http.examples_values import ACCOUNT, CONVERSATION, PERSON, Example

_AT: Final = "2025-11-25T15:33:54.123400Z"
_LINE: Final = INBOX["conversations.list_conversations"].answer[0]

EVENTS: Final[Mapping[str, Example]] = {
    "events.read_events": Example(
        answer={
            "events": [
                {
                    "cursor": "5f3c9a1b7e20-4711",
                    "at": _AT,
                    "event": {
                        "kind": "conversation.favorite",
                        "account_id": ACCOUNT,
                        "conversation_id": CONVERSATION,
                        "is_favorite": True,
                        "by": {"kind": "person", "id": PERSON},
                    },
                    "message": None,
                    "conversation": _LINE,
                }
            ],
            "cursor": "5f3c9a1b7e20-4711",
            "has_more": False,
        }
    ),
    "events.issue_ticket": Example(
        answer={"ticket": "kq3vJ0h7c2Zr8yXw5mT1uB6nD4sF9gLpA-eR_oQiKxE", "expires_in": 30.0}
    ),
    "presence.tell_presence": Example(
        request={"state": "typing"},
        answer={
            "colleagues": [{"user_id": PERSON, "display_name": "Ada L.", "state": "viewing", "good_for": 41.5}],
        },
    ),
}
