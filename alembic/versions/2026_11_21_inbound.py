"""Everything that Meta tells: who a customer is, reactions, edits, files, preferences, notices about accounts.

A wamid is unique for a number, no longer in the whole installation: nobody can take the place of a message of somebody
else's number. A contact is found by its identities; those that are there already are entered with the key that the
service compares numbers by. The indexes are built without stopping anybody, as in `performance_indexes`.
"""

from alembic import op
from sqlalchemy import text

revision = "inbound"
down_revision = "traces"
branch_labels = None
depends_on = None

COLUMNS = {
    "whatsapp_accounts": {"portfolio_id": "text", "last_webhook_at": "timestamp with time zone"},
    "contacts": {"username": "text", "is_listed": "boolean not null default true"},
    "conversations": {"free_entry_until": "timestamp with time zone"},
    "messages": {
        "context": "jsonb",
        "content_rank": "smallint not null default 10",
        "original_content": "jsonb",
        "amended_at": "timestamp with time zone",
        "revoked_at": "timestamp with time zone",
    },
    "deliveries": {"replays": "integer not null default 0", "replayed_at": "timestamp with time zone"},
}

TABLES = {
    "contact_identities": """
      portfolio text not null default '',
      kind text not null constraint contact_identities_kind_check
        check (kind in ('phone', 'former_phone', 'bsuid', 'parent_bsuid', 'username')),
      value text not null,
      contact_id uuid not null
        constraint contact_identities_contact_id_fkey references contacts (id) on delete cascade
        deferrable initially deferred,
      written text,
      seen_at timestamp with time zone,
      valid_until timestamp with time zone,
      constraint contact_identities_pkey primary key (portfolio, kind, value)
    """,
    "reactions": """
      account_id uuid not null
        constraint reactions_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      target_wamid text not null,
      reactor text not null,
      emoji text,
      wamid text not null,
      reacted_at timestamp with time zone not null,
      constraint reactions_pkey primary key (account_id, target_wamid, reactor)
    """,
    "message_amendments": """
      account_id uuid not null
        constraint message_amendments_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      wamid text not null,
      target_wamid text not null,
      contact_id uuid not null
        constraint message_amendments_contact_id_fkey references contacts (id) on delete cascade,
      by_business boolean not null,
      content jsonb,
      amended_at timestamp with time zone not null,
      constraint message_amendments_pkey primary key (account_id, wamid)
    """,
    "contact_preferences": """
      account_id uuid not null
        constraint contact_preferences_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      contact_id uuid not null
        constraint contact_preferences_contact_id_fkey references contacts (id) on delete cascade,
      category text not null,
      value text not null,
      detail text,
      changed_at timestamp with time zone not null,
      constraint contact_preferences_pkey primary key (account_id, contact_id, category)
    """,
    "account_notices": """
      id uuid not null constraint account_notices_pkey primary key,
      account_id uuid
        constraint account_notices_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      waba_id text,
      field text not null,
      event text not null,
      severity text not null constraint account_notices_severity_check
        check (severity in ('info', 'warning', 'critical')),
      text text not null,
      raw jsonb not null,
      occurred_at timestamp with time zone not null,
      received_at timestamp with time zone not null default now(),
      digest bytea not null constraint account_notices_digest_key unique
    """,
    "media_files": """
      message_id uuid not null constraint media_files_pkey primary key
        constraint media_files_message_id_fkey references messages (id) on delete cascade,
      account_id uuid not null constraint media_files_account_id_fkey references whatsapp_accounts (id),
      media_id text not null,
      expected_sha256 text,
      state text not null default 'pending'
        constraint media_files_state_check check (state in ('pending', 'stored', 'expired', 'refused', 'failed')),
      reason text,
      tries integer not null default 0,
      size bigint,
      mime_type text,
      sha256 bytea,
      created_at timestamp with time zone not null default now(),
      expires_at timestamp with time zone not null,
      finished_at timestamp with time zone
    """,
    "media_failures": """
      account_id uuid not null
        constraint media_failures_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      at timestamp with time zone not null
    """,
}

