"""What the pieces of the bench tell each other: the plan of a load, and what was seen of it."""

from typing import Final

import msgspec

READS: Final = ("conversations", "messages", "me", "accounts", "contacts")
WEBHOOK, SEND, SIGN_IN = "webhook", "send", "first sign-in"
ENDPOINTS: Final = (*READS, WEBHOOK, SEND, SIGN_IN)
SHOWN: Final = {
    "conversations": "GET /conversations",
    "messages": "GET /messages/{id}",
    "me": "GET /auth/me",
    "accounts": "GET /accounts",
    "contacts": "GET /contacts",
    WEBHOOK: "POST /webhook/whatsapp",
    SEND: "POST /messages/send",
    SIGN_IN: "GET /auth/me, new token",
}
MIX: Final = (
    *("conversations", "messages", "webhook", "me", "contacts", "conversations", "messages", "webhook"),
    *("accounts", "me", "conversations", "messages", "webhook", "contacts", "me", "webhook", "accounts", "messages"),
)
"""One round of the steady load."""
NO_ANSWER: Final = 0
"""The status of a request that got none within `PATIENCE` seconds."""
PATIENCE: Final = 12.0


class Talk(msgspec.Struct, frozen=True):
    """A conversation: its id, the number of the customer, and the number id of the account."""

    id: str
    customer: str
    number_id: str


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the database. Reads, webhooks, sends and the bot have conversations of their own."""

    accounts: list[str]
    users: list[str]
    read: list[Talk]
    written: list[Talk]
    sent: list[Talk]
    bot: list[Talk]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the generator does until it is told to stop. Rates per second; `rate` 0 is as fast as `width` allows."""

    url: str
    secret: str
    label: str
    world: World
    tokens: list[str]
    new_tokens: list[str] = []
    rate: float = 0.0
    sends: float = 0.0
    bot: float = 0.0
    sign_ins: float = 0.0
    width: int = 8


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One request: which endpoint (its place in `ENDPOINTS`), when (monotonic clock), how long, and the answer."""

    endpoint: int
    at: float
    took: float
    status: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the generator saw. Webhooks by wamid; a redelivery is a sample like every attempt."""

    samples: list[Sample]
    offered: list[str]
    never_taken: list[str]
    redelivered: int
    late: float
    """Seconds by which the slowest start of a request missed its time: what the generator itself adds."""
