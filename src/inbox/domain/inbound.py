"""What a delivery of Meta says, decoded item by item."""

from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import msgspec

from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.templates import TemplateNews


class Source(StrEnum):
    """Whose words a message holds, and whether they are news."""

    CUSTOMER = "customer"
    """The customer wrote just now."""
    PHONE = "phone"
    """The owner wrote from the WhatsApp Business app (coexistence): outgoing, and no bot answers it."""
    PAST_CUSTOMER = "past_customer"
    PAST_BUSINESS = "past_business"
    """From the history that the app shares once: it is nobody's news."""

    @property
    def is_inbound(self) -> bool:
        return self in (Source.CUSTOMER, Source.PAST_CUSTOMER)

    @property
    def is_news(self) -> bool:
        """True if it counts as unread, opens windows and wakes somebody."""
        return self is Source.CUSTOMER


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """The advertisement or post that led the customer here (Meta: click to WhatsApp)."""

    source_type: str | None = None
    source_id: str | None = None
    source_url: str | None = None
    headline: str | None = None
    body: str | None = None
    media_type: str | None = None
    ctwa_clid: str | None = None


class ReferredProduct(msgspec.Struct, frozen=True, kw_only=True):
    catalog_id: str | None = None
    product_retailer_id: str | None = None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came with a message beside its content; stored as the JSON of `messages.context`."""

    forwarded: bool = False
    frequently_forwarded: bool = False
    referral: Referral | None = None
    referred_product: ReferredProduct | None = None
    identity_key_hash: str | None = None


class InboundMessage(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """A message between a customer and a number. `sent_at` is Meta's time, in whole seconds.

    `status` is Meta's word for the state of an outgoing one from the history.
    """

    phone_number_id: str
    customer: Address
    profile_name: str | None
    wamid: str
    sent_at: datetime
    content: Content
    source: Source = Source.CUSTOMER
    reply_to_wamid: str | None = None
    surroundings: Surroundings = Surroundings()
    status: str | None = None


class InboundStatus(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """Something became of a message of ours. `status` is Meta's word, known or not."""

    phone_number_id: str
    wamid: str
    status: str
    occurred_at: datetime
    recipient: str | None = None
    op_id: str | None = None
    error_code: int | None = None
    error_title: str | None = None
    error_details: str | None = None
    pricing: msgspec.Raw | None = None


class Reaction(msgspec.Struct, frozen=True, kw_only=True, tag="reaction"):
    """Somebody reacted to the message `target`; `emoji` None takes it back. `customer` None: the business did."""

    phone_number_id: str
    customer: Address | None
    wamid: str
    target: str
    emoji: str | None
    at: datetime


class Amendment(msgspec.Struct, frozen=True, kw_only=True, tag="amendment"):
    """The message `target` was edited, or taken back if `content` is None.

    It was exchanged with `customer`, who did so, unless `by_business`. Nobody changes what the other side wrote.
    """

    phone_number_id: str
    customer: Address
    by_business: bool = False
    wamid: str
    target: str
    content: Content | None
    at: datetime


class IdentityLink(msgspec.Struct, frozen=True, kw_only=True, tag="identity_link"):
    """Meta says that phone and BSUID are one person (a status, a preference). No message comes with it."""

    phone_number_id: str
    customer: Address
    profile_name: str | None
    at: datetime


class IdentityChange(msgspec.Struct, frozen=True, kw_only=True, tag="identity_change"):
    """A customer is reached at `new` from `at` on, and not at `old` any more. The thread goes with them."""

    phone_number_id: str
    old: Address
    new: Address
    at: datetime


class ContactName(msgspec.Struct, frozen=True, kw_only=True, tag="contact_name"):
    """The owner's address book names a customer (coexistence); None: the entry is gone."""

    phone_number_id: str
    customer: Address
    name: str | None
    at: datetime


class Preference(msgspec.Struct, frozen=True, kw_only=True, tag="preference"):
    """The customer allows (`resume`) or forbids (`stop`) a category of messages, such as `marketing_messages`."""

    phone_number_id: str
    customer: Address
    category: str
    value: str
    detail: str | None
    at: datetime


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AccountNotice(msgspec.Struct, frozen=True, kw_only=True, tag="account_notice"):
    """Meta speaks about a WABA, a number or a template, not about a customer.

    `field` is the field of the webhook, `event` its word for what happened, `text` one readable line, `raw` the value
    as it came, or the item of its list. Numbers are named by `phone_number_id` or only by the digits of
    `display_phone_number`. `template` is what it says of a template of the WABA.
    """

    field: str
    event: str
    text: str
    severity: Severity
    at: datetime
    raw: msgspec.Raw
    waba_id: str | None = None
    phone_number_id: str | None = None
    display_phone_number: str | None = None
    template: TemplateNews | None = None


class Unknown(msgspec.Struct, frozen=True, kw_only=True, tag="unknown"):
    """An item that nobody reads yet, or that is broken: kept as it came, with the reason."""

    reason: str
    raw: bytes
    phone_number_id: str | None = None


Effect: TypeAlias = Reaction | Amendment | IdentityLink | IdentityChange | ContactName | Preference | AccountNotice
"""What changes something and is no message of its own."""

InboundEvent: TypeAlias = InboundMessage | InboundStatus | Effect | Unknown
