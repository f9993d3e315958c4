"""Reads for screens: autocommitted, one statement each, in the shape that is shown."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import text

from inbox.adapters.database.postgres.accounts import APP_SECRET, TABLE, VERIFY_TOKEN
from inbox.adapters.database.postgres.bot import SHOWN_PROFILE, shown_profile
from inbox.adapters.database.postgres.bubbles import bubble_of, bubbles
from inbox.adapters.database.postgres.contacts import CONTACTS, item_of, matching
from inbox.adapters.database.postgres.conversations import LINES, ROW_COLUMNS, line_of, row_of
from inbox.adapters.database.postgres.notices import NoticeQueries
from inbox.adapters.database.postgres.reading import AnyRow, Reader, position
from inbox.adapters.database.postgres.templates import TemplateQueries
from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Reach
from inbox.domain.ids import AccountId, ConversationId, MessageId
from inbox.kit.sealing import Sealer
from inbox.ports.queries import Assignee, Before
from inbox.ports.records import AppSecret, Owner, Window
from inbox.ports.templates import TemplateFilter, TemplateRow
from inbox.ports.views import (
    AccountItem,
    BotProfileRow,
    ContactItem,
    ConversationItem,
    ConversationRow,
    MediaRow,
    MessageItem,
    NoticeItem,
    Outcome,
    ScheduledItem,
    StoredFile,
)

PING_SECONDS: Final = 2.0

_NO_TOKENS: Final = frozenset({"", "legacy-verify"})
"""What no handshake may present: nothing, and the word that scripts of the existing system gave their dummy account."""

# `(account = any(:accounts)) <> :everywhere` is a `Reach`: all accounts but these, or these only.
ACCOUNTS: Final = text("""
select id, name, slug, phone_number, phone_number_id, read_receipts, typing_indicators from whatsapp_accounts
where is_active and (id = any(:accounts)) <> :everywhere
order by name, id
""")
_ACTIVE_IDS: Final = text("select id from whatsapp_accounts where is_active order by id")
_ACCOUNT_EXISTS: Final = text("select exists (select from whatsapp_accounts where id = :account_id)")
_EXISTING: Final = text("select id from whatsapp_accounts where id = any(:account_ids)")
_BY_VERIFY_TOKEN: Final = text("""
select id from whatsapp_accounts where verify_token_digest = any(:digests) order by id limit 1
""")
# Deliveries for accounts that are not active are taken too.
_APP_SECRETS: Final = text("""
select id, phone_number_id, waba_id, app_secret_sealed
from whatsapp_accounts where app_secret_sealed is not null order by id
""")
_OWNER: Final = text("select account_id, id from conversations where id = :id")
_OWNERS: Final = text("select account_id, id from conversations where id = any(:ids)")

_OLDER: Final = "(c.updated_at, c.id) < (:at, :id) order by c.updated_at desc, c.id desc limit :limit"
CONVERSATIONS: Final = text(f"{LINES} where c.account_id = :account_id and {_OLDER}")
ASSIGNED: Final = text(f"{LINES} where c.account_id = :account_id and c.assignee_id = :assignee and {_OLDER}")
UNASSIGNED: Final = text(f"{LINES} where c.account_id = :account_id and c.assignee_id is null and {_OLDER}")

CONVERSATION: Final = text(f"""
select {ROW_COLUMNS} from conversations c where c.id = :id and c.account_id = :account_id
""")  # noqa: S608 - column names of ours

_WINDOW: Final = text("""
select last_inbound_at, window_expires_at from conversations
where id = :id and (account_id = any(:accounts)) <> :everywhere
""")

_PAGE: Final = bubbles(
    "conversations c",
    """(m."timestamp", m.id) < (:at, :id)
order by m."timestamp" desc, m.id desc
limit :limit""",
)
# One row without a message for an empty conversation, none for one out of reach.
MESSAGES: Final = text(f"""{_PAGE}
where c.id = :conversation_id and (c.account_id = any(:accounts)) <> :everywhere
""")

# One row without a message for a conversation in which nothing waits, none for one out of reach.
_SCHEDULED: Final = text(f"""
select m.id, m.conversation_id, {shown("o.send_at")} as scheduled_at, {shown('m."timestamp"')} as "timestamp",
       m.message_type, m.content_text, m.content::text as content, m.client_id, m.reply_to_wamid
from conversations c
left join (outbox o join messages m on m.id = o.id)
  on o.conversation_id = c.id and o.account_id = c.account_id and o.state = 'scheduled'
