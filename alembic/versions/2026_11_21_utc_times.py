"""Times get a time zone, flags a value, and rights their uniqueness.

- Four columns without time zone are read as UTC, whatever zone the session has. Their `now()` defaults wrote the local
  time of the database, so a database with times in it must be set to UTC, or the operator says that they are UTC all
  the same (`inbox migrate --naive-times-are-utc`).
- NULL in a flag gets the value that the old code took it for.
- Of equal role assignments the oldest stays; of overrides that contradict each other the denying one. Rows without
  user, role or permission mean nothing and go.
- Indexes that no query uses go; the two lists are ordered by time and id.

Views, policies and the like on one of the four columns are not ours to rebuild: they are named, and nothing is changed.
"""

import logging

from alembic import context, op
from alembic.util import CommandError
from sqlalchemy import text

revision = "utc_times"
down_revision = "performance_indexes"
branch_labels = None
depends_on = None

TIMES = (
    ("whatsapp_accounts", "created_at"),
    ("contacts", "created_at"),
    ("conversations", "updated_at"),
    ("messages", "timestamp"),
)

FLAGS = (
    ("conversations", "unread_count", "0"),
    ("conversations", "is_favorite", "false"),
    ("conversations", "is_group", "false"),
    ("conversations", "bot_enabled", "false"),
    ("conversations", "status", "'open'"),
    (
        "conversations",
        "updated_at",
        'coalesce((select max(m."timestamp") from messages m where m.conversation_id = conversations.id), now())',
    ),
    ("app_users", "is_active", "false"),
    ("whatsapp_accounts", "is_active", "false"),
)

REQUIRED = (
    ("app_user_roles", "user_id"),
    ("app_user_roles", "role_id"),
    ("app_user_overrides", "user_id"),
    ("app_user_overrides", "permission_code"),
)

CLEANED = (
    ("role assignments without user or role", "delete from app_user_roles where user_id is null or role_id is null"),
    (
        "overrides without user or right",
        "delete from app_user_overrides where user_id is null or permission_code is null",
    ),
    (
        "repeated role assignments",
        """
        delete from app_user_roles where id in (
          select id from (
            select id, row_number() over (
              partition by user_id, role_id, account_id order by created_at nulls last, id) as place
            from app_user_roles) ranked
          where place > 1)
        """,
    ),
    (
        "repeated or overruled overrides",
        """
        delete from app_user_overrides where id in (
          select id from (
            select id, row_number() over (
              partition by user_id, permission_code, account_id order by is_allowed, created_at nulls last, id) as place
            from app_user_overrides) ranked
          where place > 1)
        """,
    ),
)

ROLE_KEY = "app_user_roles_user_id_role_id_account_id_key"
OVERRIDE_KEY = "app_user_overrides_user_id_permission_code_account_id_key"

# Those of script 009 and 010 that are in the way of the new types, that nothing uses, or that repeat another one.
DROPPED = (
    "idx_conversations_account_updated",
    "idx_messages_conversation_timestamp",
    "idx_accounts_phone_number_id",
    "idx_app_users_user_id",
    "idx_user_roles_user_id",
    "idx_app_user_roles_user",
    "idx_messages_status",
    "idx_bot_profiles_account",
    "idx_accounts_phone_verify",
    "idx_conversations_status",
)

INDEXES = (
    "create index idx_conversations_account_updated on conversations (account_id, updated_at desc, id desc)",
    'create index idx_messages_conversation_timestamp on messages (conversation_id, "timestamp" desc, id desc)',
    "create index contacts_created on contacts (created_at desc, id desc)",
    # Of script 009; an adopted database may have lost them.
    "create index if not exists idx_app_user_roles_account on app_user_roles (account_id)",
    "create index if not exists idx_app_user_overrides_user on app_user_overrides (user_id)",
    "create index if not exists idx_app_user_overrides_account on app_user_overrides (account_id)",
)

# What the revision before had.
OLD_INDEXES = (
    "create index idx_conversations_account_updated on conversations (account_id, updated_at desc)",
    'create index idx_messages_conversation_timestamp on messages (conversation_id, "timestamp" desc)',
    "create index idx_app_user_roles_user on app_user_roles (user_id)",
    "create index idx_messages_status on messages (conversation_id, status) where status <> 'read'",
    """
    create index idx_accounts_phone_verify on whatsapp_accounts (phone_number_id, verify_token)
      where is_active = true
    """,
    """
    create index idx_conversations_status on conversations (account_id, status, updated_at desc)
      where status = 'open'
    """,
)

IS_NAIVE = text("""
    select atttypid = 'timestamp'::regtype from pg_attribute
    where attrelid = to_regclass(:table) and attname = :column
""")

