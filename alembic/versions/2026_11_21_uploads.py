"""Files on their way to customers."""

revision = "uploads"
down_revision = "templates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
