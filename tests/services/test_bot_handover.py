"""A turn that a person has to go on with: why, and what the customer is told."""

import pytest

from builders import execute
from inbox.adapters.messaging.fake import FakeSender
from inbox.domain import bot as rules
from inbox.domain.bot_profile import Behaviour
from inbox.domain.errors import InboxError
from inbox.domain.upstream_errors import ModelRefused, ModelSilent, ModelThrottled, ModelUnavailable
from inbox.domain.work import MAX_ATTEMPTS
from services.bot_scene import CANARY, PHOTO, Scene, a_decision, ago
from services.scenes import Thinking, events_of, lose_lease

OUTAGES: list[InboxError] = [
    ModelUnavailable(),
    ModelThrottled(),
    ModelSilent("blocked"),
    ModelRefused(),
]


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    return await Scene(database, engine, account, clock).begin()


async def test_a_message_that_waited_too_long_is_for_a_person(scene: Scene) -> None:
    await scene.customer_writes("Bonjour", at=ago(seconds=130))
    assert await scene.turn() == "handed_over"
    row = await scene.row()
    assert (row.handover_reason, row.bot_enabled) == ("too_old", True)
    assert (await scene.said(), len(scene.assistant.prompts)) == ([rules.FALLBACK], 0)
    assert await scene.turn_after("Allô ?") == "answered"
    assert await events_of(scene.engine, "bot.handed_over") == [{"reason": "too_old", "bot_enabled": True}]


async def test_who_waited_for_days_is_for_a_person_and_nothing_is_tried_that_whatsapp_would_refuse(
    scene: Scene,
) -> None:
    await scene.customer_writes("Bonjour", at=ago(days=2))
    assert await scene.turn() == "handed_over"
    assert ((await scene.row()).handover_reason, await scene.said()) == ("too_old", [])


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: error.code)
async def test_while_the_model_is_down_the_customer_is_told_once_and_the_switch_stays(
    scene: Scene, outage: InboxError
) -> None:
    scene.assistant.then(outage, outage)
    assert await scene.turn_after("Bonjour") == "handed_over"
    row = await scene.row()
    assert (row.bot_enabled, row.handover_reason, row.epoch) == (True, "model_unavailable", 0)
    assert row.handed_over_at is not None
    assert await scene.turn_after("Vous êtes là ?") == "handed_over"
    assert await scene.said() == [rules.FALLBACK]
    assert await scene.turns() == [("handed_over", outage.code)] * 2


async def test_neither_a_person_nor_a_photo_in_between_makes_the_bot_say_it_again(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable(), ModelUnavailable())
    await scene.turn_after("Bonjour")
    await scene.delivers(FakeSender())
    await scene.person_answers("Je regarde.")
    await scene.turn_after(PHOTO)
    await scene.turn_after("Alors ?")
    assert await scene.said() == [rules.FALLBACK, "Je regarde.", rules.UNREADABLE]


async def test_a_hand_over_begins_when_it_began_and_has_its_latest_reason(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable(), a_decision(reply=""))
    await scene.customer_writes("Bonjour", at=ago(seconds=130))
    await scene.turn()
    began = (await scene.row()).handed_over_at
    await scene.turn_after("Vous êtes là ?")
    await scene.turn_after("Allô ?")
    row = await scene.row()
    assert (row.handed_over_at, row.handover_reason) == (began, "answer_not_allowed")
    assert await scene.said() == [rules.FALLBACK]


async def test_a_new_hand_over_is_told_again(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable(), ModelUnavailable())
    await scene.turn_after("Bonjour")
    await scene.person_switches(enabled=True)
    await scene.turn_after("Vous êtes là ?")
    assert await scene.said() == [rules.FALLBACK, rules.FALLBACK]


async def test_when_the_model_is_back_the_bot_goes_on(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable(), a_decision(reply="Me revoilà."), ModelUnavailable())
    await scene.turn_after("Bonjour")
    assert await scene.turn_after("Vous êtes là ?") == "answered"
    row = await scene.row()
    assert (row.handed_over_at, row.handover_reason) == (None, None)
    await scene.turn_after("Et demain ?")
    assert await scene.said() == [rules.FALLBACK, "Me revoilà.", rules.FALLBACK]


async def test_a_photo_during_the_outage_does_not_end_the_hand_over(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable())
    await scene.turn_after("Bonjour")
    assert await scene.turn_after(PHOTO) == "answered"
    assert (await scene.row()).handover_reason == "model_unavailable"


async def test_the_operator_ends_a_hand_over_with_the_switch(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable())
    await scene.turn_after("Bonjour")
    await scene.person_switches(enabled=True)
    assert (await scene.row()).handed_over_at is None


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (a_decision("handoff", "", "customer_asked_human"), "customer_asked_human"),
        (a_decision("handoff", "Je ne sais pas.", "missing_context"), "model_wants_human"),
        (a_decision("reply", rules.FALLBACK.upper()), "model_wants_human"),
        (a_decision("reply_and_handoff", "x" * 2_000, "complaint"), "model_wants_human"),
    ],
)
async def test_who_wants_a_person_gets_one(scene: Scene, decision, reason: str) -> None:
    scene.assistant.then(decision)
    assert await scene.turn_after("Je veux parler à quelqu'un") == "handed_over"
    row = await scene.row()
    assert (row.bot_enabled, row.handover_reason) == (False, reason)
    assert row.bot_last_reply_at is not None
    assert await scene.said() == [rules.FALLBACK]


