"""WhatsApp accounts. Here alone their tokens are sealed and opened."""

from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres import own_secrets, paces
from inbox.adapters.database.postgres.engine import database_errors
from inbox.domain.accounts import Account, AccountChange, Channel, NewAccount
from inbox.domain.errors import AccountNotFound
from inbox.domain.events import AccountResumed, AccountStep, AccountUpdated, Event
from inbox.domain.ids import AccountId
from inbox.kit.sealing import Sealer

TABLE: Final = "whatsapp_accounts"
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - the name of a column
VERIFY_TOKEN: Final = "verify_token"  # noqa: S105 - the name of a column, and the purpose of its digest
APP_SECRET: Final = "app_secret"  # noqa: S105 - the name of a column

_ADD: Final = text("""
insert into whatsapp_accounts (id, name, slug, phone_number, phone_number_id, waba_id, is_active, read_receipts,
                               typing_indicators, access_token_sealed, verify_token_sealed, verify_token_digest,
                               app_secret_sealed)
values (:id, :name, :slug, :phone_number, :phone_number_id, :waba_id, true, :read_receipts, :typing_indicators,
        :access_token_sealed, :verify_token_sealed, :verify_token_digest, :app_secret_sealed)
""")

# Sealing needs the id, so the row comes first. The update that changes nothing makes a second starting process wait.
_CLAIM_SLUG: Final = text("""
insert into whatsapp_accounts (id, name, slug, phone_number_id, is_active)
values (:id, :name, :slug, :phone_number_id, true)
on conflict (slug) do update set slug = excluded.slug
returning id
""")

_OVERWRITE: Final = text("""
update whatsapp_accounts a
set phone_number = coalesce(:phone_number, a.phone_number), phone_number_id = :phone_number_id,
    waba_id = coalesce(:waba_id, a.waba_id), access_token_sealed = :access_token_sealed,
    verify_token_sealed = :verify_token_sealed, verify_token_digest = :verify_token_digest,
    paused_at = null, paused_reason = null
from whatsapp_accounts was
where a.id = :id and was.id = a.id
returning was.paused_at is not null as is_resumed,
          (a.phone_number, a.phone_number_id) is distinct from (was.phone_number, was.phone_number_id) as is_changed
""")

_COLUMNS: Final = (
    "id, name, slug, phone_number, phone_number_id, is_active, read_receipts, typing_indicators, paused_at, "
    "paused_reason"
)
_GET: Final = text(f"select {_COLUMNS} from whatsapp_accounts where id = :id")  # noqa: S608 - column names of ours
# Not NO KEY UPDATE: a conversation that begins holds a key share of this row, and has to wait.
_LOCK: Final = text(f"select {_COLUMNS} from whatsapp_accounts where id = :id for update")  # noqa: S608

_WRITTEN: Final = (
    *("name", "slug", "phone_number", "phone_number_id", "waba_id", "is_active"),
    *("access_token_sealed", "verify_token_sealed", "verify_token_digest", "app_secret_sealed"),
    *("read_receipts", "typing_indicators"),
)
_ASSIGNMENTS: Final = ",\n    ".join(
    f"{column} = case when '{column}' = any(cast(:named as text[])) then :{column} else {column} end"
    for column in _WRITTEN
)
_CHANGE: Final = text(f"""
update whatsapp_accounts
set {_ASSIGNMENTS},
    paused_at = case when 'access_token_sealed' = any(cast(:named as text[])) then null else paused_at end,
    paused_reason = case when 'access_token_sealed' = any(cast(:named as text[])) then null else paused_reason end
where id = :id
returning id
""")  # noqa: S608 - column names of ours

# Messages of the existing system may lie outside of any conversation.
_IS_USED: Final = text("""
select exists (select from conversations where account_id = :id)
    or exists (select from messages where account_id = :id)
""")
_REMOVE_ROLES: Final = text("delete from app_user_roles where account_id = :id")
_REMOVE_OVERRIDES: Final = text("delete from app_user_overrides where account_id = :id")
_REMOVE: Final = text("delete from whatsapp_accounts where id = :id")
"""The bot profile and the grants of API keys go with the row."""

_CHANNEL: Final = text("select phone_number_id, access_token_sealed, waba_id from whatsapp_accounts where id = :id")


