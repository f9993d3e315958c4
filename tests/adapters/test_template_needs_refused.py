"""What we refuse for a template that is known, the other side refuses as well, which was written by itself."""

from uuid import uuid4

import msgspec
import pytest

from domain.test_template_needs import COUPON, FAULTS, FITS, NAMED, message
from inbox.adapters.messaging.cloud_api.bodies import body_of
from inbox.domain.contacts import Address
from inbox.domain.ids import MessageId
from inbox.domain.outbound import OpId
from inbox.emulators.graph_api.config import GraphApiConfig
from inbox.emulators.graph_api.errors import GraphError
from inbox.emulators.graph_api.objects import Number, Template, Waba
from inbox.emulators.graph_api.state import World
from inbox.emulators.graph_api.template_sends import check_parameters

CODES = {132000, 132012, 132018, 131008}


def send(components, given) -> None:
    world = World(GraphApiConfig())
    world.add_waba(Waba(id="1", name="Shop"))
    number = world.add_number(
        Number(id="5", waba_id="1", digits="15550100199", verified_name="Shop", onboarded_at=world.clock.now())
    )
    template = Template(
        id="8",
        waba_id="1",
        name="commande",
        language="fr",
        category="UTILITY",
        components=components,
        parameter_format="NAMED" if components is NAMED else "POSITIONAL",
    )
    body = body_of(Address(wa_id="15550142001"), message(given), OpId(MessageId(uuid4()), 1), None)
    check_parameters(world, number, template, msgspec.json.decode(msgspec.json.encode(body))["template"])


# The emulator asks for no code of a coupon: Meta's reference does.
@pytest.mark.parametrize(("template", "given"), [one[:2] for one in FAULTS if one[:2] != (COUPON, [])], ids=str)
def test_what_we_refuse_is_refused(template, given):
    with pytest.raises(GraphError) as refusal:
        send(template, given)
    assert refusal.value.code in CODES


@pytest.mark.parametrize(("template", "given"), FITS, ids=str)
def test_what_fits_is_taken(template, given):
    send(template, given)
