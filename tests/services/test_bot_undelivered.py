"""An answer that the customer never got: a person goes on, and sees why."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest

from builders import a_client_number, a_status, execute
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain.bot import FALLBACK
from inbox.domain.content import Content
from inbox.domain.messages import Author
from inbox.domain.upstream_errors import NothingSent, Refused
from inbox.domain.work import WorkKind
from inbox.ports.messaging import Accepted, Fence
from inbox.ports.records import InboundBatch
from services.bot_scene import PHOTO, Scene, a_decision
from services.scenes import events_of, is_done, lose_lease

ANSWER = "Oui, nous en avons."


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    scene = await Scene(database, engine, account, clock).begin()
    scene.assistant.then(a_decision(reply=ANSWER))
    return scene


async def expires(scene: Scene) -> None:
    """WhatsApp is out of reach for longer than an answer may wait."""
    await execute(scene.engine, "update outbox set expires_at = now() where state = 'queued'")
    await scene.database.outbox.reap()


async def is_lost(scene: Scene, backup: str, said: Content | str = "Avez-vous des cerises ?") -> None:
    """What the bot says to that."""
    assert await scene.turn_after(said) == "answered"
    await expires(scene)
    assert await scene.turn(backup_number=backup) == "undelivered"


async def alerts(scene: Scene) -> int:
    return len(await execute(scene.engine, "select 1 from messages where author = :system", system=Author.SYSTEM))


async def whatsapp_says_failed(
    scene: Scene, wamid: str, meanwhile: Callable[[], Coroutine[None, None, None]] | None = None
) -> None:
    """What happens `meanwhile` is committed before that is, and by somebody who does not see it."""
    failed = a_status(scene.account.phone_number_id, wamid, "failed", error_code=131026)
    async with scene.database.transaction() as tx:
        await tx.apply(InboundBatch(statuses=[failed], quiet_for=timedelta()))
        if meanwhile is not None:
            await asyncio.create_task(meanwhile(), context=Context())


async def test_who_waits_for_an_answer_that_could_not_be_sent_in_time_gets_a_person(scene: Scene) -> None:
    assert await scene.turn_after("Avez-vous des cerises ?") == "answered"
    assert await is_done(scene.database, WorkKind.TURN)
    await expires(scene)
    assert await scene.turn(backup_number=a_client_number()) == "undelivered"
    row = await scene.row()
    assert (row.handover_reason, row.bot_enabled) == ("answer_not_delivered", True)
    assert row.handed_over_at is not None
    assert (await scene.said(), await alerts(scene)) == ([ANSWER, FALLBACK], 1)
    assert await scene.turns() == [("handed_over", "expired")]
    told = await events_of(scene.engine, "bot.handed_over")
    assert told == [{"reason": "answer_not_delivered", "bot_enabled": True}]


async def test_that_is_told_once_even_if_what_is_said_then_is_lost_as_well(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    await expires(scene)
    backup = a_client_number()
    assert await scene.turn(backup_number=backup) == "undelivered"
    assert await scene.turn(backup_number=backup) == "nothing_to_say"
    await expires(scene)
    assert await scene.turn(backup_number=backup) == "nothing_to_say"
    assert await is_done(scene.database, WorkKind.TURN)
    assert (len(await events_of(scene.engine, "bot.handed_over")), await alerts(scene)) == (1, 1)
    assert await scene.said() == [ANSWER, FALLBACK]


async def test_so_does_who_waits_for_an_answer_that_whatsapp_refused(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    sender = FakeSender()
    sender.fail_next(Refused("no", graph_code=131026))
    await scene.delivers(sender)
    assert await scene.turn() == "undelivered"
    assert (await scene.row()).handover_reason == "answer_not_delivered"
    assert [state for state, _ in await scene.turns()] == ["handed_over"]


async def test_and_who_waits_for_one_of_which_whatsapp_says_later_that_it_failed(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    sender = FakeSender()
    await scene.delivers(sender)
    assert await is_done(scene.database, WorkKind.TURN)
    await whatsapp_says_failed(scene, sender.sent[0].wamid)
    assert await scene.turn() == "undelivered"
    assert (await scene.row()).handover_reason == "answer_not_delivered"
    assert await scene.said() == [ANSWER, FALLBACK]


async def test_of_a_customer_whom_nothing_reaches_people_are_alerted_once_an_hour(scene: Scene) -> None:
    backup, told = a_client_number(), []
    scene.assistant.then(*(a_decision(reply=f"Oui {n}.") for n in range(3)))
    for _ in range(4):
        await is_lost(scene, backup)
        told.append(await alerts(scene))
        scene.clock.forward(minutes=50)
    assert told == [1, 1, 2, 2]
    assert len(await events_of(scene.engine, "bot.handed_over")) == 4


async def test_what_is_lost_after_a_person_wrote_is_news(scene: Scene) -> None:
    backup = a_client_number()
    scene.assistant.then(a_decision(reply="Oui, un kilo."))
    await is_lost(scene, backup)
    await scene.person_answers("Je m'en occupe.")
    await scene.delivers(FakeSender())
    await is_lost(scene, backup)
    assert await alerts(scene) == 2


async def test_so_is_what_follows_a_loss_of_which_nobody_was_alerted(scene: Scene) -> None:
    await execute(scene.engine, "update conversations set handed_over_at = now(), handover_reason = 'too_old'")
    backup = a_client_number()
    await is_lost(scene, backup, PHOTO)
    assert await alerts(scene) == 0
    await is_lost(scene, backup)
    assert await alerts(scene) == 1


async def test_the_alert_says_what_the_customer_wrote_and_not_what_a_program_sent_them(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    await scene.program_sends("Votre commande est prête.")
    await execute(scene.engine, "update outbox set expires_at = now() where epoch is not null")
    await scene.database.outbox.reap()
    assert await scene.turn(backup_number=a_client_number()) == "undelivered"
    (alert,) = await execute(scene.engine, "select content_text from messages where author = 'system'")
    assert alert.content_text.endswith("Dernier message: Avez-vous des cerises ?")


async def test_a_window_that_closed_while_the_model_thought_leaves_the_customer_to_a_person_and_no_second_failure(
    scene: Scene,
) -> None:
    await scene.customer_writes("Avez-vous des cerises ?")
    await execute(scene.engine, "update conversations set window_expires_at = now()")
    assert await scene.turn() == "answered"
    assert await scene.turn() == "undelivered"
    assert await scene.turns() == [("handed_over", "window_closed")]
    assert await scene.said() == [ANSWER]
    assert (await scene.row()).handover_reason == "answer_not_delivered"


async def test_who_took_over_is_not_told_that_a_person_has_to(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    await scene.person_answers("Je m'en occupe.")
    await expires(scene)
    assert await is_done(scene.database, WorkKind.TURN)
    assert (await scene.row()).handed_over_at is None


async def test_taken_over_after_the_failure_was_found_nothing_is_said_any_more(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    await expires(scene)
    await scene.person_answers("Je m'en occupe.")
    assert await scene.turn() == "nothing_to_say"
    assert await scene.said() == [ANSWER, "Je m'en occupe."]


async def test_who_wrote_again_meanwhile_is_answered_and_hears_no_excuse(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    scene.assistant.then(a_decision(reply="Oui, un kilo."))
    await expires(scene)
    await scene.customer_writes("Vous êtes là ?")
    assert await scene.turn() == "undelivered"
    assert await scene.turn() == "answered"
    assert scene.asked() == ["Avez-vous des cerises ?", "Vous êtes là ?"]
    assert await scene.said() == [ANSWER, "Oui, un kilo."]
    assert len(await events_of(scene.engine, "bot.handed_over")) == 1


# --- off, and on again ------------------------------------------------------------------------------------------------


async def test_switched_off_and_on_again_the_bot_answers_what_waits(scene: Scene) -> None:
    await scene.customer_writes("Avez-vous des cerises ?")
    await scene.person_switches(enabled=False)
    assert await scene.turn() == "nothing_to_say"
    await scene.person_switches(enabled=True)
    assert await scene.turn() == "answered"
    assert await scene.said() == [ANSWER]


async def test_an_answer_that_the_switch_took_back_is_given_again(scene: Scene) -> None:
    scene.assistant.then(a_decision(reply="Oui, un kilo."))
    assert await scene.turn_after("Avez-vous des cerises ?") == "answered"
    await scene.person_switches(enabled=False)
    await scene.person_switches(enabled=True)
    assert await scene.turn() == "answered"
    sender = FakeSender()
    await scene.delivers(sender)
    assert [one.content.body for one in sender.sent] == ["Oui, un kilo."]  # type: ignore[union-attr]
    assert await scene.turn() == "nothing_to_say"


class Interrupted(FakeSender):
    """While the message is on the wire the bot is switched off and on; then WhatsApp does not take it."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene

    async def send(self, *args: Any, fence: Fence, **more: Any) -> Accepted:  # noqa: ANN401 - as it came
        async def moves_on() -> None:
            await fence()
            await execute(self._scene.engine, "update conversations set epoch = epoch + 2")

        self.fail_next(NothingSent())
        return await super().send(*args, fence=moves_on, **more)


