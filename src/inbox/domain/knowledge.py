"""What a business knows, as articles that its staff wrote and approved: how they are cut, searched and chosen from.

A text is searched by its words. They are cleaned here, for articles and questions alike, so that nothing of what a
customer writes means anything to the search but its letters; stems and accents are the database's part.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec

from inbox.domain.errors import Invalid
from inbox.domain.explanations import Language

MAX_TITLE: Final = 300
MAX_BODY: Final = 20_000
MAX_ARTICLES: Final = 10_000
"""Of an account; those that come at the same moment may pass it together."""
MAX_IMPORT: Final = 200
"""Articles of one call."""
MAX_PASSAGE: Final = 1_200
"""Characters: some 300 tokens, a few paragraphs."""
MAX_QUESTION: Final = 2_000
"""Characters of a question that are looked at: its last ones, for there stands what was asked at last."""

_MAX_WORDS: Final = 32
_LONGEST_WORD: Final = 60
_WORD: Final = re.compile(r"[^\W_]+")
_LIGATURES: Final = str.maketrans({"œ": "oe", "æ": "ae"})
_GAP: Final = re.compile(r"\n\s*\n")
_ENDS: Final = ("\n", ". ", "! ", "? ", " ")
"""Where a paragraph that is too long is cut, the best place first."""
_SMALL_TALK: Final = frozenset(
    {
        "bonjour",
        "bonsoir",
        "salut",
        "coucou",
        "merci",
        "svp",
        "stp",
        "plait",
        "plaît",
        "vous",
        "tu",
        "comment",
        "quand",
        "combien",
        "quel",
        "quelle",
        "quels",
        "quelles",
        "quoi",
        "hello",
        "hi",
        "hey",
        "dear",
        "please",
        "thanks",
        "thank",
    }
)
"""What half of all questions begin or end with. It says nothing about what they ask, and stands in many articles."""
_RANK_BASE: Final = 60.0
"""The usual constant of reciprocal rank fusion: how little the first places of one ranking count more than the next."""


class ArticleKind(StrEnum):
    """An article has a title and a text; of a `qa` they are a question and its answer."""

    ARTICLE = "article"
    QA = "qa"


class ArticleState(StrEnum):
    """Only what is `approved` is ever given to the assistant."""

    DRAFT = "draft"
    APPROVED = "approved"
    ARCHIVED = "archived"


class ArticleText(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote."""

    kind: ArticleKind
    title: str
    body: str
    language: Language


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an article as a search finds it. `place` counts from 0 within the article."""

    article_id: UUID
    version: int
    place: int
    title: str
    text: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that fits a question. `score` compares sources of one search, the best has the highest.

    `text_rank` and `vector_rank` are its places, from 1, among those with the same words and among those that mean
    nearly the same; null where it is not among them.
    """

    article_id: UUID
    version: int
    place: int
    title: str
    text: str
    score: float
    text_rank: int | None = None
    vector_rank: int | None = None


def cleaned(text: ArticleText, path: str = "body") -> ArticleText:
    """Without space around it. Raises `Invalid` if nothing is left of title or body."""
    title, body = " ".join(text.title.split()), text.body.strip()
    for name, value in (("title", title), ("body", body)):
        if not value:
            raise Invalid(f"{path}.{name}", "required")
    return msgspec.structs.replace(text, title=title, body=body)


# --- words ------------------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    """The words in their order: small letters and digits, accents kept. Single letters say nothing (`l'`, `à`)."""
    found = _WORD.findall(unicodedata.normalize("NFKC", text.lower()).translate(_LIGATURES))
    return [word[:_LONGEST_WORD] for word in found if len(word) > 1 or word.isdigit()]


def asked(question: str) -> list[str]:
    """The words that a question is searched by, each once, its last ones. Small talk only if it says nothing else."""
    distinct = list(dict.fromkeys(words(question[-MAX_QUESTION:])))
    return ([word for word in distinct if word not in _SMALL_TALK] or distinct)[-_MAX_WORDS:]


# --- passages ---------------------------------------------------------------------------------------------------------


def passages(body: str) -> list[str]:
    """The paragraphs, as many together as fit into `MAX_PASSAGE`; one that is longer is cut, between sentences."""
    found: list[str] = []
    for piece in _pieces(body):
        if found and len(found[-1]) + len("\n\n") + len(piece) <= MAX_PASSAGE:
            found[-1] += f"\n\n{piece}"
        else:
            found.append(piece)
    return found


def _pieces(body: str) -> Iterator[str]:
    for paragraph in _GAP.split(body):
        rest = paragraph.strip()
        while len(rest) > MAX_PASSAGE:
            cut = _cut(rest)
            yield rest[:cut].rstrip()
            rest = rest[cut:].lstrip()
        if rest:
            yield rest


def _cut(text: str) -> int:
    """Where a text that is too long is cut: not so early that a passage of a few words is left."""
    for end in _ENDS:
        if (at := text.rfind(end, MAX_PASSAGE // 2, MAX_PASSAGE)) >= 0:
            return at + len(end)
    return MAX_PASSAGE


# --- choosing ---------------------------------------------------------------------------------------------------------


def merged(by_text: Sequence[Passage], by_vector: Sequence[Passage] = ()) -> list[Source]:
    """Two rankings as one, by reciprocal ranks: what stands high in both comes first. The order is always the same."""
    places: dict[tuple[UUID, int], list[int | None]] = {}
    known: dict[tuple[UUID, int], Passage] = {}
    for which, ranking in enumerate((by_text, by_vector)):
        for rank, passage in enumerate(ranking, start=1):
            key = (passage.article_id, passage.place)
            known.setdefault(key, passage)
            places.setdefault(key, [None, None])[which] = rank
    sources = [
        Source(
            **msgspec.structs.asdict(known[key]),
            score=round(sum(1.0 / (_RANK_BASE + rank) for rank in ranks if rank is not None), 6),
            text_rank=ranks[0],
            vector_rank=ranks[1],
        )
        for key, ranks in places.items()
    ]
    return sorted(sources, key=lambda one: (-one.score, one.article_id, one.place))


def within(sources: Iterable[Source], *, limit: int, max_chars: int) -> tuple[Source, ...]:
    """The best `limit` of them; those that do not fit into `max_chars` any more, titles included, are left out."""
    chosen: list[Source] = []
    room = max_chars
    for source in sources:
        size = len(source.title) + len(source.text)
        if size <= room and len(chosen) < limit:
            chosen.append(source)
            room -= size
    return tuple(chosen)
