"""Examples of administration."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_values import (
    ACCOUNT,
    API_KEY,
    AT,
    EMAIL,
    NAME,
    OVERRIDE,
    PERSON,
    PROFILE,
    ROLE,
    ROLE_OF_PERSON,
    Example,
)

_VIEWING: Final = ["accounts.view", "contacts.view", "conversations.view", "messages.view"]
_VIEWER: Final = {
    "id": ROLE,
    "slug": "viewer",
    "name": "Lecteur",
    "description": "Lecture seule des conversations et contacts",
    "created_at": "2025-11-02T10:00:00.000000Z",
    "permissions": _VIEWING,
}
_RECEPTION: Final = {
    **_VIEWER,
    "id": "d1e2f3a4-4444-4b4b-9c9c-0242ac120002",
    "slug": "accueil",
    "name": "Accueil",
    "description": None,
    "permissions": ["conversations.view"],
}
_KEY: Final = {
    "id": API_KEY,
    "name": "CRM",
    "hint": "wai_3kQ9",
    "permissions": [{"permission_code": "messages.send", "account_id": ACCOUNT}],
    "created_by": PERSON,
    "created_at": AT,
    "expires_at": "2027-01-01T00:00:00.000000Z",
    "revoked_at": None,
    "last_used_at": None,
}
_LINK_ENDS_AT: Final = "2025-11-26T15:33:54.000000Z"
_CLOSED: Final = {
    "state": "closed",
    "failure_count": 0,
    "success_count": 0,
    "last_failure_time": None,
    "opened_at": None,
}
BREAKERS: Final = {
    "gemini": {**_CLOSED, "name": "gemini_api"},
    "whatsapp": {**_CLOSED, "name": "whatsapp_api", "state": "open", "failure_count": 5}
    | {"last_failure_time": AT, "opened_at": AT},
    "supabase": {**_CLOSED, "name": "supabase"},
}

ADMIN: Final[Mapping[str, Example]] = {
    "admin.list_permissions": Example(
        answer=[
            {
                "code": "accounts.manage",
                "label": "Gérer les comptes",
                "description": "Créer / modifier / supprimer des comptes WhatsApp",
            }
        ]
    ),
    "admin.list_roles": Example(answer=[_VIEWER]),
    "admin.create_role": Example(
        request={"name": "Accueil", "slug": "accueil", "permissions": ["conversations.view"]}, answer=_RECEPTION
    ),
    "admin.change_role": Example(
        request={"permissions": ["messages.view", "conversations.view"]},
        answer={**_RECEPTION, "permissions": ["messages.view", "conversations.view"]},
    ),
    "admin.delete_role": Example(answer={"status": "deleted", "role_id": ROLE}),
    "admin.list_users": Example(
        answer=[{**PROFILE, "roles": [ROLE_OF_PERSON], "overrides": [{**OVERRIDE, "user_id": PERSON}]}]
    ),
    "admin.set_user_status": Example(
        request={"is_active": False}, answer={"status": "ok", "user_id": PERSON, "is_active": False}
    ),
    "admin.assign_roles": Example(
        request={"assignments": [{"role_id": ROLE, "account_id": None}]}, answer={"status": "ok"}
    ),
    "admin.set_overrides": Example(
        request={"overrides": [{"permission_code": "messages.send", "account_id": None, "is_allowed": False}]},
        answer={"status": "ok"},
    ),
    "invitations.invite": Example(
        request={"email": EMAIL, "full_name": NAME, "assignments": [{"role_id": ROLE}]},
        answer={
            "status": "invited",
            "user_id": PERSON,
            "link": "https://inbox.example/auth/set-password#token_hash=invented&type=invite",
            "expires_at": _LINK_ENDS_AT,
        },
    ),
    "invitations.make_reset_link": Example(
        answer={
            "status": "ok",
            "user_id": PERSON,
            "link": "https://inbox.example/auth/set-password#token_hash=invented&type=recovery",
            "expires_at": _LINK_ENDS_AT,
        }
    ),
    "api_keys.list_keys": Example(answer=[_KEY]),
    "api_keys.create_key": Example(
        request={
            "name": "CRM",
            "permissions": [{"permission_code": "messages.send", "account_id": ACCOUNT}],
            "expires_at": "2027-01-01T00:00:00Z",
        },
        answer={**_KEY, "key": "wai_3kQ9-invented"},
    ),
    "api_keys.revoke_key": Example(answer={"status": "revoked", "key_id": API_KEY}),
    "audit.list_entries": Example(
        answer=[
            {
                "id": "0192a1b2-3c4d-7e5f-8a6b-7c8d9e0f1a2c",
                "at": AT,
                "actor_kind": "person",
                "actor_id": PERSON,
                "action": "role.created",
                "target": ROLE,
                "account_id": None,
                "details": {"slug": "viewer", "name": "Lecteur", "permissions": _VIEWING},
            }
        ]
    ),
    "admin_monitoring.list_breakers": Example(answer=BREAKERS),
    "admin_monitoring.reset_breaker": Example(answer={"status": "reset", "name": "whatsapp"}),
    "admin_monitoring.cache_stats": Example(
        answer={
            "size": 1,
            "keys": [f"bot_profile:{ACCOUNT}"],
            "hits": 30,
            "misses": 10,
            "shared_hits": 2,
            "shared_misses": 8,
            "ratio": 0.8,
            "families": [
                {
                    "family": "bot_profile",
                    "size": 1,
                    "hits": 30,
                    "misses": 10,
                    "shared_hits": 2,
                    "shared_misses": 8,
                    "ratio": 0.8,
                }
            ],
            "shared": {"is_up": True, "size": 3, "families": {"bot_profile": 3}, "is_complete": True},
            "processes": 2,
        }
    ),
    "admin_monitoring.clear_cache": Example(answer={"status": "cleared"}),
    "admin_paces.list_paces": Example(
        answer=[
            {
                "account_id": ACCOUNT,
                "name": "Atelier",
                "phone_number_id": "106540352242922",
                "ceiling": 80.0,
                "rate": 40.0,
                "slowed_at": "2025-11-25T15:33:54.000000Z",
                "sent": 1204,
                "pair_seconds": 6.0,
                "pair_burst": 45,
            }
        ]
    ),
    "admin_paces.set_ceiling": Example(
        request={"ceiling": 1000}, answer={"account_id": ACCOUNT, "ceiling": 1000, "status": "ok"}
    ),
    "admin_monitoring.queues": Example(
        answer={
            "work": {"ingest": {"waiting": 2, "oldest_seconds": 0.125}},
            "deliveries": {
                "waiting": 2,
                "oldest_seconds": 0.125,
                "quarantined": 0,
                "quarantined_items": 1,
                "unrouted": 0,
            },
            "sends": {
                "waiting": 1,
                "on_wire": 1,
                "unconfirmed": 0,
                "unknown": 0,
                "paused_accounts": 0,
                "oldest_seconds": 0.5,
            },
            "silent_numbers": [],
        }
    ),
}
