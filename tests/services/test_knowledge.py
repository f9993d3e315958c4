"""The knowledge base: who may write and approve it, what the assistant finds of it, and what it shows of that."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import a_conversation, a_message, an_account, execute
from inbox.domain.access import Actor, ActorKind, Grant, Permission
from inbox.domain.accounts import Channel
from inbox.domain.errors import (
    AccountNotFound,
    CircuitOpen,
    DatabaseTimeout,
    MessageNotFound,
    PermissionDenied,
)
from inbox.domain.ids import AccountId, MessageId, UserId, uuid7
from inbox.domain.knowledge import ArticleState
from inbox.domain.knowledge_errors import ArticleChanged, ArticleNotFound, KnowledgeFull
from inbox.domain.upstream_errors import ModelRefused, ModelSilent
from inbox.ports.database import Database
from inbox.ports.knowledge import ArticleFilter
from inbox.services import knowledge as module
from inbox.services.knowledge import Knowledge
from knowledge_builders import Topics, a_text, an_article, articles
from member_builders import a_user
from services.rights_scene import forgetful

SHELF = (
    a_text("Crevaison", "La réparation coûte 15 €."),
    a_text("Horaires", "L'atelier ouvre à 9 h."),
    a_text("Garantie", "Deux ans."),
)


async def somebody(
    engine: AsyncEngine, account_id: AccountId | None, *codes: Permission, kind: ActorKind = ActorKind.PERSON
) -> Actor:
    grants = tuple(Grant(code=code, account_id=account_id) for code in codes)
    return Actor(user_id=await a_user(engine), email=None, is_active=True, grants=grants, kind=kind)


@pytest.fixture
async def ana(engine: AsyncEngine, account: Channel) -> Actor:
    return await somebody(engine, account.account_id, Permission.SETTINGS_MANAGE)


@pytest.fixture
def topics() -> Topics:
    return Topics("crevaison pneu roue", "horaires ouvre dimanche", "garantie casse")


@pytest.fixture
def service(database: Database, topics: Topics) -> Knowledge:
    return Knowledge(database, forgetful(database), topics)


async def texts(service: Knowledge, account: Channel, question: str, *, limit: int = 5, max_chars: int = 5000):
    found = await service.find(account.account_id, question, None, limit=limit, max_chars=max_chars)
    return [source.title for source in found]


# --- finding ----------------------------------------------------------------------------------------------------------


async def test_words_and_meaning_together_decide_what_fits(engine, service, account, topics):
    await articles(engine, account.account_id, SHELF)
    assert await service.embed() == 3
    (by_word,) = await service.find(account.account_id, "réparation", None, limit=5, max_chars=5000)
    assert (by_word.title, by_word.text_rank, by_word.vector_rank) == ("Crevaison", 1, None)
    (by_meaning,) = await service.find(account.account_id, "un pneu", None, limit=5, max_chars=5000)
    assert (by_meaning.title, by_meaning.text_rank, by_meaning.vector_rank) == ("Crevaison", None, 1)
    both = await service.find(account.account_id, "réparation dimanche ou garantie", None, limit=5, max_chars=5000)
    assert {source.title for source in both} == {"Crevaison", "Horaires", "Garantie"}
    assert both[0].title == "Garantie"  # the only one that both rankings know
    assert topics.calls[0][0] == "document"
    assert topics.calls[-1] == ("query", ["réparation dimanche ou garantie"])


async def test_no_more_is_given_than_asked_for(engine, service, account):
    await articles(engine, account.account_id, [a_text(f"Vélo {n}", "x" * 500) for n in range(6)])
    assert len(await texts(service, account, "vélo", limit=2)) == 2
    assert len(await texts(service, account, "vélo", max_chars=1100)) == 2
    assert await texts(service, account, "?!") == []


@pytest.mark.parametrize("failure", [CircuitOpen("model", retry_after=1.0), ModelSilent(""), TimeoutError()])
async def test_without_the_model_of_vectors_words_alone_decide(engine, service, account, topics, failure):
    await articles(engine, account.account_id, SHELF)
    await service.embed()
    topics.failures = [failure]
    assert await texts(service, account, "réparation, pneu, dimanche") == ["Crevaison"]
    assert topics.failures == []


async def test_a_search_of_vectors_that_takes_too_long_is_left_out(engine, database, service, account):
    await articles(engine, account.account_id, SHELF)
    await service.embed()

    async def by_vector(*_: object, **__: object):
        raise DatabaseTimeout

    database.knowledge.by_vector = by_vector
    assert await texts(service, account, "réparation, dimanche") == ["Crevaison"]


# --- vectors ----------------------------------------------------------------------------------------------------------


async def test_an_outage_delays_vectors_and_loses_none(engine, database, service, account, topics):
    await articles(engine, account.account_id, SHELF)
    topics.failures = [CircuitOpen("model", retry_after=90.0)]
    assert await service.embed() == 0
    (row,) = await execute(
        engine, "select min(embed_at) - now() as wait, max(embed_failures) as failures from knowledge_passages"
    )
    assert timedelta(seconds=80) < row.wait < timedelta(seconds=95)
    assert row.failures == 0
    await execute(engine, "update knowledge_passages set embed_at = now()")
    assert await service.embed() == 3
    assert await service.embed() == 0


async def test_a_text_that_the_model_refuses_keeps_no_other_from_its_vector(engine, service, account, topics):
    await articles(engine, account.account_id, SHELF)
    topics.failures = [ModelSilent("")]
    assert await service.embed() == 0
    await execute(engine, "update knowledge_passages set embed_at = now()")
    topics.failures = [ModelRefused("no")]
    assert await service.embed() == 0
    await an_article(engine, account.account_id)
    assert await service.embed() == 3
    assert [len(given) for _, given in topics.calls] == [3, 1, 1, 1, 1]


async def test_another_model_makes_all_vectors_anew(engine, database, service, account):
    await articles(engine, account.account_id, SHELF)
    await service.embed()
    newer = Topics("crevaison pneu")
    newer.model = "topics-2"
    other = Knowledge(database, forgetful(database), newer)
    assert await texts(other, account, "un pneu") == []
    assert await other.embed() == 3
    assert await texts(other, account, "un pneu") == ["Crevaison"]
    assert await Knowledge(database, forgetful(database), None).embed() == 0


async def test_what_a_process_with_the_model_of_before_made_meanwhile_is_made_anew(engine, database, service, account):
    newer = Topics("crevaison pneu")
    newer.model = "topics-2"
    other = Knowledge(database, forgetful(database), newer)
    assert await other.embed() == 0
    await articles(engine, account.account_id, SHELF)
    assert await service.embed() == 3
    assert await texts(other, account, "un pneu") == []
    assert await other.embed() == 3
    assert await texts(other, account, "un pneu") == ["Crevaison"]
    assert [await other.embed() for _ in range(3)] == [0, 0, 0]


async def test_an_article_that_rested_while_the_model_changed_gets_a_new_vector(
    engine, database, service, ana, account
):
    (article,) = await articles(engine, account.account_id, SHELF[:1])
    await service.embed()
    await service.archive(ana, account.account_id, article)
    newer = Topics("crevaison pneu")
    newer.model = "topics-2"
    other = Knowledge(database, forgetful(database), newer)
    assert [await other.embed() for _ in range(4)] == [0, 0, 0, 0]
    await other.approve(ana, account.account_id, article, version=1)
    assert await other.embed() == 1
    assert await texts(other, account, "un pneu") == ["Crevaison"]


# --- people -----------------------------------------------------------------------------------------------------------


async def test_nothing_is_knowledge_before_a_person_approved_this_very_version(engine, service, ana, account):
    account_id = account.account_id
    (article,) = await service.add(ana, account_id, [a_text(body="Le vélo, 9 h.")], approve=False)
    assert await texts(service, account, "vélo") == []
    approved = await service.approve(ana, account_id, article, version=1)
    assert (approved.state, approved.version, approved.approved_by) == ("approved", 1, ana.user_id)
    assert len(await texts(service, account, "vélo")) == 1
    changed = await service.rewrite(ana, account_id, article, a_text(body="Vélo, 10 h."), version=1, approve=False)
    assert (changed.state, changed.version) == ("draft", 2)
    assert await texts(service, account, "vélo") == []
    for act in (
        service.approve(ana, account_id, article, version=1),
        service.rewrite(ana, account_id, article, a_text(), version=1, approve=True),
    ):
        with pytest.raises(ArticleChanged):
            await act
    again = await service.rewrite(ana, account_id, article, a_text(body="Vélo, 8 h."), version=2, approve=True)
    assert (again.state, again.version) == ("approved", 3)
    assert len(await service.search(ana, account_id, "vélo", None, limit=5)) == 1
    assert (await service.archive(ana, account_id, article)).state == "archived"
    assert await texts(service, account, "vélo") == []
    await service.delete(ana, account_id, article)
    rows = await execute(engine, "select action, target, details->>'version' as version from audit_entries order by id")
    assert [(row.action, row.version) for row in rows] == [
        ("article.created", "1"),
        ("article.approved", "1"),
        ("article.changed", "2"),
        ("article.approved", "3"),
        ("article.archived", "3"),
        ("article.deleted", "3"),
    ]
    assert {row.target for row in rows} == {str(article)}


async def test_a_program_writes_drafts_and_approves_nothing(engine, service, ana, account):
    account_id = account.account_id
    program = await somebody(engine, account_id, Permission.SETTINGS_MANAGE, kind=ActorKind.API_KEY)
    (article,) = await service.add(program, account_id, [a_text()], approve=False)
    for act in (
        service.add(program, account_id, [a_text()], approve=True),
        service.rewrite(program, account_id, article, a_text(), version=1, approve=True),
        service.approve(program, account_id, article, version=1),
    ):
        with pytest.raises(PermissionDenied):
            await act
    (row,) = await service.list_of(ana, account_id, ArticleFilter(), limit=5, before=None)
    assert (row.state, row.version, row.created_by) == (ArticleState.DRAFT, 1, program.user_id)


async def test_articles_are_those_of_their_account_and_not_without_end(engine, service, ana, account, monkeypatch):
    account_id, other = account.account_id, (await an_account(engine)).account_id
    foreign, missing = await an_article(engine, other), uuid7()
    reader = await somebody(engine, account_id, Permission.MESSAGES_VIEW)
    for article in (foreign, missing):
        for act in (
            service.get(ana, account_id, article),
            service.approve(ana, account_id, article, version=1),
            service.archive(ana, account_id, article),
            service.delete(ana, account_id, article),
            service.rewrite(ana, account_id, article, a_text(), version=1, approve=False),
        ):
            with pytest.raises(ArticleNotFound):
                await act
    for actor, where, error in (
        (reader, account_id, PermissionDenied),
        (ana, other, AccountNotFound),
        (await somebody(engine, None, *Permission), AccountId(uuid7()), AccountNotFound),
    ):
        with pytest.raises(error):
            await service.search(actor, where, "vélo", None, limit=5)
        with pytest.raises(error):
            await service.add(actor, where, [a_text()], approve=False)
    monkeypatch.setattr(module, "MAX_ARTICLES", 2)
    await service.add(ana, account_id, [a_text(), a_text()], approve=True)
    with pytest.raises(KnowledgeFull):
        await service.add(ana, account_id, [a_text()], approve=False)
    assert len(await execute(engine, "select 1 from knowledge_articles where account_id = :id", id=account_id)) == 2


async def test_who_may_read_a_message_may_see_what_it_used(engine, service, account):
    conversation = await a_conversation(engine, account.account_id)
    message = await a_message(engine, account.account_id, conversation)
    reader = await somebody(engine, account.account_id, Permission.MESSAGES_VIEW)
    assert await service.used_for(reader, message) == []
    blind = await somebody(engine, account.account_id, Permission.ACCOUNTS_VIEW)
    stranger = Actor(user_id=UserId(uuid7()), email=None, is_active=True)
    with pytest.raises(PermissionDenied):
        await service.used_for(blind, message)
    for actor, which in ((stranger, message), (reader, MessageId(uuid7()))):
        with pytest.raises(MessageNotFound):
            await service.used_for(actor, which)
