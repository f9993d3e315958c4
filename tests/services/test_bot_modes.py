"""Off, suggest, auto; and when the assistant of an account answers by itself."""

import pytest

from builders import execute
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.bot import Mode
from inbox.domain.bot_profile import Behaviour
from inbox.domain.bot_schedule import Answers, OpeningHours, Schedule
from inbox.domain.errors import ConversationNotFound, PermissionDenied
from inbox.domain.upstream_errors import ModelUnavailable
from inbox.domain.work import WorkKind
from inbox.ports.bot import Suggestion
from inbox.services.bot_views import BotViews
from member_builders import a_user
from services.bot_scene import PHOTO, Scene, a_decision, ago
from services.scenes import events_of, is_done


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    return await Scene(database, engine, account, clock).begin()


async def reader(scene: Scene, *codes: Permission, account: object = None) -> Actor:
    grants = tuple(Grant(code=code, account_id=account) for code in codes)  # type: ignore[arg-type]
    return Actor(user_id=await a_user(scene.engine), email=None, is_active=True, grants=grants)


async def suggested(scene: Scene) -> Suggestion | None:
    views = BotViews(scene.database, scene.rights)
    return (await views.suggestion(await reader(scene, Permission.MESSAGES_VIEW), scene.conversation)).suggestion


async def test_a_suggestion_is_for_the_team_and_nothing_is_sent(scene: Scene) -> None:
    await scene.person_switches(mode=Mode.SUGGEST)
    [message] = await scene.customer_writes("Avez-vous des cerises ?")
    scene.assistant.then(a_decision(reply="Oui, un kilo."))
    assert await scene.turn() == "suggested"
    found = await suggested(scene)
    assert found is not None
    assert (found.text, found.message_id, found.confidence, found.sources) == ("Oui, un kilo.", message, 0.9, [])
    row = await scene.row()
    assert (await scene.said(), row.bot_enabled, row.handed_over_at) == ([], False, None)
    assert [event["message_id"] for event in await events_of(scene.engine, "bot.suggested")] == [str(message)]
    assert await is_done(scene.database, WorkKind.SEND)


async def test_what_a_person_answers_takes_a_suggestion_back(scene: Scene) -> None:
    await scene.person_switches(mode=Mode.SUGGEST)
    await scene.turn_after("Bonjour")
    assert await suggested(scene) is not None
    await scene.person_answers("Je m'en occupe.")
    assert await suggested(scene) is None


async def test_suggestions_begin_with_what_waits_however_long(scene: Scene) -> None:
    await scene.person_switches(enabled=False)
    await scene.customer_writes("Bonjour", at=ago(hours=5))
    await scene.person_switches(mode=Mode.SUGGEST)
    assert await scene.turn() == "suggested"
    found = await suggested(scene)
    assert found is not None
    assert found.text == "Vous avez écrit : Bonjour"


@pytest.mark.parametrize(
    "answer",
    [
        a_decision("handoff", "", "customer_asked_human"),
        a_decision(reply="https://evil.example.com"),
        {**a_decision(), "confidence": 0.1},
        ModelUnavailable(),
    ],
)
async def test_where_nothing_can_be_suggested_nothing_happens(scene: Scene, answer: object) -> None:
    await scene.person_switches(mode=Mode.SUGGEST)
    scene.assistant.then(answer)
    assert await scene.turn_after("Je veux un humain") == "silent"
    row = await scene.row()
    assert (await suggested(scene), await scene.said(), row.handed_over_at) == (None, [], None)


async def test_a_file_that_nobody_reads_is_no_reason_to_suggest(scene: Scene) -> None:
    await scene.person_switches(mode=Mode.SUGGEST)
    assert await scene.turn_after(PHOTO) == "silent"
    assert await suggested(scene) is None


@pytest.mark.parametrize(
    ("mode", "enabled", "stored"),
    [
        (None, True, "auto"),
        (None, False, "off"),
        (Mode.AUTO, False, "auto"),
        (Mode.SUGGEST, True, "suggest"),
        (Mode.OFF, True, "off"),
    ],
)
async def test_a_mode_says_more_than_the_switch_and_counts_before_it(
    scene: Scene, mode: Mode | None, stored: str, *, enabled: bool
) -> None:
    await scene.person_switches(enabled=enabled, mode=mode)
    views = BotViews(scene.database, scene.rights)
    row = await views.conversation(await reader(scene, Permission.CONVERSATIONS_VIEW), scene.conversation)
    assert (row.bot_mode, row.bot_enabled) == (stored, stored == "auto")


async def test_a_suggestion_is_read_by_who_may_read_messages(scene: Scene) -> None:
    views = BotViews(scene.database, scene.rights)
    mine = scene.account.account_id
    with pytest.raises(PermissionDenied):
        await views.suggestion(await reader(scene, Permission.CONVERSATIONS_VIEW, account=mine), scene.conversation)
    stranger = await reader(scene)
    for asked in (views.suggestion, views.conversation):
        with pytest.raises(ConversationNotFound):
            await asked(stranger, scene.conversation)


# --- the account's schedule -------------------------------------------------------------------------------------------


async def schedule(scene: Scene, answers: Answers, *hours: OpeningHours) -> None:
    told = Schedule(answers=answers, time_zone="UTC", business_hours=hours)
    await scene.business_says(behaviour=Behaviour(schedule=told))


ALL_WEEK = tuple(OpeningHours(day=day, opens="00:00", closes="24:00") for day in range(1, 8))


@pytest.mark.parametrize(
    ("answers", "hours", "outcome"),
    [
        (Answers.NEVER, (), "nothing_to_say"),
        (Answers.OUTSIDE_BUSINESS_HOURS, ALL_WEEK, "nothing_to_say"),
        (Answers.OUTSIDE_BUSINESS_HOURS, (), "answered"),
        (Answers.ALWAYS, ALL_WEEK, "answered"),
    ],
)
async def test_the_bot_answers_when_its_account_says_so(scene: Scene, answers: Answers, hours, outcome: str) -> None:
    await schedule(scene, answers, *hours)
    assert await scene.turn_after("Bonjour") == outcome
    assert len(await scene.said()) == (outcome == "answered")
    assert await is_done(scene.database, WorkKind.TURN)


async def test_suggestions_know_no_schedule(scene: Scene) -> None:
    await schedule(scene, Answers.NEVER)
    await scene.person_switches(mode=Mode.SUGGEST)
    assert await scene.turn_after("Bonjour") == "suggested"


async def test_an_account_may_speak_english(scene: Scene) -> None:
    await scene.business_says(behaviour=Behaviour(language="en"))  # type: ignore[arg-type]
    scene.assistant.then(ModelUnavailable())
    await scene.turn_after("Hello")
    assert await scene.said() == ["I am checking with a colleague and will get back to you as soon as I can."]
    (row,) = await execute(scene.engine, "select prompt from bot_turns")
    assert row.prompt == "en/assistant_0"
