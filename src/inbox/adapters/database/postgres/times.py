"""Times in SQL: as front ends get them, and the clock that statements go by."""

from sqlalchemy import TextClause, text


def shown(column: str) -> str:
    """SQL that writes the timestamptz `column` as `kit.paging.format_time` does: UTC, `Z`, six digits."""
    return f"""to_char({column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def timed(statement: str) -> TextClause:
    """A statement in which `:time` is the parameter `now` or, if that is NULL, the clock of the database."""
    return text(statement.replace(":time", "coalesce(cast(:now as timestamptz), now())"))
