"""The caller: one statement for all that speaks about them."""

from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Row, text

from inbox.adapters.database.postgres.times import shown
from inbox.domain.access import Actor, Grant, expand
from inbox.domain.ids import AccountId, UserId
from inbox.ports.views import Me, OverrideItem, ProfileRow, RoleItem

AnyRow: TypeAlias = Row[*tuple[Any, ...]]

ACTOR: Final = text("""
select u.user_id, u.email, coalesce(u.is_active, false) as is_active, (
  select coalesce(json_agg(json_build_array(g.code, g.account_id, g.is_allowed)), '[]') from (
    select p.permission_code as code, r.account_id, true as is_allowed
    from app_user_roles r join role_permissions p on p.role_id = r.role_id where r.user_id = u.user_id
    union
    select o.permission_code, o.account_id, o.is_allowed from app_user_overrides o where o.user_id = u.user_id
  ) g where g.code is not null
) as grants
from app_users u where u.user_id = :user_id
""")

# Times of old rows may be missing: 1970 stands for unknown.
ME: Final = text(f"""
select u.user_id, u.email, u.display_name, coalesce(u.is_active, false) as is_active,
       {shown("coalesce(u.created_at, to_timestamp(0))")} as created_at, (
  select coalesce(json_agg(json_build_object('id', r.id, 'role_id', r.role_id, 'role_slug', a.slug,
                                             'role_name', a.name, 'account_id', r.account_id)
                           order by a.name, r.id), '[]')
  from app_user_roles r left join app_roles a on a.id = r.role_id
  where r.user_id = u.user_id and r.role_id is not null
) as roles, (
  select coalesce(json_agg(json_build_object('id', o.id, 'permission_code', o.permission_code,
                                             'account_id', o.account_id, 'is_allowed', o.is_allowed)
                           order by o.permission_code, o.id), '[]')
  from app_user_overrides o where o.user_id = u.user_id and o.permission_code is not null
) as overrides, array(select id from whatsapp_accounts where is_active order by id) as active_accounts
from app_users u where u.user_id = :user_id
""")  # noqa: S608 - a constant of ours

_GRANTS: Final = msgspec.json.Decoder(list[tuple[str, AccountId | None, bool]])
_ROLES: Final = msgspec.json.Decoder(list[RoleItem])
_OVERRIDES: Final = msgspec.json.Decoder(list[OverrideItem])


def actor_of(row: AnyRow) -> Actor:
    """From a row of `ACTOR`."""
    grants = tuple(
        Grant(code=code, account_id=account_id, is_allowed=is_allowed)
        for code, account_id, is_allowed in _GRANTS.decode(row.grants)
    )
    return Actor(user_id=UserId(row.user_id), email=row.email, is_active=row.is_active, grants=grants)


def me_of(actor: Actor, row: AnyRow) -> Me:
    """From a row of `ME`. The rights are those of `actor`."""
    return Me(
        id=row.user_id,
        email=row.email,
        profile=ProfileRow(
            user_id=row.user_id,
            email=row.email,
            display_name=row.display_name,
            is_active=row.is_active,
            created_at=row.created_at,
        ),
        permissions=expand(actor, row.active_accounts),
        roles=_ROLES.decode(row.roles),
        overrides=_OVERRIDES.decode(row.overrides),
    )
