"""The run itself, in some seconds: nothing is sent twice and nothing is lost while everything fails."""

from crash.stage import Stage
from ledger.fleet import Pace

from .run import Form, play

SMALL = Form(
    sends=200,
    conversations=100,
    rate=60,
    pace=Pace(kills=2, restarts=1, every=1.5, webs=0.3, ends=True),
    clients=6,
    webs=1,
)


async def test_every_message_ends_once_and_in_order_after_kills_and_faults(stage: Stage) -> None:
    outcome = await play(stage, SMALL, 20261121, print)
    assert outcome.is_sound, outcome.found
    assert outcome.kills >= SMALL.pace.kills
    assert outcome.restarts >= SMALL.pace.restarts
    assert outcome.faulted >= SMALL.sends / 20
    assert outcome.found.ends.total() == SMALL.sends
