"""How articles are found by their words: in both languages, for one account, whatever a customer types."""

import random
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import an_account, execute
from inbox.adapters.database.postgres.knowledge import PostgresArticles, own
from inbox.adapters.database.postgres.knowledge_search import BY_TEXT
from inbox.adapters.database.postgres.transaction import PostgresDatabase
from inbox.domain.accounts import Channel
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId
from inbox.domain.knowledge import ArticleState, asked, words
from inbox.ports.knowledge import ArticleFilter
from knowledge_builders import ANA, a_text, an_article, articles

FRENCH, ENGLISH = Language.FRENCH, Language.ENGLISH
SHELF = (
    a_text("Combien coûte la réparation d'une crevaison ?", "15 € avec la chambre à air."),
    a_text("Quels sont vos horaires d'été ?", "De juin à août : 8 h à 20 h."),
    a_text("Livrez-vous à domicile ?", "Nos livreurs passent le mardi, dans l'agglomération de Lyon."),
    a_text("Peut-on payer en plusieurs fois ?", "Oui, en trois fois sans frais, à partir de 300 €."),
    a_text("Où êtes-vous ?", "12 rue de l\u2019Arbre-Sec, près du nœud ferroviaire."),
    a_text("What is your refund policy?", "Returned bikes are refunded within 14 days.", language=ENGLISH),
    a_text("Do you rent children's bikes?", "Yes, from the age of four.", language=ENGLISH),
)


async def find(database: PostgresDatabase, account: AccountId, question: str, language: Language | None = None) -> list:
    return await database.knowledge.by_text(account, asked(question), language, limit=20)


async def titles(database, account, question, language=None) -> list[str]:
    return [passage.title for passage in await find(database, account, question, language)]


@pytest.fixture
async def shelf(engine: AsyncEngine, account: Channel) -> AccountId:
    await articles(engine, account.account_id, SHELF)
    return account.account_id


@pytest.mark.parametrize(
    ("question", "place", "language"),
    [
        ("Bonjour, combien pour réparer une crevaison ?", 0, FRENCH),
        ("reparation crevaisons", 0, FRENCH),
        ("VÉLO CREVÉ : RÉPARÉE QUAND ?", 0, None),
        ("horaire d\u2019ete", 1, FRENCH),
        ("HORAIRES D'E\u0301TE\u0301", 1, None),
        ("livreur ? livrer ? livrez ?", 2, FRENCH),
        ("paiement ou payement en plusieurs fois", 3, FRENCH),
        ("noeud ferroviaire", 4, FRENCH),
        ("arbre sec", 4, None),
        ("would you refund a returned bike", 5, ENGLISH),
        ("refunds", 5, None),
        ("renting a bike for my children", 6, ENGLISH),
        ("is there a refund for the bikes", 5, FRENCH),
    ],
)
async def test_a_question_finds_the_article_whatever_the_forms_of_its_words(database, shelf, question, place, language):
    assert (await titles(database, shelf, question, language))[:1] == [SHELF[place].title]


async def test_words_that_say_nothing_find_nothing(database, shelf):
    for question in ("le la de à ou", "the of and", "?", "", "xylophone"):
        assert await titles(database, shelf, question) == []


async def test_an_accent_that_makes_another_word_is_forgiven_but_counts(engine, database, account):
    await articles(engine, account.account_id, [a_text("Le pêcheur", "Il pêche."), a_text("Le pécheur", "Il pèche.")])
    for question in ("pêcheur", "pécheur"):
        assert len(await titles(database, account.account_id, question, FRENCH)) == 2


@pytest.mark.parametrize(
    "question",
    [
        "crevaison'; drop table knowledge_articles; --",
        "crevaison:* & !(xylophone) | 'a' <-> b \\",
        "crevaison\0\ud800 %_ $1 :account_id {} ''''",
        "<crevaison> & & | ! ( ) :AB*",
        "'crevaison' = 1 or '1'='1",
    ],
)
async def test_whatever_is_written_between_the_words_means_nothing(database, shelf, question):
    assert (await titles(database, shelf, question))[0] == SHELF[0].title


async def test_the_word_of_an_account_cannot_be_asked_for(engine, database, shelf):
    other = (await an_account(engine)).account_id
    assert await titles(database, other, f"{own(shelf)} '{own(shelf)}' {shelf} {shelf.hex}") == []


async def test_words_that_few_articles_have_count_more_than_those_of_all(engine, database, account):
    plain = [a_text(f"Vélo {n}", f"Le prix du vélo de type {n}. Vélo, prix, prix du vélo.") for n in range(30)]
    await articles(engine, account.account_id, [*plain, a_text("Garantie", "Une selle, et un peu plus.")])
    found = await titles(database, account.account_id, "prix d'une selle de vélo")
    assert found[0] == "Garantie"
    assert len(found) == 20


async def test_a_long_article_is_found_by_the_passage_that_answers(engine, database, account):
    paragraphs = [f"Chapitre {n}. " + "Du texte sans importance. " * 40 for n in range(8)]
    paragraphs[5] += "Les freins à disque se purgent chaque année."
    await articles(engine, account.account_id, [a_text("Entretien", "\n\n".join(paragraphs))])
    (passage,) = await find(database, account.account_id, "purger les freins")
    assert "disque" in passage.text
    assert (passage.version, passage.place) == (1, 5)


