"""WhatsApp accounts. Here alone their tokens are sealed and opened."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.domain.accounts import Account, Channel, NewAccount
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.kit.sealing import Sealer

TABLE: Final = "whatsapp_accounts"
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - the name of a column
VERIFY_TOKEN: Final = "verify_token"  # noqa: S105 - the name of a column, and the purpose of its digest

_ADD: Final = text("""
insert into whatsapp_accounts (id, name, slug, phone_number, phone_number_id, waba_id, is_active,
                               access_token_sealed, verify_token_sealed, verify_token_digest)
values (:id, :name, :slug, :phone_number, :phone_number_id, :waba_id, true,
        :access_token_sealed, :verify_token_sealed, :verify_token_digest)
""")

# Sealing needs the id, so the row comes first. The update that changes nothing makes a second starting process wait.
_CLAIM_SLUG: Final = text("""
insert into whatsapp_accounts (id, name, slug, phone_number_id, is_active)
values (:id, :name, :slug, :phone_number_id, true)
on conflict (slug) do update set slug = excluded.slug
returning id
""")

_OVERWRITE: Final = text("""
update whatsapp_accounts
set phone_number = coalesce(:phone_number, phone_number), phone_number_id = :phone_number_id,
    waba_id = coalesce(:waba_id, waba_id), access_token_sealed = :access_token_sealed,
    verify_token_sealed = :verify_token_sealed, verify_token_digest = :verify_token_digest,
    paused_at = null, paused_reason = null
where id = :id
""")

_GET: Final = text("""
select id, name, slug, phone_number, phone_number_id, is_active, paused_at, paused_reason
from whatsapp_accounts where id = :id
""")

_CHANNEL: Final = text("select phone_number_id, access_token_sealed, waba_id from whatsapp_accounts where id = :id")


class PostgresAccounts:
    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def add(self, account_id: AccountId, new: NewAccount) -> None:
        """An empty token is stored as none."""
        values = {"name": new.name, "slug": new.slug, **self._values(account_id, new)}
        with database_errors():
            await self._connection.execute(_ADD, values)

    async def put_default(self, account_id: AccountId, new: NewAccount) -> AccountId:
        """The tokens may be new, so a pause ends. Name, activity and an unset phone number of an old row stay."""
        claim = {"id": account_id, "name": new.name, "slug": new.slug, "phone_number_id": new.phone_number_id}
        with database_errors():
            stored: UUID = (await self._connection.execute(_CLAIM_SLUG, claim)).scalar_one()
            await self._connection.execute(_OVERWRITE, self._values(stored, new))
        return AccountId(stored)

    async def get(self, account_id: AccountId) -> Account | None:
        row = (await self._connection.execute(_GET, {"id": account_id})).one_or_none()
        return None if row is None else Account(**row._asdict())

    async def channel(self, account_id: AccountId) -> Channel:
        row = (await self._connection.execute(_CHANNEL, {"id": account_id})).one_or_none()
        if row is None:
            raise AccountNotFound
        return channel(self._sealer, account_id, row.phone_number_id, row.access_token_sealed, row.waba_id)

    def _values(self, account_id: UUID, new: NewAccount) -> dict[str, Any]:
        def sealed(column: str, token: str) -> bytes | None:
            return self._sealer.seal(token, table=TABLE, column=column, row_id=account_id) if token else None

        return {
            "id": account_id,
            "phone_number": new.phone_number,
            "phone_number_id": new.phone_number_id,
            "waba_id": new.waba_id,
            "access_token_sealed": sealed(ACCESS_TOKEN, new.access_token),
            "verify_token_sealed": sealed(VERIFY_TOKEN, new.verify_token),
            "verify_token_digest": self._sealer.digest(new.verify_token, VERIFY_TOKEN) if new.verify_token else None,
        }


def channel(
    sealer: Sealer, account_id: AccountId, phone_number_id: str, sealed_token: bytes | None, waba_id: str | None
) -> Channel:
    """The channel of an account from its stored row. Raises `SecretUnreadable`."""
    token = sealer.open(sealed_token, table=TABLE, column=ACCESS_TOKEN, row_id=account_id) if sealed_token else None
    return Channel(account_id=account_id, phone_number_id=phone_number_id, access_token=token, waba_id=waba_id)
