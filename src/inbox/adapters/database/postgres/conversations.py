"""Conversations: the row that decisions are made on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import identities, threads, windows
from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.identities import Sighting
from inbox.adapters.database.postgres.own_secrets import PORTFOLIO
from inbox.adapters.database.postgres.reading import AnyRow
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Reach
from inbox.domain.bot import Mode
from inbox.domain.contacts import Address
from inbox.domain.conversations import Conversation
from inbox.domain.errors import ConversationNotFound
from inbox.domain.events import Cause, Event
from inbox.domain.ids import AccountId, ConversationId, UserId, uuid7
from inbox.ports.views import ContactName, ConversationItem, ConversationRow

ROW_COLUMNS: Final = f"""c.id, c.contact_id, c.account_id, c.client_number, c.is_group, c.is_favorite, c.unread_count,
       c.status, {shown("c.updated_at")} as updated_at, c.bot_enabled,
       {shown("c.bot_last_reply_at")} as bot_last_reply_at, {shown("c.window_expires_at")} as window_expires_at,
       {shown("c.handed_over_at")} as handed_over_at, c.handover_reason,
       {shown("c.free_entry_until")} as free_entry_until, c.assignee_id,
       case when c.bot_enabled then 'auto' when c.bot_suggests then 'suggest' else 'off' end as bot_mode,
       (select jsonb_object_agg(p.category, p.value)::text from contact_preferences p
        where p.account_id = c.account_id and p.contact_id = c.contact_id) as preferences"""  # noqa: S608 - of ours
"""Of `conversations c`, in the order of the fields of `ConversationRow`; `row_of` reads them."""

LINES: Final = f"""
select {ROW_COLUMNS}, contact.display_name, contact.whatsapp_number
from conversations c left join contacts contact on contact.id = c.contact_id"""  # noqa: S608 - column names of ours
"""Lines of the list; `line_of` reads them."""

_HELD: Final = """
select id, account_id, contact_id, client_number, unread_count, bot_enabled, epoch, last_inbound_at, window_expires_at,
       handed_over_at, handover_reason, assignee_id, assigned_at, bot_suggests
from conversations where id = :id and account_id = :account_id for update
"""
_LOCK: Final = text(_HELD)

# A lane that somebody made while this waited for the conversation is not seen: nobody holds a new one for long.
_LOCK_WITH_LANE: Final = text(f"""
with held as materialized ({_HELD}), lane as materialized (
  select key from lanes where kind = 'send' and key = (select id::text from held) for update
)
select held.* from held left join lane on true
""")  # noqa: S608 - constants of ours

_FIND: Final = text("select id from conversations where account_id = :account_id and client_number = :key")

_PORTFOLIO: Final = text(f"select {PORTFOLIO} from whatsapp_accounts a where id = :account_id")  # noqa: S608 - of ours

# Old rows may hold two conversations of one contact: the one with its number counts.
_FIND_OF: Final = text("""
select id from conversations where account_id = :account_id and contact_id = :contact_id
order by client_number = :key desc, id limit 1
""")

# An update that changes nothing returns the row in every case, also the one that somebody else is just making.
_CREATE: Final = text("""
insert into conversations (id, account_id, contact_id, client_number, updated_at)
values (:id, :account_id, :contact_id, :key, :now)
on conflict (account_id, client_number)
do update set contact_id = coalesce(conversations.contact_id, excluded.contact_id)
returning id
""")

_CONTACT_NAME: Final = text("""
select coalesce(nullif(contact.display_name, ''), contact.whatsapp_number, c.client_number)
from conversations c left join contacts contact on contact.id = c.contact_id
where c.id = :id and c.account_id = :account_id
""")

_SWITCH: Final = text(f"""
update conversations c
set bot_enabled = :enabled, bot_suggests = :suggests, epoch = c.epoch + 1, handed_over_at = null,
    handover_reason = null
where c.id = :id and c.account_id = :account_id
returning {ROW_COLUMNS}
""")  # noqa: S608 - column names of ours

_ASSIGN: Final = text(f"""
update conversations c
set assignee_id = cast(:assignee_id as uuid), assigned_at = case when :takes_over then cast(:now as timestamptz) end,
    epoch = c.epoch + cast(:takes_over as int)
where c.id = :id and c.account_id = :account_id
returning {ROW_COLUMNS}
""")  # noqa: S608 - column names of ours

_MARK: Final = text(f"""
update conversations c
set unread_count = case cast(:is_read as boolean) when true then 0 when false then greatest(c.unread_count, 1)
                        else c.unread_count end,
    is_favorite = coalesce(cast(:is_favorite as boolean), c.is_favorite)
where c.id = :id and (c.account_id = any(:accounts)) <> :everywhere
returning {ROW_COLUMNS}
""")  # noqa: S608 - column names of ours

_HAND_OVER: Final = text("""
update conversations
set handed_over_at = :now, handover_reason = :reason, bot_enabled = bot_enabled and not :switch_off
where id = :id and account_id = :account_id
returning id
""")

_TAKE_BACK: Final = text("""
update conversations
set handed_over_at = case when bot_enabled then null else handed_over_at end,
    handover_reason = case when bot_enabled then null else handover_reason end
