"""What a team needs: an audit trail, API keys, one-time links, and a number that rises with every change of rights.

Processes remember what people may do and look at `rights_version` whether they still may remember it. Rows of the audit
trail cannot be changed or deleted, not even by the owner of the table without more ado.

An account may have an app secret of its own, sealed; a contact may have a name that no profile name of WhatsApp
replaces any more, because a person gave it.
"""

from alembic import op
from alembic.util import CommandError
from sqlalchemy import text

revision = "team"
down_revision = "closed_by_default"
branch_labels = None
depends_on = None

TABLES = {
    "rights_version": """
      is_only boolean not null default true constraint rights_version_pkey primary key
        constraint rights_version_is_only_check check (is_only),
      version bigint not null default 0
    """,
    "audit_entries": """
      id uuid not null constraint audit_entries_pkey primary key,
      at timestamp with time zone not null default now(),
      actor_kind text not null
        constraint audit_entries_actor_kind_check check (actor_kind in ('person', 'api_key', 'system')),
      actor_id uuid,
      action text not null,
      target text,
      account_id uuid,
      details jsonb not null default '{}'::jsonb
    """,
    "api_keys": """
      id uuid not null constraint api_keys_pkey primary key,
      name text not null,
      digest bytea not null constraint api_keys_digest_key unique,
      hint text not null,
      created_by uuid,
      created_at timestamp with time zone not null default now(),
      expires_at timestamp with time zone,
      revoked_at timestamp with time zone,
      last_used_at timestamp with time zone
    """,
    "api_key_grants": """
      id uuid not null constraint api_key_grants_pkey primary key,
      api_key_id uuid not null constraint api_key_grants_api_key_id_fkey references api_keys (id) on delete cascade,
      permission_code text not null
        constraint api_key_grants_permission_code_fkey references app_permissions (code) on delete cascade,
      account_id uuid
        constraint api_key_grants_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      constraint api_key_grants_api_key_id_permission_code_account_id_key
        unique nulls not distinct (api_key_id, permission_code, account_id)
    """,
    "one_time_links": """
      id uuid not null constraint one_time_links_pkey primary key,
      user_id uuid not null constraint one_time_links_user_id_fkey references local_users (id) on delete cascade,
      purpose text not null constraint one_time_links_purpose_check check (purpose in ('invite', 'recovery')),
      digest bytea not null constraint one_time_links_digest_key unique,
      created_by uuid,
      created_at timestamp with time zone not null default now(),
      expires_at timestamp with time zone not null,
      used_at timestamp with time zone
    """,
}

INDEXES = (
    "create index audit_entries_newest on audit_entries (at desc, id desc)",
    "create index api_key_grants_account on api_key_grants (account_id)",
    "create index one_time_links_user on one_time_links (user_id)",
    "create index login_attempts_window on login_attempts (window_start)",
)

KEPT_AS_WRITTEN = (
    """
    create function audit_entries_stay() returns trigger language plpgsql as $$
    begin
      raise exception 'rows of the audit trail are never changed' using errcode = 'restrict_violation';
    end $$
    """,
    """
    create trigger audit_entries_stay before update or delete on audit_entries
    for each row execute function audit_entries_stay()
    """,
    """
    create trigger audit_entries_stay_all before truncate on audit_entries
    for each statement execute function audit_entries_stay()
    """,
)

COLUMNS = (
    ("whatsapp_accounts", "app_secret_sealed", "bytea"),
    ("contacts", "is_named_by_person", "boolean not null default false"),
    ("local_sessions", "method", "text not null default 'password'"),
)

TAKEN = text("""
    select relname from pg_class where relnamespace = 'public'::regnamespace and relname = any(cast(:tables as text[]))
    order by relname
""")


def upgrade() -> None:
    taken = list(op.get_bind().scalars(TAKEN, {"tables": list(TABLES)}))
    if taken:
        raise CommandError(
            "Names that this version needs are in use; nothing was changed. Rename these tables and migrate again:\n"
            + "\n".join(f"  - {name}" for name in taken)
        )
    for table, column, kind in COLUMNS:
        op.execute(f"alter table {table} add column {column} {kind}")
    for table, body in TABLES.items():
        op.execute(f"create table {table} ({body})")
        op.execute(f"alter table {table} enable row level security")
    for statement in (*INDEXES, *KEPT_AS_WRITTEN, "insert into rights_version default values"):
        op.execute(statement)


def downgrade() -> None:
    """The audit trail, API keys, open links and app secrets of accounts go."""
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
    op.execute("drop function audit_entries_stay()")
    op.execute("drop index login_attempts_window")
    for table, column, _ in COLUMNS:
        op.execute(f"alter table {table} drop column {column}")
