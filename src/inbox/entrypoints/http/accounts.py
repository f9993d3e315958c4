"""The WhatsApp accounts that the caller may see, and their management."""

from typing import Annotated, Final, TypeAlias
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType

from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import AccountChange, NewAccount
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.entrypoints.http.parameters import managed_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.views import AccountItem
from inbox.services.accounts import Accounts

_CHANGING: Final = (*SIGNED_IN, 400, 409, 413, 415, 422)

# `$` alone would let a line break follow. What a blank is differs between Python and JSON Schema: here it is both.
NOT_BLANK: Final = r"[^\s\x1c-\x1f\x85\ufeff]"
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, pattern=NOT_BLANK)]
Slug: TypeAlias = Annotated[str, Meta(max_length=100, pattern=r"^[a-z0-9\-_.]+$(?!\n)")]
PhoneNumber: TypeAlias = Annotated[str, Meta(max_length=40)]
PhoneNumberId: TypeAlias = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")]
"""Part of the path of calls to WhatsApp."""
WabaId: TypeAlias = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")]
AccessToken: TypeAlias = Annotated[str, Meta(max_length=4096, pattern=r"^[!-~]+$(?!\n)")]
"""Printable ASCII: it travels in a header."""
VerifyToken: TypeAlias = Annotated[str, Meta(max_length=512, pattern=r"^[!-~]([ -~]*[!-~])?$(?!\n)")]
AppSecret: TypeAlias = Annotated[str, Meta(max_length=256, pattern=r"^[!-~]+$(?!\n)")]


class AccountToCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number to connect. `app_secret` is needed only for an account of another Meta app than the configured one.

    `read_receipts` tells customers that a message was read, `typing_indicators` that somebody writes. WhatsApp knows
    the second together with the first only.
    """

    name: Name
    slug: Slug
    phone_number_id: PhoneNumberId
    access_token: AccessToken
    verify_token: VerifyToken
    phone_number: PhoneNumber | None = None
    waba_id: WabaId | None = None
    app_secret: AppSecret | None = None
    read_receipts: bool = True
    typing_indicators: bool = True


class AccountToChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is; null takes a value away."""

    name: Name | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET
    phone_number: PhoneNumber | UnsetType | None = UNSET
    phone_number_id: PhoneNumberId | UnsetType = UNSET
    waba_id: WabaId | UnsetType | None = UNSET
    access_token: AccessToken | UnsetType = UNSET
    verify_token: VerifyToken | UnsetType = UNSET
    app_secret: AppSecret | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    read_receipts: bool | UnsetType = UNSET
    typing_indicators: bool | UnsetType = UNSET


class AccountDeleted(msgspec.Struct, frozen=True):
    """The same whether the account was removed or only deactivated."""

    account_id: UUID
    status: str = "deleted"


@get("/accounts", permission=Permission.ACCOUNTS_VIEW, responses=documented(*SIGNED_IN))
@inject
async def list_accounts(actor: NamedDependency[Actor], accounts: FromDishka[Accounts]) -> list[AccountItem]:
    """Active accounts, by name. 403 `no_account_access` for who may view none."""
    return await accounts.list_of(actor)


@post("/accounts", status_code=200, permission=Permission.ACCOUNTS_MANAGE, responses=documented(*_CHANGING))
@inject
async def create_account(
    data: JSONBody[AccountToCreate], actor: NamedDependency[Actor], accounts: FromDishka[Accounts]
) -> AccountItem:
    """Connects a number. Tokens and secret are stored encrypted and never shown.

    409 `slug_taken`, `phone_number_id_taken`, also if the holder is deactivated.
    """
    new = NewAccount(**{**msgspec.structs.asdict(data), "phone_number": data.phone_number or None})
    return await accounts.create(actor, new)


@patch(
    "/accounts/{account_id:str}",
    permission=Permission.ACCOUNTS_MANAGE,
    responses=documented(*_CHANGING, 404),
)
@inject
async def change_account(
    account_id: FromPath[str],
    data: JSONBody[AccountToChange],
    actor: NamedDependency[Actor],
    accounts: FromDishka[Accounts],
) -> AccountItem:
    """Writes what the body names. A new access token ends a pause; `is_active` true brings a deleted account back."""
    change = AccountChange(**msgspec.structs.asdict(data))
    if change.phone_number == "":
        change = msgspec.structs.replace(change, phone_number=None)
    return await accounts.change(actor, _managed(actor, account_id), change)


@delete(
    "/accounts/{account_id:str}",
    status_code=200,
    permission=Permission.ACCOUNTS_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def delete_account(
    account_id: FromPath[str], actor: NamedDependency[Actor], accounts: FromDishka[Accounts]
) -> AccountDeleted:
    """Removes the account; one with conversations is deactivated instead and keeps its data."""
    found = _managed(actor, account_id)
    await accounts.delete(actor, found)
    return AccountDeleted(account_id=found)


def _managed(actor: Actor, account_id: str) -> AccountId:
    return AccountId(managed_id(actor, account_id, AccountNotFound, Permission.ACCOUNTS_MANAGE))


accounts_router = Router("/", route_handlers=[list_accounts, create_account, change_account, delete_account])
