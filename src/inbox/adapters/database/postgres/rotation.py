"""Everything that is sealed, sealed anew with the newest key, while the service runs.

No row is locked longer than one statement takes. A value is replaced only if it is still the one that was read, so that
a token which somebody sets meanwhile is never overwritten by the older one.
"""

from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inbox.adapters.database.postgres import audit
from inbox.adapters.database.postgres.accounts import ACCESS_TOKEN, APP_SECRET, TABLE, VERIFY_TOKEN
from inbox.adapters.database.postgres.engine import autocommit, database_errors
from inbox.adapters.database.postgres.local_accounts import PRIVATE_KEY, SIGNING_KEYS
from inbox.domain.audit import Action, AuditEntry
from inbox.domain.errors import SecretUnreadable
from inbox.kit.sealing import Sealer

BATCH: Final = 50
_ROUNDS: Final = 5
_BEFORE_ALL: Final = UUID(int=0)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A column of sealed values. `column` is what they are bound to; it is stored as `column`_sealed.

    `digest` is the column of the keyed digest by which a value is found.
    """

    table: str
    key: str
    column: str
    digest: str | None = None


PLACES: Final = (
    Place(table=TABLE, key="id", column=ACCESS_TOKEN),
    Place(table=TABLE, key="id", column=VERIFY_TOKEN, digest="verify_token_digest"),
    Place(table=TABLE, key="id", column=APP_SECRET),
    Place(table=SIGNING_KEYS, key="kid", column=PRIVATE_KEY),
)
"""Every place there is; a test compares them with the schema."""

_SEALED: Final = {
    place: text(f"""
select {place.key} as id, {place.column}_sealed as sealed, {place.digest or "null::bytea"} as digest
from {place.table}
where {place.key} > :after and {place.column}_sealed is not null
order by {place.key} limit :limit
""")  # noqa: S608 - names of ours
    for place in PLACES
}
_RESEAL: Final = {
    place: text(f"""
update {place.table}
set {place.column}_sealed = :sealed{f", {place.digest} = :digest" if place.digest else ""}
where {place.key} = :id and {place.column}_sealed = :old
returning 1
""")  # noqa: S608 - names of ours
    for place in PLACES
}


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation found. `resealed` counts by `table.column`; `unreadable` are sentences for the operator."""

    resealed: dict[str, int]
    unreadable: tuple[str, ...]
    is_complete: bool
    """True if a last look found nothing under an older key."""


class _Pass(msgspec.Struct):
    """What one walk over everything met."""

    old: int = 0
    resealed: dict[str, int] = msgspec.field(default_factory=dict)
    unreadable: list[str] = msgspec.field(default_factory=list)


class Rotation:
    """Idempotent; one that was interrupted is simply begun again."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer, *, batch: int = BATCH) -> None:
        self._engine = engine
        self._sealer = sealer
        self._batch = batch

    async def run(self) -> Rotated:
        """Seals anew until a walk meets nothing old, and then leaves a line in the audit trail.

        Not complete if somebody else goes on sealing with an older key, or what was sealed with one does not open.
        Raises `DatabaseUnavailable`, `DatabaseTimeout`.
        """
        resealed = {f"{place.table}.{place.column}": 0 for place in PLACES}
        for _ in range(_ROUNDS):
            walk = await self._walk()
            for name, count in walk.resealed.items():
                resealed[name] += count
            if walk.old == 0 or walk.unreadable:
                break
        is_complete = walk.old == 0 and not walk.unreadable
        if is_complete:
            await self._tell(resealed)
        return Rotated(resealed=resealed, unreadable=tuple(walk.unreadable), is_complete=is_complete)

    async def _walk(self) -> _Pass:
        walk = _Pass()
        with database_errors():
            async with autocommit(self._engine).connect() as connection:
                for place in PLACES:
                    await self._walk_place(connection, place, walk)
        return walk

    async def _walk_place(self, connection: AsyncConnection, place: Place, walk: _Pass) -> None:
        after = _BEFORE_ALL
        while rows := (await connection.execute(_SEALED[place], {"after": after, "limit": self._batch})).all():
            for row in rows:
                await self._look_at(connection, place, row, walk)
            after = rows[-1].id

    async def _look_at(self, connection: AsyncConnection, place: Place, row: Any, walk: _Pass) -> None:  # noqa: ANN401
        where = {"table": place.table, "column": place.column, "row_id": row.id}
        try:
            secret = self._sealer.open(row.sealed, **where)
            is_current = self._sealer.is_current(row.sealed)
        except SecretUnreadable as error:
            walk.unreadable.append(f"{place.table} row {row.id}: {error}")
            return
        digest = self._sealer.digest(secret, place.column) if place.digest else None
        if is_current and digest == row.digest:
            return
        walk.old += 1
        values = {"id": row.id, "old": row.sealed, "sealed": self._sealer.seal(secret, **where)}
        if place.digest:
            values["digest"] = digest
        if (await connection.execute(_RESEAL[place], values)).one_or_none() is not None:
            name = f"{place.table}.{place.column}"
            walk.resealed[name] = walk.resealed.get(name, 0) + 1

    async def _tell(self, resealed: dict[str, int]) -> None:
        line = AuditEntry(action=Action.KEYS_ROTATED, details={"key": self._sealer.newest, **resealed})
        with database_errors():
            async with self._engine.begin() as connection:
                await audit.write(connection, [line])
