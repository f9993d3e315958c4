"""What webhooks hold: messages, statuses and what else is about a customer.

Lists hold raw items: each is decoded alone, so that one strange item never takes its neighbours along. A message is
read in two steps, its head first: texts, the most frequent kind, need no second one.
"""

from msgspec import Raw, Struct

from inbox.adapters.messaging.cloud_api.wire import Error

NOTHING = Raw(b"null")
"""A section that is not there. msgspec takes `Raw | None` for null alone."""


class Metadata(Struct, frozen=True):
    """The number of ours. `display_phone_number` may be formatted."""

    phone_number_id: str
    display_phone_number: str | int | None = None


class Value(Struct, frozen=True):
    """The value of a field that is about customers. Which lists it has depends on the field."""

    metadata: Metadata
    contacts: Raw = NOTHING
    messages: list[Raw] = []
    statuses: list[Raw] = []
    errors: list[Raw] = []
    message_echoes: list[Raw] = []
    history: list[Raw] = []
    state_sync: list[Raw] = []
    calls: list[Raw] = []
    user_preferences: list[Raw] = []


class Profile(Struct, frozen=True):
    """`username` was seen with and without its `@`."""

    name: str | None = None
    username: str | None = None


class Contact(Struct, frozen=True):
    """`wa_id` is absent for users who hide their phone; `user_id` is the BSUID."""

    profile: Profile = Profile()
    wa_id: str | None = None
    user_id: str | None = None
    parent_user_id: str | None = None
    identity_key_hash: str | None = None


class ReferredProduct(Struct, frozen=True):
    catalog_id: str | None = None
    product_retailer_id: str | None = None


class Context(Struct, frozen=True):
    id: str | None = None
    forwarded: bool = False
    frequently_forwarded: bool = False
    referred_product: ReferredProduct | None = None


class Referral(Struct, frozen=True):
    source_type: str | None = None
    source_id: str | None = None
    source_url: str | None = None
    headline: str | None = None
    body: str | None = None
    media_type: str | None = None
    ctwa_clid: str | None = None


class Identity(Struct, frozen=True):
    hash: str | None = None


class TextBody(Struct, frozen=True):
    body: str


class HistoryContext(Struct, frozen=True):
    status: str | None = None


class Message(
    Struct,
    frozen=True,
    rename={"sender": "from", "sender_user_id": "from_user_id", "sender_parent_user_id": "from_parent_user_id"},
):
    """The head of an item of `messages`. The key named by `type` holds the content."""

    id: str
    type: str
    sender: str | None = None
    sender_user_id: str | None = None
    sender_parent_user_id: str | None = None
    to: str | None = None
    to_user_id: str | None = None
    group_id: str | None = None
    timestamp: str | int | float | None = None
    context: Context | None = None
    text: TextBody | None = None
    referral: Referral | None = None
    identity: Identity | None = None
    errors: list[Error] = []
    history_context: HistoryContext | None = None


class MediaBody(Struct, frozen=True):
    id: str | None = None
    mime_type: str | None = None
    sha256: str | None = None
    caption: str | None = None
    filename: str | None = None
    voice: bool = False
    animated: bool = False


class Button(Struct, frozen=True):
    text: str = ""
    payload: str | None = None


class ListReply(Struct, frozen=True):
    title: str = ""
    id: str | None = None
    description: str | None = None


class FormAnswer(Struct, frozen=True):
    """`response_json` is text that holds JSON, most times an object."""

    name: str = ""
    body: str | None = None
    response_json: str | None = None


class Interactive(Struct, frozen=True):
    type: str = ""
    button_reply: ListReply | None = None
    list_reply: ListReply | None = None
    nfm_reply: FormAnswer | None = None
    call_permission_reply: Raw = NOTHING


class CallPermission(Struct, frozen=True):
    response: str = ""
    is_permanent: bool = False
    expiration_timestamp: str | int | None = None


class Location(Struct, frozen=True):
    latitude: float | str | None = None
    longitude: float | str | None = None
    name: str | None = None
    address: str | None = None
    url: str | None = None


class CardName(Struct, frozen=True):
    formatted_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class CardOrganisation(Struct, frozen=True):
    company: str | None = None


