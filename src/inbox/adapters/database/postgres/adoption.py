"""Tells a new database from one that the old SQL scripts made, and refuses what is neither.

Everything here works on a connection whose `search_path` is `public`, and only there: other schemas are not ours. The
caller holds the lock of `schema_session` and the transaction.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from sqlalchemy import Connection, TextClause, text

from inbox.adapters.database.postgres.old_layout import (
    COLUMNS,
    CONSTRAINTS,
    FUNCTION,
    TABLES,
    TIMES_TO_CONVERT,
    TRIGGER,
    UNIQUE_INDEXES,
)
from inbox.domain.errors import SchemaRefused

Expected: TypeAlias = Mapping[tuple[str, str], str]

_OLDEST_SERVER: Final = 150000

_TABLES: Final = text("""
    select c.relname, c.relkind in ('r', 'p'), pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname = any(cast(:tables as text[]))
      and c.relkind in ('r', 'p', 'v', 'm', 'f')
""")

_COLUMNS: Final = text("""
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relname = any(cast(:tables as text[]))
      and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
""")

_CONSTRAINTS: Final = text("""
    select c.relname, pg_get_constraintdef(k.oid), k.conname
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where c.relnamespace = 'public'::regnamespace and c.relname = any(cast(:tables as text[]))
      and k.contype in ('p', 'u', 'f')
""")

_UNIQUE_INDEXES: Final = text("""
    select c.relname,
           (select '(' || string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' order by n) || ')'
            from generate_series(1, i.indnkeyatts) n),
           x.relname
    from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
    where c.relnamespace = 'public'::regnamespace and c.relname = any(cast(:tables as text[]))
      and i.indisunique and i.indisvalid and i.indpred is null and not i.indnullsnotdistinct
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u'))
""")

_FUNCTION: Final = text(r"""
    select exists (
      select from pg_proc p join pg_language l on l.oid = p.prolang
      where p.pronamespace = 'public'::regnamespace and p.proname = :function and p.pronargs = 0
        and p.prorettype = 'trigger'::regtype and l.lanname = 'plpgsql'
        and p.prosrc ~* 'new\.updated_at\s*:?=\s*(now\(\)|current_timestamp)')
""")

# 19 is FOR EACH ROW (1), BEFORE (2) and UPDATE (16): catalog/pg_trigger.h.
_TRIGGER: Final = text("""
    select exists (
      select from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_class c on c.oid = t.tgrelid
      where c.relnamespace = 'public'::regnamespace and c.relname = 'bot_profiles' and t.tgname = :trigger
        and p.proname = :function and t.tgtype = 19 and t.tgenabled in ('O', 'A') and t.tgattr = ''::int2vector)
