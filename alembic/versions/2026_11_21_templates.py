"""What the service knows of message templates, told by Meta's lists and webhooks; and when an account's list was read.

Templates belong to a WABA: each account has what is known of its own one. Each of status, quality, category and
components carries the time at which Meta said so, so that what is told late or twice changes nothing.
"""

from alembic import op

revision = "templates"
down_revision = "pace"
branch_labels = None
depends_on = None

TABLES = {
    "message_templates": """
      id uuid not null constraint message_templates_pkey primary key,
      account_id uuid not null
        constraint message_templates_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      waba_id text not null,
      name text not null,
      language text not null,
      meta_id text,
      parameter_format text,
      status text,
      status_at timestamp with time zone,
      reason text,
      details text,
      quality text,
      quality_at timestamp with time zone,
      category text,
      category_at timestamp with time zone,
      components jsonb,
      components_at timestamp with time zone,
      created_at timestamp with time zone not null default now(),
      seen_at timestamp with time zone,
      constraint message_templates_account_id_waba_id_name_language_key unique (account_id, waba_id, name, language)
    """,
    "template_syncs": """
      account_id uuid not null constraint template_syncs_pkey primary key
        constraint template_syncs_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      waba_id text not null,
      synced_at timestamp with time zone,
      due_at timestamp with time zone not null default now(),
      failures integer not null default 0
    """,
}


def upgrade() -> None:
    for table, body in TABLES.items():
        op.execute(f"create table {table} ({body})")
        op.execute(f"alter table {table} enable row level security")


def downgrade() -> None:
    """What is known goes; the next version asks Meta again."""
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
