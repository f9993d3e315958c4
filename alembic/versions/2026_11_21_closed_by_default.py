"""Row level security on every table of ours, without a policy: closed to all but the owner.

On a hosted PostgreSQL with a public interface (Supabase) the default grants let anybody read every table of schema
public. The service connects as the owner, whom row security does not bind. A policy that somebody made stays and keeps
working.

Which tables were closed before is remembered in the comment of `alembic_version`, so that a downgrade opens no other.
"""

from alembic import op
from sqlalchemy import text

revision = "closed_by_default"
down_revision = "durable_work"
branch_labels = None
depends_on = None

TABLES = (
    "alembic_version",
    "app_permissions",
    "app_roles",
    "app_user_overrides",
    "app_user_roles",
    "app_users",
    "bot_profiles",
    "bot_turns",
    "contacts",
    "conversations",
    "deliveries",
    "event_log",
    "idempotency_keys",
    "lanes",
    "local_sessions",
    "local_users",
    "login_attempts",
    "message_statuses",
    "messages",
    "outbox",
    "quarantined_items",
    "role_permissions",
    "signing_keys",
    "whatsapp_accounts",
)

CLOSED = text("""
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relname = any(cast(:tables as text[])) and relrowsecurity
    order by relname
""")
REMEMBERED = text("select obj_description('public.alembic_version'::regclass, 'pg_class')")
PREFIX = "closed before: "


def upgrade() -> None:
    before = ", ".join(op.get_bind().scalars(CLOSED, {"tables": list(TABLES)}))
    for table in TABLES:
        op.execute(f"alter table {table} enable row level security")
    op.execute(f"comment on table alembic_version is '{PREFIX}{before}'")


def downgrade() -> None:
    remembered = op.get_bind().scalar(REMEMBERED) or ""
    before = remembered.removeprefix(PREFIX).split(", ")
    for table in TABLES:
        if table not in before:
            op.execute(f"alter table {table} disable row level security")
    op.execute("comment on table alembic_version is null")
