"""kill -9 of the whole service at chosen points of the main job: nothing is lost, nothing is sent twice."""

import pytest

from .harness import killed_at
from .stage import Stage

POINTS = {
    "a webhook is read and not stored": "deliveries.store:before",
    "a webhook is stored and not answered": "deliveries.store:after",
    "deliveries are applied and not committed": "commit.apply:before",
    "deliveries are committed": "commit.apply:after",
    "an agent's message is not committed": "outbox.post:before",
    "an agent's message is committed and its POST not answered": "outbox.post:after",
    "an agent's answer is not committed": "commit.queue:before",
    "an agent's answer is committed and its POST not answered": "commit.queue:after",
    "a message is claimed": "outbox.take_heads:after",
    "the fence has not passed": "outbox.to_wire:before",
    "the outcome is written down": "outbox.settle:after",
    "the model has answered and nothing is queued": "tx.close_turn:before",
    "the bot's answer is queued": "commit.close_turn:after",
}


@pytest.mark.parametrize("when", POINTS)
async def test_nothing_is_lost_and_nothing_is_sent_twice_when_it_is_killed_while(stage: Stage, when: str) -> None:
    verdict = await killed_at(stage, f"{POINTS[when]}=kill")
    assert verdict.complaints == [], verdict.story
    assert verdict.died


async def test_a_message_that_whatsapp_took_before_the_kill_is_closed_by_its_echo(stage: Stage) -> None:
    verdict = await killed_at(stage, "outbox.settle:before=kill")
    assert verdict.complaints == [], verdict.story
    assert verdict.died
    assert verdict.closed_by_echo >= 1


async def test_a_message_that_passed_its_fence_and_never_left_is_shown_as_unconfirmed_and_not_sent_again(
    stage: Stage,
) -> None:
    verdict = await killed_at(stage, "outbox.to_wire:after=kill")
    assert verdict.complaints == [], verdict.story
    assert verdict.died
    assert 1 <= verdict.unconfirmed <= verdict.on_wire
