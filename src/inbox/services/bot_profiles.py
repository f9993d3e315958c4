"""What the assistant knows of each account. The next turn knows what was written last, in every process."""

from typing import Final

from inbox.domain.access import Actor, Permission
from inbox.domain.bot_profile import Profile
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.ports.database import Database
from inbox.ports.views import BotProfileRow
from inbox.services.rights import Rights, require_at

_PROFILE_SECONDS: Final = 300.0


class BotProfiles:
    """Every method that names an actor raises `AccountNotFound` and `PermissionDenied`."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def get(self, actor: Actor, account_id: AccountId) -> BotProfileRow:
        """The stored profile, or an empty one."""
        await require_at(self._database, actor, Permission.SETTINGS_MANAGE, account_id)
        return await self._known(account_id)

    async def of(self, account_id: AccountId) -> Profile:
        """What the assistant is told. Raises `AccountNotFound`."""
        row = await self._known(account_id)
        return Profile(**{name: getattr(row, name) for name in Profile.__struct_fields__})

    async def replace(self, actor: Actor, profile: Profile, *, keeps_behaviour: bool = False) -> BotProfileRow:
        """Replaces the whole profile of `profile.account_id`; it counts from the next turn on.

        `keeps_behaviour` leaves alone how the assistant behaves: front ends of before do not know of it.
        """
        await require_at(self._database, actor, Permission.SETTINGS_MANAGE, profile.account_id)
        async with self._rights.changing(), self._database.transaction() as tx:
            await tx.change_rights()
            await tx.bot.put_profile(profile, keeps_behaviour=keeps_behaviour)
        return await self._known(profile.account_id)

    async def _known(self, account_id: AccountId) -> BotProfileRow:
        async def load() -> BotProfileRow:
            row = await self._database.queries.bot_profile(account_id)
            if row is None:
                raise AccountNotFound
            return row

        return await self._rights.remembered("bot_profile", account_id, load, ttl=_PROFILE_SECONDS)
