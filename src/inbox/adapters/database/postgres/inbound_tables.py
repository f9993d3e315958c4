"""Tables of what Meta tells beside messages: identities, reactions, amendments, preferences, notices, files, templates.

Files of ours too, which go the other way.

Importing this module completes `tables.metadata`.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
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
from inbox.adapters.database.postgres.work_tables import count

contact_identities: Final = Table(
    "contact_identities",
    metadata,
    Column("portfolio", Text, primary_key=True, server_default=text("''")),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    # A name is claimed first, so that a second transaction waits for it; the contact follows in the same transaction.
    Column(
        "contact_id",
        ForeignKey("contacts.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    Column("written", Text),
    moment("seen_at"),
    moment("valid_until"),
    CheckConstraint("kind in ('phone', 'former_phone', 'bsuid', 'parent_bsuid', 'username')", name="kind"),
    Index("contact_identities_contact", "contact_id"),
)

reactions: Final = Table(
    "reactions",
    metadata,
    Column("account_id", ForeignKey("whatsapp_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("target_wamid", Text, primary_key=True),
    Column("reactor", Text, primary_key=True),
    Column("emoji", Text),
    Column("wamid", Text, nullable=False),
    moment("reacted_at", nullable=False),
    Index("reactions_reactor", "reactor"),
)

message_amendments: Final = Table(
    "message_amendments",
    metadata,
    Column("account_id", ForeignKey("whatsapp_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("wamid", Text, primary_key=True),
    Column("target_wamid", Text, nullable=False),
    reference("contact_id", "contacts.id", on_delete="CASCADE"),
    Column("by_business", Boolean, nullable=False),
    Column("content", JSONB),
    moment("amended_at", nullable=False),
    Index("message_amendments_target", "account_id", "target_wamid"),
    Index("message_amendments_contact", "contact_id"),
)

contact_preferences: Final = Table(
    "contact_preferences",
    metadata,
    Column("account_id", ForeignKey("whatsapp_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("contact_id", ForeignKey("contacts.id", ondelete="CASCADE"), primary_key=True),
    Column("category", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("detail", Text),
    moment("changed_at", nullable=False),
    Index("contact_preferences_contact", "contact_id"),
)

account_notices: Final = Table(
    "account_notices",
    metadata,
    Column("id", Uuid, primary_key=True),
    reference("account_id", "whatsapp_accounts.id", required=False, on_delete="CASCADE"),
    Column("waba_id", Text),
    Column("field", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("raw", JSONB, nullable=False),
    moment("occurred_at", nullable=False),
    moment_now("received_at"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    CheckConstraint("severity in ('info', 'warning', 'critical')", name="severity"),
    Index("account_notices_account", "account_id", text("occurred_at DESC"), text("id DESC")),
    Index("account_notices_time", text("occurred_at DESC"), text("id DESC")),
)

media_files: Final = Table(
    "media_files",
    metadata,
    Column("message_id", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    reference("account_id", "whatsapp_accounts.id"),
    Column("media_id", Text, nullable=False),
    Column("expected_sha256", Text),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("reason", Text),
    count("tries"),
    Column("size", BigInteger),
    Column("mime_type", Text),
    Column("sha256", LargeBinary),
    moment_now("created_at"),
    moment("expires_at", nullable=False),
    moment("finished_at"),
    Column("upload_id", Uuid),
    CheckConstraint("state in ('pending', 'stored', 'expired', 'refused', 'failed')", name="state"),
    Index("media_files_open", "created_at", postgresql_where=text("state in ('pending', 'failed')")),
)

media_failures: Final = Table(
    "media_failures",
    metadata,
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    moment("at", nullable=False),
    Index("media_failures_account", "account_id", "at"),
)

uploads: Final = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("name", Text),
    Column("mime_type", Text),
    Column("size", BigInteger),
    Column("sha256", LargeBinary),
    Column("created_by", Uuid, nullable=False),
    moment_now("created_at"),
    moment("used_at"),
    Column("media_id", Text),
    Column("media_number", Text),
    moment("media_expires_at"),
    CheckConstraint("kind in ('image', 'video', 'audio', 'voice', 'document', 'sticker')", name="kind"),
    CheckConstraint("state in ('pending', 'stored', 'removed')", name="state"),
    Index("uploads_unused", "created_at", postgresql_where=text("used_at is null")),
)

message_templates: Final = Table(
    "message_templates",
    metadata,
    Column("id", Uuid, primary_key=True),
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    Column("waba_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("meta_id", Text),
    Column("parameter_format", Text),
    Column("status", Text),
    moment("status_at"),
    Column("reason", Text),
    Column("details", Text),
    Column("quality", Text),
    moment("quality_at"),
    Column("category", Text),
    moment("category_at"),
    Column("components", JSONB),
    moment("components_at"),
    moment_now("created_at"),
    moment("seen_at"),
    UniqueConstraint("account_id", "waba_id", "name", "language"),
)

template_syncs: Final = Table(
    "template_syncs",
    metadata,
    Column("account_id", ForeignKey("whatsapp_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("waba_id", Text, nullable=False),
    moment("synced_at"),
    moment_now("due_at"),
    count("failures"),
)
