"""Looks at a database from outside: plain SQL, and its catalog as values that can be compared."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg

Rows = list[dict[str, Any]]

_CATALOG = {
    "columns": """
        select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
               pg_get_expr(d.adbin, d.adrelid)
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
    """,
    "constraints": """
        select c.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated
        from pg_constraint k join pg_class c on c.oid = k.conrelid
        where c.relnamespace = 'public'::regnamespace and k.contype <> 'n'
    """,
    "indexes": """
        select c.relname, pg_get_indexdef(i.indexrelid), i.indisvalid
        from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace = 'public'::regnamespace
    """,
    "storage": """
        select relname, reloptions::text from pg_class
        where relnamespace = 'public'::regnamespace and reloptions is not null and relkind = 'r'
    """,
    "functions": """
        select '', proname, pg_get_function_result(oid),
               regexp_replace(lower(replace(prosrc, ':=', '=')), '\\s+', ' ', 'g')
        from pg_proc where pronamespace = 'public'::regnamespace
    """,
    "triggers": """
        select c.relname, t.tgname, pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = 'public'::regnamespace and not t.tgisinternal
    """,
    "row security": """
        select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relrowsecurity
    """,
}

Catalog = dict[str, set[tuple[Any, ...]]]


def execute(url: str, sql: str | Path) -> None:
    """One or many statements."""
    text = sql.read_text() if isinstance(sql, Path) else sql

    async def run() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            await connection.execute(text)
        finally:
            await connection.close()

    asyncio.run(run())


def rows(url: str, query: str, *values: object) -> Rows:
    async def run() -> Rows:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return [dict(record) for record in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    return asyncio.run(run())


def value(url: str, query: str, *values: object) -> Any:  # noqa: ANN401 - whatever the column has
    [row] = rows(url, query, *values)
    [found] = row.values()
    return found


def catalog(url: str) -> Catalog:
    """Everything about the tables of schema public but the order of their columns; Alembic's own is left out."""

    async def run() -> Catalog:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return {
                what: {tuple(row) for row in await connection.fetch(query) if row[0] != "alembic_version"}
                for what, query in _CATALOG.items()
            }
        finally:
            await connection.close()

    return asyncio.run(run())


def differences(ours: Catalog, theirs: Catalog) -> dict[str, set[tuple[Any, ...]]]:
    """What only one of the two has; empty if they are the same."""
    return {what: ours[what] ^ theirs[what] for what in ours if ours[what] != theirs[what]}
