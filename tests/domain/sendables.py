"""Whatever might be sent, up to the edges of what is taken and sometimes a step over: for property tests."""

from typing import Any

from hypothesis import strategies as st

from inbox.domain.content import Card, Cards, Location, Phone, Text
from inbox.domain.outgoing import Reaction, ReactionRemoval, Sendable
from inbox.domain.outgoing_files import Audio, Document, Image, Sticker, TemplateFile, Video, Voice
from inbox.domain.outgoing_interactive import (
    AddressRequest,
    Buttons,
    ButtonsCard,
    CallPermissionRequest,
    Carousel,
    CatalogMessage,
    ContactInfoRequest,
    DocumentHeader,
    FlowMessage,
    ImageHeader,
    LinkButton,
    LinkCard,
    ListMenu,
    ListSection,
    LocationRequest,
    ProductCard,
    ProductList,
    ProductMessage,
    ProductSection,
    ReplyButton,
    Row,
    TextHeader,
    VideoHeader,
)
from inbox.domain.outgoing_template import (
    ActionParameter,
    BodyComponent,
    ButtonAction,
    ButtonComponent,
    ButtonParameter,
    CatalogProduct,
    CouponParameter,
    Currency,
    CurrencyParameter,
    DateTime,
    DateTimeParameter,
    DocumentParameter,
    HeaderComponent,
    ImageParameter,
    LocationParameter,
    PayloadParameter,
    ProductParameter,
    TemplateMessage,
    TextParameter,
    VideoParameter,
)

