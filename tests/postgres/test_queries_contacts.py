"""The list of contacts: complete pages, old rows among them, and what a search finds."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from builders import NOON, SEALER, a_contact, execute
from inbox.adapters.database.postgres.queries import PostgresQueries
from inbox.adapters.database.postgres.reading import Reader
from inbox.domain.ids import uuid7
from inbox.kit.paging import parse_time
from statement_counts import counting

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST_PAGES: Final = 40


@pytest.fixture
def queries(engine: AsyncEngine) -> PostgresQueries:
    return PostgresQueries(Reader(engine), SEALER)


async def contacts_at(engine: AsyncEngine, times: list[datetime | None]) -> list[tuple[datetime, UUID]]:
    """None is a row of the existing system without a time."""
    rows = await execute(
        engine,
        """insert into contacts (id, whatsapp_number, created_at)
           select u.id, u.id::text, u.at from unnest(cast(:ids as uuid[]), cast(:times as timestamptz[])) u(id, at)
           returning created_at, id""",
        ids=[uuid7() for _ in times],
        times=times,
    )
    return [(row.created_at or EPOCH, row.id) for row in rows]


async def read_all(queries: PostgresQueries, limit: int, search: str | None = None) -> list[tuple[datetime, UUID]]:
    read: list[tuple[datetime, UUID]] = []
    before: tuple[datetime, UUID | None] | None = None
    for _ in range(MOST_PAGES):
        page = await queries.contacts(search, limit=limit, before=before)
        assert len(page) <= limit
        if not page:
            return read
        read += [(parse_time(item.created_at, name="created_at"), item.id) for item in page]
        before = read[-1]
    raise AssertionError("the pages have no end")


@given(
    seconds=st.lists(st.none() | st.integers(min_value=0, max_value=3), max_size=12),
    limit=st.integers(min_value=1, max_value=5),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_pages_are_the_whole_list_with_old_rows_at_its_end(
    engine: AsyncEngine, queries: PostgresQueries, seconds: list[int | None], limit: int
) -> None:
    await execute(engine, "delete from contacts")
    times = [None if second is None else NOON + timedelta(seconds=second) for second in seconds]
    stored = await contacts_at(engine, times)
    assert await read_all(queries, limit) == sorted(stored, reverse=True)


async def test_a_contact_without_a_time_shows_the_oldest_one(engine: AsyncEngine, queries: PostgresQueries) -> None:
    await contacts_at(engine, [None])
    (item,) = await queries.contacts(None, limit=10, before=None)
    assert item.created_at == "1970-01-01T00:00:00.000000Z"
    assert (item.whatsapp_number, item.display_name) == (str(item.id), None)


async def test_a_bare_time_is_strict(engine: AsyncEngine, queries: PostgresQueries) -> None:
    old, new = await contacts_at(engine, [NOON, NOON + timedelta(seconds=1)])
    (undated,) = await contacts_at(engine, [None])
    found = await queries.contacts(None, limit=10, before=(new[0], None))
    assert [item.id for item in found] == [old[1], undated[1]]


PEOPLE: Final = {
    "marc": ("33612345678", "Marc D."),
    "elodie": ("221771234567", "Élodie 50%"),
    "snake": ("15550100199", "snake_case"),
    "slash": ("4915112345678", "back\\slash"),
    "nameless": ("33698765432", None),
    "typed": ("+33 6 11 22 33 44", "Old"),
}


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("marc", {"marc"}),
        ("MARC", {"marc"}),
        ("arc d", {"marc"}),
        ("élo", {"elodie"}),
        ("ÉLO", {"elodie"}),
        ("%", {"elodie"}),
        ("0%", {"elodie"}),
        ("_", {"snake"}),
        ("snakeXcase", set()),
        ("\\", {"slash"}),
        ("k\\s", {"slash"}),
        ("3361234", {"marc"}),
        ("336 12.34-56", {"marc"}),
        ("+33 6", {"marc", "nameless", "typed"}),
        ("+33 (6)", {"marc", "nameless", "typed"}),
        ("611 22", {"typed"}),
        ("50", {"snake", "elodie"}),
        ("D.", {"marc"}),
        (".", {"marc"}),
        ("' or 1=1 --", set()),
        ("nobody", set()),
    ],
)
async def test_a_search_is_part_of_a_name_or_of_a_number(
    engine: AsyncEngine, queries: PostgresQueries, search: str, found: set[str]
) -> None:
    for number, name in PEOPLE.values():
        await a_contact(engine, number, display_name=name)
    keys = {number: key for key, (number, _) in PEOPLE.items()}
    items = await queries.contacts(search, limit=100, before=None)
    assert {keys[item.whatsapp_number] for item in items} == found


async def test_pages_of_a_search_are_all_that_it_finds(engine: AsyncEngine, queries: PostgresQueries) -> None:
    stored = await contacts_at(engine, [NOON, NOON, NOON, None, None])
    await execute(engine, "update contacts set display_name = 'Marc'")
    await contacts_at(engine, [NOON, None])
    assert await read_all(queries, 2, "marc") == sorted(stored, reverse=True)


async def test_the_list_is_one_statement(engine: AsyncEngine, queries: PostgresQueries) -> None:
    with counting(engine) as statements:
        await queries.contacts("marc", limit=10, before=None)
    assert len(statements) == 1