where id = :id and account_id = :account_id
returning id
""")

_PREFERENCES: Final = msgspec.json.Decoder(dict[str, str])


class PostgresConversations:
    """What names an account raises `ConversationNotFound` for a conversation that the account does not have."""

    def __init__(
        self, connection: AsyncConnection, events: list[Event], ready: set[ConversationId] | None = None
    ) -> None:
        """`events` are those that the transaction records, `ready` the conversations that it holds with their lanes."""
        self._connection = connection
        self._events = events
        self._ready = set() if ready is None else ready

    async def lock(
        self, account_id: AccountId, conversation_id: ConversationId, *, to_send_last: bool = False
    ) -> Conversation:
        values = {"id": conversation_id, "account_id": account_id}
        row = (await self._connection.execute(_LOCK_WITH_LANE if to_send_last else _LOCK, values)).one_or_none()
        if row is None:
            raise ConversationNotFound
        if to_send_last:
            self._ready.add(conversation_id)
        return Conversation(**row._asdict())

    async def find_or_create(self, account_id: AccountId, to: Address, now: datetime) -> tuple[ConversationId, bool]:
        """The conversation with `to`, and whether it is new: then it is empty, with the bot off, updated `now`."""
        scope = {"account_id": account_id, "key": to.key}
        found: UUID | None = (await self._connection.execute(_FIND, scope)).scalar_one_or_none()
        if found is not None:
            return ConversationId(found), False
        contact, key = await self._contact(account_id, to)
        scope = {"account_id": account_id, "contact_id": contact, "key": key}
        found = (await self._connection.execute(_FIND_OF, scope)).scalar_one_or_none()
        if found is not None:
            return ConversationId(found), False
        new = uuid7()
        with database_errors():
            made: UUID = (await self._connection.execute(_CREATE, {**scope, "id": new, "now": now})).scalar_one()
        if made != new:  # it was there under that number, perhaps without a contact
            self._events.append(windows.updated(account_id, made, Cause.CONTACT))
        return ConversationId(made), made == new

    async def _contact(self, account_id: AccountId, to: Address) -> tuple[UUID, str]:
        """The contact of `to`, whatever the form it is known in, and what it is shown under; made if there is none."""
        portfolio = (await self._connection.execute(_PORTFOLIO, {"account_id": account_id})).scalar_one_or_none()
        with database_errors():
            people = await identities.resolve(
                self._connection, [Sighting(portfolio=portfolio or "", address=to, at=None)]
            )
            self._events += people.news.told.values()
            self._events += await threads.renamed(self._connection, people.news.renamed)
        (contact,) = people.contacts
        return contact, people.numbers[contact]

    async def mark(
        self,
        reach: Reach,
        conversation_id: ConversationId,
        *,
        is_read: bool | None = None,
        is_favorite: bool | None = None,
    ) -> ConversationRow | None:
        values = {
            "id": conversation_id,
            "everywhere": reach.everywhere,
            "accounts": list(reach.accounts),
            "is_read": is_read,
            "is_favorite": is_favorite,
        }
        row = (await self._connection.execute(_MARK, values)).one_or_none()
        return None if row is None else row_of(row)

    async def contact_name(self, account_id: AccountId, conversation_id: ConversationId) -> str | None:
        (name,) = await self._row(_CONTACT_NAME, account_id, conversation_id)
        return None if name is None else str(name)

    async def switch_bot(self, account_id: AccountId, conversation_id: ConversationId, mode: Mode) -> ConversationRow:
        switches = {"enabled": mode is Mode.AUTO, "suggests": mode is Mode.SUGGEST}
        return row_of(await self._row(_SWITCH, account_id, conversation_id, **switches))

    async def assign(
        self, account_id: AccountId, conversation_id: ConversationId, assignee_id: UserId | None, now: datetime
    ) -> ConversationRow:
        takes_over = assignee_id is not None
        values = {"assignee_id": assignee_id, "now": now, "takes_over": takes_over}
        return row_of(await self._row(_ASSIGN, account_id, conversation_id, **values))

    async def hand_over(
        self, account_id: AccountId, conversation_id: ConversationId, reason: str, now: datetime, *, switch_off: bool
    ) -> None:
        await self._row(_HAND_OVER, account_id, conversation_id, reason=reason, now=now, switch_off=switch_off)

    async def take_back(self, account_id: AccountId, conversation_id: ConversationId) -> None:
        """Without effect while the bot is switched off: then nobody but a person can go on."""
        await self._row(_TAKE_BACK, account_id, conversation_id)

    async def _row(
        self,
        statement: TextClause,
        account_id: AccountId,
        conversation_id: ConversationId,
        **values: str | bool | datetime | UUID | None,
    ) -> tuple[Any, ...]:
        scope = {"id": conversation_id, "account_id": account_id}
        row = (await self._connection.execute(statement, {**scope, **values})).one_or_none()
        if row is None:
            raise ConversationNotFound
        return tuple(row)


def row_of(row: Sequence[Any]) -> ConversationRow:
    """From the columns of `ROW_COLUMNS`."""
    *columns, preferences = row
    return ConversationRow(*(*columns, preferences_of(preferences)))


def preferences_of(stored: str | None) -> dict[str, str]:
    """From the JSON of `ROW_COLUMNS`, which is there for few."""
    return {} if stored is None else _PREFERENCES.decode(stored)


def line_of(row: AnyRow | Sequence[Any]) -> ConversationItem:
    """From the columns of `LINES`."""
    *columns, preferences, display_name, number = row
    contact = None if number is None else ContactName(display_name, number)
    return ConversationItem(*(*columns, preferences_of(preferences), contact))
