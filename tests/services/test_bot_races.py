"""What happens while the model thinks: whoever is faster than the bot is not talked over."""

import asyncio

import pytest

from builders import LOCK_WAIT, a_conversation, an_inbound_message, execute, received, until
from inbox.domain import bot as rules
from inbox.domain.contacts import Address
from inbox.domain.content import Other, Text
from inbox.domain.work import WorkKind
from inbox.ports.records import InboundBatch
from services.bot_scene import Scene, a_decision, thinking
from services.scenes import Thinking, is_done


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    scene = await Scene(database, engine, account, clock).begin()
    scene.assistant = Thinking()
    return scene


async def answered(scene: Scene, turn: "asyncio.Task[str]") -> str:
    assert isinstance(scene.assistant, Thinking)
    scene.assistant.answers.set()
    return await turn


async def quick_turn(scene: Scene) -> str:
    assert isinstance(scene.assistant, Thinking)
    scene.assistant.answers.set()
    return await scene.turn()


async def test_switched_off_meanwhile_the_answer_is_dropped(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    await scene.person_switches(enabled=False)
    assert await answered(scene, turn) == "dropped"
    assert (await scene.said(), await scene.turns()) == ([], [("dropped", "overtaken")])
    assert await is_done(scene.database, WorkKind.TURN)


async def test_an_outage_meanwhile_says_nothing_in_a_conversation_that_was_taken_over(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    scene.assistant.then(a_decision("handoff", ""))
    turn = await thinking(scene)
    await scene.person_switches(enabled=False)
    assert await answered(scene, turn) == "dropped"
    row = await scene.row()
    assert (await scene.said(), row.handed_over_at) == ([], None)


async def test_answered_by_a_person_meanwhile_the_answer_is_dropped(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    await scene.person_answers("Je m'en occupe.")
    assert await answered(scene, turn) == "dropped"
    assert await scene.said() == ["Je m'en occupe."]
    assert await quick_turn(scene) == "nothing_to_say"
    assert await is_done(scene.database, WorkKind.TURN)


async def test_a_newer_message_is_answered_by_the_next_turn_with_the_older_one(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    await scene.customer_writes("Avez-vous des cerises ?")
    assert await answered(scene, turn) == "dropped"
    assert await scene.said() == []
    assert await quick_turn(scene) == "answered"
    assert scene.asked() == ["Bonjour", "Avez-vous des cerises ?"]
    assert len(await scene.said()) == 1
    assert await is_done(scene.database, WorkKind.TURN)


async def test_a_customer_who_does_not_stop_writing_is_answered_all_the_same(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    await scene.customer_writes("Avez-vous des cerises ?")
    assert await answered(scene, turn) == "dropped"
    turn = await thinking(scene)
    await scene.customer_writes("Et des poires ?")
    scene.clock.forward(seconds=36)
    assert await answered(scene, turn) == "answered"
    assert await scene.said() == ["Vous avez écrit : Avez-vous des cerises ?"]
    assert await quick_turn(scene) == "answered"
    assert scene.asked() == ["Bonjour", "Avez-vous des cerises ?", (await scene.said())[0], "Et des poires ?"]
    assert len(await scene.said()) == 2
    assert await is_done(scene.database, WorkKind.TURN)


async def test_a_person_is_not_talked_over_however_long_the_customer_waits(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    scene.clock.forward(seconds=36)
    await scene.customer_writes("Allô ?")
    await scene.person_answers("Je m'en occupe.")
    assert await answered(scene, turn) == "dropped"
    assert await scene.said() == ["Je m'en occupe."]


async def test_switched_off_and_on_meanwhile_the_customer_still_gets_an_answer(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    await scene.person_switches(enabled=False)
    await scene.person_switches(enabled=True)
    assert await answered(scene, turn) == "dropped"
    assert await quick_turn(scene) == "answered"
    assert len(await scene.said()) == 1
    assert await is_done(scene.database, WorkKind.TURN)


async def test_a_notice_of_whatsapp_overtakes_nothing(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    await scene.customer_writes(Other(kind="system", text="[system] numéro changé"))
    assert await answered(scene, turn) == "answered"


async def test_who_writes_at_the_moment_of_our_answer_is_answered(scene: Scene) -> None:
    """The customer's message is on its way in before our answer is stored, and comes in after it."""
    await scene.customer_writes("Bonjour")
    turn = await thinking(scene)
    message = an_inbound_message(
        scene.account.phone_number_id,
        sender=scene.number,
        content=Text(body="Et demain ?"),
        sent_at=scene.clock().replace(microsecond=0),
    )
    async with scene.database.transaction() as tx:
        await tx.conversations.find_or_create(scene.account.account_id, Address.of("33611111111"), scene.clock())
        assert await answered(scene, turn) == "answered"
        await tx.apply(InboundBatch(messages=[received(message)]))
    await execute(scene.engine, "update lanes set due = now()")
    assert await quick_turn(scene) == "answered"
    assert scene.asked()[-1] == "Et demain ?"


async def test_a_lane_that_was_lost_meanwhile_answers_once(scene: Scene) -> None:
    await scene.customer_writes("Bonjour")
    slow = await thinking(scene)
    await execute(scene.engine, "update lanes set due = now()")
    quick = asyncio.create_task(scene.turn())
    await until(scene.engine, "select 1 from lanes where kind = 'turn' and fence = 2")
    assert isinstance(scene.assistant, Thinking)
    scene.assistant.answers.set()
    outcomes: list[str | BaseException] = []
    for turn in (slow, quick):
        scene.assistant.answers.set()
        outcomes += await asyncio.gather(turn, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["LeaseLost", "str"]
    assert len(await scene.said()) == 1


async def test_the_alert_locks_conversations_in_the_order_of_ingest(scene: Scene) -> None:
    backup = "1" + scene.number
    other = await a_conversation(scene.engine, scene.account.account_id, client_number=backup)
    assert other > scene.conversation, "ids and numbers must be in opposite orders"
    scene.assistant.then(a_decision("handoff", ""))
    await scene.customer_writes("Bonjour")
    turn = asyncio.create_task(scene.turn(backup_number=backup))
    assert isinstance(scene.assistant, Thinking)
    await scene.assistant.asked.wait()
    async with scene.engine.connect() as ingest:
        lock = "select 1 from conversations where client_number = '{}' for no key update nowait"
        await ingest.exec_driver_sql(lock.format(scene.number))
        scene.assistant.answers.set()
        await until(scene.engine, LOCK_WAIT)
        await ingest.exec_driver_sql(lock.format(backup))
        await ingest.rollback()
    assert await turn == "handed_over"
    assert await scene.said() == [rules.FALLBACK]
