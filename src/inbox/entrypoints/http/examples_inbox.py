"""Examples of what a front end calls all day."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_values import (
    ACCOUNT,
    ANSWERED_AT,
    AT,
    CONTACT,
    CONVERSATION,
    EMAIL,
    MESSAGE,
    NUMBER,
    OVERRIDE,
    PERSON,
    PROFILE,
    ROLE_OF_PERSON,
    Example,
)

_ME: Final = {
    "id": PERSON,
    "email": EMAIL,
    "profile": PROFILE,
    "permissions": {
        "global": ["accounts.view", "conversations.view", "messages.view"],
        "accounts": {ACCOUNT: ["messages.send"]},
    },
    "roles": [ROLE_OF_PERSON],
    "overrides": [OVERRIDE],
}
_ACCOUNT: Final = {
    "id": ACCOUNT,
    "name": "Atelier Lyon",
    "slug": "atelier-lyon",
    "phone_number": "+33 4 65 71 00 01",
    "phone_number_id": "109876543210987",
}
_CONVERSATION: Final = {
    "id": CONVERSATION,
    "contact_id": CONTACT,
    "account_id": ACCOUNT,
    "client_number": NUMBER,
    "is_group": False,
    "is_favorite": True,
    "unread_count": 2,
    "status": "open",
    "updated_at": AT,
    "bot_enabled": False,
    "bot_last_reply_at": None,
    "window_expires_at": "2025-11-26T15:33:54.000000Z",
    "handed_over_at": None,
    "handover_reason": None,
}
_QUESTION: Final = {
    "id": "a3bb189e-8bf9-4c88-9f5a-3c1b2d4e5f01",
    "conversation_id": CONVERSATION,
    "direction": "inbound",
    "content_text": "Bonjour, vous êtes ouverts demain ?",
    "timestamp": AT,
    "wa_message_id": "wamid.INVENTED0001",
    "message_type": "text",
    "status": "received",
    "media_id": None,
    "media_mime_type": None,
    "media_filename": None,
    "error_message": None,
    "actor": "contact",
    "client_id": None,
    "delivery_state": None,
}
_ANSWER: Final = {
    **_QUESTION,
    "id": MESSAGE,
    "direction": "outbound",
    "content_text": "Oui, de 9 h à 18 h.",
    "timestamp": ANSWERED_AT,
    "wa_message_id": "wamid.INVENTED0002",
    "status": "delivered",
    "actor": "human",
    "client_id": "bubble-1",
    "delivery_state": "delivered",
}
_CONTACT: Final = {
    "id": CONTACT,
    "whatsapp_number": NUMBER,
    "display_name": "Marc D.",
    "created_at": "2025-10-30T07:05:00.250000Z",
}
_FIELD: Final = {
    "id": "0d8f0a55-6b7c-4f0e-9a55-1c2d3e4f5a6b",
    "label": "Parking",
    "value": "Gratuit derrière l'atelier",
}
_PLAYBOOK: Final = {
    "system_rules": {
        **dict.fromkeys(("language", "role", "mission", "style", "priority", "response_policy", "security"), ""),
        "tone": "Chaleureux et bref",
    },
    "company": {
        **dict.fromkeys(("address", "hours_block", "zone", "rendezvous", "activity"), ""),
        "name": "Atelier Lyon",
    },
    "offers": [{"category": "Révision", "content": "Révision complète sur devis"}],
    "procedures": [{"name": "Dépôt", "steps": "1. Prendre rendez-vous\n2. Déposer le vélo"}],
    "faq": [{"question": "Faites-vous les vélos électriques ?", "answer": "Oui"}],
    "special_cases": [{"case": "le client est mécontent", "response": "Proposer un rappel"}],
    "conditions": dict.fromkeys(("zone", "payment", "engagement", "restrictions", "documents"), ""),
    "links": {"site": "https://atelier.example", "products": "", "form": "", "other": ""},
    "escalation": dict.fromkeys(("procedure", "contact", "hours"), ""),
    "special_rules": "",
}
_TOLD: Final = {
    "business_name": "Atelier Lyon",
    "description": "Réparation de vélos",
    "address": "12 rue des Exemples, Lyon",
    "hours": "Mar-Sam 9h-18h",
    "knowledge_base": "",
    "custom_fields": [_FIELD],
    "template_config": _PLAYBOOK,
}
_BOT_PROFILE: Final = {
    **_TOLD,
    "id": "7d444840-9dc0-41d1-b245-5ffdce74fad2",
    "account_id": ACCOUNT,
    "updated_at": "2025-11-24T17:20:11.000000Z",
}
_OK: Final = {"status": "ok"}

INBOX: Final[Mapping[str, Example]] = {
    "auth.me": Example(answer=_ME),
    "accounts.list_accounts": Example(answer=[_ACCOUNT]),
    "accounts.create_account": Example(
        request={
            "name": "Atelier Lyon",
            "slug": "atelier-lyon",
            "phone_number": "+33 4 65 71 00 01",
            "phone_number_id": "109876543210987",
            "access_token": "EAAG-invented",
            "verify_token": "choose-a-long-one",
        },
        answer=_ACCOUNT,
    ),
    "accounts.change_account": Example(request={"name": "Atelier Lyon"}, answer=_ACCOUNT),
    "accounts.delete_account": Example(answer={"status": "deleted", "account_id": ACCOUNT}),
    "conversations.list_conversations": Example(
        answer=[{**_CONVERSATION, "contacts": {"display_name": "Marc D.", "whatsapp_number": NUMBER}}]
    ),
    "conversations.find_or_create": Example(
        request={"account_id": ACCOUNT, "phone_number": "06 39 98 01 42"}, answer=_CONVERSATION
    ),
    "conversations.mark_read": Example(answer=_OK),
    "conversations.mark_unread": Example(answer=_OK),
    "conversations.set_favorite": Example(request={"favorite": True}, answer={"status": "ok", "favorite": True}),
    "conversations.switch_bot": Example(
        request={"enabled": True},
        answer={"status": "ok", "conversation": {**_CONVERSATION, "bot_enabled": True}},
    ),
    "messages.list_messages": Example(answer=[_QUESTION, _ANSWER]),
    "messages.send": Example(
        request={"conversation_id": CONVERSATION, "content": "Oui, de 9 h à 18 h.", "client_id": "bubble-1"},
        answer={"status": "sent", "message_id": "wamid.INVENTED0002", "id": MESSAGE},
        others={202: {"status": "queued", "message_id": None, "id": MESSAGE}},
    ),
    "contacts.list_contacts": Example(answer=[_CONTACT]),
    "contacts.add_contact": Example(
        request={"whatsapp_number": "+33 6 39 98 01 42", "display_name": "Marc D."}, answer=_CONTACT
    ),
    "contacts.change_contact": Example(request={"display_name": "Marc D."}, answer=_CONTACT),
    "contacts.delete_contact": Example(answer={"status": "deleted", "contact_id": CONTACT}),
    "bot_profiles.get_bot_profile": Example(answer=_BOT_PROFILE),
    "bot_profiles.replace_bot_profile": Example(request=_TOLD, answer=_BOT_PROFILE),
}