INDEXES = (
    "create index contact_identities_contact on contact_identities (contact_id)",
    "create index reactions_reactor on reactions (reactor)",
    "create index message_amendments_target on message_amendments (account_id, target_wamid)",
    "create index message_amendments_contact on message_amendments (contact_id)",
    "create index contact_preferences_contact on contact_preferences (contact_id)",
    "create index account_notices_account on account_notices (account_id, occurred_at desc, id desc)",
    "create index account_notices_time on account_notices (occurred_at desc, id desc)",
    "create index media_failures_account on media_failures (account_id, at)",
    "create index media_files_open on media_files (created_at) where state in ('pending', 'failed')",
)

BUILT = {
    "outbox_accepted": "create index concurrently outbox_accepted on outbox (account_id, updated_at)"
    " where state = 'accepted'",
    "messages_wamid_account": "create unique index concurrently messages_wamid_account"
    " on messages (wa_message_id, account_id)",
    "messages_referral": "create index concurrently messages_referral"
    " on messages (conversation_id, \"timestamp\") where context ? 'referral'",
}

# The forms of one number in Brazil, Mexico and Argentina, as the service folds them. Of several contacts the one with
# the thread that moved last gets it, so that the next message goes on there, else the oldest; the others stay as they
# are. Nobody knows which were typed: `seen_at` stays empty, so that the next message of WhatsApp says how the number is
# written.
IDENTITIES = r"""
insert into contact_identities (portfolio, kind, value, contact_id, written)
select '', kind, value, k.id, case when kind = 'phone' then whatsapp_number end
from (
  select id, created_at, whatsapp_number,
         case when whatsapp_number ~ '^[A-Z]{2}\.' then 'bsuid' else 'phone' end as kind,
         case when digits ~ '^55[1-9][0-9]9[6-9][0-9]{7}$' then left(digits, 4) || substr(digits, 6)
              when digits ~ '^521[0-9]{10}$' then '52' || substr(digits, 4)
              when digits ~ '^549[0-9]{10}$' then '54' || substr(digits, 4)
              else digits end as value
  from (select *, case when whatsapp_number ~ '^[A-Z]{2}\.' then whatsapp_number
                       else regexp_replace(whatsapp_number, '[^0-9]', '', 'g') end as digits from contacts) c
) k
left join (select contact_id, max(updated_at) as at from conversations group by contact_id) t on t.contact_id = k.id
where value <> ''
order by t.at desc nulls last, created_at nulls first, id
on conflict do nothing
"""

INVALID = text(
    "select exists (select from pg_index where indexrelid = to_regclass('public.' || :name) and not indisvalid)"
)


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        op.execute(f"alter table {table} " + ", ".join(f"add column {name} {kind}" for name, kind in columns.items()))
    for table, body in TABLES.items():
        op.execute(f"create table {table} ({body})")
        op.execute(f"alter table {table} enable row level security")
    for statement in (*INDEXES, IDENTITIES):
        op.execute(statement)
    with op.get_context().autocommit_block():
        usual = op.get_bind().scalar(text("show lock_timeout"))
        op.execute("set lock_timeout = '10min'")
        for name, statement in BUILT.items():
            if op.get_bind().scalar(INVALID, {"name": name}):
                op.execute(f"drop index concurrently if exists {name}")
            op.execute(statement.replace("concurrently ", "concurrently if not exists "))
        op.execute(f"set lock_timeout = '{usual}'")
    op.execute("alter table messages drop constraint messages_wa_message_id_key")


def downgrade() -> None:
    """What these tables hold is lost. Refused by PostgreSQL where two numbers have messages with the same wamid."""
    op.execute("alter table messages add constraint messages_wa_message_id_key unique (wa_message_id)")
    for name in BUILT:
        op.execute(f"drop index {name}")
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
    for table, columns in COLUMNS.items():
        op.execute(f"alter table {table} " + ", ".join(f"drop column {name}" for name in columns))
