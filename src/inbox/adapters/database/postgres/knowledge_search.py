"""How the knowledge base is read: lists for its editors, passages for a question, and what a message was made from.

A question is searched in two steps: the index finds the passages with any of its words, and the best of them are
weighed anew, by words that few of them have. Vectors too: the signs of all that an account has are compared, bit by
bit, and those that are nearest exactly; of them ten times as many where the extension `vector` does it. There is no
index of vectors: ten thousand of an account are compared within some tenths of a second.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text

from inbox.adapters.database.postgres.knowledge import own, plain, signs, stems
from inbox.adapters.database.postgres.reading import Reader, position
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Reach
from inbox.domain.explanations import Language
from inbox.domain.ids import AccountId, MessageId
from inbox.domain.knowledge import Passage
from inbox.ports.knowledge import ArticleFilter, ArticleRow, UsedSource
from inbox.ports.queries import Before

_SECONDS: Final = 2.0
"""For one search: an answer without knowledge is better than none in time."""
_CONSIDERED: Final = 200
"""Passages that are weighed, or compared, exactly."""
_COMPARED_BY_EXTENSION: Final = 2000

_ITEM: Final = f"""
select a.id, a.account_id, a.kind, a.title, a.body, a.language, a.state, a.version, a.created_by, a.approved_by,
       {shown("a.approved_at")} as approved_at, {shown("a.created_at")} as created_at,
       {shown("a.updated_at")} as updated_at
from knowledge_articles a
where a.account_id = :account_id
"""  # noqa: S608 - constants of ours

# Each word in one of its forms, in either language, unless it says nothing in one of them; the last one perhaps not
# written to its end.
PAGE: Final = text(f"""{_ITEM}
  and (cast(:state as text) is null or a.state = :state)
  and (cast(:kind as text) is null or a.kind = :kind)
  and (cast(:language as text) is null or a.language = :language)
  and (cast(:words as text[]) = '{{}}' or a.id in (
    select p.article_id from knowledge_passages p
    where p.lexemes @@ (cast(:own as tsquery) && (
      select cast(string_agg(forms.of_word, ' & ') as tsquery)
      from (
        select '(' || string_agg(quote_literal(form.stem) || case when last.is_last then ':*' else '' end, ' | ') || ')'
        from unnest(cast(:words as text[])) with ordinality given(word, place)
        cross join lateral (select given.place = cardinality(cast(:words as text[]))) last(is_last)
        cross join lateral (
          select {stems("'french'", "given.word")}, {stems("'english'", "given.word")}) said(french, english)
        cross join lateral unnest(tsvector_to_array(
          said.french || said.english
          || case when last.is_last then to_tsvector('simple', {plain("given.word")}) else '' end)) form(stem)
        where last.is_last or (said.french <> '' and said.english <> '')
        group by given.place) forms(of_word)))))
  and (a.created_at, a.id) < (:at, :id)
order by a.created_at desc, a.id desc limit :limit
""")  # noqa: S608 - constants of ours
_ONE: Final = text(f"{_ITEM} and a.id = :id")

_APPROVED: Final = """
(select id, version, title from knowledge_articles where account_id = :account_id and state = 'approved') a
"""
# Articles are found in both languages; a word that says nothing in that of the question (`de`, `the`) is left out. Only
# words lead to passages, that of the account among them: so the planner has one index to choose. What few passages have
# counts more, by the usual formula (BM25), and words of titles count some more than others.
BY_TEXT: Final = text(f"""
with word as (
  select given.place, cast(string_agg(quote_literal(form.stem), ' | ') as tsquery) as stems
  from unnest(cast(:words as text[])) with ordinality given(word, place)
  cross join lateral (
    select {stems("'french'", "given.word")}, {stems("'english'", "given.word")}) said(french, english)
  cross join lateral unnest(tsvector_to_array(said.french || said.english)) form(stem)
  where (said.french <> '' or not :in_french) and (said.english <> '' or not :in_english)
  group by given.place
), question as (
  select cast(string_agg('(' || cast(stems as text) || ')', ' | ') as tsquery) as stems from word
), hit as materialized (
  select p.article_id, p.version, p.place, ts_rank(p.lexemes, (select stems from question)) as fit
  from knowledge_passages p where p.lexemes @@ (cast(:own as tsquery) && (select stems from question))
), best as materialized (
  select hit.*, a.title from hit join {_APPROVED} on a.id = hit.article_id and a.version = hit.version
  order by hit.fit desc, hit.article_id, hit.place limit :considered
), found as materialized (
  select best.*, p.text, p.lexemes
  from best join knowledge_passages p on p.article_id = best.article_id and p.place = best.place
), weight as (
  select word.stems, ln(1 + (many.of_all - count(*) + 0.5) / (count(*) + 0.5)) as rarity
  from word join found on found.lexemes @@ word.stems cross join (select count(*) from found) many(of_all)
  group by word.place, word.stems, many.of_all
)
select found.article_id, found.version, found.place, found.title, found.text
from found join weight on found.lexemes @@ weight.stems
group by found.article_id, found.version, found.place, found.title, found.text
order by sum(weight.rarity * ts_rank('{{0.1, 0.2, 0.6, 1}}', found.lexemes, weight.stems)) desc,
         found.article_id, found.place