class CardPhone(Struct, frozen=True):
    phone: str | None = None
    wa_id: str | None = None
    type: str | None = None


class Card(Struct, frozen=True):
    """Answers to a request for contact data have a `vcard` and no `name`."""

    name: CardName = CardName()
    org: CardOrganisation = CardOrganisation()
    phones: list[CardPhone] = []
    vcard: str | None = None


class OrderItem(Struct, frozen=True):
    product_retailer_id: str = ""
    quantity: int | float | str = 1
    item_price: float | str | None = None
    currency: str | None = None


class Order(Struct, frozen=True):
    catalog_id: str | None = None
    text: str | None = None
    product_items: list[OrderItem] = []


class System(Struct, frozen=True):
    """`wa_id` and `user_id` are the new ones; `new_wa_id` and `customer` are older names."""

    type: str = ""
    body: str | None = None
    wa_id: str | None = None
    new_wa_id: str | None = None
    customer: str | None = None
    user_id: str | None = None
    previous_user_id: str | None = None


class ReactionBody(Struct, frozen=True):
    """Taken back: `emoji` is absent or empty."""

    message_id: str
    emoji: str | None = None


class UnsupportedBody(Struct, frozen=True):
    type: str | None = None


class Sections(Struct, frozen=True):
    """The contents of a message that is no text."""

    image: MediaBody | None = None
    video: MediaBody | None = None
    audio: MediaBody | None = None
    voice: MediaBody | None = None
    document: MediaBody | None = None
    sticker: MediaBody | None = None
    button: Button | None = None
    interactive: Interactive | None = None
    location: Location | None = None
    contacts: list[Raw] = []
    order: Order | None = None
    system: System | None = None
    reaction: ReactionBody | None = None
    unsupported: UnsupportedBody | None = None


class EditBody(Struct, frozen=True):
    """`message` has no id and a context that means nothing."""

    original_message_id: str
    message: Raw


class Edit(Struct, frozen=True):
    edit: EditBody


class RevokeBody(Struct, frozen=True):
    original_message_id: str


class Revoke(Struct, frozen=True):
    revoke: RevokeBody


class Edited(Struct, frozen=True):
    """The head of a message inside an edit."""

    type: str
    text: TextBody | None = None
    errors: list[Error] = []


class Status(Struct, frozen=True):
    """One item of `statuses`."""

    id: str
    status: str
    timestamp: str | int | float | None = None
    recipient_id: str | None = None
    recipient_user_id: str | None = None
    parent_recipient_user_id: str | None = None
    recipient_type: str | None = None
    recipient_participant_id: str | None = None
    participant_recipient_id: str | None = None
    recipient_participant_user_id: str | None = None
    biz_opaque_callback_data: str | None = None
    errors: list[Error] = []
    pricing: Raw = NOTHING


class Thread(Struct, frozen=True):
    """A chat of the history; `id` is the customer."""

    id: str
    messages: list[Raw] = []


class HistoryChunk(Struct, frozen=True):
    threads: list[Raw] = []
    errors: list[Raw] = []


class BookEntry(Struct, frozen=True):
    full_name: str | None = None
    first_name: str | None = None
    phone_number: str | None = None
    user_id: str | None = None
    username: str | None = None


class BookTime(Struct, frozen=True):
    timestamp: str | int | float | None = None


class BookChange(Struct, frozen=True):
    """A change of the owner's address book: `action` is add, edit or remove."""

    type: str = "contact"
    action: str = ""
    contact: BookEntry | None = None
    metadata: BookTime = BookTime()


class Call(Struct, frozen=True, rename={"sender": "from", "sender_user_id": "from_user_id"}):
    """One item of `calls`. `duration` is in seconds, only of a call that was answered."""

    id: str
    event: str = ""
    sender: str | None = None
    sender_user_id: str | None = None
    to: str | None = None
    to_user_id: str | None = None
    direction: str | None = None
    status: str | None = None
    timestamp: str | int | float | None = None
    duration: int | float | str | None = None


class UserPreference(Struct, frozen=True):
    category: str
    value: str
    wa_id: str | None = None
    user_id: str | None = None
    parent_user_id: str | None = None
    detail: str | None = None
    timestamp: str | int | float | None = None
