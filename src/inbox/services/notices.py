"""What Meta said about accounts, for those who look after them."""

from inbox.domain.access import Actor, Permission
from inbox.domain.ids import AccountId
from inbox.ports.database import Database
from inbox.ports.queries import Before
from inbox.ports.views import NoticeItem
from inbox.services.rights import Rights, require_at


class Notices:
    """Newest first."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def of_account(
        self, actor: Actor, account_id: AccountId, *, limit: int, before: Before | None
    ) -> list[NoticeItem]:
        """Raises `AccountNotFound` and `PermissionDenied`."""
        await require_at(self._database, actor, Permission.ACCOUNTS_VIEW, account_id)
        rows = await self._database.queries.notices_of(account_id, limit=limit, before=before)
        if not rows:
            await self._rights.require_account(account_id)
        return rows

    async def of_all(self, actor: Actor, *, limit: int, before: Before | None) -> list[NoticeItem]:
        """Those of nobody's account too; not those of accounts that the caller is denied. Raises `PermissionDenied`."""
        actor.require_everywhere(Permission.SETTINGS_MANAGE)
        reach = actor.reach(Permission.SETTINGS_MANAGE)
        return await self._database.queries.notices(reach, limit=limit, before=before)
