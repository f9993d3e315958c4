"""Our events as changes of tables: what supabase-js calls `postgres_changes`."""

from typing import Any, Final, Literal, TypeAlias

import msgspec

from inbox.domain.events import ConversationCreated, ConversationMerged, MessageCreated, ReactionChanged
from inbox.ports.feed import Delivered
from inbox.ports.views import ConversationRow, MessageItem

Change: TypeAlias = Literal["INSERT", "UPDATE", "DELETE"]
TABLES: Final = frozenset({"messages", "conversations", "message_reactions"})
_JSON: Final = frozenset({"content", "context", "reactions", "preferences"})
_TIMES: Final = frozenset({"timestamp", "edited_at", "revoked_at", "scheduled_at", "updated_at", "created_at"})


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row that changed. `record` is the whole row, null when it is gone; `old_id` is then what it was."""

    table: str
    change: Change
    record: dict[str, Any] | None
    old_id: str | None = None

    @property
    def columns(self) -> list[dict[str, str]]:
        return [{"name": name, "type": _type(name)} for name in self.record or {"id": None}]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """`column=eq.value`, the only form that front ends use."""

    column: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Filter | None":
        column, equals, value = text.partition("=eq.")
        return cls(column=column, value=value) if equals and column.isidentifier() and value else None


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel listens to; `id` is unique in its connection."""

    id: int
    event: str
    schema: str
    table: str
    filter: Filter | None

    def wants(self, row: Row) -> bool:
        if self.event not in ("*", row.change) or self.table not in ("*", row.table):
            return False
        if self.filter is None:
            return True
        return str((row.record or {"id": row.old_id}).get(self.filter.column)) == self.filter.value

    @property
    def conversation(self) -> str | None:
        """The one that the filter leaves; other filters only look at rows."""
        if self.filter is None or self.filter.column != ("id" if self.table == "conversations" else "conversation_id"):
            return None
        return self.filter.value

    @property
    def account(self) -> str | None:
        return self.filter.value if self.filter is not None and self.filter.column == "account_id" else None


def rows_of(delivered: Delivered) -> list[Row]:
    """The rows of tables that an event stands for, as they are now; none for what tables never showed."""
    event = delivered.event
    match event:
        case MessageCreated():
            return _message(delivered.message, "INSERT")
        case ReactionChanged():
            return [*_message(delivered.message, "UPDATE"), _reaction(event)]
        case ConversationCreated():
            return _conversation(delivered.conversation, "INSERT")
        case ConversationMerged(conversation_id=gone):
            return [Row(table="conversations", change="DELETE", record=None, old_id=str(gone))]
        case _:
            return [*_message(delivered.message, "UPDATE"), *_conversation(delivered.conversation, "UPDATE")]


def _message(message: MessageItem | None, change: Change) -> list[Row]:
    return [] if message is None else [Row(table="messages", change=change, record=_plain(message))]


def _conversation(conversation: ConversationRow | None, change: Change) -> list[Row]:
    """Without the contact, which is no column: front ends merge the row over their item."""
    if conversation is None:
        return []
    record = _plain(conversation)
    record.pop("contacts", None)
    return [Row(table="conversations", change=change, record=record)]


def _reaction(event: ReactionChanged) -> Row:
    """Its key in the existing system is a number of its own; ours is what it is about and who gave it."""
    row_id = f"{event.message_id}:{event.sender}"
    if event.emoji is None:
        return Row(table="message_reactions", change="DELETE", record=None, old_id=row_id)
    record = {
        "id": row_id,
        "message_id": str(event.message_id),
        "conversation_id": str(event.conversation_id),
        "emoji": event.emoji,
        "from": event.sender,
        "created_at": event.at,
    }
    return Row(table="message_reactions", change="INSERT", record=record)


def _plain(row: MessageItem | ConversationRow) -> dict[str, Any]:
    """As REST shows it: columns that are JSON come as values."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(row))
    return found


def _type(column: str) -> str:
    """Of PostgreSQL, as far as supabase-js converts by it."""
    if column in _JSON:
        return "jsonb"
    if column in _TIMES or column.endswith("_at"):
        return "timestamptz"
    if column.startswith("is_") or column == "bot_enabled":
        return "bool"
    return "int4" if column == "unread_count" else "text"


def interest_of(bindings: list[Binding]) -> tuple[set[str] | None, set[str] | None]:
    """The accounts and conversations that the filters leave together; None is all."""
    conversations = {binding.conversation for binding in bindings}
    if bindings and None not in conversations:
        return None, {one for one in conversations if one is not None}
    accounts = {binding.account for binding in bindings}
    if bindings and None not in accounts:
        return {one for one in accounts if one is not None}, None
    return None, None
