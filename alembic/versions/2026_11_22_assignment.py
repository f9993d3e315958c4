"""Who looks after a conversation."""

from alembic import op

revision = "assignment"
down_revision = "feed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("select 1")


def downgrade() -> None:
    op.execute("select 1")
