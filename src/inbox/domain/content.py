"""What a message says. Each kind has a preview: the one line that lists, old front ends and the bot see."""

from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from inbox.domain.sending_errors import InvalidPayload

MAX_TEXT: Final = 4096
"""Characters of `text.body` (Meta, messages reference)."""

UNREADABLE_PREVIEW: Final = "[message non pris en charge]"
REVOKED_PREVIEW: Final = "[message supprimé]"
"""Shown in place of a message that its writer took back."""


class Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """Free text, 1 to 4096 characters."""

    body: str
    preview_url: bool = False


class MediaKind(StrEnum):
    """Meta's types of messages that carry a file."""

    IMAGE = "image"
    AUDIO = "audio"
    VOICE = "voice"
    VIDEO = "video"
    DOCUMENT = "document"
    STICKER = "sticker"


class Media(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="media"):
    """A file at WhatsApp. `kind` is Meta's type; `media_id` lives 7 days after a webhook."""

    kind: MediaKind
    media_id: str | None
    mime_type: str | None = None
    filename: str | None = None
    sha256: str | None = None
    caption: str | None = None
    animated: bool = False


class Choice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="choice"):
    """The customer tapped a button or a list row."""

    kind: Literal["button", "interactive"]
    title: str
    payload: str | None = None
    description: str | None = None


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="location"):
    """A place. Degrees; a bare pin has neither name nor address."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    url: str | None = None


class Phone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number of a contact card; `wa_id` only if it is on WhatsApp."""

    phone: str | None = None
    wa_id: str | None = None
    type: str | None = None


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contact card: `name` for people; `details` is the card as Meta sent it, for whoever wants to save it."""

    name: str | None
    phones: tuple[Phone, ...] = ()
    details: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})] = msgspec.field(
        default_factory=lambda: msgspec.Raw(b"{}")
    )


class Cards(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="contacts"):
    """Contact cards, one or more."""

    cards: tuple[Card, ...]


class FormReply(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="form"):
    """The customer filled in a form: a Flow, an address, a permission to call.

    `answers` is a JSON object where Meta's text holds one, else a JSON string with that text.
    """

    name: str
    text: str
    answers: msgspec.Raw = msgspec.Raw(b"null")


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order; `price` for one piece, in `currency` (ISO 4217)."""

    id: str
    quantity: int | float = 1
    price: float | None = None
    currency: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="order"):
    """A cart that the customer sent."""

    catalog_id: str | None
    note: str | None
    products: tuple[Product, ...]


class Notice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="system"):
    """WhatsApp speaks about the customer: another number, another security code. `kind` is Meta's word."""

    kind: str
    text: str


class CallStage(StrEnum):
    """How far a call came. A later stage replaces an earlier one, in whichever order they arrive."""

    RINGING = "ringing"
    ACCEPTED = "accepted"
    FAILED = "failed"
    ENDED = "ended"
    REJECTED = "rejected"


class Call(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="call"):
    """A voice call. `seconds` is its duration, once it is over."""

    by_customer: bool
    stage: CallStage
    seconds: int | None = None


