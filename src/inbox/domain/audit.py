"""Who changed what about people, rights, accounts and secrets: the trail that administrators read."""

from enum import StrEnum
from uuid import UUID

import msgspec

from inbox.domain.access import Actor, ActorKind
from inbox.domain.ids import AccountId


class Action(StrEnum):
    """What was done. The words are shown and filtered by; they never change their meaning."""

    ROLE_CREATED = "role.created"
    ROLE_CHANGED = "role.changed"
    ROLE_DELETED = "role.deleted"
    ROLES_ASSIGNED = "member.roles_assigned"
    OVERRIDES_SET = "member.overrides_set"
    MEMBER_JOINED = "member.joined"
    MEMBER_ENABLED = "member.enabled"
    MEMBER_DISABLED = "member.disabled"
    MEMBER_INVITED = "member.invited"
    RESET_LINK_MADE = "member.reset_link_made"
    ADMIN_MADE = "member.admin_made"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_CHANGED = "account.changed"
    ACCOUNT_DEACTIVATED = "account.deactivated"
    ACCOUNT_DELETED = "account.deleted"
    PACE_SET = "account.pace_set"
    TOKEN_CHANGED = "account.token_changed"  # noqa: S105 - a word
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    SIGNED_IN = "sign_in.succeeded"
    SIGN_IN_FAILED = "sign_in.failed"
    SIGNED_OUT = "sign_in.signed_out"
    PASSWORD_CHANGED = "sign_in.password_changed"  # noqa: S105 - a word
    SESSION_REPLAYED = "sign_in.refresh_token_replayed"
    KEYS_ROTATED = "keys.rotated"
    CIRCUIT_RESET = "circuit_breaker.reset"
    CACHE_CLEARED = "cache.cleared"
    DELIVERY_READ = "delivery.read"
    DELIVERY_REPLAYED = "delivery.replayed"
    DELIVERY_DISCARDED = "delivery.discarded"
    MESSAGE_RESENT = "message.resent"
    MESSAGE_DISCARDED = "message.discarded"
    TEMPLATE_CREATED = "template.created"
    TEMPLATE_CHANGED = "template.changed"
    TEMPLATE_DELETED = "template.deleted"
    ARTICLE_CREATED = "article.created"
    ARTICLE_CHANGED = "article.changed"
    ARTICLE_APPROVED = "article.approved"
    ARTICLE_ARCHIVED = "article.archived"
    ARTICLE_DELETED = "article.deleted"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `target` is the id of what was changed; `details` never hold a secret or a customer's text."""

    action: Action
    actor_kind: ActorKind = ActorKind.SYSTEM
    actor_id: UUID | None = None
    target: str | None = None
    account_id: AccountId | None = None
    details: dict[str, str | int | bool | list[str] | None] = {}


def entry(
    actor: Actor,
    action: Action,
    target: UUID | str | None = None,
    *,
    account_id: AccountId | None = None,
    **details: str | int | bool | list[str] | None,
) -> AuditEntry:
    """A line about what `actor` did. Whoever sits at the server itself has no id."""
    return AuditEntry(
        action=action,
        actor_kind=actor.kind,
        actor_id=None if actor.kind is ActorKind.SYSTEM else actor.user_id,
        target=None if target is None else str(target),
        account_id=account_id,
        details=details,
    )
