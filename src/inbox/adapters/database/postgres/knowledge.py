"""Articles of the knowledge base and their passages, as they are written; and what answers used of them.

How words become what the index holds (`stems`): PostgreSQL's own stemmer for French or English, applied twice. Once to
the word as it is written, because accents tell it what an ending is (`réparée`, `réparer` and `réparation` are one),
and the accents of the stem are taken away; once to the word without accents, as customers type it. Article and question
match if one of the forms does. Accents go by `translate`: the extension `unaccent` need not be there, and its
dictionary would stand before the stemmer, where accents still matter.

Every passage also holds a word that only those of its account have, `own`: so the index, which knows words only, finds
those of one account without reading the others'.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.domain.ids import AccountId, TurnId, UserId
from inbox.domain.knowledge import ArticleState, ArticleText, Source, passages, words
from inbox.ports.knowledge import NewArticle, Standing, Unread

_ACCENTS: Final = "àáâãäåçèéêëìíîïñòóôõöùúûüýÿ"
_LETTERS: Final = "aaaaaaceeeeiiiinooooouuuuyy"


def plain(given: str) -> str:
    """SQL: the text `given` without accents."""
    return f"translate({given}, '{_ACCENTS}', '{_LETTERS}')"


def stems(config: str, given: str) -> str:
    """SQL: what of the words `given` is compared, as a tsvector; `config` is the configuration of their language."""
    written = plain(f"cast(to_tsvector({config}, {given}) as text)")
    return f"(cast({written} as tsvector) || to_tsvector({config}, {plain(given)}))"


def own(account_id: UUID) -> str:
    """The word that all passages of the account have. The words of texts hold letters and digits only: none is like it.

    Quoted it is a query.
    """
    return f"={account_id}"


_COUNT: Final = text("select count(*) from knowledge_articles where account_id = :account_id")
_ADD: Final = text("""
insert into knowledge_articles (id, account_id, kind, title, body, language, state, created_by, approved_by,
                                approved_at)
select u.id, :account_id, u.kind, u.title, u.body, u.language, :state, :by, cast(:approved_by as uuid),
       case when cast(:approved_by as uuid) is not null then now() end
from unnest(cast(:ids as uuid[]), cast(:kinds as text[]), cast(:titles as text[]), cast(:bodies as text[]),
            cast(:languages as text[])) u(id, kind, title, body, language)
""")
_LOCK: Final = text("""
select state, version from knowledge_articles where id = :id and account_id = :account_id for update
""")
# Approval is remembered also by an article that is a draft again: it says who approved it last.
_REWRITE: Final = text("""
update knowledge_articles
set kind = :kind, title = :title, body = :body, language = :language, state = :state, version = version + 1,
    approved_by = coalesce(cast(:approved_by as uuid), approved_by),
    approved_at = case when cast(:approved_by as uuid) is null then approved_at else now() end, updated_at = now()
where id = :id and account_id = :account_id
""")
_APPROVE: Final = text("""
update knowledge_articles
set state = 'approved', approved_by = :by, approved_at = now(), updated_at = now()
where id = :id and account_id = :account_id
""")
_ARCHIVE: Final = text("""
update knowledge_articles set state = 'archived', updated_at = now() where id = :id and account_id = :account_id
""")
_REMOVE: Final = text("delete from knowledge_articles where id = :id and account_id = :account_id")

_ADD_PASSAGES: Final = text(f"""
insert into knowledge_passages (article_id, place, account_id, version, text, lexemes, embed_at)
select a.id, u.place, a.account_id, a.version, u.text,
       setweight({stems("c.name", "u.title_words")}, 'A') || setweight({stems("c.name", "u.words")}, 'B')
         || array_to_tsvector(array[cast(:own as text)]),
       case when a.state = 'approved' then now() end
from unnest(cast(:ids as uuid[]), cast(:places as integer[]), cast(:texts as text[]), cast(:title_words as text[]),
            cast(:words as text[])) u(id, place, text, title_words, words)
