"""Articles of a knowledge base, and a model whose vectors a test can foresee."""

import itertools
from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.knowledge import PostgresArticles
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.domain.knowledge import ArticleKind, ArticleText
from inbox.ports.knowledge import NewArticle

ANA: Final = UserId(uuid7())


def a_text(
    title: str = "Quels sont vos horaires ?",
    body: str = "De 9 h à 18 h.",
    *,
    kind: ArticleKind = ArticleKind.QA,
    language: Language = Language.FRENCH,
) -> ArticleText:
    return ArticleText(kind=kind, title=title, body=body, language=language)


async def an_article(
    engine: AsyncEngine, account_id: AccountId, text: ArticleText | None = None, *, approved: bool = True
) -> UUID:
    """An article that Ana wrote, and approved unless it is a draft."""
    (article_id,) = await articles(engine, account_id, [text or a_text()], approved=approved)
    return article_id


async def articles(
    engine: AsyncEngine, account_id: AccountId, texts: Sequence[ArticleText], *, approved: bool = True
) -> list[UUID]:
    new = [NewArticle(id=uuid7(), text=text) for text in texts]
    async with engine.begin() as connection:
        await PostgresArticles(connection).add(account_id, new, ANA, approved_by=ANA if approved else None)
    return [article.id for article in new]


class Topics:
    """An embedder that knows some words: texts with the same ones are near. `failures` are raised first, one a call."""

    model = "topics-1"
    dimensions = 8

    def __init__(self, *topics: str) -> None:
        self.topics = topics
        self.failures: list[Exception] = []
        self.calls: list[tuple[str, list[str]]] = []

    async def embed(
        self, texts: Sequence[str], *, purpose: Literal["query", "document"] = "document"
    ) -> list[list[float]]:
        self.calls.append((purpose, list(texts)))
        if self.failures:
            raise self.failures.pop(0)
        return [self._vector(text.lower()) for text in texts]

    def _vector(self, text: str) -> list[float]:
        places = itertools.islice(itertools.chain(self.topics, itertools.repeat("")), self.dimensions)
        return [1.0 if topic and any(word in text for word in topic.split()) else -0.05 for topic in places]
