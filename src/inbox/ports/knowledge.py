"""The knowledge base: what is stored of it, and how it is searched. All raise what `ports.database` says."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from inbox.domain.access import Reach
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, MessageId, TurnId, UserId
from inbox.domain.knowledge import ArticleKind, ArticleState, ArticleText, Passage, Source
from inbox.ports.queries import Before
from inbox.ports.views import Timestamp


class ArticleRow(msgspec.Struct, frozen=True, kw_only=True):
    """An article as its editors see it. Each change of what it says is a new `version`.

    `approved_by` and `approved_at` are of the last approval, of whichever version.
    """

    id: UUID
    account_id: UUID
    kind: Annotated[str, Meta(extra_json_schema={"enum": list(ArticleKind)})]
    title: str
    body: str
    language: Annotated[str, Meta(extra_json_schema={"enum": list(Language)})]
    state: Annotated[str, Meta(extra_json_schema={"enum": list(ArticleState)})]
    version: int
    created_by: UUID
    approved_by: UUID | None
    approved_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp


class ArticleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """None is any; `words` are all to be in title and text, the last one perhaps only with its beginning."""

    state: ArticleState | None = None
    kind: ArticleKind | None = None
    language: Language | None = None
    words: tuple[str, ...] = ()


class UsedSource(msgspec.Struct, frozen=True, kw_only=True):
    """What the assistant had before it when it wrote a message, as it read then; the best first.

    `is_current` as long as the article says the same and is approved.
    """

    rank: int
    article_id: UUID
    version: int
    title: str
    text: str
    score: float
    is_current: bool


class NewArticle(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    text: ArticleText


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a locked article stands."""

    state: ArticleState
    version: int


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A passage of some account whose vector is missing."""

    account_id: UUID
    article_id: UUID
    version: int
    place: int
    title: str
    text: str


class Articles(Protocol):
    """Articles inside a transaction; their passages are written with them."""

    async def count(self, account_id: AccountId) -> int: ...

    async def add(
        self, account_id: AccountId, new: Sequence[NewArticle], by: UserId, *, approved_by: UserId | None
    ) -> None:
        """As drafts, or approved at once. Raises `AccountNotFound`."""
        ...

    async def lock(self, account_id: AccountId, article_id: UUID) -> Standing | None:
        """The row is locked until the transaction ends. None if there is none such."""
        ...

    async def rewrite(
        self, account_id: AccountId, article_id: UUID, text: ArticleText, *, approved_by: UserId | None
    ) -> None:
        """The next version of a locked article, a draft unless somebody approves it."""
        ...

    async def approve(self, account_id: AccountId, article_id: UUID, by: UserId) -> None: ...

    async def archive(self, account_id: AccountId, article_id: UUID) -> None: ...

    async def remove(self, account_id: AccountId, article_id: UUID) -> None: ...

    async def used(self, account_id: AccountId, turn_id: TurnId, sources: Sequence[Source]) -> None:
        """Keeps a copy of what a turn of the assistant was given. A second time changes nothing."""
        ...

    # --- vectors ------------------------------------------------------------------------------------------------------

    async def claim(self, limit: int, hold: timedelta) -> list[Unread]:
        """Approved passages of all accounts that are to be embedded; nobody else is given them for `hold`.

        One that could not be embedded comes alone, after those that were never tried.
        """
        ...

    async def embedded(self, passages: Sequence[Unread], vectors: Sequence[Sequence[float]], model: str) -> None:
        """Keeps a vector for each passage; one of an article that was rewritten meanwhile is dropped."""
        ...

    async def postpone(self, passages: Sequence[Unread], wait: timedelta, *, failed: bool) -> None:
        """They are due again after `wait`. `failed` if it is perhaps their own fault: they come alone then."""
        ...

    async def renew(self, model: str) -> int:
        """Passages with vectors of another model than `model` are to be embedded again. Returns how many."""
        ...


class KnowledgeQueries(Protocol):
    """Reads, one statement each."""

    async def page(
        self, account_id: AccountId, wanted: ArticleFilter, *, limit: int, before: Before | None
    ) -> list[ArticleRow]:
        """Newest first by (created_at, id)."""
        ...

    async def one(self, account_id: AccountId, article_id: UUID) -> ArticleRow | None: ...

    async def by_text(
        self, account_id: AccountId, words: Sequence[str], language: Language | None, *, limit: int
    ) -> list[Passage]:
        """Approved passages with at least one of `words` (`domain.knowledge.asked`), the best first.

        Words that few passages have count more, those in titles too. `language` is that of the words, if it is known:
        it says which of them say nothing.
        """
        ...

    async def by_vector(
        self, account_id: AccountId, vector: Sequence[float], model: str, *, least: float, limit: int
    ) -> list[Passage]:
        """Approved passages whose vector of `model` is nearest, those with a cosine of at least `least`."""
        ...

    async def used_for(self, reach: Reach, message_id: MessageId) -> list[UsedSource] | None:
        """What a message of the assistant was made from; None if there is no such message within `reach`."""
        ...
