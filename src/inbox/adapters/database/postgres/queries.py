"""Reads for screens: autocommitted, one statement each, in the shape that is shown."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from inbox.adapters.database.postgres.accounts import VERIFY_TOKEN
from inbox.adapters.database.postgres.conversations import ROW_COLUMNS
from inbox.adapters.database.postgres.engine import autocommit, database_errors
from inbox.adapters.database.postgres.old_rows import OLD_TEXT, readable
from inbox.adapters.database.postgres.queries_members import ACTOR, ME, AnyRow, actor_of, me_of
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Actor, Permission
from inbox.domain.errors import UserNotFound
from inbox.domain.ids import AccountId, ConversationId, MessageId, UserId
from inbox.kit.sealing import Sealer
from inbox.ports.records import Owner
from inbox.ports.views import AccountItem, ContactName, ConversationItem, ConversationRow, Me, MessageItem, Outcome

QUERY_SECONDS: Final = 5.0
PING_SECONDS: Final = 2.0

_NO_TOKENS: Final = frozenset({"", "legacy-verify"})
"""What no handshake may present: nothing, and the word that scripts of the existing system gave their dummy account."""

_NEWEST: Final = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=0))
_NO_ID: Final = UUID(int=0)
"""Below every id: (time, id) < (t, _NO_ID) is time < t."""

ACCOUNTS: Final = text("""
select id, name, slug, phone_number, phone_number_id from whatsapp_accounts where is_active order by name, id
""")
_ACTIVE_IDS: Final = text("select id from whatsapp_accounts where is_active order by id")
_ACCOUNT_EXISTS: Final = text("select exists (select from whatsapp_accounts where id = :account_id)")
_BY_VERIFY_TOKEN: Final = text("""
select id from whatsapp_accounts where verify_token_digest = any(:digests) order by id limit 1
""")
_OWNER: Final = text("select account_id, id from conversations where id = :id")

CONVERSATIONS: Final = text(f"""
select {ROW_COLUMNS}, contact.display_name, contact.whatsapp_number
from conversations c left join contacts contact on contact.id = c.contact_id
where c.account_id = :account_id and (c.updated_at, c.id) < (:at, :id)
order by c.updated_at desc, c.id desc
limit :limit
""")  # noqa: S608 - column names of ours

CONVERSATION: Final = text(f"""
select {ROW_COLUMNS} from conversations c where c.id = :id and c.account_id = :account_id
""")  # noqa: S608 - column names of ours

# Old rows may have any word, or none, as status, and no account: they are reached through their conversation.
MESSAGES: Final = text(f"""
select m.id, m.conversation_id, case when m.direction = 'outbound' then 'outbound' else 'inbound' end as direction,
       m.content_text, {shown('m."timestamp"')} as "timestamp", m.wa_message_id, m.message_type,
       case when m.status is null then null
            when m.direction <> 'outbound' then 'received'
            when m.status in ('pending', 'sent', 'delivered', 'read', 'failed') then m.status
            else 'sent' end as status,
       m.media_id, m.media_mime_type, m.media_filename, m.error_message, m.author as actor, m.client_id,
       o.state as delivery_state,
       {OLD_TEXT} as is_old
from messages m left join outbox o on o.id = m.id and o.account_id = :account_id
where m.conversation_id = (select id from conversations where id = :conversation_id and account_id = :account_id)
  and (m.account_id = :account_id or m.account_id is null)
  and (m."timestamp", m.id) < (:at, :id)
order by m."timestamp" desc, m.id desc
limit :limit
""")  # noqa: S608 - a constant of ours

# Messages without a row in the outbox were not sent from here, or by the existing system.
_OUTCOME: Final = text("""
select m.id,
       coalesce(o.state, case when m.status in ('sent', 'delivered', 'read', 'failed') then m.status
                              when m.status = 'pending' then 'queued' else 'sent' end) as state,
       coalesce(o.wamid, m.wa_message_id) as wamid, m.error_code, m.error_message, o.reason
