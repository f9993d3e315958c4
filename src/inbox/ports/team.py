"""Reads about people, programs and what they may do. One statement each, committed by itself.

All methods raise `DatabaseUnavailable` and `DatabaseTimeout`.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Final, Protocol, TypeVar
from uuid import UUID

import msgspec

from inbox.domain.access import Actor, Subject
from inbox.domain.ids import UserId
from inbox.ports.queries import Before
from inbox.ports.views import ApiKeyItem, AuditItem, Me, PermissionItem, RoleRow, UserRow

RIGHTS_SECONDS: Final = 1.0
"""A right that was taken away is used no longer than this by any process, whatever gets lost on the way."""


T = TypeVar("T")


class LiveKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key that counts, until `expires_at` if it has an end."""

    id: UUID
    expires_at: datetime | None


class Remembering(Protocol):
    async def remembered(self, family: str, key: object, load: Callable[[], Awaitable[T]], *, ttl: float) -> T:
        """What `load` reads about the team, `ttl` seconds long, and never after a change of it was answered."""
        ...


class Team(Protocol):
    async def actor(self, subject: Subject) -> Actor | None:
        """The caller with every grant that speaks about them; None for a person without a row.

        For an API key the grants are its own. One that was revoked is not active; one that is unknown is None.
        """
        ...

    async def actors(self, subjects: Collection[Subject]) -> dict[Subject, Actor]:
        """The same of several callers, in as few statements as possible; who has no row is missing."""
        ...

    async def me(self, actor: Actor) -> Me:
        """What front ends show of `actor`. Raises `UserNotFound` if the row went away meanwhile."""
        ...

    async def rights_version(self) -> int:
        """A number that rises with every change of rights. At most 0.5 s."""
        ...

    async def permissions(self) -> list[PermissionItem]:
        """By code."""
        ...

    async def roles(self) -> list[RoleRow]:
        """By name, then id; the permissions of each sorted."""
        ...

    async def users(self) -> list[UserRow]:
        """With roles and overrides, by `created_at`, then id."""
        ...

    async def api_keys(self) -> list[ApiKeyItem]:
        """Newest first; revoked ones too."""
        ...

    async def api_key(self, digest: bytes, now: datetime) -> LiveKey | None:
        """The key with this digest (SHA-256) that is neither revoked nor expired; its use is noted each minute."""
        ...

    async def audit(self, *, limit: int, before: Before | None, action: str | None) -> list[AuditItem]:
        """Newest first by (at, id); `action` keeps one word only, or all that begin with it and a dot."""
        ...

    async def is_member(self, user_id: UserId) -> bool: ...