async def test_so_is_one_that_was_on_the_wire_then_and_did_not_leave(scene: Scene) -> None:
    scene.assistant.then(a_decision(reply="Oui, un kilo."))
    await scene.turn_after("Avez-vous des cerises ?")
    await scene.delivers(Interrupted(scene))
    assert await is_done(scene.database, WorkKind.TURN)
    await lose_lease(scene.engine)
    sender = FakeSender()
    await scene.delivers(sender)
    assert await scene.turn() == "answered"
    await scene.delivers(sender)
    assert [one.content.body for one in sender.sent] == ["Oui, un kilo."]  # type: ignore[union-attr]


@pytest.mark.parametrize(("waited", "outcome"), [(0, "answered"), (180, "handed_over")])
async def test_so_is_one_of_which_whatsapp_says_afterwards_that_it_failed_unless_it_is_too_late(
    scene: Scene, waited: int, outcome: str
) -> None:
    scene.assistant.then(a_decision(reply="Oui, un kilo."))
    await scene.turn_after("Avez-vous des cerises ?")
    sender = FakeSender()
    await scene.delivers(sender)
    await scene.person_switches(enabled=False)
    await scene.person_switches(enabled=True)
    assert await is_done(scene.database, WorkKind.TURN)
    scene.clock.forward(seconds=waited)
    await whatsapp_says_failed(scene, sender.sent[0].wamid)
    assert await scene.turn() == outcome
    assert await scene.said() == [ANSWER, "Oui, un kilo." if not waited else FALLBACK]
    assert (await scene.row()).handover_reason == (None if not waited else "too_old")


