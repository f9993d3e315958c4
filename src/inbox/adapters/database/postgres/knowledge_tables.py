"""Tables of the knowledge base: articles, their passages, and what of them answers used.

Importing this module completes `tables.metadata`.
"""

from typing import Final

from sqlalchemy import REAL, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, BIT, TSVECTOR

from inbox.adapters.database.postgres.tables import metadata, moment, moment_now, reference
from inbox.adapters.database.postgres.work_tables import count

knowledge_articles: Final = Table(
    "knowledge_articles",
    metadata,
    Column("id", Uuid, primary_key=True),
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'draft'")),
    count("version", default=1),
    Column("created_by", Uuid, nullable=False),
    Column("approved_by", Uuid),
    moment("approved_at"),
    moment_now("created_at"),
    moment_now("updated_at"),
    CheckConstraint("kind in ('article', 'qa')", name="kind"),
    CheckConstraint("language in ('fr', 'en')", name="language"),
    CheckConstraint("state in ('draft', 'approved', 'archived')", name="state"),
    CheckConstraint("state <> 'approved' or (approved_by is not null and approved_at is not null)", name="approved"),
    Index("knowledge_articles_newest", "account_id", text("created_at DESC"), text("id DESC")),
)

# `embed_at` is when a passage is to be embedded; null if that is done, or not wanted because nobody approved it.
knowledge_passages: Final = Table(
    "knowledge_passages",
    metadata,
    Column("article_id", ForeignKey("knowledge_articles.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("account_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("lexemes", TSVECTOR, nullable=False),
    Column("embedding", ARRAY(REAL)),
    Column("signs", BIT(varying=True)),
    Column("embedding_model", Text),
    moment("embed_at"),
    count("embed_failures"),
    Index("knowledge_passages_lexemes", "lexemes", postgresql_using="gin"),
    Index("knowledge_passages_account", "account_id", "embedding_model"),
    Index("knowledge_passages_embed", "embed_at", postgresql_where=text("embed_at is not null")),
)

bot_turn_sources: Final = Table(
    "bot_turn_sources",
    metadata,
    Column("turn_id", ForeignKey("bot_turns.id", ondelete="CASCADE"), primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    Column("article_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("score", Double, nullable=False),
)
