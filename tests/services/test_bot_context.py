"""What the model gets to read, and what is kept of its answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from builders import execute
from inbox.adapters.llm.fake import FakeAssistant
from inbox.adapters.media.memory import MemoryMediaStore
from inbox.domain import bot as rules
from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.bot_profile import Behaviour
from inbox.domain.content import Media, MediaKind
from inbox.domain.errors import DatabaseTimeout
from inbox.domain.explanations import Language
from inbox.domain.ids import MessageId
from inbox.domain.knowledge import ArticleKind, ArticleText, Source
from inbox.domain.upstream_errors import ModelUnavailable
from inbox.domain.work import WorkKind
from inbox.ports.llm import Prompt
from inbox.ports.media import MediaKey
from inbox.services.bot_views import BotViews
from inbox.services.knowledge import Knowledge
from member_builders import a_user
from services.bot_scene import CANARY, PHOTO, Scene, a_decision, thinking
from services.scenes import Thinking, events_of, is_done, lose_lease

JPEG = b"\xff\xd8\xff\xe0 a photo"
VOICE = Media(kind=MediaKind.VOICE, media_id="2", mime_type="audio/ogg; codecs=opus")


@pytest.fixture
async def scene(database, engine, account, clock) -> Scene:
    return await Scene(database, engine, account, clock).begin()


async def manager(scene: Scene) -> Actor:
    grants = tuple(Grant(code=code, account_id=None) for code in Permission)
    return Actor(user_id=await a_user(scene.engine), email=None, is_active=True, grants=grants)


# --- knowledge --------------------------------------------------------------------------------------------------------


async def test_what_fits_is_given_with_names_and_what_was_used_is_kept(scene: Scene) -> None:
    scene.articles = Knowledge(scene.database, scene.rights, None)
    ana = await manager(scene)
    texts = [("Prix des cerises", "Les cerises coûtent 4 euros."), ("Cerises acides", "Les cerises acides sont rares.")]
    new = [
        ArticleText(kind=ArticleKind.ARTICLE, title=title, body=body, language=Language.FRENCH) for title, body in texts
    ]
    await scene.articles.add(ana, scene.account.account_id, new, approve=True)
    scene.assistant.then({**a_decision(reply="4 euros."), "sources": ["k1", "k9", "k1", "<kb>"]})
    assert await scene.turn_after("Combien coûtent les cerises ?") == "answered"
    given = [source for source in scene.assistant.prompts[-1].sources if source.kind == "kb"]
    assert [source.id for source in given] == ["k1", "k2"]
    assert "cerises" not in scene.assistant.prompts[-1].system
    used = await execute(scene.engine, "select title from bot_turn_sources")
    assert [row.title for row in used] == [given[0].title]


async def test_a_search_that_fails_keeps_no_answer_back_and_is_seen(scene: Scene) -> None:
    class Slow(Knowledge):
        async def find(self, *_: object, **__: object) -> tuple[Source, ...]:
            raise DatabaseTimeout

    scene.articles = Slow(scene.database, scene.rights, None)
    assert await scene.turn_after("Combien coûtent les cerises ?") == "answered"
    assert await scene.turns() == [("answered", "no_sources")]


# --- files ------------------------------------------------------------------------------------------------------------


async def stored(scene: Scene, message: MessageId, data: bytes, mime_type: str) -> None:
    """The file of a message has come into our store."""

    async def body() -> AsyncIterator[bytes]:
        yield data

    assert scene.store is not None
    await scene.store.put(MediaKey(scene.account.account_id, message), body(), limit=1 << 20)
    await execute(
        scene.engine,
        "update media_files set state = 'stored', size = :size, mime_type = :mime where message_id = :id",
        size=len(data),
        mime=mime_type,
        id=message,
    )


async def test_a_photo_is_given_to_a_model_that_reads_it(scene: Scene) -> None:
    scene.store = MemoryMediaStore()
    [photo] = await scene.customer_writes(PHOTO)
    await stored(scene, photo, JPEG, "image/jpeg")
    assert await scene.turn() == "answered"
    (turn,) = scene.assistant.prompts[-1].history
    assert [(file.mime_type, file.data) for file in turn.media] == [("image/jpeg", JPEG)]
    assert turn.text == "[image]"


@pytest.mark.parametrize("reads_voice", [False, True])
async def test_an_account_may_keep_voice_notes_from_the_model(scene: Scene, *, reads_voice: bool) -> None:
    scene.store = MemoryMediaStore()
    await scene.business_says(behaviour=Behaviour(reads_voice=reads_voice))
    [voice] = await scene.customer_writes(VOICE)
    await stored(scene, voice, b"OggS", "audio/ogg")
    await scene.turn()
    assert (len(scene.assistant.prompts) == 1) is reads_voice
    assert (await scene.said() == [rules.UNREADABLE]) is not reads_voice


async def test_files_beyond_the_room_are_described_and_not_given(scene: Scene) -> None:
    scene.store, scene.settings = MemoryMediaStore(), {"media_bytes": 10}
    first, second = await scene.customer_writes(PHOTO, PHOTO)
    await stored(scene, first, b"12345678", "image/jpeg")
    await stored(scene, second, b"87654321", "image/jpeg")
    await scene.turn()
    assert [len(turn.media) for turn in scene.assistant.prompts[-1].history] == [0, 1]


async def test_a_turn_waits_some_seconds_for_a_file_on_its_way(scene: Scene) -> None:
    scene.store = MemoryMediaStore()
    media = Media(kind=MediaKind.IMAGE, media_id="1", mime_type="image/jpeg")
    [photo] = await scene.customer_writes(media)
    assert await scene.turn() == "gathers"
    assert await scene.turns() == []
    (lane,) = await execute(scene.engine, "select retries, ver > done as is_open from lanes where kind = 'turn'")
    assert (lane.retries, lane.is_open) == (0, True), "nothing has failed"
    await stored(scene, photo, JPEG, "image/jpeg")
    await execute(scene.engine, "update lanes set due = now() where kind = 'turn'")
    assert await scene.turn() == "answered"


async def test_a_customer_who_sends_one_file_after_the_other_is_answered_all_the_same(scene: Scene) -> None:
    scene.store, scene.settings = MemoryMediaStore(), {"gather": timedelta(seconds=10)}
    media = Media(kind=MediaKind.IMAGE, media_id="1", mime_type="image/jpeg")
    began, outcomes = scene.clock(), []
    for seconds in (0, 7, 14, 21):
        scene.clock.forward(seconds=seconds - (scene.clock() - began).total_seconds())
        await scene.customer_writes(media, at=scene.clock())
        await execute(scene.engine, "update lanes set due = now() where kind = 'turn'")
        outcomes.append(await scene.turn())
    assert outcomes == ["gathers", "gathers", "gathers", "answered"]


async def test_a_file_that_never_comes_makes_nobody_wait_for_ever(scene: Scene) -> None:
    scene.store = MemoryMediaStore()
    await scene.customer_writes(Media(kind=MediaKind.IMAGE, media_id="1", mime_type="image/jpeg"))
    scene.clock.forward(seconds=11)
    assert await scene.turn() == "answered"
    assert await scene.said() == [rules.UNREADABLE]


# --- gathering --------------------------------------------------------------------------------------------------------


class Echo(FakeAssistant):
    """Answers each line of the customer."""

    async def complete(self, prompt: Prompt, **options: Any) -> Any:  # noqa: ANN401 - whatever the port says
        lines = [turn.text for turn in prompt.history if turn.role == "customer"]
        self.then(a_decision(reply=" / ".join(lines)))
        return await super().complete(prompt, **options)


async def test_five_messages_in_four_seconds_get_one_answer_that_addresses_them_all(scene: Scene) -> None:
    words = ["Bonjour", "j'aimerais", "savoir", "si vous avez", "des cerises"]
    scene.assistant = Echo()
    quiet, scene.settings = timedelta(seconds=3), {"quiet": timedelta(seconds=3)}
    for word in words:
        await scene.customer_writes(word, quiet_for=quiet)
        scene.clock.forward(seconds=1)
        await execute(scene.engine, "update lanes set due = due - interval '1 s' where kind = 'turn'")
        assert await is_done(scene.database, WorkKind.TURN)
    scene.clock.forward(seconds=2)
    await execute(scene.engine, "update lanes set due = now() where kind = 'turn'")
    assert await scene.turn() == "answered"
    assert (await scene.said(), len(scene.assistant.prompts)) == ([" / ".join(words)], 1)
    assert await is_done(scene.database, WorkKind.TURN)


async def test_a_turn_that_was_overtaken_waits_for_quiet_before_it_asks_again(scene: Scene) -> None:
    scene.settings = {"quiet": timedelta(seconds=3)}
    await scene.customer_writes("Bonjour", at=scene.clock())
    assert await scene.turn() == "gathers"
    assert (len(scene.assistant.prompts), await scene.turns()) == (0, [])
    scene.clock.forward(seconds=4)
    await execute(scene.engine, "update lanes set due = now() where kind = 'turn'")
    assert await scene.turn() == "answered"


async def test_what_needed_no_answer_waits_no_more(scene: Scene) -> None:
    scene.settings = {"quiet": timedelta(seconds=3)}
    scene.assistant.then(a_decision("ignore", ""))
    await scene.customer_writes(PHOTO, "Merci", at=scene.clock() - timedelta(seconds=4))
    assert await scene.turn() == "silent"
    scene.clock.forward(seconds=3600)
    await scene.customer_writes("Bonjour", at=scene.clock())
    assert await scene.turn() == "gathers"
    scene.clock.forward(seconds=4)
    await execute(scene.engine, "update lanes set due = now() where kind = 'turn'")
    assert await scene.turn() == "answered"


async def test_what_came_while_the_assistant_was_off_makes_a_new_message_no_older(scene: Scene) -> None:
    await scene.person_switches(enabled=False)
    await scene.customer_writes("Bonjour", at=scene.clock() - timedelta(minutes=10))
    await scene.person_switches(enabled=True)
    await scene.customer_writes("Vous êtes là ?")
    assert await scene.turn() == "answered"


# --- history and hand-over --------------------------------------------------------------------------------------------


async def test_what_was_before_a_person_took_over_is_theirs(scene: Scene) -> None:
    scene.assistant.then(a_decision("handoff", "", "customer_asked_human"), a_decision(reply="Oui."))
    await scene.turn_after("Mon code est 1234, je veux un humain")
    await execute(scene.engine, 'update messages set "timestamp" = "timestamp" - interval \'1 min\'')
    await scene.person_switches(enabled=True)
    await scene.turn_after("Vous êtes ouverts ?")
    assert scene.asked() == ["Vous êtes ouverts ?"]


async def test_an_outage_cuts_no_history(scene: Scene) -> None:
    scene.assistant.then(ModelUnavailable(), a_decision(reply="Oui."))
    await scene.turn_after("Avez-vous des cerises ?")
    await execute(scene.engine, 'update messages set "timestamp" = "timestamp" - interval \'1 min\'')
    await scene.turn_after("Vous êtes là ?")
    assert scene.asked() == ["Avez-vous des cerises ?", rules.FALLBACK, "Vous êtes là ?"]


async def test_a_long_conversation_is_cut_by_tokens_from_its_beginning(scene: Scene) -> None:
    scene.settings = {"history_tokens": 500}
    await scene.customer_writes(*(f"{number} " + "mot " * 100 for number in range(6)))
    await scene.turn()
    assert [text[:2] for text in scene.asked()] == ["3 ", "4 ", "5 "]


async def test_who_takes_over_reads_what_happened(scene: Scene) -> None:
    scene.summarises = True
    scene.assistant.then(a_decision("handoff", "", "customer_asked_human"), {"text": "Veut des cerises.\x00"})
    assert await scene.turn_after("Des cerises, par un humain") == "handed_over"
    assert await scene.turn() == "summarised"
    assert await is_done(scene.database, WorkKind.TURN)
    views, ana = BotViews(scene.database, scene.rights), await manager(scene)
    assert (await views.conversation(ana, scene.conversation)).handover_summary == "Veut des cerises."
    assert len(await events_of(scene.engine, "bot.summarised")) == 1
    grants = (Grant(code=Permission.CONVERSATIONS_VIEW, account_id=None),)
    viewer = Actor(user_id=ana.user_id, email=None, is_active=True, grants=grants)
    assert (await views.conversation(viewer, scene.conversation)).handover_summary is None
    await scene.person_switches(enabled=True)
    assert (await views.conversation(ana, scene.conversation)).handover_summary is None


@pytest.mark.parametrize("answer", [ModelUnavailable(), {"text": f"Secret {CANARY}"}, {"nothing": 1}])
async def test_a_hand_over_stands_without_a_summary(scene: Scene, answer: object) -> None:
    scene.summarises = True
    scene.assistant.then(a_decision("handoff", "", "customer_asked_human"), answer)
    assert await scene.turn_after("Un humain") == "handed_over"
    assert await scene.turn() == "not_summarised"
    assert await is_done(scene.database, WorkKind.TURN)
    views, ana = BotViews(scene.database, scene.rights), await manager(scene)
    row = await views.conversation(ana, scene.conversation)
    assert (row.handover_reason, row.handover_summary) == ("customer_asked_human", None)
    await execute(scene.engine, "update lanes set ver = ver + 1 where kind = 'turn'")
    assert await scene.turn() == "nothing_to_say"
    assert len(scene.assistant.prompts) == 2, "the model is asked once for each"


async def test_a_worker_that_dies_before_the_summary_is_there_leaves_it_to_the_next(scene: Scene) -> None:
    scene.summarises = True
    scene.assistant.then(a_decision("handoff", "", "customer_asked_human"), {"text": "Veut des cerises."})
    await scene.turn_after("Des cerises, par un humain")
    thinks = Thinking()
    quick, scene.assistant = scene.assistant, thinks
    dying = await thinking(scene)
    dying.cancel()
    assert isinstance((await asyncio.gather(dying, return_exceptions=True))[0], asyncio.CancelledError)
    await lose_lease(scene.engine)
    scene.assistant = quick
    assert await scene.turn() == "summarised"
    (row,) = await execute(scene.engine, "select summary from bot_turns")
    assert row.summary == "Veut des cerises."


async def test_a_summary_is_of_what_was_said_since_the_hand_over_before(scene: Scene) -> None:
    scene.summarises = True
    scene.assistant.then(a_decision("handoff", "", "customer_asked_human"), {"text": "Veut des cerises."})
    await scene.turn_after("Un humain")
    await scene.turn()
    assert scene.asked() == ["Un humain", rules.FALLBACK]


async def test_customers_go_before_summaries(scene: Scene) -> None:
    scene.summarises = True
    scene.assistant.then(a_decision(reply=""), a_decision(reply="Oui."))
    assert await scene.turn_after("Bonjour") == "handed_over"
    assert await scene.turn_after("Avez-vous des cerises ?") == "answered"
    assert await is_done(scene.database, WorkKind.TURN)
    assert len(scene.assistant.prompts) == 2


async def test_a_model_that_is_down_is_not_asked_for_a_summary(scene: Scene) -> None:
    scene.summarises = True
    scene.assistant.then(ModelUnavailable())
    await scene.turn_after("Bonjour")
    assert len(scene.assistant.prompts) == 1