join knowledge_articles a on a.id = u.id and a.account_id = :account_id
cross join lateral (select case a.language when 'fr' then 'french'::regconfig else 'english'::regconfig end) c(name)
""")  # noqa: S608 - constants of ours
_REMOVE_PASSAGES: Final = text("""
delete from knowledge_passages where article_id = :id and account_id = :account_id
""")
# What has a vector gets another one: the model may have changed while the article was archived.
_WANT_VECTORS: Final = text("""
update knowledge_passages set embed_at = case when :wanted then now() end
where article_id = :id and account_id = :account_id
""")

_USED: Final = text("""
insert into bot_turn_sources (turn_id, rank, account_id, article_id, version, place, title, text, score)
select t.id, u.rank, t.account_id, u.article_id, u.version, u.place, u.title, u.text, u.score
from unnest(cast(:ranks as integer[]), cast(:article_ids as uuid[]), cast(:versions as integer[]),
            cast(:places as integer[]), cast(:titles as text[]), cast(:texts as text[]),
            cast(:scores as double precision[])) u(rank, article_id, version, place, title, text, score)
join bot_turns t on t.id = :turn_id and t.account_id = :account_id
on conflict (turn_id, rank) do nothing
""")

# Of all accounts: who embeds serves them all.
_CLAIM: Final = text("""
with due as (
  select p.article_id, p.place, a.title
  from knowledge_passages p
  join knowledge_articles a on a.id = p.article_id and a.state = 'approved' and a.version = p.version
  where p.embed_at <= now() and (p.embed_failures > 0) = :failed
  order by p.embed_at, p.article_id, p.place
  limit :limit
  for update of p skip locked
)
update knowledge_passages p set embed_at = now() + cast(:hold as interval)
from due where p.article_id = due.article_id and p.place = due.place
returning p.account_id, p.article_id, p.version, p.place, due.title, p.text
""")
_EMBEDDED: Final = text("""
update knowledge_passages
set embedding = cast(:vector as real[]), signs = cast(cast(:signs as text) as bit varying), embedding_model = :model,
    embed_at = null, embed_failures = 0
where article_id = :article_id and place = :place and version = :version and account_id = :account_id
""")
_POSTPONE: Final = text("""
update knowledge_passages
set embed_at = now() + cast(:wait as interval) * power(2, least(embed_failures, 6)),
    embed_failures = embed_failures + cast(:failed as integer)
where article_id = :article_id and place = :place and version = :version and account_id = :account_id
  and embed_at is not null
