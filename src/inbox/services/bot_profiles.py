"""What the assistant knows of each account. The next turn knows what was written last, in every process."""

import asyncio
from typing import Final, Protocol

from inbox.domain.access import Actor, Permission
from inbox.domain.bot_profile import Profile
from inbox.domain.errors import AccountNotFound, Invalid
from inbox.domain.ids import AccountId
from inbox.ports.database import Database
from inbox.ports.views import BotProfileRow
from inbox.services.rights import Rights, require_at

_PROFILE_SECONDS: Final = 300.0
_LOOK_UP_SECONDS: Final = 3.0
"""For what the vendor says of a model: somebody waits for their profile to be saved."""


class Models(Protocol):
    """Who knows which models there are."""

    async def knows(self, model: str) -> bool | None:
        """As `Assistant.knows`."""
        ...


class BotProfiles:
    """Every method that names an actor raises `AccountNotFound` and `PermissionDenied`."""

    def __init__(self, database: Database, rights: Rights, models: Models | None = None) -> None:
        """Without `models` any name of a model is stored."""
        self._database = database
        self._rights = rights
        self._models = models

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

        `keeps_behaviour` leaves alone how the assistant behaves: front ends of before do not know of it. Raises
        `Invalid` for a model that the vendor says there is not; what it cannot say now shows in the next turn.
        """
        await require_at(self._database, actor, Permission.SETTINGS_MANAGE, profile.account_id)
        if not keeps_behaviour:
            await self._check_model(profile)
        async with self._rights.changing(), self._database.transaction() as tx:
            await tx.change_rights()
            await tx.bot.put_profile(profile, keeps_behaviour=keeps_behaviour)
        return await self._known(profile.account_id)

    async def _check_model(self, profile: Profile) -> None:
        model = profile.behaviour.model
        if self._models is None or model is None:
            return
        if model == (await self._known(profile.account_id)).behaviour.model:
            return  # another part of the profile can be changed also while a model is gone
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                is_there = await self._models.knows(model)
        except TimeoutError:
            return
        if is_there is False:
            raise Invalid("body.behaviour.model", "no model that answers prompts, or not for our key")

    async def _known(self, account_id: AccountId) -> BotProfileRow:
        async def load() -> BotProfileRow:
            row = await self._database.queries.bot_profile(account_id)
            if row is None:
                raise AccountNotFound
            return row

        return await self._rights.remembered("bot_profile", account_id, load, ttl=_PROFILE_SECONDS)
