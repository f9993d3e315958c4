"""What the model gets to read, and what is kept of its answer."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from builders import execute
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
from inbox.ports.media import MediaKey
from inbox.services.bot_views import BotViews
from inbox.services.knowledge import Knowledge
from member_builders import a_user
from services.bot_scene import CANARY, PHOTO, Scene, a_decision
from services.scenes import events_of, is_done

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
    await stored(scene, photo, JPEG, "image/jpeg")
    await execute(scene.engine, "update lanes set due = now() where kind = 'turn'")
    assert await scene.turn() == "answered"


async def test_a_file_that_never_comes_makes_nobody_wait_for_ever(scene: Scene) -> None:
    scene.store = MemoryMediaStore()
    await scene.customer_writes(Media(kind=MediaKind.IMAGE, media_id="1", mime_type="image/jpeg"))
    scene.clock.forward(seconds=11)
    assert await scene.turn() == "answered"
    assert await scene.said() == [rules.UNREADABLE]


# --- gathering --------------------------------------------------------------------------------------------------------


async def test_five_messages_in_four_seconds_get_one_answer_that_saw_them_all(scene: Scene) -> None:
    words = ["Bonjour", "j'aimerais", "savoir", "si vous avez", "des cerises"]
    quiet, scene.settings = timedelta(seconds=3), {"quiet": timedelta(seconds=3)}
    for word in words:
        await scene.customer_writes(word, quiet_for=quiet)
        scene.clock.forward(seconds=1)
        await execute(scene.engine, "update lanes set due = due - interval '1 s' where kind = 'turn'")
        assert await is_done(scene.database, WorkKind.TURN)
    scene.clock.forward(seconds=2)
    await execute(scene.engine, "update lanes set due = now() where kind = 'turn'")
    assert await scene.turn() == "answered"
    assert (scene.asked(), len(await scene.said())) == (words, 1)


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
    (row,) = await execute(scene.engine, "select state, summary from bot_turns")
    assert (row.state, row.summary) == ("handed_over", None)


async def test_a_model_that_is_down_is_not_asked_for_a_summary(scene: Scene) -> None:
    scene.summarises = True
    scene.assistant.then(ModelUnavailable())
    await scene.turn_after("Bonjour")
    assert len(scene.assistant.prompts) == 1
