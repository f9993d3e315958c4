"""Files on their way to customers: what people uploaded, and which of it is the file of a message.

The rows outlive their account for some days, until their files are removed from the store: no key leads to it. Nor does
one lead from a message to its upload, which would have to be looked up in all messages whenever an upload is removed:
what was used once stays.
"""

from alembic import op

revision = "uploads"
down_revision = "templates"
branch_labels = None
depends_on = None

UPLOADS = """
create table uploads (
  id uuid not null constraint uploads_pkey primary key,
  account_id uuid not null,
  kind text not null
    constraint uploads_kind_check check (kind in ('image', 'video', 'audio', 'voice', 'document', 'sticker')),
  state text not null default 'pending'
    constraint uploads_state_check check (state in ('pending', 'stored', 'removed')),
  name text,
  mime_type text,
  size bigint,
  sha256 bytea,
  created_by uuid not null,
  created_at timestamp with time zone not null default now(),
  used_at timestamp with time zone,
  media_id text,
  media_number text,
  media_expires_at timestamp with time zone)
"""


def upgrade() -> None:
    op.execute(UPLOADS)
    op.execute("alter table uploads enable row level security")
    op.execute("create index uploads_unused on uploads (created_at) where used_at is null")
    op.execute("alter table media_files add column upload_id uuid")


def downgrade() -> None:
    """Uploads go, and messages of ours forget their files; the store keeps them for nobody."""
    op.execute("delete from media_files where upload_id is not null")
    op.execute("alter table media_files drop column upload_id")
    op.execute("drop table uploads")
