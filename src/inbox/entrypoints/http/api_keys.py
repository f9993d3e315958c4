"""API keys: for administrators, who make and end them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from inbox.domain.access import Actor, Grant, Permission
from inbox.domain.errors import ApiKeyNotFound
from inbox.domain.ids import AccountId
from inbox.entrypoints.http.accounts import NOT_BLANK
from inbox.entrypoints.http.parameters import id_in_body, managed_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.kit.paging import parse_time
from inbox.ports.views import ApiKeyItem
from inbox.services.api_keys import ApiKeys

MOST_GRANTS = 200


class GrantGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A right of the key. `account_id` null is all accounts."""

    permission_code: Permission
    account_id: Annotated[str, Meta(max_length=64, extra_json_schema={"format": "uuid"})] | None = None


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`expires_at` is RFC 3339; null is never."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=NOT_BLANK)]
    permissions: Annotated[list[GrantGiven], Meta(min_length=1, max_length=MOST_GRANTS)]
    expires_at: Annotated[str, Meta(max_length=64, extra_json_schema={"format": "date-time"})] | None = None


class CreatedKey(ApiKeyItem, frozen=True, kw_only=True):
    """`key` is shown this once."""

    key: str


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    status: str = "revoked"
    key_id: UUID


@get("/admin/api-keys", permission=Permission.ROLES_MANAGE, responses=documented(*SIGNED_IN))
@inject
async def list_keys(actor: NamedDependency[Actor], keys: FromDishka[ApiKeys]) -> list[ApiKeyItem]:
    """Newest first, revoked ones too. `hint` is the beginning of the key, by which people recognise it."""
    return await keys.all(actor)


@post(
    "/admin/api-keys",
    status_code=200,
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 413, 415, 422),
)
@inject
async def create_key(data: JSONBody[NewKey], actor: NamedDependency[Actor], keys: FromDishka[ApiKeys]) -> CreatedKey:
    """Makes a key for a program. The secret `key` is in this answer and never again; it is sent as a bearer token.

    A key gets no right that its maker lacks, and never `users.manage` or `roles.manage`.
    """
    actor.require_everywhere(Permission.ROLES_MANAGE)
    grants = [_grant(given, place) for place, given in enumerate(data.permissions)]
    item, key = await keys.create(actor, data.name.strip(), grants, _end(data.expires_at))
    return CreatedKey(**msgspec.structs.asdict(item), key=key)


@delete(
    "/admin/api-keys/{key_id:str}",
    status_code=200,
    permission=Permission.ROLES_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def revoke_key(key_id: FromPath[str], actor: NamedDependency[Actor], keys: FromDishka[ApiKeys]) -> Revoked:
    """Ends a key at once, everywhere. The line stays in the list."""
    found = managed_id(actor, key_id, ApiKeyNotFound, Permission.ROLES_MANAGE)
    await keys.revoke(actor, found)
    return Revoked(key_id=found)


def _grant(given: GrantGiven, place: int) -> Grant:
    path = f"body.permissions[{place}].account_id"
    account = None if given.account_id is None else AccountId(id_in_body(given.account_id, path))
    return Grant(code=given.permission_code.value, account_id=account)


def _end(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text, name="body.expires_at")


api_keys_router = Router("/", route_handlers=[list_keys, create_key, revoke_key], tags=["administration"])