# The zone that a new session of this database has: of the server, the database or the role. What this session set for
# itself does not count. A zone is UTC-like if it never was another time since WhatsApp exists.
LOCAL_ZONES = text("""
    select distinct zone from (
      select reset_val as zone from pg_settings where name = 'TimeZone'
      union all
      select split_part(setting, '=', 2) from pg_db_role_setting, unnest(setconfig) setting
      where setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and lower(split_part(setting, '=', 1)) = 'timezone') zones
    where exists (
      select from generate_series(timestamptz '2009-01-01 00:00+00', now(), interval '1 month') moment
      where moment at time zone zone <> moment at time zone 'UTC')
    order by zone
""")

DEPENDENTS = text("""
    select distinct pg_describe_object(d.classid, d.objid, 0)
    from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass(:table) and a.attname = :column
      and d.classid in ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass)
""")

log = logging.getLogger("alembic.versions")


def upgrade() -> None:
    naive = [(table, column) for table, column in TIMES if asks(IS_NAIVE, table, column)]
    check_zone(naive)
    check_dependents(naive)
    # From the time when there was one account only.
    op.execute("alter table conversations drop constraint if exists conversations_client_number_key")
    op.execute("drop index if exists conversations_client_number_key")
    for what, statement in CLEANED:
        removed = op.get_bind().execute(text(statement)).rowcount
        if removed:
            log.warning("%d %s removed", removed, what)
    for name in DROPPED:
        op.execute(f"drop index if exists {name}")
    for table, column in naive:
        convert(table, column, "timestamp with time zone")
    for table, column, value in FLAGS:
        op.execute(f"update {table} set {column} = {value} where {column} is null")
        op.execute(f"alter table {table} alter column {column} set not null")
    for table, column in REQUIRED:
        op.execute(f"alter table {table} alter column {column} set not null")
    op.execute(f"alter table app_user_roles drop constraint {ROLE_KEY}")
    add_key("app_user_roles", ROLE_KEY, "nulls not distinct (user_id, role_id, account_id)")
    add_key("app_user_overrides", OVERRIDE_KEY, "nulls not distinct (user_id, permission_code, account_id)")
    for statement in INDEXES:
        op.execute(statement)


def downgrade() -> None:
    """Types, nullability and indexes go back. Filled flags stay filled, and removed rows are not brought back."""
    check_dependents(list(TIMES))
    for name in (*DROPPED, "contacts_created"):
        op.execute(f"drop index if exists {name}")
    op.execute(f"alter table app_user_overrides drop constraint {OVERRIDE_KEY}")
    op.execute(f"alter table app_user_roles drop constraint {ROLE_KEY}")
    add_key("app_user_roles", ROLE_KEY, "(user_id, role_id, account_id)")
    for table, column in (*REQUIRED, *((table, column) for table, column, _ in FLAGS)):
        op.execute(f"alter table {table} alter column {column} drop not null")
    for table, column in TIMES:
        convert(table, column, "timestamp without time zone")
    for statement in OLD_INDEXES:
        op.execute(statement)


def convert(table: str, column: str, kind: str) -> None:
    """`at time zone 'UTC'` goes both ways, and does not look at the zone of the session."""
    op.execute(f'alter table {table} alter column "{column}" type {kind} using "{column}" at time zone \'UTC\'')


def add_key(table: str, name: str, definition: str) -> None:
    op.execute(f"alter table {table} add constraint {name} unique {definition}")


def check_zone(naive: list[tuple[str, str]]) -> None:
    if context.config.attributes.get("naive_times_are_utc"):
        return
    if not any(op.get_bind().scalar(text(f"select exists (select from {table})")) for table, _ in naive):
        return
    zones = [str(zone) for zone in op.get_bind().scalars(LOCAL_ZONES)]
    if zones:
        raise CommandError(
            f"The PostgreSQL setting TimeZone of this database is {', '.join(zones)} instead of UTC, so stored times "
            "may be local times; they were not changed. If they are UTC all the same, say so: "
            "`inbox migrate --naive-times-are-utc`, or `alembic -x naive_times_are_utc=yes upgrade head`."
        )


def check_dependents(columns: list[tuple[str, str]]) -> None:
    found = {
        f"{dependent} uses {table}.{column}"
        for table, column in columns
        for dependent in op.get_bind().scalars(DEPENDENTS, {"table": table, "column": column})
    }
    if found:
        raise CommandError(
            "The type of a column cannot change while something depends on it; nothing was changed. Drop these, "
            "migrate, and make them again:\n" + "\n".join(f"  - {line}" for line in sorted(found))
        )


def asks(question: object, table: str, column: str) -> bool:
    return bool(op.get_bind().scalar(question, {"table": table, "column": column}))  # type: ignore[call-overload]
