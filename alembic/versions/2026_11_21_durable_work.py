"""What a service needs that loses no message and sends none twice, and local sign-in.

Raw deliveries, lanes, the outbox with its idempotency keys, the history of statuses, bot turns, the event log;
accounts, sessions and signing keys of people who sign in here. Old messages learn their account, their author where it
is sure, and a time of insertion, for which their own time is the best guess.

A newer version of the existing system may have some of the columns: then they are taken over if their type is ours.
"""

from alembic import op
from alembic.util import CommandError
from sqlalchemy import text

revision = "durable_work"
down_revision = "sealed_tokens"
branch_labels = None
depends_on = None

# Types as PostgreSQL prints them: what is there already is compared with them.
MOMENT = "timestamp with time zone"

COLUMNS = {
    "whatsapp_accounts": {"waba_id": "text", "paused_at": MOMENT, "paused_reason": "text"},
    "contacts": {"name_at": MOMENT},
    "conversations": {
        "created_at": MOMENT,
        "last_inbound_at": MOMENT,
        "window_expires_at": MOMENT,
        "epoch": "bigint",
        "handed_over_at": MOMENT,
        "handover_reason": "text",
    },
    "messages": {
        "account_id": "uuid",
        "created_at": MOMENT,
        "content": "jsonb",
        "author": "text",
        "author_id": "uuid",
        "client_id": "text",
        "error_message": "text",
        "error_code": "integer",
        "sent_at": MOMENT,
        "delivered_at": MOMENT,
        "read_at": MOMENT,
        "failed_at": MOMENT,
        "reply_to_wamid": "text",
    },
}

# One pass over each of the two large tables. The customer service window is 24 hours from the customer's last message.
FILLED = (
    """
    update messages m set
      account_id = coalesce(m.account_id, (select c.account_id from conversations c where c.id = m.conversation_id)),
      created_at = coalesce(m.created_at, m."timestamp", now()),
      author = coalesce(m.author, case
        when m.direction = 'inbound' then 'contact'
        when m.content_text = '[status update]' then 'system'
      end)
    """,
    """
    update conversations c set
      created_at = coalesce(c.created_at, least(m.first_at, c.updated_at)),
      last_inbound_at = coalesce(c.last_inbound_at, m.inbound_at),
      window_expires_at = coalesce(c.window_expires_at, m.inbound_at + interval '24 hours'),
      epoch = coalesce(c.epoch, 0)
    from conversations same left join (
      select conversation_id, min("timestamp") as first_at,
             max("timestamp") filter (where direction = 'inbound') as inbound_at
      from messages group by conversation_id
    ) m on m.conversation_id = same.id
    where same.id = c.id
    """,
)

ADJUSTED = (
    """
    alter table conversations
      alter column created_at set default now(),
      alter column created_at set not null,
      alter column epoch set default 0,
      alter column epoch set not null
    """,
    """
    alter table messages
      alter column created_at set default now(),
      alter column created_at set not null,
      add constraint messages_author_check check (author in ('contact', 'human', 'bot', 'system', 'phone')),
      add constraint messages_account_id_fkey foreign key (account_id) references whatsapp_accounts (id)
    """,
)

