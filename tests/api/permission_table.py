"""The expectation of the permission matrix: who gets which answer from which call, about whose object.

Figures are statuses for an object of account A ("own"), of account B ("foreign") and for none at all ("missing"); for
objects of the whole installation for one that is there and one that is missing; a single figure where there is no
object. `2xx` is any success.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sample_files import PNG

CALLERS: Final = (
    "admin",
    "manager",
    "viewer",
    "nobody",
    "of_a",
    "of_b",
    "disabled",
    "anonymous",
    "key_of_a",
)
"""Administrator, manager and viewer hold their role everywhere; `nobody` has none. `of_a` and `of_b` are managers, with
the assistant's settings, of one account. `key_of_a` is an API key that may read and send for A."""

Pattern = Mapping[str, str]


def _pattern(**expected: str) -> Pattern:
    assert set(expected) == set(CALLERS)
    return expected


READ_ONE: Final = _pattern(
    admin="2xx 2xx 404",
    manager="2xx 2xx 404",
    viewer="2xx 2xx 404",
    nobody="404 404 404",
    of_a="2xx 404 404",
    of_b="404 2xx 404",
    disabled="403 403 403",
    anonymous="401 401 401",
    key_of_a="2xx 404 404",
)
READ_LIST: Final = {**READ_ONE, "nobody": "403 403 403"}
"""Whoever holds the code nowhere is told so before anything is looked up."""
SEND: Final = {**READ_ONE, "viewer": "403 403 404"}
NO_LONGER: Final = {caller: answers.replace("2xx", "409") for caller, answers in SEND.items()}
"""Whoever may send is told that the message, a customer's, is nothing to decide about."""
NO_LONGER_BY_PROGRAM: Final = {**NO_LONGER, "key_of_a": "403 404 404"}
SETTINGS: Final = _pattern(
    admin="2xx 2xx 404",
    manager="403 403 404",
    viewer="403 403 404",
    nobody="404 404 404",
    of_a="2xx 404 404",
    of_b="404 2xx 404",
    disabled="403 403 403",
    anonymous="401 401 401",
    key_of_a="403 404 404",
)
NO_SAMPLE: Final = {caller: answers.replace("2xx", "422") for caller, answers in SETTINGS.items()}
"""Whoever may is told that there is no such upload."""
ADMIN_OF_ACCOUNTS: Final = _pattern(
    admin="2xx 2xx 404",
    manager="403 403 403",
    viewer="403 403 403",
    nobody="403 403 403",
    of_a="403 403 403",
    of_b="403 403 403",
    disabled="403 403 403",
    anonymous="401 401 401",
    key_of_a="403 403 403",
)
ADMIN: Final = dict.fromkeys(CALLERS, "403 403") | {"admin": "2xx 404", "anonymous": "401 401"}
ADMIN_ONLY: Final = dict.fromkeys(CALLERS, "403") | {"admin": "2xx", "anonymous": "401"}
CONTACTS: Final = ADMIN_ONLY | {"manager": "2xx", "viewer": "2xx"}
WRITE_CONTACTS: Final = ADMIN | {"manager": "2xx 404"}
ADD_CONTACT: Final = ADMIN_ONLY | {"manager": "2xx"}
SIGNED_IN: Final = dict.fromkeys(CALLERS, "2xx") | {"disabled": "403", "anonymous": "401"}
ANY_ACCOUNT: Final = SIGNED_IN | {"nobody": "403"}
ARTICLE: Final = {"kind": "qa", "title": "Quels horaires ?", "body": "De 9 h à 18 h.", "language": "fr"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `{name}` in path, body and query stands for the object that the column is about.

    `path` is where to call if the route has another name for the object. `file` comes in a form.
    """

    permission: str
    expected: Pattern
    body: Any = None
    query: dict[str, str] = {}
    path: str | None = None
    file: bytes | None = None


TABLE: Final[Mapping[str, Row]] = {
    "GET /auth/me": Row(permission="signed in", expected=SIGNED_IN),
    # --- accounts
    "GET /accounts": Row(permission="accounts.view", expected=ANY_ACCOUNT),
    "POST /accounts": Row(
        permission="accounts.manage",
        expected=ADMIN_ONLY,
        body={
            "name": "Atelier",
            "slug": "atelier-{number}",
            "phone_number_id": "{number}",
            "access_token": "EAAG-invented",
            "verify_token": "choose-a-long-one",
        },
    ),
    "PATCH /accounts/{account_id}": Row(
        permission="accounts.manage", expected=ADMIN_OF_ACCOUNTS, body={"name": "Autre"}
    ),
    "DELETE /accounts/{account_id}": Row(permission="accounts.manage", expected=ADMIN_OF_ACCOUNTS),
    "GET /accounts/{account_id}/notices": Row(permission="accounts.view", expected=READ_ONE),
    # --- templates
    "GET /accounts/{account_id}/templates": Row(permission="messages.view", expected=READ_ONE),
    "POST /accounts/{account_id}/templates": Row(
        permission="settings.manage",
        expected=SETTINGS,
        body={
            "name": "new_{number}",
            "language": "fr",
            "category": "UTILITY",
            "components": [{"type": "BODY", "text": "Bonjour"}],
        },
    ),
    "POST /accounts/{account_id}/templates/sync": Row(permission="settings.manage", expected=SETTINGS),
    "POST /accounts/{account_id}/templates/samples": Row(
        permission="settings.manage", expected=NO_SAMPLE, body={"upload_id": "{account_id}"}
    ),
    "GET /accounts/{account_id}/templates/{template_id}": Row(permission="messages.view", expected=READ_ONE),
    "PATCH /accounts/{account_id}/templates/{template_id}": Row(
        permission="settings.manage", expected=SETTINGS, body={"category": "MARKETING"}
    ),
    "DELETE /accounts/{account_id}/templates/{template_id}": Row(permission="settings.manage", expected=SETTINGS),
    "POST /accounts/{account_id}/templates/{template_id}/preview": Row(
        permission="messages.view", expected=READ_ONE, body={}
    ),
    # --- conversations
    "GET /conversations": Row(
        permission="conversations.view", expected=READ_LIST, query={"account_id": "{account_id}"}
    ),
    "POST /conversations/find-or-create": Row(
        permission="messages.send",
        expected=SEND,
        body={"account_id": "{account_id}", "phone_number": "{number}"},
    ),
    "POST /conversations/{conversation_id}/read": Row(permission="conversations.view", expected=READ_ONE),
    "POST /conversations/{conversation_id}/unread": Row(permission="conversations.view", expected=READ_ONE),
    "POST /conversations/{conversation_id}/typing": Row(permission="messages.send", expected=SEND),
    "POST /conversations/{conversation_id}/favorite": Row(
        permission="conversations.view", expected=READ_ONE, body={"favorite": True}
    ),
    "POST /conversations/{conversation_id}/assign": Row(
        permission="messages.send", expected=SEND, body={"user_id": None}
    ),
    "POST /conversations/{conversation_id}/bot": Row(permission="messages.send", expected=SEND, body={"enabled": True}),
    "GET /conversations/{conversation_id}": Row(permission="conversations.view", expected=READ_ONE),
    "POST /conversations/{conversation_id}/copilot/suggest": Row(permission="messages.send", expected=SEND),
    "POST /conversations/{conversation_id}/copilot/summarise": Row(permission="messages.view", expected=READ_ONE),
    "POST /conversations/{conversation_id}/copilot/translate": Row(
        permission="messages.view", expected=READ_ONE, body={"text": "Votre vélo est prêt.", "target_language": "en"}
    ),
    "GET /conversations/{conversation_id}/suggestion": Row(permission="messages.view", expected=READ_ONE),
    "POST /conversations/{conversation_id}/presence": Row(
        permission="messages.view",
        expected={**READ_ONE, "key_of_a": "403 404 404"},
        body={"state": "viewing"},
    ),
    # --- events
    "GET /events": Row(permission="signed in", expected=ANY_ACCOUNT),
    "POST /events/tickets": Row(permission="signed in", expected=SIGNED_IN),
    # --- messages
    "GET /messages/{conversation_id}": Row(permission="messages.view", expected=READ_ONE),
    "GET /messages/media/{message_id}": Row(permission="messages.view", expected=READ_ONE),
    "POST /messages/check-media/{conversation_id}": Row(permission="messages.view", expected=READ_ONE),
    "POST /media/uploads": Row(
        permission="messages.send", expected=SEND, query={"account_id": "{account_id}", "kind": "image"}, file=PNG
    ),
    "POST /messages/send": Row(
        permission="messages.send",
        expected=SEND,
        body={"conversation_id": "{conversation_id}", "content": "Bonjour"},
    ),
    "POST /messages/{message_id}/reactions": Row(permission="messages.send", expected=SEND, body={"emoji": "👍"}),
    "DELETE /messages/{message_id}/reactions": Row(permission="messages.send", expected=SEND),
    "POST /messages/reactions/add": Row(
        permission="messages.send", expected=SEND, body={"message_id": "{message_id}", "emoji": "👍"}
    ),
    "POST /messages/reactions/remove": Row(
        permission="messages.send", expected=SEND, body={"message_id": "{message_id}"}
    ),
    "DELETE /messages/{conversation_id}": Row(
        permission="messages.send", expected=NO_LONGER, path="/messages/{message_id}"
    ),
    "POST /messages/{message_id}/resend": Row(permission="messages.send", expected=NO_LONGER_BY_PROGRAM),
    "POST /messages/{message_id}/discard": Row(permission="messages.send", expected=NO_LONGER_BY_PROGRAM),
    "POST /messages/send-media": Row(
        permission="messages.send",
        expected=SEND,
        body={"conversation_id": "{conversation_id}", "media_type": "image", "media_id": "1013859600285441"},
    ),
    "POST /messages/send-interactive": Row(
        permission="messages.send",
        expected=SEND,
        body={
            "conversation_id": "{conversation_id}",
            "interactive_type": "button",
            "body_text": "Quel jour ?",
            "buttons": [{"id": "mon", "title": "Lundi"}],
        },
    ),
    "GET /conversations/{conversation_id}/scheduled": Row(permission="messages.view", expected=READ_ONE),
    "GET /messages/templates/{conversation_id}": Row(permission="messages.view", expected=READ_ONE),
    "POST /messages/send-template/{conversation_id}": Row(
        permission="messages.send",
        expected=SEND,
        body={
            "template_name": "velo_pret",
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}],
        },
    ),
    "GET /messages/free-window/{conversation_id}": Row(permission="messages.view", expected=READ_ONE),
    "GET /messages/price/{conversation_id}": Row(permission="messages.view", expected=READ_ONE),
    # --- contacts
    "GET /contacts": Row(permission="contacts.view", expected=CONTACTS),
    "POST /contacts": Row(permission="contacts.view", expected=ADD_CONTACT, body={"whatsapp_number": "{number}"}),
    "PUT /contacts/{contact_id}": Row(
        permission="contacts.view", expected=WRITE_CONTACTS, body={"display_name": "Marc"}
    ),
    "DELETE /contacts/{contact_id}": Row(permission="contacts.view", expected=WRITE_CONTACTS),
    # --- the assistant
    "GET /bot/profile/{account_id}": Row(permission="settings.manage", expected=SETTINGS),
    "PUT /bot/profile/{account_id}": Row(
        permission="settings.manage", expected=SETTINGS, body={"business_name": "Atelier"}
    ),
    "GET /bot/knowledge/{account_id}": Row(permission="settings.manage", expected=SETTINGS),
    "POST /bot/knowledge/{account_id}": Row(permission="settings.manage", expected=SETTINGS, body=ARTICLE),
    "POST /bot/knowledge/{account_id}/import": Row(
        permission="settings.manage", expected=SETTINGS, body={"articles": [ARTICLE], "approve": True}
    ),
    "GET /bot/knowledge/{account_id}/search": Row(
        permission="settings.manage", expected=SETTINGS, query={"q": "Quels horaires ?"}
    ),
    "GET /bot/knowledge/{account_id}/{article_id}": Row(permission="settings.manage", expected=SETTINGS),
    "PUT /bot/knowledge/{account_id}/{article_id}": Row(
        permission="settings.manage", expected=SETTINGS, body={**ARTICLE, "version": 1}
    ),
    "POST /bot/knowledge/{account_id}/{article_id}/approve": Row(
        permission="settings.manage", expected=SETTINGS, body={"version": 1}
    ),
    "POST /bot/knowledge/{account_id}/{article_id}/archive": Row(permission="settings.manage", expected=SETTINGS),
    "DELETE /bot/knowledge/{account_id}/{article_id}": Row(permission="settings.manage", expected=SETTINGS),
    "GET /messages/{message_id}/sources": Row(permission="messages.view", expected=READ_ONE),
    # --- administration
    "GET /admin/permissions": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "GET /admin/roles": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "POST /admin/roles": Row(
        permission="roles.manage", expected=ADMIN_ONLY, body={"name": "Accueil", "slug": "role-{number}"}
    ),
    "PUT /admin/roles/{role_id}": Row(permission="roles.manage", expected=ADMIN, body={"name": "Accueil"}),
    "DELETE /admin/roles/{role_id}": Row(permission="roles.manage", expected=ADMIN),
    "GET /admin/users": Row(permission="users.manage", expected=ADMIN_ONLY),
    "POST /admin/users/{user_id}/status": Row(permission="users.manage", expected=ADMIN, body={"is_active": False}),
    "PUT /admin/users/{user_id}/roles": Row(permission="roles.manage", expected=ADMIN, body={"assignments": []}),
    "PUT /admin/users/{user_id}/overrides": Row(permission="roles.manage", expected=ADMIN, body={"overrides": []}),
    "POST /admin/invitations": Row(
        permission="users.manage", expected=ADMIN_ONLY, body={"email": "lea{number}@atelier.example"}
    ),
    "POST /admin/users/{user_id}/reset-link": Row(permission="users.manage", expected=ADMIN),
    "GET /admin/api-keys": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "POST /admin/api-keys": Row(
        permission="roles.manage",
        expected=ADMIN_ONLY,
        body={"name": "CRM", "permissions": [{"permission_code": "messages.view", "account_id": None}]},
    ),
    "DELETE /admin/api-keys/{key_id}": Row(permission="roles.manage", expected=ADMIN),
    # --- operation
    "GET /admin/circuit-breakers": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "POST /admin/circuit-breakers/{name}/reset": Row(permission="roles.manage", expected=ADMIN),
    "GET /admin/cache/stats": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "POST /admin/cache/clear": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "GET /admin/queues": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "GET /admin/paces": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "POST /admin/paces/{account_id}": Row(permission="roles.manage", expected=ADMIN_OF_ACCOUNTS, body={"ceiling": 80}),
    "GET /admin/deliveries": Row(permission="settings.manage", expected=ADMIN_ONLY),
    "GET /admin/deliveries/{delivery_id}": Row(permission="settings.manage", expected=ADMIN),
    "POST /admin/deliveries/{delivery_id}/replay": Row(permission="settings.manage", expected=ADMIN),
    "POST /admin/deliveries/{delivery_id}/discard": Row(permission="settings.manage", expected=ADMIN),
    "POST /admin/deliveries/replay": Row(permission="settings.manage", expected=ADMIN_ONLY, body={}),
    "GET /admin/reconciliation": Row(permission="settings.manage", expected=ADMIN_ONLY),
    "GET /admin/audit": Row(permission="roles.manage", expected=ADMIN_ONLY),
    "GET /admin/notices": Row(permission="settings.manage", expected=ADMIN_ONLY),
}

PUBLIC: Final = {
    "GET /",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /openapi.json",
    "GET /docs",
    "GET /redoc",
    "GET /docs/assets/start.js",
    "GET /docs/assets/swagger.js",
    "GET /docs/assets/swagger.css",
    "GET /auth/set-password",
    "GET /auth/set-password.js",
    "GET /auth/set-password.css",
    "GET /webhook/whatsapp",
    "POST /webhook/whatsapp",
    "POST /auth/v1/token",
    "POST /auth/v1/verify",
    "GET /auth/v1/user",
    "PUT /auth/v1/user",
    "POST /auth/v1/logout",
    "GET /auth/v1/.well-known/jwks.json",
    "GET /auth/v1/health",
    "GET /auth/v1/settings",
}
"""Calls that need no session, or check it themselves (`/metrics`, `/auth/v1/user`, `/auth/v1/logout`)."""
