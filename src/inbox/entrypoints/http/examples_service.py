"""Examples of sign-in, webhook and health."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_admin import BREAKERS
from inbox.entrypoints.http.examples_values import AT, EMAIL, NAME, PERSON, Example

_PASSWORD: Final = "a-long-invented-one"  # noqa: S105 - of nobody
_USER: Final = {
    "id": PERSON,
    "aud": "authenticated",
    "role": "authenticated",
    "email": EMAIL,
    "email_confirmed_at": "2025-11-03T08:12:44Z",
    "phone": "",
    "confirmed_at": "2025-11-03T08:12:44Z",
    "last_sign_in_at": "2025-11-25T15:33:54Z",
    "app_metadata": {"provider": "email", "providers": ["email"]},
    "user_metadata": {"full_name": NAME},
    "identities": [],
    "created_at": "2025-11-03T08:12:44Z",
    "updated_at": "2025-11-25T15:33:54Z",
    "is_anonymous": False,
}
_SESSION: Final = {
    "access_token": "eyJhbGciOiJFUzI1NiJ9.invented.invented",
    "token_type": "bearer",
    "expires_in": 3600,
    "expires_at": 1764088434,
    "refresh_token": "invented",
    "user": _USER,
}
_DATABASE: Final = {"status": "ok", "latency_ms": 3.1}
_NO_DATABASE: Final = {"status": "error", "error": "database_unavailable"}
_VENDORS: Final = {
    "whatsapp": {"status": "ok", "latency_ms": 84.2},
    "gemini": {"status": "not_configured", "error": "GEMINI_API_KEY not set"},
}
_HEALTH: Final = {
    "status": "ok",
    "timestamp": AT,
    "dependencies": {"database": _DATABASE, "supabase": _DATABASE, **_VENDORS},
    "circuit_breakers": BREAKERS,
}

SERVICE: Final[Mapping[str, Example]] = {
    "sign_in.token": Example(request={"email": EMAIL, "password": _PASSWORD}, answer=_SESSION),
    "sign_in.verify": Example(request={"type": "invite", "token_hash": "invented"}, answer=_SESSION),
    "sign_in.user": Example(answer=_USER),
    "sign_in.change_user": Example(request={"password": _PASSWORD, "current_password": "an-old-one"}, answer=_USER),
    "sign_in.jwks": Example(
        answer={
            "keys": [
                {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "invented", "x": "invented"}
                | {"y": "invented"}
            ]
        }
    ),
    "sign_in.health": Example(
        answer={
            "version": "v2.196.0",
            "name": "GoTrue",
            "description": "Sign-in of WhatsApp Inbox, compatible with a subset of GoTrue",
        }
    ),
    "sign_in.settings": Example(
        answer={
            "external": {"email": True, "phone": False, "anonymous_users": False},
            "disable_signup": True,
            "mailer_autoconfirm": True,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
        }
    ),
    "webhook.verify": Example(answer="1158201444"),
    "webhook.receive": Example(
        request={
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "102290129340398",
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": {"phone_number_id": "109876543210987"},
                                "messages": [
                                    {
                                        "id": "wamid.INVENTED0001",
                                        "from": "33639980142",
                                        "timestamp": "1764084834",
                                        "type": "text",
                                        "text": {"body": "Bonjour"},
                                    }
                                ],
                            },
                        }
                    ],
                }
            ],
        },
        answer={"status": "received"},
    ),
    "monitoring.root": Example(answer={"status": "ok", "message": "WhatsApp Inbox API running"}),
    "monitoring.live": Example(answer={"status": "alive"}),
    "monitoring.ready": Example(
        answer={"status": "ready"},
        others={503: {"status": "not_ready", "reason": {"status": "error", "error": "database_unavailable"}}},
    ),
    "monitoring.health": Example(
        answer=_HEALTH,
        others={
            503: {
                **_HEALTH,
                "status": "error",
                "dependencies": {"database": _NO_DATABASE, "supabase": _NO_DATABASE, **_VENDORS},
            }
        },
    ),
}