TABLES = {
    "deliveries": """
      id bigint generated always as identity constraint deliveries_pkey primary key,
      lane text not null,
      body bytea not null,
      sha256 bytea not null constraint deliveries_sha256_key unique,
      received_at timestamp with time zone not null default now(),
      state text not null default 'open'
        constraint deliveries_state_check check (state in ('open', 'done', 'quarantined', 'unrouted')),
      reason text,
      tries integer not null default 0,
      done_at timestamp with time zone
    """,
    "quarantined_items": """
      id bigint generated always as identity constraint quarantined_items_pkey primary key,
      delivery_id bigint not null
        constraint quarantined_items_delivery_id_fkey references deliveries (id) on delete cascade,
      position integer not null,
      reason text not null,
      raw bytea not null,
      created_at timestamp with time zone not null default now(),
      constraint quarantined_items_delivery_id_position_key unique (delivery_id, position)
    """,
    "lanes": """
      kind text not null,
      key text not null,
      grp text,
      account_id uuid,
      ver bigint not null default 1,
      done bigint not null default 0,
      due timestamp with time zone not null default now(),
      fence bigint not null default 0,
      attempts integer not null default 0,
      retries integer not null default 0,
      parked text,
      constraint lanes_pkey primary key (kind, key)
    """,
    "message_statuses": """
      id bigint generated always as identity constraint message_statuses_pkey primary key,
      message_id uuid constraint message_statuses_message_id_fkey references messages (id) on delete cascade,
      phone_number_id text not null,
      wamid text not null,
      op_id text,
      status text not null,
      occurred_at timestamp with time zone not null,
      received_at timestamp with time zone not null default now(),
      error_code integer,
      error_title text,
      error_details text,
      pricing jsonb,
      recipient text
    """,
    "outbox": """
      id uuid not null constraint outbox_pkey primary key
        constraint outbox_id_fkey references messages (id) on delete cascade,
      serial bigint generated always as identity,
      account_id uuid not null constraint outbox_account_id_fkey references whatsapp_accounts (id),
      conversation_id uuid not null constraint outbox_conversation_id_fkey references conversations (id),
      state text not null constraint outbox_state_check check (state in (
        'queued', 'claimed', 'wire', 'accepted', 'sent', 'delivered', 'read', 'failed', 'unknown',
        'unconfirmed', 'expired', 'cancelled')),
      token uuid,
      lease_until timestamp with time zone,
      attempt integer not null default 0,
      wire_at timestamp with time zone,
      not_before timestamp with time zone,
      expires_at timestamp with time zone not null,
      epoch bigint,
      turn_id uuid,
      part integer not null default 0,
      wamid text,
      reason text,
      resends integer not null default 0,
      unknown_until timestamp with time zone,
      created_at timestamp with time zone not null default now(),
      updated_at timestamp with time zone not null default now(),
      constraint outbox_turn_id_part_key unique (turn_id, part)
    """,
    "idempotency_keys": """
      account_id uuid not null
        constraint idempotency_keys_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      caller uuid not null,
      call text not null,
      key text not null,
      request_hash bytea not null,
      message_id uuid not null
        constraint idempotency_keys_message_id_fkey references messages (id) on delete cascade
        deferrable initially deferred,
      created_at timestamp with time zone not null default now(),
      constraint idempotency_keys_pkey primary key (account_id, caller, call, key)
    """,
    "bot_turns": """
      id uuid not null constraint bot_turns_pkey primary key,
      account_id uuid not null constraint bot_turns_account_id_fkey references whatsapp_accounts (id) on delete cascade,
      conversation_id uuid not null
        constraint bot_turns_conversation_id_fkey references conversations (id) on delete cascade,
      trigger_message_id uuid not null constraint bot_turns_trigger_message_id_fkey references messages (id),
      epoch bigint not null,
      state text not null constraint bot_turns_state_check
        check (state in ('open', 'answered', 'handed_over', 'dropped', 'silent')),
      answer text,
      reason text,
      model text,
      tokens_in integer,
      tokens_out integer,
      created_at timestamp with time zone not null default now(),
      finished_at timestamp with time zone,
      constraint bot_turns_trigger_message_id_epoch_key unique (trigger_message_id, epoch)
    """,
    "event_log": """
      xid xid8 not null default pg_current_xact_id(),
      id bigint generated always as identity,
      account_id uuid,
      conversation_id uuid,
      kind text not null,
      audience text not null default 'account',
      body jsonb not null,
      created_at timestamp with time zone not null default now(),
      constraint event_log_pkey primary key (xid, id)
    """,
    "local_users": """
      id uuid not null constraint local_users_pkey primary key,
      email text not null constraint local_users_email_key unique,
      password_hash text,
      user_metadata jsonb not null default '{}'::jsonb,
      email_confirmed_at timestamp with time zone,
      last_sign_in_at timestamp with time zone,
      banned_until timestamp with time zone,
      created_at timestamp with time zone not null default now(),
      updated_at timestamp with time zone not null default now()
    """,
    "local_sessions": """
      id uuid not null constraint local_sessions_pkey primary key,
      user_id uuid not null constraint local_sessions_user_id_fkey references local_users (id) on delete cascade,
      refresh_counter bigint not null default 0,
      created_at timestamp with time zone not null default now(),
      refreshed_at timestamp with time zone not null default now(),
      not_after timestamp with time zone,
      user_agent text,
      ip text
    """,
    "signing_keys": """
      kid uuid not null constraint signing_keys_pkey primary key,
      private_key_sealed bytea not null,
      public_jwk jsonb not null,
      state text not null constraint signing_keys_state_check check (state in ('standby', 'current', 'retired')),
      created_at timestamp with time zone not null default now()
    """,
    "login_attempts": """
      key bytea not null,
      window_start timestamp with time zone not null,
      attempts integer not null,
      constraint login_attempts_pkey primary key (key, window_start)
    """,
}

