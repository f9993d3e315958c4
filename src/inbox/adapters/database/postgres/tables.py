"""The schema after the newest revision: what `alembic check` compares, and what statements are built from.

The eleven tables of the existing system, with their constraint names, then those that `work_tables`, `team_tables`,
`process_tables` and `inbound_tables` add. Times are timestamptz, ids uuid, texts `text`; vocabularies are text with a
check, so that old rows with other words stay readable where there is none.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

NAMING: Final = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}

metadata: Final = MetaData(naming_convention=NAMING)


def row_id() -> Column[UUID]:
    """A primary key that the database can fill."""
    return Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()"))


def moment(name: str, *, nullable: bool = True) -> Column[datetime]:
    """A time that may be unknown."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def moment_now(name: str, *, nullable: bool = False) -> Column[datetime]:
    """A time that is now() unless said otherwise. The contract's `created_at` columns are nullable."""
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=text("now()"))


def flag(name: str, *, default: str, nullable: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=nullable, server_default=text(default))


def number(name: str, *, default: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text(str(default)))


def reference(name: str, target: str, *, required: bool = True, on_delete: str | None = None) -> Column[Any]:
    """A foreign key; its type is that of `target`."""
    return Column(name, ForeignKey(target, ondelete=on_delete), nullable=not required)


whatsapp_accounts: Final = Table(
    "whatsapp_accounts",
    metadata,
    row_id(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False, unique=True),
    Column("phone_number", Text),
    Column("phone_number_id", Text, nullable=False, unique=True),
    flag("is_active", default="true"),
    moment_now("created_at", nullable=True),
    flag("bot_auto_on", default="false", nullable=True),
    Column("access_token_sealed", LargeBinary),
    Column("verify_token_sealed", LargeBinary),
    Column("verify_token_digest", LargeBinary),
    Column("waba_id", Text),
    moment("paused_at"),
    Column("paused_reason", Text),
    Column("app_secret_sealed", LargeBinary),
    Column("portfolio_id", Text),
    moment("last_webhook_at"),
    flag("read_receipts", default="true"),
    flag("typing_indicators", default="true"),
    Index("whatsapp_accounts_verify_token_digest", "verify_token_digest"),
)

contacts: Final = Table(
    "contacts",
    metadata,
    row_id(),
    Column("whatsapp_number", Text, nullable=False, unique=True),
    Column("display_name", Text),
    moment_now("created_at", nullable=True),
    moment("name_at"),
    flag("is_named_by_person", default="false"),
    Column("username", Text),
    flag("is_listed", default="true"),
    Index("contacts_created", text("created_at DESC"), text("id DESC")),
)

conversations: Final = Table(
    "conversations",
    metadata,
    row_id(),
    reference("contact_id", "contacts.id", required=False),
    reference("account_id", "whatsapp_accounts.id"),
    Column("client_number", Text, nullable=False),
    flag("is_group", default="false"),
    flag("is_favorite", default="false"),
    Column("unread_count", Integer, nullable=False, server_default=text("0")),
    Column("status", Text, nullable=False, server_default=text("'open'")),
    moment_now("updated_at"),
    flag("bot_enabled", default="false"),
    moment("bot_last_reply_at"),
    moment_now("created_at"),
    moment("last_inbound_at"),
    moment("window_expires_at"),
    number("epoch"),
    moment("handed_over_at"),
    Column("handover_reason", Text),
    moment("free_entry_until"),
    Column("assignee_id", Uuid),
    moment("assigned_at"),
    flag("bot_suggests", default="false"),
    Index("conversations_account_client_unique", "account_id", "client_number", unique=True),
    Index("idx_conversations_account_updated", "account_id", text("updated_at DESC"), text("id DESC")),
    Index("idx_conversations_contact", "contact_id"),
    Index(
        "conversations_assigned",
        "account_id",
        "assignee_id",
        text("updated_at DESC"),
        text("id DESC"),
        postgresql_where=text("assignee_id is not null"),
    ),
    Index(
        "conversations_unassigned",
        "account_id",
        text("updated_at DESC"),
        text("id DESC"),
        postgresql_where=text("assignee_id is null"),
    ),
)

