"""What the assistant knows of each account. Nothing of it is remembered: the next turn reads what was written last."""

from inbox.domain.access import Actor, Permission
from inbox.domain.bot import Profile, TemplateConfig
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.ports.database import Database
from inbox.ports.views import BotProfileRow
from inbox.services.rights import require_at


class BotProfiles:
    """Every method raises `AccountNotFound` and `PermissionDenied`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, actor: Actor, account_id: AccountId) -> BotProfileRow:
        """The stored profile, or an empty one."""
        await require_at(self._database, actor, Permission.SETTINGS_MANAGE, account_id)
        row = await self._database.queries.bot_profile(account_id)
        if row is not None:
            return row
        if not await self._database.queries.account_exists(account_id):
            raise AccountNotFound
        return BotProfileRow(
            account_id=account_id,
            business_name="",
            description="",
            address="",
            hours="",
            knowledge_base="",
            custom_fields=[],
            template_config=TemplateConfig(),
        )

    async def replace(self, actor: Actor, profile: Profile) -> BotProfileRow:
        """Replaces the whole profile of `profile.account_id`; it counts from the next turn on."""
        await require_at(self._database, actor, Permission.SETTINGS_MANAGE, profile.account_id)
        async with self._database.transaction() as tx:
            await tx.bot.put_profile(profile)
        return await self.get(actor, profile.account_id)
