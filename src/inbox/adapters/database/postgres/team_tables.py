"""Tables of the team: the audit trail, API keys, one-time links, and the version of everybody's rights.

Importing this module completes `tables.metadata`.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from inbox.adapters.database.postgres.tables import metadata, moment, moment_now, reference

rights_version: Final = Table(
    "rights_version",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("is_only", name="is_only"),
)

audit_entries: Final = Table(
    "audit_entries",
    metadata,
    Column("id", Uuid, primary_key=True),
    moment_now("at"),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Uuid),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("account_id", Uuid),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    CheckConstraint("actor_kind in ('person', 'api_key', 'system')", name="actor_kind"),
    Index("audit_entries_newest", text("at DESC"), text("id DESC")),
)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("hint", Text, nullable=False),
    Column("created_by", Uuid),
    moment_now("created_at"),
    moment("expires_at"),
    moment("revoked_at"),
    moment("last_used_at"),
)

api_key_grants: Final = Table(
    "api_key_grants",
    metadata,
    Column("id", Uuid, primary_key=True),
    reference("api_key_id", "api_keys.id", on_delete="CASCADE"),
    reference("permission_code", "app_permissions.code", on_delete="CASCADE"),
    reference("account_id", "whatsapp_accounts.id", required=False, on_delete="CASCADE"),
    UniqueConstraint("api_key_id", "permission_code", "account_id", postgresql_nulls_not_distinct=True),
    Index("api_key_grants_account", "account_id"),
)

one_time_links: Final = Table(
    "one_time_links",
    metadata,
    Column("id", Uuid, primary_key=True),
    reference("user_id", "local_users.id", on_delete="CASCADE"),
    Column("purpose", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_by", Uuid),
    moment_now("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    moment("used_at"),
    CheckConstraint("purpose in ('invite', 'recovery')", name="purpose"),
    Index("one_time_links_user", "user_id"),
)