limit :limit
""")  # noqa: S608 - constants of ours

_HAS_EXTENSION: Final = text("select to_regtype('vector') is not null")


def _by_vector(cosine: str) -> TextClause:
    """The signs of all vectors are compared, and the vectors themselves of those that differ least.

    Those of other lengths, if a model ever gave some, cannot be compared. The cosine of a vector of zeros is NaN, which
    is above all numbers.
    """
    return text(f"""
with comparable as materialized (
  select p.article_id, p.place, p.version, bit_count(p.signs # cast(cast(:signs as text) as bit varying)) as differences
  from knowledge_passages p
  where p.account_id = :account_id and p.embedding_model = :model
    and length(p.signs) = cardinality(cast(:vector as real[]))
), near as materialized (
  select comparable.*, a.title from comparable
  join {_APPROVED} on a.id = comparable.article_id and a.version = comparable.version
  order by differences, article_id, place limit :considered
), measured as materialized (
  select near.*, p.text, {cosine} as cosine
  from near join knowledge_passages p on p.article_id = near.article_id and p.place = near.place
)
select article_id, version, place, title, text from measured
where cosine between :least and 2 order by cosine desc, article_id, place limit :limit
""")  # noqa: S608 - constants of ours


BY_VECTOR: Final = _by_vector("1 - (cast(p.embedding as vector) <=> cast(cast(:vector as real[]) as vector))")
BY_ARRAY: Final = _by_vector("""
  (select sum(v.x * v.y) / nullif(sqrt(sum(v.x * v.x)) * sqrt(sum(v.y * v.y)), 0)
   from unnest(p.embedding, cast(:vector as real[])) v(x, y))
""")

# One row without a source for a message that was made from none, none for one out of reach. An alert belongs to the
# turn that gave it, and was not made from its sources.
_USED_FOR: Final = text("""
select s.rank, s.article_id, s.version, s.title, s.text, s.score, a.id is not null as is_current
from messages m
join conversations c on c.id = m.conversation_id and (m.account_id = c.account_id or m.account_id is null)
left join outbox o on o.id = m.id and o.account_id = c.account_id and m.author = 'bot'
left join bot_turn_sources s on s.turn_id = o.turn_id and s.account_id = c.account_id
left join knowledge_articles a
  on a.id = s.article_id and a.account_id = s.account_id and a.version = s.version and a.state = 'approved'
where m.id = :id and (c.account_id = any(:accounts)) <> :everywhere
order by s.rank
""")


class PostgresKnowledge:
    """Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader

    async def page(
        self, account_id: AccountId, wanted: ArticleFilter, *, limit: int, before: Before | None
    ) -> list[ArticleRow]:
        filters = {"state": wanted.state, "kind": wanted.kind, "language": wanted.language}
        scope = {"account_id": account_id, "own": f"'{own(account_id)}'", "words": list(wanted.words), "limit": limit}
        rows = await self._read.rows(PAGE, **scope, **filters, **position(before))
        return [ArticleRow(**row._asdict()) for row in rows]

    async def one(self, account_id: AccountId, article_id: UUID) -> ArticleRow | None:
        row = await self._read.row(_ONE, account_id=account_id, id=article_id)
        return None if row is None else ArticleRow(**row._asdict())

    async def by_text(
        self, account_id: AccountId, words: Sequence[str], language: Language | None, *, limit: int
    ) -> list[Passage]:
        rows = await self._read.rows(
            BY_TEXT,
            _SECONDS,
            account_id=account_id,
            own=f"'{own(account_id)}'",
            words=list(words),
            in_french=language in (None, Language.FRENCH),
            in_english=language in (None, Language.ENGLISH),
            considered=_CONSIDERED,
            limit=limit,
        )
        return [Passage(**row._asdict()) for row in rows]

    async def by_vector(
        self, account_id: AccountId, vector: Sequence[float], model: str, *, least: float, limit: int
    ) -> list[Passage]:
        [has_extension] = (await self._read.rows(_HAS_EXTENSION, _SECONDS))[0]
        rows = await self._read.rows(
            BY_VECTOR if has_extension else BY_ARRAY,
            _SECONDS,
            account_id=account_id,
            vector=list(vector),
            signs=signs(vector),
            model=model,
            least=least,
            considered=_COMPARED_BY_EXTENSION if has_extension else _CONSIDERED,
            limit=limit,
        )
        return [Passage(**row._asdict()) for row in rows]

    async def used_for(self, reach: Reach, message_id: MessageId) -> list[UsedSource] | None:
        scope = {"everywhere": reach.everywhere, "accounts": list(reach.accounts)}
        rows = await self._read.rows(_USED_FOR, id=message_id, **scope)
        return [UsedSource(**row._asdict()) for row in rows if row.rank is not None] if rows else None
