"""The indexes of the existing system's script 010, built without stopping anybody.

Of the ten names four are left out, because they merely repeat another index:

- idx_accounts_phone_number_id: whatsapp_accounts_phone_number_id_key (unique) is on the same column
- idx_app_users_user_id: app_users_pkey is on the same column
- idx_user_roles_user_id: idx_app_user_roles_user is on the same column, and
  app_user_roles_user_id_role_id_account_id_key (unique) begins with it
- idx_bot_profiles_account: bot_profiles_account_id_idx (unique) is on the same column

The first two names exist since script 009; they are here for databases that have lost them.

CREATE INDEX CONCURRENTLY cannot run in a transaction. One that failed half-way leaves an invalid index under its name,
which IF NOT EXISTS would take for done: it is dropped first. Repeating the revision is harmless.
"""

from alembic import op
from sqlalchemy import text

revision = "performance_indexes"
down_revision = "baseline"
branch_labels = None
depends_on = None

INDEXES = {
    "idx_conversations_account_updated": "conversations (account_id, updated_at desc)",
    "idx_messages_conversation_timestamp": 'messages (conversation_id, "timestamp" desc)',
    "idx_conversations_contact": "conversations (contact_id)",
    "idx_messages_status": "messages (conversation_id, status) where status <> 'read'",
    "idx_accounts_phone_verify": "whatsapp_accounts (phone_number_id, verify_token) where is_active = true",
    "idx_conversations_status": "conversations (account_id, status, updated_at desc) where status = 'open'",
}
OF_SCRIPT_009 = {"idx_conversations_account_updated", "idx_messages_conversation_timestamp"}

INVALID = text(
    "select exists (select from pg_index where indexrelid = to_regclass('public.' || :name) and not indisvalid)"
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # The build waits for older transactions (a backup, say) and holds nobody up meanwhile.
        usual = op.get_bind().scalar(text("show lock_timeout"))
        op.execute("set lock_timeout = '10min'")
        for name, definition in INDEXES.items():
            if op.get_bind().scalar(INVALID, {"name": name}):
                op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently if not exists {name} on {definition}")
        op.execute(f"set lock_timeout = '{usual}'")


def downgrade() -> None:
    """Back to script 009. Indexes of script 010 that the database had before go as well: its own script makes them."""
    with op.get_context().autocommit_block():
        for name in INDEXES:
            if name not in OF_SCRIPT_009:
                op.execute(f"drop index concurrently if exists {name}")
