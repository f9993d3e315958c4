"""WhatsApp accounts, for those who manage them: connected, changed, taken away."""

from contextlib import AsyncExitStack
from typing import Final

import msgspec

from inbox.domain.access import Actor, Permission
from inbox.domain.accounts import Account, AccountChange, NewAccount
from inbox.domain.audit import Action, AuditEntry, entry
from inbox.domain.errors import AccountNotFound, NoAccountAccess
from inbox.domain.events import AccountResumed, AccountStep, AccountUpdated, Event
from inbox.domain.ids import AccountId, uuid7
from inbox.ports.database import Database
from inbox.ports.views import AccountItem
from inbox.services.rights import Rights

SECRETS: Final = ("access_token", "verify_token", "app_secret")


class Accounts:
    """Every method but `list_of` raises `PermissionDenied` before anything is looked up."""

    def __init__(self, database: Database, rights: Rights) -> None:
        self._database = database
        self._rights = rights

    async def list_of(self, actor: Actor) -> list[AccountItem]:
        """The active accounts that the caller may view, by name. Raises `NoAccountAccess` if they may view none."""
        reach = actor.reach(Permission.ACCOUNTS_VIEW)
        if not (reach.everywhere or reach.accounts):
            raise NoAccountAccess
        return await self._database.queries.accounts(reach)

    async def create(self, actor: Actor, new: NewAccount) -> AccountItem:
        """An active account. Raises `SlugTaken`, `PhoneNumberIdTaken`."""
        actor.require_everywhere(Permission.ACCOUNTS_MANAGE)
        account_id = AccountId(uuid7())
        async with self._rights.changing(), self._database.transaction() as tx:
            await tx.change_rights()
            await tx.accounts.add(account_id, new)
            await tx.record(AccountUpdated(account_id=account_id, change=AccountStep.CREATED))
            await tx.audit(
                entry(actor, Action.ACCOUNT_CREATED, account_id, account_id=account_id, slug=new.slug),
                *_secrets_set(actor, account_id, [name for name in SECRETS if getattr(new, name)]),
            )
        return AccountItem(
            id=account_id,
            name=new.name,
            slug=new.slug,
            phone_number=new.phone_number,
            phone_number_id=new.phone_number_id,
            read_receipts=new.read_receipts,
            typing_indicators=new.typing_indicators,
        )

    async def change(self, actor: Actor, account_id: AccountId, change: AccountChange) -> AccountItem:
        """Writes what `change` names; nothing named, nothing written.

        Raises `AccountNotFound`, `SlugTaken`, `PhoneNumberIdTaken`.
        """
        actor.require_everywhere(Permission.ACCOUNTS_MANAGE)
        named = [name for name in change.__struct_fields__ if getattr(change, name) is not msgspec.UNSET]
        async with AsyncExitStack() as stack:
            if named:
                await stack.enter_async_context(self._rights.changing())
            tx = await stack.enter_async_context(self._database.transaction())
            if named:
                await tx.change_rights()
                before = await tx.accounts.lock(account_id)
                await tx.accounts.change(account_id, change)
                await tx.record(*_events(before, change, named))
                await tx.audit(*_told(actor, before, change, named))
            account = await tx.accounts.get(account_id)
        if account is None:
            raise AccountNotFound
        return _item(account)

    async def delete(self, actor: Actor, account_id: AccountId) -> None:
        """Removes the account, or deactivates one that has conversations: nobody's messages go.

        Raises `AccountNotFound`.
        """
        actor.require_everywhere(Permission.ACCOUNTS_MANAGE)
        async with self._rights.changing(), self._database.transaction() as tx:
            await tx.change_rights()
            account = await tx.accounts.lock(account_id)
            if await tx.accounts.remove(account_id):
                await tx.record(AccountUpdated(account_id=account_id, change=AccountStep.DELETED))
                await tx.audit(_about(actor, Action.ACCOUNT_DELETED, account))
            elif account.is_active:
                await tx.accounts.change(account_id, AccountChange(is_active=False))
                await tx.record(AccountUpdated(account_id=account_id, change=AccountStep.DEACTIVATED))
                await tx.audit(_about(actor, Action.ACCOUNT_DEACTIVATED, account))


def _events(before: Account, change: AccountChange, named: list[str]) -> list[Event]:
    """What screens are told: a new access token ends a pause."""
    is_deactivated = before.is_active and change.is_active is False
    step = AccountStep.DEACTIVATED if is_deactivated else AccountStep.CHANGED
    events: list[Event] = [AccountUpdated(account_id=before.id, change=step, changed=tuple(named))]
    if before.paused_at is not None and "access_token" in named:
        events.append(AccountResumed(account_id=before.id))
    return events


def _told(actor: Actor, before: Account, change: AccountChange, named: list[str]) -> list[AuditEntry]:
    """The lines about a change: which values, never what they are."""
    is_deactivated = before.is_active and change.is_active is False
    plain = [name for name in named if name not in SECRETS and not (name == "is_active" and is_deactivated)]
    lines = [entry(actor, Action.ACCOUNT_CHANGED, before.id, account_id=before.id, changed=plain)] if plain else []
    if is_deactivated:
        lines.append(_about(actor, Action.ACCOUNT_DEACTIVATED, before))
    return [*lines, *_secrets_set(actor, before.id, [name for name in SECRETS if name in named])]


def _secrets_set(actor: Actor, account_id: AccountId, names: list[str]) -> list[AuditEntry]:
    return [entry(actor, Action.TOKEN_CHANGED, account_id, account_id=account_id, changed=names)] if names else []


def _about(actor: Actor, action: Action, account: Account) -> AuditEntry:
    return entry(actor, action, account.id, account_id=account.id, slug=account.slug)


def _item(account: Account) -> AccountItem:
    return AccountItem(
        id=account.id,
        name=account.name,
        slug=account.slug,
        phone_number=account.phone_number,
        phone_number_id=account.phone_number_id,
        read_receipts=account.read_receipts,
        typing_indicators=account.typing_indicators,
    )
