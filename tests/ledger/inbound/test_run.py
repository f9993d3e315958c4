"""The run itself, in a few seconds: nothing is lost and nothing counts twice while processes and the database die."""

from crash.stage import Stage
from ledger.fleet import Pace

from .run import Form, play

SMALL = Form(items=1_500, customers=40, rate=400, pace=Pace(kills=3, restarts=1, every=0.8, ends=True), webs=1)


async def test_every_item_is_there_once_after_kills_and_a_restart_of_the_database(stage: Stage) -> None:
    outcome = await play(stage, SMALL, 20261121, print)
    assert not outcome.found.counts, outcome.found
    assert outcome.kills >= SMALL.pace.kills
    assert outcome.restarts >= SMALL.pace.restarts
