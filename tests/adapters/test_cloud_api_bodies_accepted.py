"""Whatever passes our limits passes those of the other side, which were written by themselves."""

from uuid import uuid4

import msgspec
import pytest
from hypothesis import assume, given, settings

from domain import test_limits, test_limits_template
from domain.sendables import MEDIA_IDS, SENDABLES
from inbox.adapters.messaging.cloud_api.bodies import body_of
from inbox.domain.contacts import Address
from inbox.domain.content import Content
from inbox.domain.ids import MessageId
from inbox.domain.limits import problems
from inbox.domain.outbound import OpId
from inbox.domain.outgoing import Sendable, message_type, preview
from inbox.emulators.graph_api.config import GraphApiConfig
from inbox.emulators.graph_api.objects import Media, Number, Template, Waba
from inbox.emulators.graph_api.state import World
from inbox.emulators.graph_api.template_sends import check_parameters
from inbox.emulators.graph_api.validation import Sending, check_message, recipient
from payloads.sends import Json, template_for

FILES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/ogg",
    "document": "application/pdf",
    "sticker": "image/webp",
}
EDGES = [
    *((made, most) for made, _, most, path in test_limits.LIMITS if path != "media_id"),
    *((made, most) for made, most, _ in test_limits_template.LIMITS),
]
STORED = msgspec.json.Decoder(Content | Sendable)


def other_side() -> Sending:
    world = World(GraphApiConfig())
    world.add_waba(Waba(id="1", name="Shop"))
    number = world.add_number(
        Number(id="5", waba_id="1", digits="15550100199", verified_name="Shop", onboarded_at=world.clock.now())
    )
    for kind, media_id in [*MEDIA_IDS.items(), ("image", "7")]:
        expires_at = world.clock.now() + 86_400
        world.media.put(
            Media(id=media_id, number_id="5", mime_type=FILES[kind], data=b"x", sha256="", expires_at=expires_at)
        )
    return Sending(world, number)


def sent(content: Sendable) -> Json:
    body = body_of(Address(wa_id="15550142001"), content, OpId(MessageId(uuid4()), 1), "wamid.A")
    decoded: Json = msgspec.json.decode(msgspec.json.encode(body))
    return decoded


def assert_taken(content: Sendable) -> None:
    side, body = other_side(), sent(content)
    assert recipient(body, side.number, user_ids=False) == ("15550142001", "")
    kind = check_message(body, side)
    if kind == "template":
        template = Template(id="8", waba_id="1", category="UTILITY", **template_for(body["template"]))
        check_parameters(side.world, side.number, template, body["template"])


@settings(max_examples=400)
@given(content=SENDABLES)
def test_what_passes_our_limits_is_taken(content: Sendable) -> None:
    assume(not problems(content))
    assert_taken(content)


@pytest.mark.parametrize(("made", "most"), EDGES)
def test_what_reaches_a_limit_is_taken(made, most) -> None:
    assert_taken(test_limits.read(made(most)))


@settings(max_examples=400)
@given(content=SENDABLES)
def test_what_is_stored_is_read_again_as_it_was(content: Sendable) -> None:
    read = STORED.decode(msgspec.json.encode(content))

    assert read == content
    assert type(read) is type(content)
    assert message_type(content)
    assert preview(content).strip() or problems(content)