where c.id = :conversation_id and (c.account_id = any(:accounts)) <> :everywhere
order by o.send_at, m.id
""")  # noqa: S608 - a constant of ours

# Old messages have no account and are reached through their conversation; broken ones have neither.
_OF_A_MESSAGE: Final = """
from messages m left join conversations c
  on c.id = m.conversation_id and (m.account_id = c.account_id or m.account_id is null)
"""
# A file that the customer took back with its message stays in the store for nobody.
_OWNER_OF_MESSAGE: Final = text(f"select c.account_id, c.id {_OF_A_MESSAGE} where m.id = :id and c.id is not null")
MEDIA: Final = text(f"""
select coalesce(c.account_id, m.account_id) as account_id, c.id as conversation_id, m.message_type, m.media_id,
       m.media_mime_type as mime_type, m.media_filename as filename,
       f.size, f.mime_type as stored_type, encode(f.sha256, 'hex') as sha256, f.upload_id
{_OF_A_MESSAGE} left join media_files f on f.message_id = m.id and f.state = 'stored' and m.revoked_at is null
where m.id = :id and coalesce(coalesce(c.account_id, m.account_id) = any(:accounts), false) <> :everywhere
""")

# Messages without a row in the outbox were not sent from here, or by the existing system. The bucket of a number that
# only takes turns is never two seconds ahead: such a number rests.
_OUTCOME: Final = text("""
select m.id,
       coalesce(o.state, case when m.status in ('sent', 'delivered', 'read', 'failed') then m.status
                              when m.status = 'pending' then 'queued' else 'sent' end) as state,
       coalesce(o.state = 'queued' and l.attempts = 0 and (l.retries > 0 or exists (
         select from number_paces p where p.account_id = o.account_id and p.free_at > now() + interval '2 s'
       )), false) as is_postponed,
       coalesce(o.wamid, m.wa_message_id) as wamid, m.error_code, m.error_message, o.reason
