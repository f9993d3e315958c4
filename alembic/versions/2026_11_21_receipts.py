"""What customers are told about reading and writing: the switches of accounts, and what they still have to hear.

Accounts that are connected already go on telling nobody anything, until somebody switches it on.
"""

from alembic import op

revision = "receipts"
down_revision = "uploads"
branch_labels = None
depends_on = None

SWITCHES = ("read_receipts", "typing_indicators")


def upgrade() -> None:
    for switch in SWITCHES:
        op.execute(f"alter table whatsapp_accounts add column {switch} boolean not null default false")
        op.execute(f"alter table whatsapp_accounts alter column {switch} set default true")
    op.execute("""
        create table read_receipts (
          conversation_id uuid not null constraint read_receipts_pkey primary key
            constraint read_receipts_conversation_id_fkey references conversations (id) on delete cascade,
          account_id uuid not null
            constraint read_receipts_account_id_fkey references whatsapp_accounts (id) on delete cascade,
          wamid text not null,
          sent_at timestamp with time zone not null,
          wanted_at timestamp with time zone not null default now()
        )
    """)
    op.execute("alter table read_receipts enable row level security")


def downgrade() -> None:
    """What customers were to hear is lost."""
    op.execute("delete from lanes where kind = 'receipt'")
    op.execute("drop table read_receipts")
    for switch in SWITCHES:
        op.execute(f"alter table whatsapp_accounts drop column {switch}")
