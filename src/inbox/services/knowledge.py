"""The knowledge base of an account: what its staff wrote and approved, and what of it fits a question.

An article becomes knowledge in one way only: somebody with the right writes it, and a person approves this version.
Nothing leads from messages to articles, and no program approves one. What is changed has to be approved anew.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from inbox.domain.access import Actor, ActorKind, Permission
from inbox.domain.audit import Action, entry
from inbox.domain.errors import InboxError, MessageNotFound, PermissionDenied
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, MessageId, UserId, uuid7
from inbox.domain.knowledge import (
    MAX_ARTICLES,
    MAX_PASSAGE,
    MAX_QUESTION,
    MAX_TITLE,
    ArticleText,
    Passage,
    Source,
    asked,
    merged,
    within,
)
from inbox.domain.knowledge_errors import ArticleChanged, ArticleNotFound, KnowledgeFull
from inbox.domain.upstream_errors import ModelRefused, ModelSilent
from inbox.ports.database import Database, Transaction
from inbox.ports.knowledge import ArticleFilter, ArticleRow, NewArticle, Standing, Unread, UsedSource
from inbox.ports.llm import Embedder
from inbox.ports.queries import Before
from inbox.services.rights import Rights, require_at

_RANKED: Final = 20
"""Passages of each ranking that are looked at."""
_LEAST_COSINE: Final = 0.3
"""Nearer than this lies nearly everything that has to do with a question, and much that has not."""
_VECTOR_SECONDS: Final = 2.0
"""For the vector of a question: a customer waits."""
_BATCH: Final = 50
_HOLD: Final = timedelta(minutes=2)
_WAIT: Final = timedelta(minutes=1)
_OF_TEXTS: Final = (ModelRefused, ModelSilent)
"""Failures that may be due to one of the texts: each is tried alone then."""


class Knowledge:
    """Methods with an actor and an account raise `AccountNotFound` and `PermissionDenied`."""

    def __init__(self, database: Database, rights: Rights, embedder: Embedder | None) -> None:
        """Without an embedder passages are found by their words alone."""
        self._database = database
        self._rights = rights
        self._embedder = embedder
        self._rounds = 0

    # --- for the assistant --------------------------------------------------------------------------------------------

    async def find(
        self, account_id: AccountId, question: str, language: Language | None, *, limit: int, max_chars: int
    ) -> tuple[Source, ...]:
        """What approved articles say about `question`: at most `limit` passages of `max_chars`, the best first.

        `language` is that of the question, if it is known; articles in both are found. Not to be called inside a
        transaction. If the vector of the question cannot be had, words alone decide.
        """
        words = asked(question)
        if not words:
            return ()
        by_text = await self._database.knowledge.by_text(account_id, words, language, limit=_RANKED)
        by_vector = await self._near(account_id, question[-MAX_QUESTION:])
        return within(merged(by_text, by_vector), limit=limit, max_chars=max_chars)

    async def _near(self, account_id: AccountId, question: str) -> Sequence[Passage]:
        if self._embedder is None:
            return ()
        try:
            async with asyncio.timeout(_VECTOR_SECONDS):
                [vector] = await self._embedder.embed([question], purpose="query")
            return await self._database.knowledge.by_vector(
                account_id, vector, _name(self._embedder), least=_LEAST_COSINE, limit=_RANKED
            )
        except (InboxError, TimeoutError):
            return ()

    async def embed(self) -> int:
        """Makes the vectors that are missing, until none is or making them fails, and returns how many it made.

        Those of another model are made anew: the first time, and then ever more seldom, because a process that still
        has the model of before may have made some meanwhile. What is missing stands in the rows themselves, so that
        nothing is lost by a death: what a process held is due again after two minutes.
        """
        if self._embedder is None:
            return 0
        self._rounds += 1
        is_power_of_two = self._rounds & (self._rounds - 1) == 0
        if is_power_of_two:
            async with self._database.transaction() as tx:
                await tx.knowledge.renew(_name(self._embedder))
        count = 0
        while True:
            async with self._database.transaction() as tx:
                waiting = await tx.knowledge.claim(_BATCH, _HOLD)
            if not waiting or not await self._embedded(self._embedder, waiting):
                break
            count += len(waiting)
        return count

    async def _embedded(self, embedder: Embedder, waiting: Sequence[Unread]) -> bool:
        try:
            vectors = await embedder.embed([f"{one.title}\n\n{one.text}" for one in waiting], purpose="document")
        except InboxError as error:
            wait = max(_WAIT, timedelta(seconds=error.retry_after or 0))
            async with self._database.transaction() as tx:
                await tx.knowledge.postpone(waiting, wait, failed=isinstance(error, _OF_TEXTS))
            return False
        async with self._database.transaction() as tx:
            await tx.knowledge.embedded(waiting, vectors, _name(embedder))
        return True

    # --- for people ---------------------------------------------------------------------------------------------------

    async def list_of(
        self, actor: Actor, account_id: AccountId, wanted: ArticleFilter, *, limit: int, before: Before | None
    ) -> list[ArticleRow]:
        """Newest first, by when they were written first."""
        await self._require(actor, account_id)
        return await self._database.knowledge.page(account_id, wanted, limit=limit, before=before)

    async def get(self, actor: Actor, account_id: AccountId, article_id: UUID) -> ArticleRow:
        """Raises `ArticleNotFound`."""
        await self._require(actor, account_id)
        return await self._row(account_id, article_id)

    async def search(
        self, actor: Actor, account_id: AccountId, question: str, language: Language | None, *, limit: int
    ) -> tuple[Source, ...]:
        """What the assistant would find, if it had room for `limit` passages."""
        await self._require(actor, account_id)
        return await self.find(account_id, question, language, limit=limit, max_chars=limit * (MAX_TITLE + MAX_PASSAGE))

    async def add(
        self, actor: Actor, account_id: AccountId, texts: Sequence[ArticleText], *, approve: bool
    ) -> list[UUID]:
        """Stores new articles, all or none, as drafts or approved by the caller, and returns their ids.

        Raises `KnowledgeFull`.
        """
        await self._require(actor, account_id)
        approver = _approver(actor) if approve else None
        new = [NewArticle(id=uuid7(), text=text) for text in texts]
        async with self._database.transaction() as tx:
            if await tx.knowledge.count(account_id) + len(new) > MAX_ARTICLES:
                raise KnowledgeFull
            await tx.knowledge.add(account_id, new, actor.user_id, approved_by=approver)
            await tx.audit(
                *(
                    entry(
                        actor,
                        Action.ARTICLE_CREATED if approver is None else Action.ARTICLE_APPROVED,
                        article.id,
                        account_id=account_id,
                        version=1,
                    )
                    for article in new
                )
            )
        return [article.id for article in new]

    async def rewrite(
        self, actor: Actor, account_id: AccountId, article_id: UUID, text: ArticleText, *, version: int, approve: bool
    ) -> ArticleRow:
        """The next version of an article that the caller read as `version`: a draft, unless they approve it with it.

        Of an article that was approved nothing is given to the assistant until somebody approves the new version.
        Raises `ArticleNotFound`, `ArticleChanged`.
        """
        await self._require(actor, account_id)
        approver = _approver(actor) if approve else None
        async with self._database.transaction() as tx:
            await _locked(tx, account_id, article_id, version)
            await tx.knowledge.rewrite(account_id, article_id, text, approved_by=approver)
            action = Action.ARTICLE_CHANGED if approver is None else Action.ARTICLE_APPROVED
            await tx.audit(entry(actor, action, article_id, account_id=account_id, version=version + 1))
        return await self._row(account_id, article_id)

    async def approve(self, actor: Actor, account_id: AccountId, article_id: UUID, *, version: int) -> ArticleRow:
        """What the caller read as `version` is given to the assistant from now on.

        Raises `ArticleNotFound`, `ArticleChanged`.
        """
        await self._require(actor, account_id)
        approver = _approver(actor)
        async with self._database.transaction() as tx:
            await _locked(tx, account_id, article_id, version)
            await tx.knowledge.approve(account_id, article_id, approver)
            await tx.audit(entry(actor, Action.ARTICLE_APPROVED, article_id, account_id=account_id, version=version))
        return await self._row(account_id, article_id)

    async def archive(self, actor: Actor, account_id: AccountId, article_id: UUID) -> ArticleRow:
        """Nothing of it is given to the assistant any more; it is kept. Raises `ArticleNotFound`."""
        await self._require(actor, account_id)
        async with self._database.transaction() as tx:
            standing = await _locked(tx, account_id, article_id)
            await tx.knowledge.archive(account_id, article_id)
            line = entry(actor, Action.ARTICLE_ARCHIVED, article_id, account_id=account_id, version=standing.version)
            await tx.audit(line)
        return await self._row(account_id, article_id)

    async def delete(self, actor: Actor, account_id: AccountId, article_id: UUID) -> None:
        """What answers used of it stays with them. Raises `ArticleNotFound`."""
        await self._require(actor, account_id)
        async with self._database.transaction() as tx:
            standing = await _locked(tx, account_id, article_id)
            await tx.knowledge.remove(account_id, article_id)
            line = entry(actor, Action.ARTICLE_DELETED, article_id, account_id=account_id, version=standing.version)
            await tx.audit(line)

    async def used_for(self, actor: Actor, message_id: MessageId) -> list[UsedSource]:
        """What the assistant was given when it wrote a message. Raises `MessageNotFound`, `PermissionDenied`."""
        found = await self._database.knowledge.used_for(actor.reach(Permission.MESSAGES_VIEW), message_id)
        if found is not None:
            return found
        owner = await self._database.queries.owner_of_message(message_id)
        if owner is not None:
            actor.require(Permission.MESSAGES_VIEW, owner.account_id, MessageNotFound)
        raise MessageNotFound

    async def _require(self, actor: Actor, account_id: AccountId) -> None:
        await require_at(self._database, actor, Permission.SETTINGS_MANAGE, account_id)
        await self._rights.require_account(account_id)

    async def _row(self, account_id: AccountId, article_id: UUID) -> ArticleRow:
        row = await self._database.knowledge.one(account_id, article_id)
        if row is None:
            raise ArticleNotFound
        return row


def _approver(actor: Actor) -> UserId:
    """Only people approve. Raises `PermissionDenied`."""
    if actor.kind is not ActorKind.PERSON:
        raise PermissionDenied
    return actor.user_id


async def _locked(tx: Transaction, account_id: AccountId, article_id: UUID, version: int | None = None) -> Standing:
    """The article, if it is still `version`."""
    standing = await tx.knowledge.lock(account_id, article_id)
    if standing is None:
        raise ArticleNotFound
    if version is not None and standing.version != version:
        raise ArticleChanged
    return standing


def _name(embedder: Embedder) -> str:
    """Vectors of one name can be compared."""
    return f"{embedder.model}/{embedder.dimensions}"