""")


class Found(StrEnum):
    """What a database is before its migration."""

    NEW = "new"
    """No table of the contract is there."""
    OLD = "old"
    """All eleven are, just as the old scripts made them."""
    STAMPED = "stamped"
    """Alembic knows its revision."""


def recognise(connection: Connection) -> Found:
    """What kind of database this is; changes nothing.

    Raises `SchemaRefused` with one difference per line if it is only partly, or not quite, the old layout, if its
    tables belong to a role that we are not in, or if the server is older than PostgreSQL 15.
    """
    _check_server(connection)
    if _is_stamped(connection):
        return Found.STAMPED
    rows = connection.execute(_TABLES, {"tables": list(TABLES)}).all()
    present = {name for name, *_ in rows}
    if not present:
        return Found.NEW
    missing = [table for table in TABLES if table not in present]
    if missing:
        raise SchemaRefused(
            f"Only {len(present)} of the {len(TABLES)} tables of the existing system are in schema public. "
            "Nothing was changed. Restore the others, or use a database without any of them. Missing:",
            missing,
        )
    differences = [f"{name} is not a table" for name, is_table, *_ in rows if not is_table]
    differences += [
        f"table {name} belongs to the role {owner}; connect as that role"
        for name, _, is_ours, owner in rows
        if not is_ours
    ]
    differences += _differences(connection)
    if differences:
        raise SchemaRefused(
            "The tables of schema public differ from those of the existing system. Nothing was changed:", differences
        )
    return Found.OLD


def adopt(connection: Connection) -> bool:
    """True if the tables of the old scripts are there, checked; constraints then get the contract's names.

    False for a new database. Raises `SchemaRefused` like `recognise`. Meant for the baseline revision, which runs it in
    the transaction that also writes the stamp.
    """
    if recognise(connection) is not Found.OLD:
        return False
    for table, wrong, name in _misnamed(connection, _CONSTRAINTS, CONSTRAINTS):
        connection.execute(text(f"alter table {table} rename constraint {_quoted(wrong)} to {name}"))
    for _, wrong, name in _misnamed(connection, _UNIQUE_INDEXES, UNIQUE_INDEXES):
        connection.execute(text(f"alter index {_quoted(wrong)} rename to {name}"))
    return True


def _check_server(connection: Connection) -> None:
    version = connection.scalar(text("select current_setting('server_version_num')::int"))
    if version is None or version < _OLDEST_SERVER:
        raise SchemaRefused(f"PostgreSQL 15 or newer is needed; this server is {(version or 0) // 10000}.")


def _is_stamped(connection: Connection) -> bool:
    """An empty version table is what a downgrade to base leaves behind."""
    if connection.scalar(text("select to_regclass('public.alembic_version')")) is None:
        return False
    return bool(connection.scalar(text("select exists (select from public.alembic_version)")))


def _differences(connection: Connection) -> Iterator[str]:
    yield from _column_differences(connection)
    yield from _missing_rules(connection, _CONSTRAINTS, CONSTRAINTS, "constraint")
    yield from _missing_rules(connection, _UNIQUE_INDEXES, UNIQUE_INDEXES, "unique index")
    if not connection.scalar(_FUNCTION, {"function": FUNCTION}):
        yield f"function {FUNCTION}() is missing or does not set updated_at to now()"
    if not connection.scalar(_TRIGGER, {"trigger": TRIGGER, "function": FUNCTION}):
        yield f"trigger {TRIGGER} (BEFORE UPDATE ON bot_profiles FOR EACH ROW) is missing or differs"


def _column_differences(connection: Connection) -> Iterator[str]:
    rows = connection.execute(_COLUMNS, {"tables": list(TABLES)})
    found = {(table, name): (kind, is_required) for table, name, kind, is_required in rows}
    for (table, name), (kind, is_required) in COLUMNS.items():
        if (table, name) not in found:
            yield f"column {table}.{name} is missing"
            continue
        actual, actually_required = found[table, name]
        kinds = {kind, "timestamp with time zone"} if (table, name) in TIMES_TO_CONVERT else {kind}
        if actual not in kinds:
            yield f"column {table}.{name} is {actual}, expected {kind}"
        if actually_required != is_required:
            yield f"column {table}.{name} is {_nullability(actually_required)}, expected {_nullability(is_required)}"


def _nullability(is_required: bool) -> str:  # noqa: FBT001 - one word for each of two values
    return "NOT NULL" if is_required else "nullable"


def _rules(connection: Connection, query: TextClause) -> dict[tuple[str, str], list[str]]:
    """(table, definition) to the names under which the database has it."""
    rules: dict[tuple[str, str], list[str]] = {}
    for table, definition, name in connection.execute(query, {"tables": list(TABLES)}):
        rules.setdefault((table, definition), []).append(name)
    return rules


def _missing_rules(connection: Connection, query: TextClause, expected: Expected, kind: str) -> Iterator[str]:
    found = _rules(connection, query)
    for (table, definition), name in expected.items():
        if (table, definition) not in found:
            yield f"{kind} {name} is missing or differs: {table} {definition}"


def _misnamed(connection: Connection, query: TextClause, expected: Expected) -> Iterator[tuple[str, str, str]]:
    """Table, name in the database and name in the contract of rules that are there under another name only."""
    for (table, definition), names in _rules(connection, query).items():
        name = expected.get((table, definition))
        if name is not None and name not in names:
            yield table, min(names), name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