messages: Final = Table(
    "messages",
    metadata,
    row_id(),
    reference("conversation_id", "conversations.id", required=False),
    Column("direction", Text, nullable=False),
    Column("content_text", Text),
    moment_now("timestamp", nullable=True),
    Column("wa_message_id", Text),
    Column("message_type", Text),
    Column("status", Text),
    Column("media_id", Text),
    Column("media_mime_type", Text),
    Column("media_filename", Text),
    reference("account_id", "whatsapp_accounts.id", required=False),
    moment_now("created_at"),
    Column("content", JSONB),
    Column("author", Text),
    Column("author_id", Uuid),
    Column("client_id", Text),
    Column("error_message", Text),
    Column("error_code", Integer),
    moment("sent_at"),
    moment("delivered_at"),
    moment("read_at"),
    moment("failed_at"),
    Column("reply_to_wamid", Text),
    Column("context", JSONB),
    Column("content_rank", SmallInteger, nullable=False, server_default=text("10")),
    Column("original_content", JSONB),
    moment("amended_at"),
    moment("revoked_at"),
    CheckConstraint("author in ('contact', 'human', 'bot', 'system', 'phone')", name="author"),
    Index("idx_messages_conversation_timestamp", "conversation_id", text('"timestamp" DESC'), text("id DESC")),
    Index("messages_wamid_account", "wa_message_id", "account_id", unique=True),
    Index("messages_referral", "conversation_id", "timestamp", postgresql_where=text("context ? 'referral'")),
)

app_permissions: Final = Table(
    "app_permissions",
    metadata,
    Column("code", Text, primary_key=True),
    Column("label", Text),
    Column("description", Text),
)

app_roles: Final = Table(
    "app_roles",
    metadata,
    row_id(),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    moment_now("created_at", nullable=True),
)

role_permissions: Final = Table(
    "role_permissions",
    metadata,
    Column("role_id", ForeignKey("app_roles.id", ondelete="CASCADE"), primary_key=True),
    Column("permission_code", ForeignKey("app_permissions.code", ondelete="CASCADE"), primary_key=True),
    moment_now("created_at", nullable=True),
)

app_users: Final = Table(
    "app_users",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("email", Text),
    Column("display_name", Text),
    flag("is_active", default="true"),
    moment_now("created_at", nullable=True),
)

app_user_roles: Final = Table(
    "app_user_roles",
    metadata,
    row_id(),
    reference("user_id", "app_users.user_id", on_delete="CASCADE"),
    reference("role_id", "app_roles.id", on_delete="CASCADE"),
    reference("account_id", "whatsapp_accounts.id", required=False),
    moment_now("created_at", nullable=True),
    UniqueConstraint("user_id", "role_id", "account_id", postgresql_nulls_not_distinct=True),
    Index("idx_app_user_roles_account", "account_id"),
)

app_user_overrides: Final = Table(
    "app_user_overrides",
    metadata,
    row_id(),
    reference("user_id", "app_users.user_id", on_delete="CASCADE"),
    reference("permission_code", "app_permissions.code", on_delete="CASCADE"),
    reference("account_id", "whatsapp_accounts.id", required=False),
    Column("is_allowed", Boolean, nullable=False),
    moment_now("created_at", nullable=True),
    UniqueConstraint("user_id", "permission_code", "account_id", postgresql_nulls_not_distinct=True),
    Index("idx_app_user_overrides_user", "user_id"),
    Index("idx_app_user_overrides_account", "account_id"),
)

bot_profiles: Final = Table(
    "bot_profiles",
    metadata,
    row_id(),
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    Column("business_name", Text),
    Column("description", Text),
    Column("address", Text),
    Column("hours", Text),
    Column("knowledge_base", Text),
    Column("custom_fields", JSONB, server_default=text("'[]'::jsonb")),
    moment_now("created_at", nullable=True),
    moment_now("updated_at", nullable=True),
    Column("template_config", JSONB, server_default=text("'{}'::jsonb")),
    Column("behaviour", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Index("bot_profiles_account_id_idx", "account_id", unique=True),
)
