"""The log of events by one number, in an order that its readers can trust; its generation; tickets.

Nobody has read the log before this revision, so it begins anew, also after a downgrade.
"""

from alembic import op

revision = "feed"
down_revision = "tidy"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("drop table event_log")
    op.execute("""
        create table event_log (
          id bigint generated always as identity constraint event_log_pkey primary key,
          account_id uuid,
          conversation_id uuid,
          kind text not null,
          body jsonb not null,
          created_at timestamp with time zone not null default now()
        )
    """)
    op.execute("create index event_log_account on event_log (account_id, id)")
    op.execute("create index event_log_created on event_log (created_at)")
    op.execute("""
        create table event_log_state (
          is_the_one boolean not null default true constraint event_log_state_pkey primary key
            constraint event_log_state_is_the_one_check check (is_the_one),
          generation text not null,
          server text not null default '',
          floor bigint not null default 0
        )
    """)
    op.execute("insert into event_log_state (generation) values (left(md5(gen_random_uuid()::text), 12))")
    op.execute("""
        create table event_tickets (
          digest bytea not null constraint event_tickets_pkey primary key,
          subject jsonb not null,
          expires_at timestamp with time zone not null
        )
    """)
    op.execute("create index event_tickets_expires on event_tickets (expires_at)")
    for table in ("event_log", "event_log_state", "event_tickets"):
        op.execute(f"alter table {table} enable row level security")


def downgrade() -> None:
    for table in ("event_tickets", "event_log_state", "event_log"):
        op.execute(f"drop table {table}")
    op.execute("""
        create table event_log (
          xid xid8 not null default pg_current_xact_id(),
          id bigint generated always as identity,
          account_id uuid,
          conversation_id uuid,
          kind text not null,
          audience text not null default 'account',
          body jsonb not null,
          created_at timestamp with time zone not null default now(),
          constraint event_log_pkey primary key (xid, id)
        )
    """)
    op.execute("create index event_log_account on event_log (account_id, xid, id)")
    op.execute("create index event_log_created on event_log (created_at)")
    op.execute("alter table event_log enable row level security")
