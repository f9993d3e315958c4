"""Messages for later."""

revision = "scheduled"
down_revision = "receipts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