async def test_the_model_may_say_good_bye_itself(scene: Scene) -> None:
    scene.assistant.then(a_decision("reply_and_handoff", "Un collègue vous appelle.", "complaint"))
    await scene.turn_after("C'est un scandale")
    assert await scene.said() == ["Un collègue vous appelle."]
    assert (await scene.row()).bot_enabled is False


async def test_the_words_of_the_model_about_its_reason_can_always_be_stored(scene: Scene) -> None:
    scene.assistant.then(a_decision("handoff", "", "\x00" + "x" * 10_000))
    assert await scene.turn_after("Bonjour") == "handed_over"
    assert await scene.turns() == [("handed_over", "x" * 200)]


async def test_an_answer_of_which_the_model_is_unsure_is_not_given(scene: Scene) -> None:
    scene.assistant.then({**a_decision(), "confidence": 0.4})
    assert await scene.turn_after("Bonjour") == "handed_over"
    row = await scene.row()
    assert (row.handover_reason, row.bot_enabled, await scene.said()) == ("low_confidence", True, [rules.FALLBACK])
    (turn,) = await execute(scene.engine, "select confidence, handover from bot_turns")
    assert (turn.confidence, turn.handover) == (0.4, "low_confidence")


async def test_how_sure_is_sure_enough_is_said_by_the_account(scene: Scene) -> None:
    await scene.business_says(behaviour=Behaviour(min_confidence=0.3))
    scene.assistant.then({**a_decision(), "confidence": 0.4})
    assert await scene.turn_after("Bonjour") == "answered"


async def test_a_machine_that_says_the_same_again_and_again_is_left_to_people(scene: Scene) -> None:
    for _ in range(2):
        assert await scene.turn_after("Votre message a bien été reçu.") == "answered"
    assert await scene.turn_after("votre message a bien été reçu.") == "handed_over"
    row = await scene.row()
    assert (row.handover_reason, row.bot_enabled, len(scene.assistant.prompts)) == ("loop", False, 2)


async def test_a_turn_ends_in_its_time(scene: Scene) -> None:
    scene.assistant, scene.settings = Thinking(), {"turn_seconds": 0.05}
    assert await scene.turn_after("Bonjour") == "handed_over"
    assert await scene.turns() == [("handed_over", "turn_timeout")]
    assert (await scene.row()).bot_enabled is True


async def test_links_are_those_of_the_business_and_those_it_allows(scene: Scene) -> None:
    scene.assistant.then(
        *(a_decision(reply=f"Voir https://{host}/a") for host in ("a.example", "www.b.example", "c.example"))
    )
    told = {"description": "Notre page : a.example/a", "behaviour": Behaviour(link_domains=("b.example",))}
    await scene.business_says(**told)
    for text in ("un", "deux", "trois"):
        await scene.turn_after(text)
    assert await scene.said() == ["Voir https://a.example/a", "Voir https://www.b.example/a", rules.FALLBACK]
    assert (await scene.turns())[-1] == ("handed_over", "foreign_link")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("x" * 1_001, "too_long"),
        (f"Mes instructions: {CANARY}", "leaks_prompt"),
        ("Oui\x00", "control_characters"),
        ("Oui\x1b[31m", "control_characters"),
    ],
)
async def test_what_must_not_be_said_is_not_said(scene: Scene, reply: str, why: str) -> None:
    scene.assistant.then(a_decision(reply=reply))
    assert await scene.turn_after("Bonjour") == "handed_over"
    assert (await scene.said(), await scene.turns()) == ([rules.FALLBACK], [("handed_over", why)])
    row = await scene.row()
    assert (row.bot_enabled, row.handover_reason) == (True, "answer_not_allowed")


async def test_a_turn_with_which_workers_died_is_for_a_person(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    for _ in range(MAX_ATTEMPTS):
        await scene.lane()
        await lose_lease(scene.engine)
    assert await scene.turn() == "handed_over"
    assert (await scene.said(), await scene.turns()) == ([rules.FALLBACK], [("handed_over", "worker_died")])
    assert (await scene.row()).bot_enabled is True
    assert len(scene.assistant.prompts) == 0


async def test_a_failure_of_the_model_that_nobody_foresaw_is_not_hidden(scene: Scene) -> None:
    scene.assistant.then({"neither": "reply nor hand-over"})
    assert await scene.turn_after("Bonjour") == "handed_over"
    assert await scene.turns() == [("handed_over", "model_silent")]


async def test_outside_the_window_what_the_bot_wanted_to_say_is_shown_as_failed(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable())
    await scene.customer_writes("Bonjour")
    await execute(scene.engine, "update conversations set window_expires_at = now()")
    assert await scene.turn() == "handed_over"
    (said,) = await execute(scene.engine, "select status, error_code from messages where author = 'bot'")
    assert (said.status, said.error_code) == ("failed", 131047)
    assert (await scene.row()).handover_reason == "model_unavailable"


async def test_the_fallback_sentence_and_the_alert_are_said_once_per_hand_over(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable(), ModelUnavailable(), a_decision("handoff", "", "user_request"))
    for text in ("Bonjour", "Allô ?", "Il y a quelqu'un ?"):
        assert await scene.turn_after(text) == "handed_over"
    assert await scene.said() == [rules.FALLBACK]
