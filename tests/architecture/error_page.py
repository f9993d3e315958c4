"""The tables of `docs/errors.md`: `uv run python -m tests.architecture.error_page` prints them anew."""

from collections.abc import Iterator
from pathlib import Path

from inbox.domain.explanations import Explanation, Language
from inbox.domain.failure_cases import CASES
from inbox.domain.failure_texts import WORDS
from inbox.domain.graph_errors import FAMILIES, GRAPH_ERRORS

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def rows() -> list[str]:
    """Every line of a table that holds what is said, in the order of the page."""
    return [*_families(), *_codes(), *_words()]


def _codes() -> Iterator[str]:
    for row in sorted(set(GRAPH_ERRORS.values()), key=lambda row: row.code):
        name = f"{row.code}" if row.last == row.code else f"{row.code} to {row.last}"
        verdict = f"{row.verdict.value}, {row.scope}" if row.scope else row.verdict.value
        yield f"| `{name}` | {verdict} | {_said(row)} |"


def _families() -> Iterator[str]:
    for codes, verdict in FAMILIES.items():
        yield f"| `{codes.start} to {codes.stop - 1}` | {verdict.value} |"


def _words() -> Iterator[str]:
    for word, said in [*WORDS.items(), *CASES.items()]:
        yield f"| `{word}` | {_said(said)} |"


def _said(said: Explanation) -> str:
    return f"{said.sentence(Language.FRENCH)} | {said.sentence(Language.ENGLISH)}"


if __name__ == "__main__":
    print("\n".join(rows()))  # noqa: T201 - a command
