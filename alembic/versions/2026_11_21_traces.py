"""To which trace a delivery, a turn and a message belong: W3C `traceparent`, null while tracing is off."""

from alembic import op

revision = "traces"
down_revision = "monitoring"
branch_labels = None
depends_on = None

TABLES = ("deliveries", "lanes", "outbox")


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"alter table {table} add column traceparent text")


def downgrade() -> None:
    """Traces under way end here."""
    for table in TABLES:
        op.execute(f"alter table {table} drop column traceparent")
