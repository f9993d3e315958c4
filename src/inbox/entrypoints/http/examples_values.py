"""The invented people and things of the examples."""

from typing import Any, Final

import msgspec


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, what comes back with 200 and, by status, what else may come back, as JSON values."""

    request: Any = None
    answer: Any = None
    others: dict[int, Any] = {}


ACCOUNT: Final = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
CONTACT: Final = "9b2d7e10-5c3a-4f6e-8a1b-77d0c1e2f3a4"
CONVERSATION: Final = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
MESSAGE: Final = "a3bb189e-8bf9-4c88-9f5a-3c1b2d4e5f02"
PERSON: Final = "6f0c2a3e-7b1d-4c55-9a0e-2d1b3c4e5f60"
ROLE: Final = "d1e2f3a4-2222-4b4b-9c9c-0242ac120002"
API_KEY: Final = "0192a1b2-3c4d-7e5f-8a6b-7c8d9e0f1a2b"

NUMBER: Final = "33639980142"
EMAIL: Final = "lea@atelier.example"
NAME: Final = "Léa Martin"
AT: Final = "2025-11-25T15:33:54.000000Z"
"""A customer's message, and with it the last change of the conversation."""
ANSWERED_AT: Final = "2025-11-25T15:35:10.481200Z"

ROLE_OF_PERSON: Final = {
    "id": "c0a8012e-1111-4a4a-8b8b-0242ac120002",
    "role_id": ROLE,
    "role_slug": "viewer",
    "role_name": "Lecteur",
    "account_id": None,
}
OVERRIDE: Final = {
    "id": "e7f8a9b0-3333-4c4c-8d8d-0242ac120002",
    "permission_code": "messages.send",
    "account_id": ACCOUNT,
    "is_allowed": True,
}
PROFILE: Final = {
    "user_id": PERSON,
    "email": EMAIL,
    "display_name": NAME,
    "is_active": True,
    "created_at": "2025-11-03T08:12:44.000000Z",
}
