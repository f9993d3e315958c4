"""How the assistant behaves in a conversation and an account, and what it may spend."""

from alembic import op

revision = "assistant"
down_revision = "knowledge"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("select 1")


def downgrade() -> None:
    op.execute("select 1")
