"""How the assistant behaves in a conversation and an account, and what it may spend.

`bot_suggests` stands beside `bot_enabled`, which stays the switch that old front ends know: with it on the assistant
answers, with only the other one on it suggests. `put_off_until` is when a timer of a lane rings at the latest.

`bot_spending` counts what an account (`holder` is its id) and each of its conversations used on a day, UTC: calls of
the model, tokens, and money in micro-units. What is about to be asked is counted before, and put right afterwards.
"""

from alembic import op

revision = "assistant"
down_revision = "knowledge"
branch_labels = None
depends_on = None

SPENDING = """
create table bot_spending (
  holder uuid not null,
  day date not null,
  account_id uuid not null
    constraint bot_spending_account_id_fkey references whatsapp_accounts (id) on delete cascade,
  turns integer not null default 0,
  tokens bigint not null default 0,
  cost bigint not null default 0,
  constraint bot_spending_pkey primary key (holder, day))
"""
STATES = "'open', 'answered', 'handed_over', 'dropped', 'silent'"


def upgrade() -> None:
    op.execute("alter table bot_profiles add column behaviour jsonb not null default '{}'::jsonb")
    op.execute("alter table conversations add column bot_suggests boolean not null default false")
    op.execute("alter table lanes add column put_off_until timestamp with time zone")
    op.execute(
        "alter table bot_turns add column mode text not null default 'auto', add column confidence double precision,"
        " add column cost bigint, add column handover text, add column prompt text, add column summary text"
    )
    op.execute(
        "alter table bot_turns add constraint bot_turns_mode_check check (mode in ('suggest', 'auto')),"
        " drop constraint bot_turns_state_check,"
        f" add constraint bot_turns_state_check check (state in ({STATES}, 'suggested'))"
    )
    op.execute(SPENDING)
    op.execute("alter table bot_spending enable row level security")
    op.execute("create index bot_spending_account on bot_spending (account_id, day)")


def downgrade() -> None:
    """Suggestions go, and what was spent is forgotten: the assistant is on or off."""
    op.execute("drop table bot_spending")
    op.execute("delete from bot_turns where state = 'suggested'")
    op.execute(
        "alter table bot_turns drop constraint bot_turns_state_check,"
        f" add constraint bot_turns_state_check check (state in ({STATES})),"
        " drop constraint bot_turns_mode_check"
    )
    op.execute(
        "alter table bot_turns drop column mode, drop column confidence, drop column cost, drop column handover,"
        " drop column prompt, drop column summary"
    )
    op.execute("alter table lanes drop column put_off_until")
    op.execute("alter table conversations drop column bot_suggests")
    op.execute("alter table bot_profiles drop column behaviour")
