"""Articles that staff approved, and what of them an answer used."""

from alembic import op

revision = "knowledge"
down_revision = "assignment"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("select 1")


def downgrade() -> None:
    op.execute("select 1")
