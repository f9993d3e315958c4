"""The table of running processes: what each of them says about itself.

Importing this module completes `tables.metadata`.
"""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from inbox.adapters.database.postgres.tables import metadata, moment_now

processes: Final = Table(
    "processes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    moment_now("started_at"),
    moment_now("seen_at"),
    Column("report", JSONB, nullable=False),
    CheckConstraint("kind in ('web', 'worker', 'both')", name="kind"),
)