from messages m left join outbox o on o.id = m.id and o.account_id = :account_id
left join lanes l on l.kind = 'send' and l.key = o.conversation_id::text
where m.id = :id and m.account_id = :account_id and m.direction = 'outbound'
""")

_PING: Final = text("select 1")


class PostgresQueries:
    """Every method raises `DatabaseUnavailable`, `DatabaseTimeout`."""

    def __init__(self, reader: Reader, sealer: Sealer) -> None:
        self._read = reader
        self._notices = NoticeQueries(reader)
        self._templates = TemplateQueries(reader)
        self._sealer = sealer

    async def accounts(self, reach: Reach) -> list[AccountItem]:
        return [AccountItem(*row) for row in await self._read.rows(ACCOUNTS, **_within(reach))]

    async def active_account_ids(self) -> list[AccountId]:
        return [row.id for row in await self._read.rows(_ACTIVE_IDS)]

    async def account_exists(self, account_id: AccountId) -> bool:
        row = await self._read.row(_ACCOUNT_EXISTS, account_id=account_id)
        return row is not None and bool(row[0])

    async def existing_accounts(self, account_ids: Collection[AccountId]) -> set[AccountId]:
        return {row.id for row in await self._read.rows(_EXISTING, account_ids=list(account_ids))}

    async def owner_of_conversation(self, conversation_id: ConversationId) -> Owner | None:
        row = await self._read.row(_OWNER, id=conversation_id)
        return None if row is None else Owner(account_id=row.account_id, conversation_id=row.id)

    async def owners_of(self, conversation_ids: Collection[ConversationId]) -> list[Owner]:
        rows = await self._read.rows(_OWNERS, ids=list(conversation_ids))
        return [Owner(account_id=row.account_id, conversation_id=row.id) for row in rows]

    async def conversations(
        self, account_id: AccountId, *, limit: int, before: Before | None, assignee: Assignee = UNSET
    ) -> list[ConversationItem]:
        scope = {"account_id": account_id, "limit": limit, **position(before)}
        if isinstance(assignee, UnsetType):
            rows = await self._read.rows(CONVERSATIONS, **scope)
        elif assignee is None:
            rows = await self._read.rows(UNASSIGNED, **scope)
        else:
            rows = await self._read.rows(ASSIGNED, **scope, assignee=assignee)
        return [line_of(row) for row in rows]

    async def conversation(self, account_id: AccountId, conversation_id: ConversationId) -> ConversationRow | None:
        row = await self._read.row(CONVERSATION, account_id=account_id, id=conversation_id)
        return None if row is None else row_of(row)

    async def window(self, reach: Reach, conversation_id: ConversationId) -> Window | None:
        row = await self._read.row(_WINDOW, id=conversation_id, **_within(reach))
        if row is None:
            return None
        return Window(last_inbound_at=row.last_inbound_at, expires_at=row.window_expires_at)

    async def messages(
        self, reach: Reach, conversation_id: ConversationId, *, limit: int, before: Before | None
    ) -> list[MessageItem] | None:
        scope = {"conversation_id": conversation_id, "limit": limit, **position(before)}
        rows = await self._read.rows(MESSAGES, **scope, **_within(reach))
        found = [bubble_of(row) for row in rows if row.id is not None]
        # The join promises no order, although it keeps that of its inner side.
        return sorted(found, key=lambda item: (item.timestamp, item.id)) if rows else None

    async def scheduled(self, reach: Reach, conversation_id: ConversationId) -> list[ScheduledItem] | None:
        rows = await self._read.rows(_SCHEDULED, conversation_id=conversation_id, **_within(reach))
        return [_waiting(row) for row in rows if row.id is not None] if rows else None

    async def contacts(self, search: str | None, *, limit: int, before: Before | None) -> list[ContactItem]:
        rows = await self._read.rows(CONTACTS, **matching(search), limit=limit, **position(before))
        return [item_of(row) for row in rows]

    async def notices_of(self, account_id: AccountId, *, limit: int, before: Before | None) -> list[NoticeItem]:
        return await self._notices.of_account(account_id, limit=limit, before=before)

    async def notices(self, reach: Reach, *, limit: int, before: Before | None) -> list[NoticeItem]:
        return await self._notices.within(reach, limit=limit, before=before)

    async def templates(
        self, account_id: AccountId, wanted: TemplateFilter, *, limit: int, before: Before | None
    ) -> list[TemplateRow]:
        return await self._templates.within(account_id, wanted, limit=limit, before=before)

    async def template(self, account_id: AccountId, template_id: UUID) -> TemplateRow | None:
        return await self._templates.one(account_id, template_id)

    async def templates_synced_at(self, account_id: AccountId) -> datetime | None:
        return await self._templates.synced_at(account_id)

    async def bot_profile(self, account_id: AccountId) -> BotProfileRow | None:
        row = await self._read.row(SHOWN_PROFILE, account_id=account_id)
        return None if row is None else shown_profile(row)

    async def owner_of_message(self, message_id: MessageId) -> Owner | None:
        row = await self._read.row(_OWNER_OF_MESSAGE, id=message_id)
        return None if row is None else Owner(account_id=row.account_id, conversation_id=row.id)

    async def media(self, reach: Reach, message_id: MessageId) -> MediaRow | None:
        row = await self._read.row(MEDIA, id=message_id, **_within(reach))
        if row is None:
            return None
        fields = row._asdict()
        size, mime_type, sha256 = (fields.pop(name) for name in ("size", "stored_type", "sha256"))
        stored = None if size is None else StoredFile(size=size, mime_type=mime_type, sha256=sha256)
        return MediaRow(**fields, stored=stored)

    async def outcome(self, account_id: AccountId, message_id: MessageId) -> Outcome | None:
        row = await self._read.row(_OUTCOME, account_id=account_id, id=message_id)
        return None if row is None else Outcome(**row._asdict())

    async def account_by_verify_token(self, token: str) -> AccountId | None:
        if token in _NO_TOKENS:
            return None
        row = await self._read.row(_BY_VERIFY_TOKEN, digests=self._sealer.digests(token, VERIFY_TOKEN))
        return None if row is None else AccountId(row.id)

    async def app_secrets(self) -> list[AppSecret]:
        rows = await self._read.rows(_APP_SECRETS)
        opened = (
            self._sealer.open(row.app_secret_sealed, table=TABLE, column=APP_SECRET, row_id=row.id) for row in rows
        )
        return [
            AppSecret(phone_number_id=row.phone_number_id, secret=secret.encode(), waba_id=row.waba_id)
            for row, secret in zip(rows, opened, strict=True)
        ]

    async def ping(self) -> None:
        await self._read.rows(_PING, PING_SECONDS)


def _within(reach: Reach) -> dict[str, bool | list[AccountId]]:
    return {"everywhere": reach.everywhere, "accounts": list(reach.accounts)}


def _waiting(row: AnyRow) -> ScheduledItem:
    return ScheduledItem(**{**row._asdict(), "content": msgspec.Raw(row.content.encode())})