async def test_so_is_one_that_fails_while_somebody_switches_the_bot_on_who_takes_it_for_given(scene: Scene) -> None:
    scene.assistant.then(a_decision(reply="Oui, un kilo."))
    await scene.turn_after("Avez-vous des cerises ?")
    sender = FakeSender()
    await scene.delivers(sender)
    await scene.person_switches(enabled=False)
    await whatsapp_says_failed(scene, sender.sent[0].wamid, lambda: scene.person_switches(enabled=True))
    assert await scene.turn() == "answered"
    assert await scene.said() == [ANSWER, "Oui, un kilo."]


async def test_none_is_given_while_the_bot_is_off(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    sender = FakeSender()
    await scene.delivers(sender)
    await scene.person_switches(enabled=False)
    await whatsapp_says_failed(scene, sender.sent[0].wamid)
    assert await scene.turn() == "nothing_to_say"
    assert (await is_done(scene.database, WorkKind.TURN), await scene.said()) == (True, [ANSWER])
    assert (await scene.row()).handed_over_at is None


async def test_what_waited_too_long_is_theirs_who_switches_the_bot_on(scene: Scene) -> None:
    await scene.customer_writes("Avez-vous des cerises ?", at=scene.clock() - timedelta(minutes=3))
    await scene.person_switches(enabled=False)
    assert await scene.turn() == "nothing_to_say"
    await scene.person_switches(enabled=True)
    assert await is_done(scene.database, WorkKind.TURN)


async def test_what_somebody_answered_is_not_answered_again_when_the_bot_is_switched_on(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    await scene.person_answers("Oui, passez quand vous voulez.")
    await scene.person_switches(enabled=True)
    assert await is_done(scene.database, WorkKind.TURN)


# --- what programs send -----------------------------------------------------------------------------------------------


async def test_what_a_program_sends_is_no_answer_to_the_customer(scene: Scene) -> None:
    await scene.customer_writes("Avez-vous des cerises ?")
    await scene.program_sends("Votre commande est prête.")
    assert await scene.turn() == "answered"
    assert scene.asked() == ["Votre commande est prête.", "Avez-vous des cerises ?"]
    assert await scene.said() == ["Votre commande est prête.", ANSWER]


async def test_nor_does_it_take_an_answer_back_that_is_on_its_way_out(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    await scene.program_sends("Votre commande est prête.")
    sender = FakeSender()
    await scene.delivers(sender)
    said = [one.content.body for one in sender.sent]  # type: ignore[union-attr]
    assert said == [ANSWER, "Votre commande est prête."]


async def test_nor_if_it_was_planned_for_later(scene: Scene) -> None:
    await scene.turn_after("Avez-vous des cerises ?")
    later = scene.clock() + timedelta(minutes=1)
    await scene.program_sends("Votre commande est prête.", send_at=later)
    before = (await scene.row()).epoch
    await scene.database.outbox.reap(later)
    assert (await scene.row()).epoch == before
    (row,) = await execute(scene.engine, "select state from outbox where send_at is not null")
    assert row.state == "queued"