class Unsupported(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unsupported"):
    """Something that WhatsApp does not hand on: `kind` is Meta's word for it, `code` its error.

    The real content may come later under the same wamid (reported for 131060).
    """

    kind: str | None = None
    code: int | None = None
    details: str | None = None


class Other(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="other"):
    """A kind that has no shape of its own here: `kind` is Meta's type, `text` what a person can read of it."""

    kind: str
    text: str


Content: TypeAlias = Text | Media | Choice | Location | Cards | FormReply | Order | Notice | Call | Unsupported | Other

_KINDS: Final = {
    Text: "text",
    Location: "location",
    Cards: "contacts",
    FormReply: "interactive",
    Order: "order",
    Notice: "system",
    Call: "call",
    Unsupported: "unsupported",
}
_CALL_RANKS: Final = {
    CallStage.RINGING: 2,
    CallStage.ACCEPTED: 3,
    CallStage.FAILED: 4,
    CallStage.ENDED: 5,
    CallStage.REJECTED: 6,
}
"""Whoever refuses a call ends it too: that it was refused says more."""
_CALLS: Final = {
    CallStage.RINGING: "[call] appel",
    CallStage.ACCEPTED: "[call] appel en cours",
    CallStage.ENDED: "[call] appel terminé",
    CallStage.REJECTED: "[call] appel refusé",
    CallStage.FAILED: "[call] appel manqué",
}


def message_type(content: Content) -> str:
    """The word of the contract's `message_type`."""
    return str(content.kind) if isinstance(content, Media | Choice | Other) else _KINDS[type(content)]


def preview(content: Content) -> str:  # noqa: C901, PLR0911 - one line for each kind
    """The text of the contract's `content_text`."""
    match content:
        case Text(body=body):
            return body
        case Choice(title=title):
            return title
        case Media(kind=kind, caption=caption):
            return caption or f"[{kind}]"
        case Location():
            return f"[location] {place(content)}"
        case Cards(cards=cards):
            return f"[contacts] {', '.join(card.name or 'sans nom' for card in cards)}"
        case FormReply(text=said) | Other(text=said):
            return said
        case Order():
            return f"[order] {order_line(content)}"
        case Notice(text=text):
            return f"[system] {text}"
        case Call(stage=stage, seconds=seconds):
            return _CALLS[stage] + (f" ({seconds} s)" if seconds else "")
        case Unsupported():
            return UNREADABLE_PREVIEW


def place(location: Location) -> str:
    """Name, address, or the coordinates."""
    return location.name or location.address or f"{location.latitude}, {location.longitude}"


def order_line(order: Order) -> str:
    """What was ordered, for people: `2 x kettle-blue-1, 1 x mug-9 (72.5 USD) : Leave at the door`."""
    lines = ", ".join(f"{_figure(product.quantity)} x {product.id}" for product in order.products)
    return lines + _total(order.products) + (f" : {order.note}" if order.note else "")


def _total(products: tuple[Product, ...]) -> str:
    """What all of it costs; nothing if a price is not known, or if there are several currencies."""
    prices = [product.quantity * product.price for product in products if product.price is not None]
    currencies = {product.currency for product in products}
    if not prices or len(prices) < len(products) or len(currencies) > 1 or None in currencies:
        return ""
    return f" ({_figure(sum(prices))} {currencies.pop()})"


def _figure(number: float) -> str:
    """With as many decimals as it has, two at most."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def opens_window(content: Content) -> bool:
    """True if it opens the customer service window: what the customer says and calls do, WhatsApp's notices do not."""
    match content:
        case Notice():
            return False
        case Call(by_customer=by_customer):
            return by_customer
        case _:
            return True


def rank(content: Content) -> int:
    """Which of two contents of one wamid counts: the higher one, in whichever order they come.

    A placeholder gives way to the real content, and a call to its later stage.
    """
    match content:
        case Unsupported():
            return 0
        case Other(kind="media_placeholder"):
            return 1
        case Call(stage=stage):
            return _CALL_RANKS[stage]
        case _:
            return FINAL_RANK


FINAL_RANK: Final = 10
"""The rank of contents that nothing replaces."""


def is_readable(content: Content) -> bool:
    """True if the text says what the customer wants: the bot answers it. False: content a bot cannot read."""
    match content:
        case Text() | Choice() | Location() | Cards() | FormReply() | Order():
            return True
        case Media(caption=caption):
            return bool(caption)
        case _:
            return False


def checked_text(body: str) -> Text:
    """A text that WhatsApp will take. Raises `InvalidPayload`."""
    if not body.strip() or len(body) > MAX_TEXT or "\x00" in body:
        raise InvalidPayload("body.content", f"1 to {MAX_TEXT} characters, not all of them blank")
    return Text(body=body)