""")
_RENEW: Final = text("""
update knowledge_passages p set embed_at = now()
from knowledge_articles a
where a.id = p.article_id and a.state = 'approved' and p.embed_at is null and p.embedding_model <> :model
""")


class PostgresArticles:
    """Inside a transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def count(self, account_id: AccountId) -> int:
        return int((await self._connection.execute(_COUNT, {"account_id": account_id})).scalar_one())

    async def add(
        self, account_id: AccountId, new: Sequence[NewArticle], by: UserId, *, approved_by: UserId | None
    ) -> None:
        values = {
            "account_id": account_id,
            "by": by,
            "approved_by": approved_by,
            "state": _state(approved_by),
            "ids": [article.id for article in new],
            "kinds": [article.text.kind.value for article in new],
            "titles": [article.text.title for article in new],
            "bodies": [article.text.body for article in new],
            "languages": [article.text.language.value for article in new],
        }
        with database_errors():
            await self._connection.execute(_ADD, values)
        await self._add_passages(account_id, new)

    async def lock(self, account_id: AccountId, article_id: UUID) -> Standing | None:
        row = (await self._connection.execute(_LOCK, {"id": article_id, "account_id": account_id})).one_or_none()
        return None if row is None else Standing(state=ArticleState(row.state), version=row.version)

    async def rewrite(
        self, account_id: AccountId, article_id: UUID, text: ArticleText, *, approved_by: UserId | None
    ) -> None:
        scope = {"id": article_id, "account_id": account_id}
        values = {
            "kind": text.kind.value,
            "title": text.title,
            "body": text.body,
            "language": text.language.value,
            "state": _state(approved_by),
            "approved_by": approved_by,
        }
        await self._connection.execute(_REWRITE, {**scope, **values})
        await self._connection.execute(_REMOVE_PASSAGES, scope)
        await self._add_passages(account_id, [NewArticle(id=article_id, text=text)])

    async def approve(self, account_id: AccountId, article_id: UUID, by: UserId) -> None:
        scope = {"id": article_id, "account_id": account_id}
        await self._connection.execute(_APPROVE, {**scope, "by": by})
        await self._connection.execute(_WANT_VECTORS, {**scope, "wanted": True})

    async def archive(self, account_id: AccountId, article_id: UUID) -> None:
        scope = {"id": article_id, "account_id": account_id}
        await self._connection.execute(_ARCHIVE, scope)
        await self._connection.execute(_WANT_VECTORS, {**scope, "wanted": False})

    async def remove(self, account_id: AccountId, article_id: UUID) -> None:
        await self._connection.execute(_REMOVE, {"id": article_id, "account_id": account_id})

    async def used(self, account_id: AccountId, turn_id: TurnId, sources: Sequence[Source]) -> None:
        values = {
            "account_id": account_id,
            "turn_id": turn_id,
            "ranks": list(range(1, len(sources) + 1)),
            "article_ids": [source.article_id for source in sources],
            "versions": [source.version for source in sources],
            "places": [source.place for source in sources],
            "titles": [source.title for source in sources],
            "texts": [source.text for source in sources],
            "scores": [source.score for source in sources],
        }
        await self._connection.execute(_USED, values)

    async def _add_passages(self, account_id: AccountId, new: Sequence[NewArticle]) -> None:
        cut = [
            (article.id, place, passage, " ".join(words(article.text.title)))
            for article in new
            for place, passage in enumerate(passages(article.text.body))
        ]
        values = {
            "account_id": account_id,
            "own": own(account_id),
            "ids": [article_id for article_id, _, _, _ in cut],
            "places": [place for _, place, _, _ in cut],
            "texts": [passage for _, _, passage, _ in cut],
            "title_words": [title for _, _, _, title in cut],
            "words": [" ".join(words(passage)) for _, _, passage, _ in cut],
        }
        await self._connection.execute(_ADD_PASSAGES, values)

    # --- vectors ------------------------------------------------------------------------------------------------------

    async def claim(self, limit: int, hold: timedelta) -> list[Unread]:
        for failed, most in ((False, limit), (True, 1)):
            values = {"failed": failed, "limit": most, "hold": hold}
            if rows := (await self._connection.execute(_CLAIM, values)).all():
                return [Unread(**row._asdict()) for row in rows]
        return []

    async def embedded(self, passages: Sequence[Unread], vectors: Sequence[Sequence[float]], model: str) -> None:
        keys = _keys(passages)
        values = [
            {**key, "vector": list(vector), "signs": signs(vector), "model": model}
            for key, vector in zip(keys, vectors, strict=True)
        ]
        await self._connection.execute(_EMBEDDED, values)

    async def postpone(self, passages: Sequence[Unread], wait: timedelta, *, failed: bool) -> None:
        await self._connection.execute(_POSTPONE, [{**key, "wait": wait, "failed": failed} for key in _keys(passages)])

    async def renew(self, model: str) -> int:
        return (await self._connection.execute(_RENEW, {"model": model})).rowcount


def signs(vector: Iterable[float]) -> str:
    """One digit for each number: 1 if it is above 0. Vectors that are near differ in few of them."""
    return "".join("1" if value > 0 else "0" for value in vector)


def _state(approved_by: UserId | None) -> str:
    return (ArticleState.DRAFT if approved_by is None else ArticleState.APPROVED).value


def _keys(passages: Iterable[Unread]) -> list[dict[str, Any]]:
    """What names them in a statement, in their order."""
    return [
        {
            "article_id": one.article_id,
            "place": one.place,
            "version": one.version,
            "account_id": one.account_id,
        }
        for one in passages
    ]
