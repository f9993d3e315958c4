"""What the service knows of message templates."""

revision = "templates"
down_revision = "pace"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
