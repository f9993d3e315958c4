"""What customers are told about reading and writing."""

revision = "receipts"
down_revision = "uploads"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