# Lanes are updated all the time: room on their pages, and vacuum before they grow.
STORAGE = (
    "alter table lanes set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500)"
)

INDEXES = (
    "create index deliveries_open on deliveries (lane, id) where state = 'open'",
    "create index deliveries_done on deliveries (done_at) where state = 'done'",
    "create index deliveries_set_aside on deliveries (id) where state in ('quarantined', 'unrouted')",
    "create index lanes_due on lanes (kind, due) where ver > done and parked is null",
    """
    create unique index message_statuses_once
      on message_statuses (wamid, status, coalesce(error_code, 0), coalesce(recipient, ''))
    """,
    "create index message_statuses_parked on message_statuses (wamid) where message_id is null",
    "create index message_statuses_message on message_statuses (message_id)",
    """
    create index outbox_open on outbox (conversation_id, serial)
      where state in ('queued', 'claimed', 'wire', 'unknown')
    """,
    "create index outbox_wire on outbox (wire_at) where state = 'wire'",
    "create index outbox_claimed on outbox (lease_until) where state = 'claimed'",
    "create index outbox_unknown on outbox (unknown_until) where state = 'unknown'",
    "create index idempotency_keys_created on idempotency_keys (created_at)",
    "create index bot_turns_conversation on bot_turns (conversation_id, created_at desc)",
    "create index event_log_account on event_log (account_id, xid, id)",
    "create index event_log_created on event_log (created_at)",
    "create index local_sessions_user on local_sessions (user_id)",
    "create unique index signing_keys_current on signing_keys (state) where state = 'current'",
)

THERE = text("""
    select c.relname || '.' || a.attname as name, format_type(a.atttypid, a.atttypmod) as kind
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relname = any(cast(:tables as text[]))
      and a.attnum > 0 and not a.attisdropped
""")
TAKEN = text("""
    select relname from pg_class where relnamespace = 'public'::regnamespace and relname = any(cast(:tables as text[]))
""")


def upgrade() -> None:
    check_names()
    for table, columns in COLUMNS.items():
        added = ", ".join(f"add column if not exists {name} {kind}" for name, kind in columns.items())
        op.execute(f"alter table {table} {added}")
    for statement in (*FILLED, *ADJUSTED):
        op.execute(statement)
    for table, body in TABLES.items():
        op.execute(f"create table {table} ({body})")
    for statement in (STORAGE, *INDEXES, "analyze conversations, messages, contacts"):
        op.execute(statement)


def downgrade() -> None:
    """Everything of this revision goes, with what is in it: queued messages, sessions, the history of statuses.

    Refused while messages are on their way out: the old service would never send them.
    """
    on_the_way = op.get_bind().scalar(
        text("select count(*) from outbox where state in ('queued', 'claimed', 'wire', 'unknown')")
    )
    if on_the_way:
        raise CommandError(f"{on_the_way} messages are still on their way out; let the worker finish or cancel them.")
    for table in reversed(TABLES):
        op.execute(f"drop table {table}")
    for table, columns in COLUMNS.items():
        op.execute(f"alter table {table} " + ", ".join(f"drop column {name}" for name in columns))


def check_names() -> None:
    """Nothing may be in the way: no other table of our name, no column of our name with another type."""
    tables = list(op.get_bind().scalars(TAKEN, {"tables": list(TABLES)}))
    found = {row.name: row.kind for row in op.get_bind().execute(THERE, {"tables": list(COLUMNS)})}
    differences = [f"table {name} is there already" for name in sorted(tables)] + [
        f"column {table}.{name} is {found[f'{table}.{name}']}, expected {kind}"
        for table, columns in COLUMNS.items()
        for name, kind in columns.items()
        if found.get(f"{table}.{name}", kind) != kind
    ]
    if differences:
        raise CommandError(
            "Names that this version needs are in use; nothing was changed. Rename these and migrate again:\n"
            + "\n".join(f"  - {line}" for line in differences)
        )
