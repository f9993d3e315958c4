"""An idempotency key is its caller's, whichever account it is used in: one key, one message."""

from alembic import op

revision = "caller_keys"
down_revision = "assistant"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("lock table idempotency_keys in access exclusive mode")
    op.execute(
        "delete from idempotency_keys later using idempotency_keys earlier"
        " where (later.caller, later.call, later.key) = (earlier.caller, earlier.call, earlier.key)"
        " and (later.created_at, later.account_id) > (earlier.created_at, earlier.account_id)"
    )
    op.execute(
        "alter table idempotency_keys drop constraint idempotency_keys_pkey,"
        " add constraint idempotency_keys_pkey primary key (caller, call, key)"
    )


def downgrade() -> None:
    op.execute(
        "alter table idempotency_keys drop constraint idempotency_keys_pkey,"
        " add constraint idempotency_keys_pkey primary key (account_id, caller, call, key)"
    )