async def test_only_what_is_approved_is_found(engine, database, account):
    account_id = account.account_id
    article = await an_article(engine, account_id, approved=False)

    async def change(act) -> list[str]:
        async with database.transaction() as tx:
            await act(tx.knowledge)
        return [passage.text for passage in await find(database, account_id, "horaires")]

    new = a_text(body="Jusqu'à 20 h.")
    assert await change(lambda store: store.count(account_id)) == []
    assert await change(lambda store: store.approve(account_id, article, ANA)) == ["De 9 h à 18 h."]
    assert await change(lambda store: store.rewrite(account_id, article, new, approved_by=None)) == []
    assert await change(lambda store: store.rewrite(account_id, article, new, approved_by=ANA)) == ["Jusqu'à 20 h."]
    assert await change(lambda store: store.archive(account_id, article)) == []
    assert await change(lambda store: store.approve(account_id, article, ANA)) == ["Jusqu'à 20 h."]
    assert await change(lambda store: store.remove(account_id, article)) == []
    assert await execute(engine, "select 1 from knowledge_passages") == []


async def test_nothing_of_another_account_is_ever_found_or_changed(engine, database):
    accounts = [(await an_account(engine)).account_id for _ in range(3)]
    dice, vocabulary = random.Random(7), [f"mot{n}" for n in range(12)]  # noqa: S311 - no secret
    owners: dict[UUID, AccountId] = {}
    for account in accounts:
        texts = [a_text(" ".join(dice.sample(vocabulary, 2)), " ".join(dice.sample(vocabulary, 3))) for _ in range(20)]
        owners |= dict.fromkeys(await articles(engine, account, texts), account)
    for _ in range(40):
        account, question = dice.choice(accounts), " ".join(dice.sample(vocabulary, 3))
        found = await find(database, account, question)
        page = await database.knowledge.page(
            account, ArticleFilter(words=tuple(words(question))[:1]), limit=50, before=None
        )
        assert found
        assert {owners[passage.article_id] for passage in found} | {owners[row.id] for row in page} == {account}
    one, other = accounts[:2]
    mine = next(article for article, owner in owners.items() if owner == one)
    async with database.transaction() as tx:
        assert await tx.knowledge.lock(other, mine) is None
        for change in (
            tx.knowledge.approve(other, mine, ANA),
            tx.knowledge.archive(other, mine),
            tx.knowledge.remove(other, mine),
            tx.knowledge.rewrite(other, mine, a_text(), approved_by=ANA),
        ):
            await change
    row = await database.knowledge.one(one, mine)
    assert row is not None
    assert (row.version, row.state) == (1, "approved")
    assert await database.knowledge.one(other, mine) is None


async def test_a_list_is_narrowed_by_state_language_and_words(engine, database, shelf):
    draft = await an_article(engine, shelf, a_text("Horaires de l'atelier", "Fermé."), approved=False)

    async def listed(**wanted) -> list[str]:
        rows = await database.knowledge.page(shelf, ArticleFilter(**wanted), limit=50, before=None)
        return [row.title for row in rows]

    assert len(await listed()) == len(SHELF) + 1
    assert (await listed(state=ArticleState.DRAFT)) == ["Horaires de l'atelier"]
    assert set(await listed(language=ENGLISH)) == {article.title for article in SHELF[5:]}
    assert await listed(words=("horaires", "de", "atel")) == ["Horaires de l'atelier"]
    assert await listed(words=("crev",)) == [SHELF[0].title]
    assert await listed(words=("horaires", "crevaison")) == []
    rows = await database.knowledge.page(shelf, ArticleFilter(), limit=1, before=None)
    assert rows[0].id == draft


_SHELVES = """
with a as (
  insert into knowledge_articles (id, account_id, kind, title, body, language, state, created_by, approved_by,
                                  approved_at)
  select gen_random_uuid(), account.id, 'qa', 'Vélo', 'x', 'fr', 'approved', account.id, account.id, now()
  from unnest(cast(:accounts as uuid[])) account(id) cross join generate_series(1, :each) n
  returning id, account_id
)
insert into knowledge_passages (article_id, place, account_id, version, text, lexemes)
select id, 0, account_id, 1, repeat('x', 1000),
       to_tsvector('french', 'velo mot' || row_number() over ()) || array_to_tsvector(array['=' || account_id])
from a
"""


async def test_among_ten_thousand_articles_a_question_reads_an_index(engine, database, account):
    accounts = [account.account_id, *[(await an_account(engine)).account_id for _ in range(4)]]
    await execute(engine, _SHELVES, accounts=accounts, each=2000)
    async with engine.connect() as connection:
        await connection.execute(text("analyze knowledge_articles, knowledge_passages"))
        await connection.commit()
    values = {
        "account_id": account.account_id,
        "own": f"'{own(account.account_id)}'",
        "words": ["mot7", "mot8", "xylophone"],
        "in_french": True,
        "in_english": True,
        "considered": 200,
        "limit": 20,
    }
    plan = "\n".join(row[0] for row in await execute(engine, f"explain {BY_TEXT.text}", **values))
    assert "Bitmap Index Scan on knowledge_passages_lexemes" in plan
    assert "Seq Scan on knowledge" not in plan
    assert len(await find(database, account.account_id, "mot7 vélo")) == 20


async def test_an_article_that_was_stored_by_hand_is_refused_without_an_approver(engine, account):
    async with engine.connect() as connection:
        await PostgresArticles(connection).add(account.account_id, [], ANA, approved_by=None)
        with pytest.raises(Exception, match="knowledge_articles_approved_check"):
            await connection.execute(
                text("""insert into knowledge_articles (id, account_id, kind, title, body, language, state, created_by)
                        values (gen_random_uuid(), :account, 'qa', 'a', 'b', 'fr', 'approved', :account)"""),
                {"account": account.account_id},
            )
