"""Who looks after a conversation.

Like other columns that name a person, `assignee_id` leads to no row: a person who goes leaves their id behind.

There is an index for the conversations that somebody looks after and one for all others, so that either list is read in
its order and a message that moves a conversation up writes into one of the two only.
"""

from alembic import op

revision = "assignment"
down_revision = "feed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table conversations add column assignee_id uuid, add column assigned_at timestamp with time zone")
    op.execute(
        "create index conversations_assigned on conversations (account_id, assignee_id, updated_at desc, id desc)"
        " where assignee_id is not null"
    )
    op.execute(
        "create index conversations_unassigned on conversations (account_id, updated_at desc, id desc)"
        " where assignee_id is null"
    )


def downgrade() -> None:
    """Nobody looks after any conversation."""
    op.execute("drop index conversations_unassigned")
    op.execute("drop index conversations_assigned")
    op.execute("alter table conversations drop column assignee_id, drop column assigned_at")
