"""Articles that staff approved, and what of them an answer used.

Each article is cut into passages, and passages are what is searched. `lexemes` holds the stems of the words, with and
without accents, and the account's own word: so one index finds the words of one account. It is written by the statement
that stores a passage: neither the extension `unaccent`, which not every managed database has, nor a function or trigger
is needed. Vectors are plain arrays: the extension `vector` is used where it is there, and demanded nowhere. `signs` are
their signs, one bit each: a coarse likeness that is compared fast.

What an answer used is a copy: it stays readable when the article is changed or gone.
"""

from alembic import op

revision = "knowledge"
down_revision = "assignment"
branch_labels = None
depends_on = None

TABLES = {
    "knowledge_articles": """
      id uuid not null constraint knowledge_articles_pkey primary key,
      account_id uuid not null
        constraint knowledge_articles_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      kind text not null constraint knowledge_articles_kind_check check (kind in ('article', 'qa')),
      title text not null,
      body text not null,
      language text not null constraint knowledge_articles_language_check check (language in ('fr', 'en')),
      state text not null default 'draft'
        constraint knowledge_articles_state_check check (state in ('draft', 'approved', 'archived')),
      version integer not null default 1,
      created_by uuid not null,
      approved_by uuid,
      approved_at timestamp with time zone,
      created_at timestamp with time zone not null default now(),
      updated_at timestamp with time zone not null default now(),
      constraint knowledge_articles_approved_check
        check (state <> 'approved' or (approved_by is not null and approved_at is not null))
    """,
    "knowledge_passages": """
      article_id uuid not null
        constraint knowledge_passages_article_id_fkey references knowledge_articles (id) on delete cascade,
      place integer not null,
      account_id uuid not null,
      version integer not null,
      text text not null,
      lexemes tsvector not null,
      embedding real[],
      signs bit varying,
      embedding_model text,
      embed_at timestamp with time zone,
      embed_failures integer not null default 0,
      constraint knowledge_passages_pkey primary key (article_id, place)
    """,
    "bot_turn_sources": """
      turn_id uuid not null constraint bot_turn_sources_turn_id_fkey references bot_turns (id) on delete cascade,
      rank integer not null,
      account_id uuid not null
        constraint bot_turn_sources_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      article_id uuid not null,
      version integer not null,
      place integer not null,
      title text not null,
      text text not null,
      score double precision not null,
      constraint bot_turn_sources_pkey primary key (turn_id, rank)
    """,
}
INDEXES = (
    "knowledge_articles_newest on knowledge_articles (account_id, created_at desc, id desc)",
    "knowledge_passages_lexemes on knowledge_passages using gin (lexemes)",
    "knowledge_passages_account on knowledge_passages (account_id, embedding_model)",
    "knowledge_passages_embed on knowledge_passages (embed_at) where embed_at is not null",
)


def upgrade() -> None:
    for table, body in TABLES.items():
        op.execute(f"create table {table} ({body})")
        op.execute(f"alter table {table} enable row level security")
    for index in INDEXES:
        op.execute(f"create index {index}")


def downgrade() -> None:
    """The articles go, with what answers used of them."""
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