Strategy = st.SearchStrategy
MEDIA_IDS = {
    kind: f"70000000000{place}" for place, kind in enumerate(["image", "video", "audio", "document", "sticker"])
}
LETTERS = st.characters(codec="utf-8", exclude_characters="\x00")
EMOJI = st.sampled_from(["👍", "👍🏽", "❤️", "👨‍👩‍👧‍👦", "🇫🇷", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👩🏿‍❤️‍💋‍👩🏿"])
GOOD_URLS = st.sampled_from(["https://shop.example/o/42?c=1#x", "http://127.0.0.1:8080", "HTTPS://Shop.Example/é"])
BAD_URLS = st.sampled_from(["ftp://shop.example/", "shop.example", "https://", "https://a:b/", "https://[::1"])
RARELY = st.sampled_from([False] * 30 + [True])
URLS = RARELY.flatmap(lambda is_bad: BAD_URLS if is_bad else GOOD_URLS)
WHOLE = st.integers(-(2**53), 2**53)
VALUES: Strategy[object] = WHOLE | st.text(LETTERS, max_size=3)
OBJECTS = st.dictionaries(st.text(LETTERS, max_size=3), VALUES, max_size=2)


def texts(most: int) -> Strategy[str]:
    """As often as not of exactly `most` code points, rarely one more."""

    def stretched(given: tuple[str, bool, bool]) -> str:
        letters, is_long, is_over = given
        length = most + is_over
        return (letters * (length // len(letters) + 1))[:length] if is_long or is_over else letters[:most]

    return st.tuples(st.text(LETTERS, min_size=1, max_size=6), st.booleans(), RARELY).map(stretched)


def trimmed(most: int) -> Strategy[str]:
    return st.tuples(texts(most), RARELY).map(lambda given: given[0] if given[1] else given[0].strip())


def lines(most: int) -> Strategy[str]:
    """Rarely with line breaks, tabs and rows of spaces."""
    return st.tuples(texts(most), RARELY).map(lambda given: given[0] + "\n" if given[1] else " ".join(given[0].split()))


def maybe(strategy: Strategy[Any]) -> Strategy[Any]:
    return st.none() | strategy


def several(strategy: Strategy[Any], least: int, most: int, key=None) -> Strategy[tuple[Any, ...]]:
    """Rarely one too many, and rarely the same twice."""
    sound = st.lists(strategy, min_size=least, max_size=most, unique_by=key)
    faulty = st.lists(strategy, min_size=most, max_size=most + 1) | strategy.map(lambda one: [one, one])
    return RARELY.flatmap(lambda is_faulty: faulty if is_faulty else sound).map(tuple)


def files(kind: type[Any], media: str, **others: Strategy[Any]) -> Strategy[Any]:
    by_id = st.builds(kind, media_id=st.just(MEDIA_IDS[media]), **others)
    return by_id | st.builds(kind, link=URLS, **others)


NAMES = st.sampled_from(["invoice-42.pdf", "reçu", "a" * 240])
PICTURE_HEADERS = files(ImageHeader, "image")
HEADERS = (
    st.builds(TextHeader, text=texts(60))
    | PICTURE_HEADERS
    | files(VideoHeader, "video")
    | files(DocumentHeader, "document", filename=maybe(NAMES))
)


def button_lists(least: int, most: int) -> Strategy[tuple[ReplyButton, ...]]:
    button = st.builds(ReplyButton, id=trimmed(256), title=texts(20))
    return several(button, least, most, (lambda one: one.id, lambda one: one.title))


PLACES = st.builds(
    Location,
    latitude=st.floats(-90, 91),
    longitude=st.floats(-180, 181),
    name=maybe(texts(1000)),
    address=maybe(texts(1000)),
)
PRODUCTS = several(texts(100), 1, 30)
ROWS = st.builds(Row, id=trimmed(200), title=texts(24), description=maybe(texts(72)))


@st.composite
def lists(draw: st.DrawFn) -> ListMenu:
    rows = draw(several(ROWS, 1, 10, lambda row: row.id))
    cut = draw(st.integers(1, len(rows)))
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    titles = texts(24) if len(parts) > 1 else maybe(texts(24))
    return ListMenu(
        body=draw(texts(4096)),
        button=draw(texts(20)),
        sections=tuple(ListSection(rows=part, title=draw(titles)) for part in parts),
        header=draw(maybe(st.builds(TextHeader, text=texts(60)))),
        footer=draw(maybe(texts(60))),
    )


@st.composite
def flows(draw: st.DrawFn) -> FlowMessage:
    name = draw(st.sampled_from(["flow_id", "flow_name"]))
    screen = draw(maybe(texts(20)))
    return FlowMessage(
        body=draw(texts(1024)),
        flow_cta=draw(st.sampled_from(["Réserver", "x" * 30, "+1 #*"])),
        flow_token=draw(maybe(texts(100))),
        screen=screen,
        flow_action="data_exchange" if screen is None and draw(st.booleans()) else "navigate",
        data={} if screen is None else draw(OBJECTS),
        mode=draw(st.sampled_from(["published", "draft"])),
        header=draw(maybe(HEADERS)),
        footer=draw(maybe(texts(60))),
        **{name: draw(texts(100))},
    )


CARD_BODIES = maybe(texts(160))
CARDS = st.sampled_from([1, 2, 3]).flatmap(
    lambda number: st.sampled_from(
        [
            st.builds(LinkCard, header=PICTURE_HEADERS, display_text=texts(20), url=URLS, body=CARD_BODIES),
            st.builds(
                ButtonsCard,
                header=files(VideoHeader, "video"),
                buttons=button_lists(number, number),
                body=CARD_BODIES,
            ),
            st.builds(ProductCard, catalog_id=texts(100), product_retailer_id=texts(100)),
        ]
    )
)
FOOTER = maybe(texts(60))
INTERACTIVE = [
    st.builds(Buttons, body=texts(1024), buttons=button_lists(1, 3), header=maybe(HEADERS), footer=FOOTER),
    lists(),
    st.builds(LinkButton, body=texts(1024), display_text=texts(20), url=URLS, header=maybe(HEADERS), footer=FOOTER),
    st.builds(LocationRequest, body=texts(1024)),
    flows(),
    st.builds(
        ProductMessage,
        catalog_id=texts(100),
        product_retailer_id=texts(100),
        body=maybe(texts(1024)),
        footer=FOOTER,
    ),
    st.builds(
        ProductList,
        header=st.builds(TextHeader, text=texts(60)),
        body=texts(1024),
        catalog_id=texts(100),
        sections=several(st.builds(ProductSection, products=several(texts(100), 1, 3), title=texts(24)), 1, 10)
        | st.builds(ProductSection, products=PRODUCTS).map(lambda section: (section,)),
        footer=FOOTER,
    ),
    st.builds(CatalogMessage, body=texts(1024), thumbnail_product_retailer_id=maybe(texts(100)), footer=FOOTER),
    st.builds(Carousel, body=texts(1024), cards=CARDS.flatmap(lambda cards: several(cards, 2, 10))),
    st.builds(
        AddressRequest,
        body=texts(1024),
        country=st.sampled_from(["IN", "SG"]),
        values=st.dictionaries(st.sampled_from(["name", "city", "in_pin_code"]), texts(1000)),
    ),
    st.builds(ContactInfoRequest, body=texts(1024)),
    st.builds(CallPermissionRequest, body=texts(1024)),
]


def variables(most: int, name: str | None) -> Strategy[Any]:
    return (
        st.builds(TextParameter, text=lines(most), parameter_name=st.just(name))
        | st.builds(
            CurrencyParameter,
            currency=st.builds(Currency, fallback_value=lines(most), code=st.just("EUR"), amount_1000=WHOLE),
            parameter_name=st.just(name),
        )
        | st.builds(
            DateTimeParameter, date_time=st.builds(DateTime, fallback_value=lines(most)), parameter_name=st.just(name)
        )
    )


FILE_PARAMETERS = (
    st.builds(ImageParameter, image=files(TemplateFile, "image"))
    | st.builds(VideoParameter, video=files(TemplateFile, "video"))
    | st.builds(DocumentParameter, document=files(TemplateFile, "document", filename=maybe(NAMES)))
    | st.builds(LocationParameter, location=PLACES)
    | st.builds(
        ProductParameter,
        product=st.builds(CatalogProduct, product_retailer_id=texts(100), catalog_id=texts(100)),
    )
)
BUTTON_PARAMETERS: dict[str, Strategy[ButtonParameter]] = {
    "quick_reply": st.builds(PayloadParameter, payload=texts(1000)),
    "url": st.builds(TextParameter, text=lines(2000)),
    "copy_code": st.builds(CouponParameter, coupon_code=lines(20)),
    "flow": st.builds(ActionParameter, action=st.builds(ButtonAction, flow_token=texts(9), flow_action_data=OBJECTS)),
    "CATALOG": st.builds(ActionParameter, action=st.builds(ButtonAction, thumbnail_product_retailer_id=texts(100))),
}


@st.composite
def templates(draw: st.DrawFn) -> TemplateMessage:
    is_named = draw(st.booleans())
    number = draw(st.integers(0, 4))
    names = [f"value_{place}" if is_named else None for place in range(number)]
    header = draw(st.just(()) | several(FILE_PARAMETERS | variables(60, "of_header" if is_named else None), 1, 1))
    components: list[Any] = [HeaderComponent(parameters=header)] if header else []
    components += [BodyComponent(parameters=tuple(draw(variables(200, name)) for name in names))] if names else []
    for index in draw(st.lists(st.integers(0, 9), unique=True, max_size=3)):
        sub_type = draw(st.sampled_from(sorted(BUTTON_PARAMETERS)))
        parameter = draw(BUTTON_PARAMETERS[sub_type])
        written: int | str = str(index) if draw(st.booleans()) else index
        components.append(ButtonComponent(sub_type=sub_type, index=written, parameters=(parameter,)))
    return TemplateMessage(
        name=draw(st.sampled_from(["order_update", "a" * 512])),
        language=draw(st.sampled_from(["fr", "en_US", "fil", "zh_CN"])),
        components=tuple(components),
    )


PHONES = st.builds(
    Phone, phone=st.sampled_from(["+33 6 00 00 00 01", "118", "(555) 010-0199"]), wa_id=maybe(st.just("33600000001"))
)
PLAIN = [
    st.builds(Text, body=texts(4096), preview_url=st.booleans()),
    files(Image, "image", caption=maybe(texts(1024))),
    files(Video, "video", caption=maybe(texts(1024))),
    files(Audio, "audio"),
    files(Voice, "audio"),
    files(Document, "document", caption=maybe(texts(1024)), filename=maybe(NAMES)),
    files(Sticker, "sticker"),
    PLACES,
    st.builds(Cards, cards=several(st.builds(Card, name=texts(1000), phones=several(PHONES, 0, 3)), 1, 5)),
    st.builds(Reaction, wamid=st.just("wamid.A="), emoji=EMOJI),
    st.builds(ReactionRemoval, wamid=st.just("wamid.A=")),
]
SENDABLES: Strategy[Sendable] = st.one_of(*PLAIN, *INTERACTIVE, templates())
