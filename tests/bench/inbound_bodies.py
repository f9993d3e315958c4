"""What Meta would post: batches of statuses, texts and media for the world of `inbound_stage`, and their signatures."""

import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

ACCOUNTS, CONVERSATIONS, SENT_EACH = 10, 20_000, 10
"""Accounts, their conversations together, and messages that were sent in each of them."""
HOT_SENT: Final = 20_000
"""Messages that were sent in the first conversation, the hot one, beside the others."""
FIRST_NUMBER_ID: Final = 900555000111000
_FIRST_CUSTOMER: Final = 33600000000
_FIRST_SECOND: Final = 1_700_000_000
_STATUSES, _TEXTS = 0.70, 0.25
_REDELIVERED: Final = 0.10
_RECENT: Final = 500
_WORDS: Final = ("sent", "delivered", "read")
_APART: Final = 200
"""A message is delivered when 200 later ones were sent, and read when 200 more were."""
_TEXT: Final = "Bonjour, ma commande n'est pas encore arrivée. Pouvez-vous regarder où elle en est ? Merci d'avance, "


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which items. Two plans with different names share no message; `sent_from` is the first message they speak of."""

    name: str
    seed: int
    events: int
    sent_from: int = 0
    is_hot: bool = False


class Body(NamedTuple):
    """One POST of Meta, how many events are in it, and whether it is a repetition."""

    content: bytes
    events: int
    is_repeated: bool


def bodies(plan: Plan) -> Iterator[Body]:
    """Deliveries until `plan.events` are in them. One in ten comes again: the same bytes, or the same items anew."""
    chance = random.Random(plan.seed)  # noqa: S311 - figures that repeat
    maker = _Maker(plan, chance)
    made, recent = 0, [maker.items(1)]
    while made < plan.events:
        is_repeated = chance.random() < _REDELIVERED
        if is_repeated:
            items = chance.choice(recent)
            stamp = _FIRST_SECOND + (made if chance.random() < 1 / 2 else 0)
        else:
            items, stamp = maker.items(_size(chance)), _FIRST_SECOND
            recent = [*recent[-_RECENT:], items]
        made += len(items.found)
        yield Body(envelope(items.account, items.found, stamp), len(items.found), is_repeated)


def _size(chance: random.Random) -> int:
    """Events of one delivery: 4.2 on average."""
    drawn = chance.random()
    if drawn < 0.55:
        return 1
    return chance.randint(2, 10) if drawn < 0.99 else 100


def signature(secret: str, content: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def wamid(number: int) -> str:
    """Of a message that was sent, as the SQL of `inbound_stage` writes it."""
    return "wamid.HBgLMzM2" + hashlib.md5(f"sent {number}".encode(), usedforsecurity=False).hexdigest().upper()


def message_id(number: int) -> str:
    """Of a message that was sent: ordered like a UUID of version 7."""
    return f"01900000-0000-7000-8000-{number:012x}"


class _Items(NamedTuple):
    account: int
    found: list[tuple[str, dict[str, Any], dict[str, Any] | None]]


class _Maker:
    """Items of one account at a time. Conversation n belongs to account n modulo their number, message n likewise."""

    def __init__(self, plan: Plan, chance: random.Random) -> None:
        self._plan = plan
        self._chance = chance
        self._statuses = [0] * ACCOUNTS
        self._texts = 0

    def items(self, count: int) -> _Items:
        account = 0 if self._plan.is_hot else self._chance.randrange(ACCOUNTS)
        return _Items(account, [self._item(account) for _ in range(count)])

    def _item(self, account: int) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        drawn = self._chance.random()
        if drawn < _STATUSES:
            return "statuses", self._status(account), None
        self._texts += 1
        number = self._conversation(account)
        customer = str(_FIRST_CUSTOMER + number)
        # The wire form of a message id; its bytes spread over the index as those of WhatsApp do.
        digest = hashlib.md5(f"{self._plan.name} {self._texts}".encode(), usedforsecurity=False).hexdigest().upper()
        message = {"from": customer, "id": f"wamid.HBgLMzM2{digest}", "timestamp": str(_FIRST_SECOND + self._texts)}
        contact = {"profile": {"name": f"Client {number}"}, "wa_id": customer}
        if drawn < _STATUSES + _TEXTS:
            length = self._chance.randint(10, len(_TEXT))
            return "messages", message | {"type": "text", "text": {"body": _TEXT[:length]}}, contact
        sha256 = hashlib.sha256(digest.encode()).hexdigest()
        image = {"mime_type": "image/jpeg", "sha256": sha256, "id": str(self._chance.randrange(10**14, 10**15))}
        return "messages", message | {"type": "image", "image": image}, contact

    def _conversation(self, account: int) -> int:
        if self._plan.is_hot:
            return 0
        return self._chance.randrange(CONVERSATIONS // ACCOUNTS) * ACCOUNTS + account

    def _status(self, account: int) -> dict[str, Any]:
        turn = self._statuses[account]
        self._statuses[account] += 1
        word = turn % len(_WORDS)
        place = self._plan.sent_from + turn // len(_WORDS) + _APART * (len(_WORDS) - 1 - word)
        if self._plan.is_hot:
            number, conversation = CONVERSATIONS * SENT_EACH + place, 0
        else:
            number = place * ACCOUNTS + account
            conversation = number % CONVERSATIONS
        return {
            "id": wamid(number),
            "status": _WORDS[word],
            "timestamp": str(_FIRST_SECOND + turn),
            "recipient_id": str(_FIRST_CUSTOMER + conversation),
            "biz_opaque_callback_data": f"1:{message_id(number)}:1",
            "conversation": {
                "id": hashlib.md5(str(conversation).encode(), usedforsecurity=False).hexdigest(),
                "origin": {"type": "service"},
            },
            "pricing": {
                "billable": False,
                "pricing_model": "PMP",
                "type": "free_customer_service",
                "category": "service",
            },
        }


def envelope(account: int, items: list[tuple[str, dict[str, Any], dict[str, Any] | None]], stamp: int) -> bytes:
    """One entry, a change per kind of event."""
    changes = []
    for slot in ("statuses", "messages"):
        mine = [(item, contact) for kind, item, contact in items if kind == slot]
        if mine:
            value: dict[str, Any] = {
                "messaging_product": "whatsapp",
                "metadata": {
                    "display_phone_number": str(33465710001 + account),
                    "phone_number_id": str(FIRST_NUMBER_ID + account),
                },
            }
            contacts = [contact for _, contact in mine if contact]
            value |= {"contacts": contacts} if contacts else {}
            changes.append({"value": value | {slot: [item for item, _ in mine]}, "field": "messages"})
    entry = {"id": "102290129340398", "time": stamp, "changes": changes}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, ensure_ascii=False).encode()
