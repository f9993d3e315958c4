"""What removing old rows and looking for lost statuses need, so that neither reads whole tables."""

from alembic import op

revision = "tidy"
down_revision = "scheduled"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index message_statuses_parked_at on message_statuses (received_at) where message_id is null")
    op.execute("create index lanes_over on lanes (due) where kind = 'media' and ver = done")


def downgrade() -> None:
    op.execute("drop index lanes_over")
    op.execute("drop index message_statuses_parked_at")