from messages m left join outbox o on o.id = m.id and o.account_id = :account_id
where m.id = :id and m.account_id = :account_id and m.direction = 'outbound'
""")

_PING: Final = text("select 1")


class PostgresQueries:
    """Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = autocommit(engine)
        self._sealer = sealer

    async def actor(self, user_id: UserId) -> Actor | None:
        row = await self._row(ACTOR, user_id=user_id)
        return None if row is None else actor_of(row)

    async def me(self, actor: Actor) -> Me:
        """Raises `UserNotFound` if the row went away meanwhile."""
        row = await self._row(ME, user_id=actor.user_id)
        if row is None:
            raise UserNotFound
        return me_of(actor, row)

    async def accounts(self, actor: Actor) -> list[AccountItem]:
        rows = await self._rows(ACCOUNTS)
        return [AccountItem(*row) for row in rows if actor.may(Permission.ACCOUNTS_VIEW, row.id)]

    async def active_account_ids(self) -> list[AccountId]:
        return [row.id for row in await self._rows(_ACTIVE_IDS)]

    async def account_exists(self, account_id: AccountId) -> bool:
        row = await self._row(_ACCOUNT_EXISTS, account_id=account_id)
        return row is not None and bool(row[0])

    async def owner_of_conversation(self, conversation_id: ConversationId) -> Owner | None:
        row = await self._row(_OWNER, id=conversation_id)
        return None if row is None else Owner(account_id=row.account_id, conversation_id=row.id)

    async def conversations(
        self, account_id: AccountId, *, limit: int, before: tuple[datetime, UUID | None] | None
    ) -> list[ConversationItem]:
        rows = await self._rows(CONVERSATIONS, account_id=account_id, limit=limit, **_position(before))
        return [_line(row) for row in rows]

    async def conversation(self, account_id: AccountId, conversation_id: ConversationId) -> ConversationRow | None:
        row = await self._row(CONVERSATION, account_id=account_id, id=conversation_id)
        return None if row is None else ConversationRow(*row)

    async def messages(
        self,
        account_id: AccountId,
        conversation_id: ConversationId,
        *,
        limit: int,
        before: tuple[datetime, UUID | None] | None,
    ) -> list[MessageItem]:
        scope = {"account_id": account_id, "conversation_id": conversation_id}
        rows = await self._rows(MESSAGES, **scope, limit=limit, **_position(before))
        return [_bubble(row) for row in reversed(rows)]

    async def outcome(self, account_id: AccountId, message_id: MessageId) -> Outcome | None:
        row = await self._row(_OUTCOME, account_id=account_id, id=message_id)
        return None if row is None else Outcome(**row._asdict())

    async def account_by_verify_token(self, token: str) -> AccountId | None:
        if token in _NO_TOKENS:
            return None
        row = await self._row(_BY_VERIFY_TOKEN, digests=self._sealer.digests(token, VERIFY_TOKEN))
        return None if row is None else AccountId(row.id)

    async def ping(self) -> None:
        await self._rows(_PING, PING_SECONDS)

    async def _row(self, statement: TextClause, **values: Any) -> AnyRow | None:  # noqa: ANN401 - bound values
        rows = await self._rows(statement, **values)
        return rows[0] if rows else None

    async def _rows(
        self,
        statement: TextClause,
        within: float = QUERY_SECONDS,
        /,
        **values: Any,  # noqa: ANN401 - bound values
    ) -> Sequence[AnyRow]:
        """`within` is the limit in seconds for all of it, the wait for a connection included."""
        with database_errors():
            async with asyncio.timeout(within), self._engine.connect() as connection:
                return (await connection.execute(statement, values)).all()


def _position(before: tuple[datetime, UUID | None] | None) -> dict[str, datetime | UUID]:
    at, row_id = before or _NEWEST
    return {"at": at, "id": row_id or _NO_ID}


def _line(row: AnyRow) -> ConversationItem:
    display_name, number = row[-2:]
    fields = (*row[:-2], None if number is None else ContactName(display_name, number))
    return ConversationItem(*fields)


def _bubble(row: AnyRow) -> MessageItem:
    item = MessageItem(*row[:-1])
    if row.is_old and item.content_text is not None:
        return msgspec.structs.replace(item, content_text=readable(item.message_type, item.content_text))
    return item
