"""The knowledge base of an account: written, approved, searched; and what of it a message of the assistant used."""

from typing import Annotated, Final, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Response, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.errors import AccountNotFound, Invalid, MessageNotFound
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, MessageId
from inbox.domain.knowledge import (
    MAX_BODY,
    MAX_IMPORT,
    MAX_QUESTION,
    MAX_TITLE,
    ArticleKind,
    ArticleState,
    ArticleText,
    Source,
    cleaned,
    words,
)
from inbox.domain.knowledge_errors import ArticleNotFound
from inbox.entrypoints.http.answers import page
from inbox.entrypoints.http.parameters import object_id, page_limit, page_size, position
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.knowledge import ArticleFilter, ArticleRow, UsedSource
from inbox.services.knowledge import Knowledge

Word = TypeVar("Word", ArticleKind, ArticleState, Language)

_SAYS_SOMETHING: Final = {"minLength": 1, "pattern": r"\S"}
_ASKED: Final = {"maxLength": MAX_QUESTION}
_READING: Final = documented(*SIGNED_IN, 404, 422)
_WRITING: Final = documented(*SIGNED_IN, 400, 404, 409, 413, 415, 422)
Version: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""The one that was read."""


def _words(kind: type[ArticleKind | ArticleState | Language], name: str | None = None) -> QueryParameter:
    return QueryParameter(name=name, schema_extra={"enum": [word.value for word in kind]})


class ArticleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a `qa` the title is the question and the body its answer."""

    kind: ArticleKind
    title: Annotated[str, Meta(max_length=MAX_TITLE, extra_json_schema=_SAYS_SOMETHING)]
    body: Annotated[str, Meta(max_length=MAX_BODY, extra_json_schema=_SAYS_SOMETHING)]
    language: Language

    def text(self, path: str) -> ArticleText:
        """What is stored. Raises `Invalid` with `path` if a text is empty."""
        return cleaned(ArticleText(kind=self.kind, title=self.title, body=self.body, language=self.language), path)


