"""What operators look at: the running processes with what each says about itself, and the sends that need a person.

The index is built without stopping anybody, as in `performance_indexes`.
"""

from alembic import op
from sqlalchemy import text

revision = "monitoring"
down_revision = "team"
branch_labels = None
depends_on = None

INDEX = "outbox_unconfirmed"
INVALID = text(
    "select exists (select from pg_index where indexrelid = to_regclass('public.' || :name) and not indisvalid)"
)


def upgrade() -> None:
    op.execute("""
    create table processes (
      id uuid not null constraint processes_pkey primary key,
      kind text not null constraint processes_kind_check check (kind in ('web', 'worker', 'both')),
      host text not null,
      pid integer not null,
      version text not null,
      started_at timestamp with time zone not null default now(),
      seen_at timestamp with time zone not null default now(),
      report jsonb not null
    )
    """)
    op.execute("alter table processes enable row level security")
    with op.get_context().autocommit_block():
        usual = op.get_bind().scalar(text("show lock_timeout"))
        op.execute("set lock_timeout = '10min'")
        if op.get_bind().scalar(INVALID, {"name": INDEX}):
            op.execute(f"drop index concurrently if exists {INDEX}")
        op.execute(
            f"create index concurrently if not exists {INDEX} on outbox (updated_at) where state = 'unconfirmed'"
        )
        op.execute(f"set lock_timeout = '{usual}'")


def downgrade() -> None:
    """The list of running processes goes; it is written anew within seconds."""
    op.execute(f"drop index {INDEX}")
    op.execute("drop table processes")
