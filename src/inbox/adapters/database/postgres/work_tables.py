"""Our own tables: raw deliveries, lanes, the outbox, statuses, turns, the event log, and local accounts.

Importing this module completes `tables.metadata`.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from inbox.adapters.database.postgres.tables import metadata, moment, moment_now, number, reference


def serial(name: str = "id", *, primary_key: bool = False) -> Column[int]:
    """A number that the database gives in the order of insertion."""
    return Column(name, BigInteger, Identity(always=True), primary_key=primary_key)


def count(name: str, *, default: int = 0) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


deliveries: Final = Table(
    "deliveries",
    metadata,
    serial(primary_key=True),
    Column("lane", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    moment_now("received_at"),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("reason", Text),
    count("tries"),
    moment("done_at"),
    Column("traceparent", Text),
    count("replays"),
    moment("replayed_at"),
    CheckConstraint("state in ('open', 'done', 'quarantined', 'unrouted')", name="state"),
    Index("deliveries_open", "lane", "id", postgresql_where=text("state = 'open'")),
    Index("deliveries_done", "done_at", postgresql_where=text("state = 'done'")),
    Index("deliveries_set_aside", "id", postgresql_where=text("state in ('quarantined', 'unrouted')")),
)

quarantined_items: Final = Table(
    "quarantined_items",
    metadata,
    serial(primary_key=True),
    reference("delivery_id", "deliveries.id", on_delete="CASCADE"),
    Column("position", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    moment_now("created_at"),
    UniqueConstraint("delivery_id", "position"),
)

_OPEN_SENDS: Final = "kind = 'send' and ver > done and parked is null"

lanes: Final = Table(
    "lanes",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("grp", Text),
    Column("account_id", Uuid),
    number("ver", default=1),
    number("done"),
    moment_now("due"),
    number("fence"),
    count("attempts"),
    count("retries"),
    Column("parked", Text),
    Column("traceparent", Text),
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),
    moment("pair_at"),
    Column("pair_refusals", SmallInteger, nullable=False, server_default=text("0")),
    moment("put_off_until"),
    Index("lanes_due", "kind", "due", postgresql_where=text("ver > done and parked is null")),
    Index("lanes_over", "due", postgresql_where=text("kind = 'media' and ver = done")),
    Index("lanes_sends", "account_id", "priority", "due", postgresql_where=text(f"{_OPEN_SENDS} and attempts = 0")),
    Index("lanes_send_suspects", "due", postgresql_where=text(f"{_OPEN_SENDS} and attempts > 0")),
    postgresql_with={"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_threshold": 500},
)

number_paces: Final = Table(
    "number_paces",
    metadata,
    Column("account_id", ForeignKey("whatsapp_accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("ceiling", Double, nullable=False, server_default=text("80")),
    Column("learned", Double),
    moment("learned_at"),
    moment("free_at"),
    number("taken"),
    Column("pair_every", Interval, nullable=False, server_default=text("'00:00:06'")),
    count("pair_burst", default=45),
    CheckConstraint("ceiling between 1 and 10000", name="ceiling"),
    CheckConstraint("pair_every >= interval '0' and pair_burst >= 1", name="pair"),
    postgresql_with={"fillfactor": 50},
)

read_receipts: Final = Table(
    "read_receipts",
    metadata,
    Column("conversation_id", ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    Column("wamid", Text, nullable=False),
    Column("sent_at", DateTime(timezone=True), nullable=False),
    moment_now("wanted_at"),
)

message_statuses: Final = Table(
    "message_statuses",
    metadata,
    serial(primary_key=True),
    reference("message_id", "messages.id", required=False, on_delete="CASCADE"),
    Column("phone_number_id", Text, nullable=False),
    Column("wamid", Text, nullable=False),
    Column("op_id", Text),
    Column("status", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    moment_now("received_at"),
    Column("error_code", Integer),
    Column("error_title", Text),
    Column("error_details", Text),
    Column("pricing", JSONB),
    Column("recipient", Text),
    Index(
        "message_statuses_once",
        "wamid",
        "status",
        text("COALESCE(error_code, 0)"),
        text("COALESCE(recipient, ''::text)"),
        unique=True,
    ),
    Index("message_statuses_parked", "wamid", postgresql_where=text("message_id is null")),
    Index("message_statuses_parked_at", "received_at", postgresql_where=text("message_id is null")),
    Index("message_statuses_message", "message_id"),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    serial("serial"),
    reference("account_id", "whatsapp_accounts.id"),
    reference("conversation_id", "conversations.id"),
    Column("state", Text, nullable=False),
    Column("token", Uuid),
    moment("lease_until"),
    count("attempt"),
    moment("wire_at"),
    moment("not_before"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("epoch", BigInteger),
    Column("turn_id", Uuid),
    count("part"),
    Column("wamid", Text),
    Column("reason", Text),
    count("resends"),
    moment("unknown_until"),
    moment_now("created_at"),
    moment_now("updated_at"),
    Column("traceparent", Text),
    moment("send_at"),
    Column("priority", SmallInteger),
    Column("auto_resends", SmallInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("turn_id", "part"),
    CheckConstraint(
        "state in ('queued', 'claimed', 'wire', 'accepted', 'sent', 'delivered', 'read', 'failed', 'unknown', "
        "'unconfirmed', 'expired', 'cancelled', 'scheduled')",
        name="state",
    ),
    Index(
        "outbox_open",
        "conversation_id",
        "serial",
        postgresql_where=text("state in ('queued', 'claimed', 'wire', 'unknown')"),
    ),
    Index("outbox_wire", "wire_at", postgresql_where=text("state = 'wire'")),
    Index("outbox_claimed", "lease_until", postgresql_where=text("state = 'claimed'")),
    Index("outbox_unknown", "unknown_until", postgresql_where=text("state = 'unknown'")),
    Index("outbox_unconfirmed", "updated_at", postgresql_where=text("state = 'unconfirmed'")),
    Index("outbox_accepted", "account_id", "updated_at", postgresql_where=text("state = 'accepted'")),
    Index("outbox_scheduled", "send_at", postgresql_where=text("state = 'scheduled'")),
    Index("outbox_scheduled_for", "conversation_id", "send_at", postgresql_where=text("state = 'scheduled'")),
)

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", ForeignKey("whatsapp_accounts.id", ondelete="CASCADE"), nullable=False),
    Column("caller", Uuid, primary_key=True),
    Column("call", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    # The key is claimed first, so that a second request waits for it; the message follows in the same transaction.
    Column(
        "message_id",
        ForeignKey("messages.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    moment_now("created_at"),
    Index("idempotency_keys_created", "created_at"),
)

bot_turns: Final = Table(
    "bot_turns",
    metadata,
    Column("id", Uuid, primary_key=True),
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    reference("conversation_id", "conversations.id", on_delete="CASCADE"),
    reference("trigger_message_id", "messages.id"),
    Column("epoch", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("answer", Text),
    Column("reason", Text),
    Column("model", Text),
    Column("tokens_in", Integer),
    Column("tokens_out", Integer),
    moment_now("created_at"),
    moment("finished_at"),
    Column("mode", Text, nullable=False, server_default=text("'auto'")),
    Column("confidence", Double),
    Column("cost", BigInteger),
    Column("handover", Text),
    Column("prompt", Text),
    Column("summary", Text),
    UniqueConstraint("trigger_message_id", "epoch"),
    CheckConstraint("state in ('open', 'answered', 'handed_over', 'dropped', 'silent', 'suggested')", name="state"),
    CheckConstraint("mode in ('suggest', 'auto')", name="mode"),
    Index("bot_turns_conversation", "conversation_id", text("created_at DESC")),
)

bot_spending: Final = Table(
    "bot_spending",
    metadata,
    Column("holder", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    reference("account_id", "whatsapp_accounts.id", on_delete="CASCADE"),
    count("turns"),
    number("tokens"),
    number("cost"),
    Index("bot_spending_account", "account_id", "day"),
)

event_log: Final = Table(
    "event_log",
    metadata,
    serial(primary_key=True),
    Column("account_id", Uuid),
    Column("conversation_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    moment_now("created_at"),
    Index("event_log_account", "account_id", "id"),
    Index("event_log_created", "created_at"),
)

event_log_state: Final = Table(
    "event_log_state",
    metadata,
    Column("is_the_one", Boolean, primary_key=True, server_default=text("true")),
    Column("generation", Text, nullable=False),
    Column("server", Text, nullable=False, server_default=text("''")),
    Column("floor", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("is_the_one", name="is_the_one"),
)

event_tickets: Final = Table(
    "event_tickets",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("subject", JSONB, nullable=False),
    moment("expires_at", nullable=False),
    Index("event_tickets_expires", "expires_at"),
)

local_users: Final = Table(
    "local_users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text),
    Column("user_metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    moment("email_confirmed_at"),
    moment("last_sign_in_at"),
    moment("banned_until"),
    moment_now("created_at"),
    moment_now("updated_at"),
)

local_sessions: Final = Table(
    "local_sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    reference("user_id", "local_users.id", on_delete="CASCADE"),
    number("refresh_counter"),
    moment_now("created_at"),
    moment_now("refreshed_at"),
    moment("not_after"),
    Column("user_agent", Text),
    Column("ip", Text),
    Column("method", Text, nullable=False, server_default=text("'password'")),
    Index("local_sessions_user", "user_id"),
)

signing_keys: Final = Table(
    "signing_keys",
    metadata,
    Column("kid", Uuid, primary_key=True),
    Column("private_key_sealed", LargeBinary, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    moment_now("created_at"),
    CheckConstraint("state in ('standby', 'current', 'retired')", name="state"),
    Index("signing_keys_current", "state", unique=True, postgresql_where=text("state = 'current'")),
)

login_attempts: Final = Table(
    "login_attempts",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("window_start", DateTime(timezone=True), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Index("login_attempts_window", "window_start"),
)
