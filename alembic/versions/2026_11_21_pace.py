"""The pace of sends: a bucket for each number, the limit and the rank of each conversation.

Lanes that wait when this is applied count as those of people: none of them may be put behind what comes after.
"""

from alembic import op

revision = "pace"
down_revision = "inbound"
branch_labels = None
depends_on = None

OPEN = "kind = 'send' and ver > done and parked is null"


def upgrade() -> None:
    op.execute(
        "alter table lanes add column priority smallint not null default 0,"
        " add column pair_at timestamp with time zone, add column pair_refusals smallint not null default 0"
    )
    op.execute(f"create index lanes_sends on lanes (account_id, priority, due) where {OPEN} and attempts = 0")
    op.execute(f"create index lanes_send_suspects on lanes (due) where {OPEN} and attempts > 0")
    op.execute("""
        create table number_paces (
          account_id uuid not null constraint number_paces_pkey primary key
            constraint number_paces_account_id_fkey references whatsapp_accounts (id) on delete cascade,
          ceiling double precision not null default 80
            constraint number_paces_ceiling_check check (ceiling between 1 and 10000),
          learned double precision,
          learned_at timestamp with time zone,
          free_at timestamp with time zone,
          taken bigint not null default 0,
          pair_every interval not null default '00:00:06',
          pair_burst integer not null default 45,
          constraint number_paces_pair_check check (pair_every >= interval '0' and pair_burst >= 1)
        ) with (fillfactor = 50)
    """)
    op.execute("alter table number_paces enable row level security")


def downgrade() -> None:
    op.execute("drop table number_paces")
    op.execute("drop index lanes_send_suspects")
    op.execute("drop index lanes_sends")
    op.execute("alter table lanes drop column priority, drop column pair_at, drop column pair_refusals")
