"""Templates as people write them, in Meta's own shape: what is sent to WhatsApp for its approval."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What has no type of its own."""


class _Tagged(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"
):
    """A component or a button."""


class NamedExample(_Part, frozen=True, kw_only=True):
    param_name: str
    example: str


class HeaderExample(_Part, frozen=True, kw_only=True):
    """`header_handle` is what an upload of the sample gave."""

    header_text: tuple[str, ...] = ()
    header_text_named_params: tuple[NamedExample, ...] = ()
    header_handle: tuple[str, ...] = ()


class BodyExample(_Part, frozen=True, kw_only=True):
    """`body_text` holds one list with a value for each variable."""

    body_text: tuple[tuple[str, ...], ...] = ()
    body_text_named_params: tuple[NamedExample, ...] = ()


class HeaderDraft(_Tagged, frozen=True, kw_only=True, tag="HEADER"):
    """A text with at most one variable, or a file with a sample, or a location."""

    format: Literal["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION"]
    text: str | None = None
    example: HeaderExample | None = None


class BodyDraft(_Tagged, frozen=True, kw_only=True, tag="BODY"):
    """The text of an authentication template is WhatsApp's: `add_security_recommendation` stands in its place."""

    text: str | None = None
    example: BodyExample | None = None
    add_security_recommendation: bool | None = None


class FooterDraft(_Tagged, frozen=True, kw_only=True, tag="FOOTER"):
    """That of an authentication template names the minutes only."""

    text: str | None = None
    code_expiration_minutes: int | None = None


class QuickReplyDraft(_Tagged, frozen=True, kw_only=True, tag="QUICK_REPLY"):
    text: str


class UrlDraft(_Tagged, frozen=True, kw_only=True, tag="URL"):
    """`url` may end with one variable; then `example` holds a whole address."""

    text: str
    url: str
    example: tuple[str, ...] = ()


class PhoneDraft(_Tagged, frozen=True, kw_only=True, tag="PHONE_NUMBER"):
    text: str
    phone_number: str


class CopyCodeDraft(_Tagged, frozen=True, kw_only=True, tag="COPY_CODE"):
    """WhatsApp writes on the button itself. `example` is a code."""

    example: str
    text: str | None = None


class SupportedApp(_Part, frozen=True, kw_only=True):
    package_name: str
    signature_hash: str


class OtpDraft(_Tagged, frozen=True, kw_only=True, tag="OTP"):
    """The button of an authentication template."""

    otp_type: Literal["COPY_CODE", "ONE_TAP", "ZERO_TAP"]
    text: str | None = None
    autofill_text: str | None = None
    zero_tap_terms_accepted: bool | None = None
    supported_apps: tuple[SupportedApp, ...] = ()


class FlowDraft(_Tagged, frozen=True, kw_only=True, tag="FLOW"):
    """A form, by its id or its name."""

    text: str
    flow_id: str | None = None
    flow_name: str | None = None
    flow_action: Literal["navigate", "data_exchange"] | None = None
    navigate_screen: str | None = None


class CatalogDraft(_Tagged, frozen=True, kw_only=True, tag="CATALOG"):
    text: str


class ProductsDraft(_Tagged, frozen=True, kw_only=True, tag="MPM"):
    text: str


class ProductDraft(_Tagged, frozen=True, kw_only=True, tag="SPM"):
    text: str


class CallDraft(_Tagged, frozen=True, kw_only=True, tag="VOICE_CALL"):
    text: str


class ContactInfoDraft(_Tagged, frozen=True, kw_only=True, tag="REQUEST_CONTACT_INFO"):
    text: str | None = None


ButtonDraft: TypeAlias = (
    QuickReplyDraft
    | UrlDraft
    | PhoneDraft
    | CopyCodeDraft
    | OtpDraft
    | FlowDraft
    | CatalogDraft
    | ProductsDraft
    | ProductDraft
    | CallDraft
    | ContactInfoDraft
)


class ButtonsDraft(_Tagged, frozen=True, kw_only=True, tag="BUTTONS"):
    buttons: tuple[ButtonDraft, ...]


class OfferText(_Part, frozen=True, kw_only=True):
    text: str
    has_expiration: bool | None = None


class OfferDraft(_Tagged, frozen=True, kw_only=True, tag="LIMITED_TIME_OFFER"):
    limited_time_offer: OfferText


CardPart: TypeAlias = HeaderDraft | BodyDraft | ButtonsDraft


class CardDraft(_Part, frozen=True, kw_only=True):
    components: tuple[CardPart, ...]


class CarouselDraft(_Tagged, frozen=True, kw_only=True, tag="CAROUSEL"):
    cards: tuple[CardDraft, ...]


ComponentDraft: TypeAlias = HeaderDraft | BodyDraft | FooterDraft | ButtonsDraft | OfferDraft | CarouselDraft
Category: TypeAlias = Literal["MARKETING", "UTILITY", "AUTHENTICATION"]
ParameterFormat: TypeAlias = Literal["POSITIONAL", "NAMED"]
_Components: TypeAlias = Annotated[tuple[ComponentDraft, ...], Meta(max_length=10)]


class TemplateDraft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A new template. `language` is Meta's code, like `fr` or `en_US`.

    `message_send_ttl_seconds` is how long WhatsApp tries to deliver one.
    """

    name: Annotated[str, Meta(max_length=512)]
    language: Annotated[str, Meta(max_length=32)]
    category: Category
    components: _Components
    parameter_format: ParameterFormat | None = None
    message_send_ttl_seconds: int | None = None


class TemplateEdit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What to write anew; WhatsApp looks at the whole again. `components` are all of them."""

    category: Category | None = None
    components: _Components | None = None


def components_of(draft: TemplateDraft | TemplateEdit) -> bytes | None:
    """JSON in Meta's shape; None if an edit leaves them as they are."""
    return None if draft.components is None else msgspec.json.encode(draft.components)