class NewArticleBody(ArticleBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`approve` says that the assistant may use it at once."""

    approve: bool = False


class ChangedArticleBody(ArticleBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without `approve` the new version is a draft, which the assistant does not see."""

    version: Version
    approve: bool = False


class ImportBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of them or none are stored."""

    articles: Annotated[list[ArticleBody], Meta(min_length=1, max_length=MAX_IMPORT)]
    approve: bool = False


class ApprovalBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nobody approves what they have not read."""

    version: Version


class ArticlesImported(msgspec.Struct, frozen=True):
    """In the order of the request."""

    article_ids: list[UUID]
    status: str = "ok"


class ArticleDeleted(msgspec.Struct, frozen=True):
    article_id: UUID
    status: str = "deleted"


@get("/bot/knowledge/{account_id:str}", permission=Permission.SETTINGS_MANAGE, responses=_READING)
@inject
async def list_articles(  # noqa: PLR0913, PLR0917 - filters
    account_id: FromPath[str],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
    in_state: Annotated[str | None, _words(ArticleState, "state")] = None,
    kind: Annotated[str | None, _words(ArticleKind)] = None,
    language: Annotated[str | None, _words(Language)] = None,
    q: Annotated[str | None, QueryParameter(description="Words of title or text.", schema_extra=_ASKED)] = None,
    limit: Annotated[str | None, page_limit(default=50, most=200)] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
) -> Response[list[ArticleRow]]:
    """Articles, those that were written last first.

    `q` finds words in all their forms, with or without accents, the last one also by its beginning. `X-Next-Cursor` and
    `Link` lead to the next page.
    """
    size = page_size(limit, default=50, most=200)
    wanted = ArticleFilter(
        state=_word(in_state, ArticleState, "query.state"),
        kind=_word(kind, ArticleKind, "query.kind"),
        language=_word(language, Language, "query.language"),
        words=tuple(dict.fromkeys(words(_text(q or "", "query.q")))),
    )
    rows = await knowledge.list_of(
        actor, _account(account_id), wanted, limit=size + 1, before=position(cursor, "cursor")
    )
    given = {"state": in_state, "kind": kind, "language": language, "q": q}
    query = {name: value for name, value in given.items() if value}
    return page(rows, size, lambda row: (row.created_at, row.id), {**query, "limit": str(size)})


@post("/bot/knowledge/{account_id:str}", status_code=200, permission=Permission.SETTINGS_MANAGE, responses=_WRITING)
@inject
async def create_article(
    account_id: FromPath[str],
    data: JSONBody[NewArticleBody],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
) -> ArticleRow:
    """Stores an article: a draft, unless a person approves it in the same call. Programs cannot approve (403)."""
    account = _account(account_id)
    (article_id,) = await knowledge.add(actor, account, [data.text("body")], approve=data.approve)
    return await knowledge.get(actor, account, article_id)


@post(
    "/bot/knowledge/{account_id:str}/import",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=_WRITING,
)
@inject
async def import_articles(
    account_id: FromPath[str],
    data: JSONBody[ImportBody],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
) -> ArticlesImported:
    """Stores up to 200 articles at once, all or none: drafts, unless a person approves them in the same call.

    A second call with the same articles stores them a second time.
    """
    texts = [article.text(f"body.articles[{place}]") for place, article in enumerate(data.articles)]
    return ArticlesImported(await knowledge.add(actor, _account(account_id), texts, approve=data.approve))


@get("/bot/knowledge/{account_id:str}/search", permission=Permission.SETTINGS_MANAGE, responses=_READING)
@inject
async def search_articles(
    account_id: FromPath[str],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
    q: Annotated[str | None, QueryParameter(description="What a customer might ask.", schema_extra=_ASKED)] = None,
    language: Annotated[str | None, _words(Language)] = None,
    limit: Annotated[str | None, page_limit(default=5, most=20)] = None,
) -> list[Source]:
    """What the assistant would find in approved articles, the best first, and why: by words, by meaning, or both.

    Articles in both languages are found; `language` is that of the question, if it is known.
    """
    size = page_size(limit, default=5, most=20)
    asked, spoken = _text(q or "", "query.q"), _word(language, Language, "query.language")
    return list(await knowledge.search(actor, _account(account_id), asked, spoken, limit=size))


@get(
    "/bot/knowledge/{account_id:str}/{article_id:str}",
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def get_article(
    account_id: FromPath[str],
    article_id: FromPath[str],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
) -> ArticleRow:
    """One article, as it is now."""
    return await knowledge.get(actor, _account(account_id), object_id(article_id, ArticleNotFound))


@put("/bot/knowledge/{account_id:str}/{article_id:str}", permission=Permission.SETTINGS_MANAGE, responses=_WRITING)
@inject
async def change_article(
    account_id: FromPath[str],
    article_id: FromPath[str],
    data: JSONBody[ChangedArticleBody],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
) -> ArticleRow:
    """Writes the next version of an article. It stays approved only if the caller approves it in the same call.

    Without `approve` it is a draft: the assistant knows nothing of it, neither the old nor the new text, until somebody
    approves it. 409 `article_changed` if `version` is not the newest: somebody else was faster.
    """
    account, found = _account(account_id), object_id(article_id, ArticleNotFound)
    return await knowledge.rewrite(actor, account, found, data.text("body"), version=data.version, approve=data.approve)


@post(
    "/bot/knowledge/{account_id:str}/{article_id:str}/approve",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=_WRITING,
)
@inject
async def approve_article(
    account_id: FromPath[str],
    article_id: FromPath[str],
    data: JSONBody[ApprovalBody],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
) -> ArticleRow:
    """Lets the assistant use an article, a draft or an archived one. A person's right alone: programs get 403.

    409 `article_changed` if `version`, which the caller read, is not the newest.
    """
    account, found = _account(account_id), object_id(article_id, ArticleNotFound)
    return await knowledge.approve(actor, account, found, version=data.version)


@post(
    "/bot/knowledge/{account_id:str}/{article_id:str}/archive",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 400, 404),
)
@inject
async def archive_article(
    account_id: FromPath[str],
    article_id: FromPath[str],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
) -> ArticleRow:
    """Takes an article from the assistant and keeps it."""
    return await knowledge.archive(actor, _account(account_id), object_id(article_id, ArticleNotFound))


@delete(
    "/bot/knowledge/{account_id:str}/{article_id:str}",
    status_code=200,
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 400, 404),
)
@inject
async def delete_article(
    account_id: FromPath[str],
    article_id: FromPath[str],
    actor: NamedDependency[Actor],
    knowledge: FromDishka[Knowledge],
) -> ArticleDeleted:
    """Deletes an article. Messages that were made from it still show what they used."""
    account, found = _account(account_id), object_id(article_id, ArticleNotFound)
    await knowledge.delete(actor, account, found)
    return ArticleDeleted(found)


@get(
    "/messages/{message_id:str}/sources",
    permission=Permission.MESSAGES_VIEW,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def list_sources(
    message_id: FromPath[str], actor: NamedDependency[Actor], knowledge: FromDishka[Knowledge]
) -> list[UsedSource]:
    """What the assistant had before it when it wrote a message, as it read then; empty for all other messages."""
    return await knowledge.used_for(actor, MessageId(object_id(message_id, MessageNotFound)))


def _account(text: str) -> AccountId:
    return AccountId(object_id(text, AccountNotFound))


def _word(text: str | None, kind: type[Word], path: str) -> Word | None:
    """One of the words of `kind`. Raises `Invalid`."""
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise Invalid(path, "not one of the allowed words") from None


def _text(text: str, path: str) -> str:
    if len(text) > MAX_QUESTION:
        raise Invalid(path, f"at most {MAX_QUESTION} characters")
    return text


knowledge_router = Router(
    "/",
    route_handlers=[
        list_articles,
        create_article,
        import_articles,
        search_articles,
        get_article,
        change_article,
        approve_article,
        archive_article,
        delete_article,
        list_sources,
    ],
)
