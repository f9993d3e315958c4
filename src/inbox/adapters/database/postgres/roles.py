"""Roles: named sets of permission codes."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inbox.adapters.database.postgres.engine import database_errors
from inbox.adapters.database.postgres.times import shown
from inbox.domain.errors import RoleNotFound
from inbox.ports.records import Missing, Role, RoleChange
from inbox.ports.views import RoleRow

# Times of old rows may be missing: 1970 stands for unknown. The codes are sorted as every program sorts them.
ROLE_COLUMNS: Final = f"""
r.id, r.slug, r.name, r.description, {shown("coalesce(r.created_at, to_timestamp(0))")} as created_at,
array(select p.permission_code from role_permissions p where p.role_id = r.id
      order by p.permission_code collate "C") as permissions
"""  # noqa: S608 - a constant of ours

_GET: Final = text(f"select {ROLE_COLUMNS} from app_roles r where r.id = :id")  # noqa: S608 - columns of ours

_MISSING: Final = text("""
select array(select n.id from unnest(cast(:roles as uuid[])) n(id)
             where not exists (select from app_roles r where r.id = n.id)) as roles,
       array(select n.id from unnest(cast(:accounts as uuid[])) n(id)
             where not exists (select from whatsapp_accounts a where a.id = n.id)) as accounts,
       array(select n.code from unnest(cast(:codes as text[])) n(code)
             where not exists (select from app_permissions p where p.code = n.code)) as codes
""")

_ADD: Final = text("insert into app_roles (id, slug, name, description) values (:id, :slug, :name, :description)")

_CHANGE: Final = text("""
update app_roles
set slug = case when :has_slug then :slug else slug end, name = case when :has_name then :name else name end,
    description = case when :has_description then :description else description end
where id = :id
returning id
""")

_TAKE_CODES: Final = text("""
delete from role_permissions where role_id = :id and permission_code <> all(cast(:codes as text[]))
""")

_GIVE_CODES: Final = text("""
insert into role_permissions (role_id, permission_code) select :id, unnest(cast(:codes as text[]))
on conflict do nothing
""")

_REMOVE: Final = text("delete from app_roles where id = :id returning id")


class PostgresRoles:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, role_id: UUID) -> RoleRow | None:
        row = (await self._connection.execute(_GET, {"id": role_id})).one_or_none()
        return None if row is None else RoleRow(**row._asdict())

    async def missing(
        self, *, roles: Collection[UUID] = (), accounts: Collection[UUID] = (), codes: Collection[str] = ()
    ) -> Missing:
        named = {"roles": list(roles), "accounts": list(accounts), "codes": list(codes)}
        row = (await self._connection.execute(_MISSING, named)).one()
        return Missing(roles=frozenset(row.roles), accounts=frozenset(row.accounts), codes=frozenset(row.codes))

    async def add(self, role: Role) -> RoleRow:
        """Raises `SlugTaken`."""
        values = {"id": role.id, "slug": role.slug, "name": role.name, "description": role.description}
        with database_errors():
            await self._connection.execute(_ADD, values)
        await self._put_codes(role.id, role.permissions)
        return await self._row(role.id)

    async def change(self, role_id: UUID, change: RoleChange) -> RoleRow:
        """Raises `RoleNotFound`, `SlugTaken`."""
        values: dict[str, UUID | str | bool | None] = {"id": role_id}
        for name in ("slug", "name", "description"):
            given = getattr(change, name)
            values |= {name: None if given is UNSET else given, f"has_{name}": given is not UNSET}
        with database_errors():
            if (await self._connection.execute(_CHANGE, values)).one_or_none() is None:
                raise RoleNotFound
        if change.permissions is not UNSET:
            await self._put_codes(role_id, change.permissions)
        return await self._row(role_id)

    async def remove(self, role_id: UUID) -> None:
        """The assignments go with the row. Raises `RoleNotFound`."""
        if (await self._connection.execute(_REMOVE, {"id": role_id})).one_or_none() is None:
            raise RoleNotFound

    async def _put_codes(self, role_id: UUID, codes: Sequence[str]) -> None:
        values = {"id": role_id, "codes": list(codes)}
        await self._connection.execute(_TAKE_CODES, values)
        await self._connection.execute(_GIVE_CODES, values)

    async def _row(self, role_id: UUID) -> RoleRow:
        row = await self.get(role_id)
        if row is None:
            raise RoleNotFound
        return row
