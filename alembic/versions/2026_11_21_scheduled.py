"""Messages for later, and how often the service sent one again by itself.

A message that waits for its time is no open one: it is in an index of its own and in no lane.
"""

from alembic import op

revision = "scheduled"
down_revision = "receipts"
branch_labels = None
depends_on = None

STATES = (
    "'queued', 'claimed', 'wire', 'accepted', 'sent', 'delivered', 'read', 'failed', 'unknown', 'unconfirmed', "
    "'expired', 'cancelled'"
)


def upgrade() -> None:
    op.execute(
        "alter table outbox add column send_at timestamp with time zone, add column priority smallint,"
        " add column auto_resends smallint not null default 0"
    )
    allow_states(f"{STATES}, 'scheduled'")
    op.execute("create index outbox_scheduled on outbox (send_at) where state = 'scheduled'")
    op.execute("create index outbox_scheduled_for on outbox (conversation_id, send_at) where state = 'scheduled'")


def downgrade() -> None:
    """The earlier version would never send what waits for its time: it is cancelled, and says so."""
    op.execute("""
        with gone as (
          update outbox set state = 'cancelled', reason = 'cancelled', updated_at = now() where state = 'scheduled'
          returning id
        )
        update messages m set status = 'failed', failed_at = now(), error_message = 'Message annulé avant l''envoi.'
        from gone where m.id = gone.id
    """)
    op.execute("drop index outbox_scheduled_for")
    op.execute("drop index outbox_scheduled")
    allow_states(STATES)
    op.execute("alter table outbox drop column send_at, drop column priority, drop column auto_resends")


def allow_states(states: str) -> None:
    op.execute(
        "alter table outbox drop constraint outbox_state_check,"
        f" add constraint outbox_state_check check (state in ({states}))"
    )