class PostgresAccounts:
    def __init__(self, connection: AsyncConnection, sealer: Sealer, events: list[Event]) -> None:
        """`events` are those that the transaction records."""
        self._connection = connection
        self._sealer = sealer
        self._events = events

    async def add(self, account_id: AccountId, new: NewAccount) -> None:
        """An empty token is stored as none."""
        values = {
            "name": new.name,
            "slug": new.slug,
            "app_secret_sealed": self._sealed(account_id, APP_SECRET, new.app_secret),
            "read_receipts": new.read_receipts,
            "typing_indicators": new.typing_indicators,
            **self._values(account_id, new),
        }
        with database_errors():
            await self._connection.execute(_ADD, values)

    async def put_default(self, account_id: AccountId, new: NewAccount) -> AccountId:
        """The tokens may be new, so a pause ends. Name, activity and an unset phone number of an old row stay."""
        claim = {"id": account_id, "name": new.name, "slug": new.slug, "phone_number_id": new.phone_number_id}
        with database_errors():
            stored: UUID = (await self._connection.execute(_CLAIM_SLUG, claim)).scalar_one()
            realm = await own_secrets.realm(self._connection, stored)
            row = (await self._connection.execute(_OVERWRITE, self._values(stored, new))).one()
            await own_secrets.carry_over(self._connection, stored, realm)
        found = AccountId(stored)
        if found == account_id or row.is_changed:
            step = AccountStep.CREATED if found == account_id else AccountStep.CHANGED
            self._events.append(AccountUpdated(account_id=found, change=step))
        if row.is_resumed:
            self._events.append(AccountResumed(account_id=found))
        return found

    async def get(self, account_id: AccountId) -> Account | None:
        row = (await self._connection.execute(_GET, {"id": account_id})).one_or_none()
        return None if row is None else Account(**row._asdict())

    async def lock(self, account_id: AccountId) -> Account:
        row = (await self._connection.execute(_LOCK, {"id": account_id})).one_or_none()
        if row is None:
            raise AccountNotFound
        return Account(**row._asdict())

    async def change(self, account_id: AccountId, change: AccountChange) -> None:
        named = {key: value for key, value in msgspec.structs.asdict(change).items() if value is not msgspec.UNSET}
        for column in (ACCESS_TOKEN, VERIFY_TOKEN, APP_SECRET):
            if column in named:
                secret = named.pop(column)
                named[f"{column}_sealed"] = self._sealed(account_id, column, secret)
                if column == VERIFY_TOKEN:
                    named["verify_token_digest"] = self._digest(secret)
        values = {**dict.fromkeys(_WRITTEN), **named, "id": account_id, "named": list(named)}
        realm = await own_secrets.realm(self._connection, account_id) if "waba_id" in named else ""
        with database_errors():
            if (await self._connection.execute(_CHANGE, values)).one_or_none() is None:
                raise AccountNotFound
            await own_secrets.carry_over(self._connection, account_id, realm)

    async def remove(self, account_id: AccountId) -> bool:
        if (await self._connection.execute(_IS_USED, {"id": account_id})).scalar_one():
            return False
        for statement in (_REMOVE_ROLES, _REMOVE_OVERRIDES, _REMOVE):
            await self._connection.execute(statement, {"id": account_id})
        return True

    async def set_ceiling(self, account_id: AccountId, ceiling: float) -> float:
        self._events.append(AccountUpdated(account_id=account_id, change=AccountStep.LIMITS))
        return await paces.set_ceiling(self._connection, account_id, ceiling)

    async def channel(self, account_id: AccountId) -> Channel:
        row = (await self._connection.execute(_CHANNEL, {"id": account_id})).one_or_none()
        if row is None:
            raise AccountNotFound
        return channel(self._sealer, account_id, row.phone_number_id, row.access_token_sealed, row.waba_id)

    def _values(self, account_id: UUID, new: NewAccount) -> dict[str, Any]:
        return {
            "id": account_id,
            "phone_number": new.phone_number,
            "phone_number_id": new.phone_number_id,
            "waba_id": new.waba_id,
            "access_token_sealed": self._sealed(account_id, ACCESS_TOKEN, new.access_token),
            "verify_token_sealed": self._sealed(account_id, VERIFY_TOKEN, new.verify_token),
            "verify_token_digest": self._digest(new.verify_token),
        }

    def _sealed(self, account_id: UUID, column: str, secret: str | None) -> bytes | None:
        return self._sealer.seal(secret, table=TABLE, column=column, row_id=account_id) if secret else None

    def _digest(self, verify_token: str) -> bytes | None:
        return self._sealer.digest(verify_token, VERIFY_TOKEN) if verify_token else None


def channel(
    sealer: Sealer, account_id: AccountId, phone_number_id: str, sealed_token: bytes | None, waba_id: str | None
) -> Channel:
    """The channel of an account from its stored row. Raises `SecretUnreadable`."""
    token = sealer.open(sealed_token, table=TABLE, column=ACCESS_TOKEN, row_id=account_id) if sealed_token else None
    return Channel(account_id=account_id, phone_number_id=phone_number_id, access_token=token, waba_id=waba_id)
