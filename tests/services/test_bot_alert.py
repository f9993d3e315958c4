"""The alert to the backup number: on the normal way out, and visible if it cannot leave."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from builders import a_client_number, a_conversation, execute
from inbox.domain.ids import ConversationId
from inbox.domain.messages import FAILURES
from inbox.domain.outgoing_template import TemplateMessage, values
from inbox.domain.work import WorkKind
from inbox.services.bot_settings import AlertTemplate
from services.bot_scene import Scene, a_decision
from services.scenes import claimed, conversation_row, customer_writes, events_of
from template_builders import a_template, set_waba

HANDOFF = a_decision("handoff", "", "customer_asked_human")


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    scene = await Scene(database, engine, account, clock).begin()
    scene.assistant.then(HANDOFF)
    return scene


@pytest.fixture
def backup_number() -> str:
    return a_client_number()


async def alerts(scene: Scene) -> list[Any]:
    return await execute(
        scene.engine,
        """select m.conversation_id, m.content_text, m.status, m.error_message, m.error_code, o.state, o.reason, o.epoch
           from messages m join outbox o on o.id = m.id where m.author = 'system'""",
    )


async def test_the_backup_number_is_told_who_needs_a_person(scene: Scene, backup_number: str) -> None:
    backup = await a_conversation(
        scene.engine,
        scene.account.account_id,
        client_number=backup_number,
        window_expires_at=scene.clock() + timedelta(hours=1),
    )
    await scene.customer_writes("Je veux un humain")
    await scene.turn(backup_number=backup_number)
    (alert,) = await alerts(scene)
    assert (alert.conversation_id, alert.status, alert.state, alert.epoch) == (backup, "pending", "queued", None)
    assert alert.content_text == (
        f"[Escalade] Conversation {scene.conversation} (client: {scene.number})\nDernier message: Je veux un humain"
    )
    lanes = await scene.database.work.claim(WorkKind.SEND, 10)
    assert {lane.key for lane in lanes} == {str(scene.conversation), str(backup)}


async def test_outside_the_window_the_alert_is_a_failed_message_that_people_see(
    scene: Scene, backup_number: str
) -> None:
    await scene.customer_writes("Je veux un humain")
    await scene.turn(backup_number=backup_number)
    (alert,) = await alerts(scene)
    assert (alert.status, alert.state, alert.reason) == ("failed", "failed", "window_closed")
    assert (alert.error_code, alert.error_message) == (131047, FAILURES[131047])
    backup = await conversation_row(scene.engine, ConversationId(alert.conversation_id))
    assert (backup.client_number, backup.bot_enabled, backup.unread_count) == (backup_number, False, 0)
    assert backup.updated_at > scene.clock() - timedelta(minutes=1)
    told = await events_of(scene.engine, "message.created")
    assert {event["author"] for event in told if event["direction"] == "outbound"} == {"bot", "system"}
    assert (await claimed(scene.database, WorkKind.SEND)).key == str(scene.conversation)


@pytest.mark.parametrize(("is_older", "order"), [(True, ["system", "bot"]), (False, ["bot", "system"])])
async def test_the_alert_and_the_answer_are_queued_in_the_order_of_their_lanes(
    scene: Scene, backup_number: str, *, is_older: bool, order: list[str]
) -> None:
    """Whoever settles both sends at once takes them so as well."""
    opens = scene.clock() + timedelta(hours=1)
    await a_conversation(scene.engine, scene.account.account_id, client_number=backup_number, window_expires_at=opens)
    if is_older:
        scene = await Scene(scene.database, scene.engine, scene.account, scene.clock).begin()
        scene.assistant.then(HANDOFF)
    await scene.customer_writes("Je veux un humain")
    assert await scene.turn(backup_number=backup_number) == "handed_over"
    told = await events_of(scene.engine, "message.created")
    assert [event["author"] for event in told if event["direction"] == "outbound"] == order


async def test_the_alert_moves_its_conversation_up(scene: Scene, backup_number: str) -> None:
    backup = await a_conversation(scene.engine, scene.account.account_id, client_number=backup_number)
    await execute(scene.engine, "update conversations set updated_at = '2020-01-01' where id = :id", id=backup)
    await scene.customer_writes("Je veux un humain")
    await scene.turn(backup_number=backup_number)
    assert (await conversation_row(scene.engine, backup)).updated_at > scene.clock() - timedelta(minutes=1)


async def test_without_a_backup_number_nobody_is_alerted(scene: Scene) -> None:
    assert await scene.turn_after("Je veux un humain") == "handed_over"
    assert await alerts(scene) == []


async def test_whoever_has_the_backup_number_is_not_alerted_about_themselves(scene: Scene) -> None:
    await scene.customer_writes("Je veux un humain")
    assert await scene.turn(backup_number=scene.number) == "handed_over"
    assert await alerts(scene) == []


async def test_an_answer_alerts_nobody(database, engine, account, clock, backup_number: str) -> None:
    scene = await Scene(database, engine, account, clock).begin()
    await scene.customer_writes("Bonjour")
    await scene.turn(backup_number=backup_number)
    assert await alerts(scene) == []
    assert await execute(engine, "select 1 from conversations where client_number = :n", n=backup_number) == []


async def test_what_the_backup_number_writes_opens_its_window(scene: Scene, backup_number: str) -> None:
    await customer_writes(scene.database, scene.account, backup_number, "Je suis là")
    await scene.customer_writes("Je veux un humain")
    await scene.turn(backup_number=backup_number)
    (alert,) = await alerts(scene)
    assert (alert.status, alert.state) == ("pending", "queued")


async def test_outside_the_window_the_alert_goes_out_as_a_template(scene: Scene, backup_number: str) -> None:
    scene.settings = {"alert": AlertTemplate(name="human_needed", language="fr")}
    await scene.customer_writes("Je veux\n\tun humain")
    await scene.turn(backup_number=backup_number)
    (alert,) = await alerts(scene)
    assert (alert.status, alert.state, alert.content_text) == (
        "pending",
        "queued",
        f"[Escalade] {scene.number}: Je veux un humain",
    )
    (row,) = await execute(scene.engine, "select content::text as content from messages where author = 'system'")
    content = msgspec.json.decode(row.content, type=TemplateMessage)
    assert (content.name, content.language) == ("human_needed", "fr")
    assert list(values(content)) == [scene.number, "Je veux un humain"]


async def test_a_template_that_whatsapp_would_refuse_is_not_tried(scene: Scene, backup_number: str) -> None:
    scene.settings = {"alert": AlertTemplate(name="human_needed", language="fr")}
    await set_waba(scene.engine, scene.account, "w-1")
    channel = msgspec.structs.replace(scene.account, waba_id="w-1")
    await a_template(scene.engine, channel, "human_needed", status="REJECTED")
    await scene.customer_writes("Je veux un humain")
    await scene.turn(backup_number=backup_number)
    (alert,) = await alerts(scene)
    assert (alert.status, alert.reason) == ("failed", "window_closed")
