"""Examples of what a front end calls all day."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_knowledge import ARTICLE_ID
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
from inbox.entrypoints.http.openapi_parts import problem_example

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
    "read_receipts": True,
    "typing_indicators": True,
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
    "free_entry_until": None,
    "assignee_id": None,
    "bot_mode": "off",
    "preferences": {"marketing_messages": "stop"},
}
_SENT: Final = {"status": "sent", "message_id": "wamid.INVENTED0002", "id": MESSAGE}
_QUEUED: Final = {"status": "queued", "message_id": None, "id": MESSAGE}
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
    "reactions": [{"emoji": "👍", "from": "business", "at": ANSWERED_AT}],
    "reply_to_wamid": None,
    "reply_to_message_id": None,
    "edited_at": None,
    "revoked_at": None,
    "content": {"type": "text", "body": "Bonjour, vous êtes ouverts demain ?", "preview_url": False},
    "media_state": None,
    "context": {"forwarded": True},
    "scheduled_at": None,
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
    "reactions": [],
    "reply_to_wamid": "wamid.INVENTED0001",
    "reply_to_message_id": "a3bb189e-8bf9-4c88-9f5a-3c1b2d4e5f01",
    "content": {"type": "text", "body": "Oui, de 9 h à 18 h.", "preview_url": False},
    "context": None,
}
MOVED: Final = {
    **problem_example(409),
    "detail": "conversation_moved",
    "message": "The message was not sent: the conversation has moved on meanwhile.",
    "next_step": "Read what came, then send it again if it still fits.",
    "messages": [_ANSWER],
    "has_more": False,
}
_CONTACT: Final = {
    "id": CONTACT,
    "whatsapp_number": NUMBER,
    "display_name": "Marc D.",
    "created_at": "2025-10-30T07:05:00.250000Z",
    "preferences": [
        {"account_id": ACCOUNT, "category": "marketing_messages", "value": "stop", "changed_at": AT},
    ],
}
_NOTICE: Final = {
    "id": "0192a1b2-3c4d-7e5f-8a6b-7c8d9e0f1a2c",
    "account_id": ACCOUNT,
    "waba_id": "102290129340398",
    "field": "phone_number_quality_update",
    "event": "DOWNGRADE",
    "severity": "warning",
    "text": "Qualité du numéro : DOWNGRADE",
    "occurred_at": AT,
    "received_at": AT,
    "raw": {"display_phone_number": "33465710001", "event": "DOWNGRADE", "current_limit": "TIER_2K"},
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
    "behaviour": {
        "language": "fr",
        "model": None,
        "temperature": None,
        "min_confidence": 0.6,
        "reads_images": True,
        "reads_voice": True,
        "link_domains": ["atelier.example"],
        "schedule": {
            "answers": "outside_business_hours",
            "time_zone": "Europe/Paris",
            "business_hours": [{"day": 2, "opens": "09:00", "closes": "18:00"}],
        },
        "contact_budget": {"turns": 40, "tokens": None, "cost": None},
        "account_budget": {"turns": None, "tokens": None, "cost": 5.0},
        "auto_on": False,
    },
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
    "accounts.change_account": Example(
        request={"name": "Atelier Lyon", "read_receipts": False}, answer={**_ACCOUNT, "read_receipts": False}
    ),
    "accounts.delete_account": Example(answer={"status": "deleted", "account_id": ACCOUNT}),
    "notices.list_account_notices": Example(answer=[_NOTICE]),
    "notices.list_notices": Example(answer=[_NOTICE]),
    "conversations.list_conversations": Example(
        answer=[{**_CONVERSATION, "contacts": {"display_name": "Marc D.", "whatsapp_number": NUMBER}}]
    ),
    "conversations.find_or_create": Example(
        request={"account_id": ACCOUNT, "phone_number": "06 39 98 01 42"}, answer=_CONVERSATION
    ),
    "conversations.mark_read": Example(answer=_OK),
    "conversations.mark_unread": Example(answer=_OK),
    "conversations.show_typing": Example(answer=_OK),
    "conversations.set_favorite": Example(request={"favorite": True}, answer={"status": "ok", "favorite": True}),
    "conversations.switch_bot": Example(
        request={"enabled": True},
        answer={"status": "ok", "conversation": {**_CONVERSATION, "bot_enabled": True, "bot_mode": "auto"}},
    ),
    "conversation_bot.get_conversation": Example(
        answer={
            **_CONVERSATION,
            "handed_over_at": AT,
            "handover_reason": "customer_asked_human",
            "contacts": {"display_name": "Marc D.", "whatsapp_number": NUMBER},
            "handover_summary": "Le client veut savoir si son vélo est prêt. Rien ne lui a été promis.",
        }
    ),
    "conversation_bot.get_suggestion": Example(
        answer={
            "suggestion": {
                "id": "0192a1b2-3c4d-7e5f-8a6b-7c8d9e0f1a88",
                "message_id": "a3bb189e-8bf9-4c88-9f5a-3c1b2d4e5f01",
                "text": "Oui, nous sommes ouverts de 9 h à 18 h.",
                "confidence": 0.9,
                "model": "gemini-3.5-flash-lite",
                "created_at": AT,
                "sources": [{"article_id": ARTICLE_ID, "version": 2, "title": "Quels sont les horaires ?"}],
            }
        }
    ),
    "conversations.assign": Example(
        request={"user_id": PERSON},
        answer={"status": "ok", "conversation": {**_CONVERSATION, "assignee_id": PERSON}},
    ),
    "scheduled.list_scheduled": Example(
        answer=[
            {
                "id": MESSAGE,
                "conversation_id": CONVERSATION,
                "scheduled_at": "2025-11-26T08:00:00.000000Z",
                "timestamp": ANSWERED_AT,
                "message_type": "text",
                "content_text": "Votre vélo est prêt.",
                "content": {"type": "text", "body": "Votre vélo est prêt.", "preview_url": False},
                "client_id": "bubble-2",
                "reply_to_wamid": None,
            }
        ]
    ),
    "messages.list_messages": Example(answer=[_QUESTION, _ANSWER]),
    "messages.send": Example(
        request={
            "conversation_id": CONVERSATION,
            "content": "Oui, de 9 h à 18 h.",
            "client_id": "bubble-1",
            "expected_last_message_id": _QUESTION["id"],
        },
        answer=_SENT,
        others={202: _QUEUED, 409: MOVED},
    ),
    "reactions.react": Example(request={"emoji": "👍"}, answer=_SENT, others={202: _QUEUED}),
    "reactions.take_reaction_back": Example(answer=_SENT, others={202: _QUEUED}),
    "reactions.add_reaction": Example(
        request={"message_id": MESSAGE, "emoji": "👍"}, answer=_SENT, others={202: _QUEUED}
    ),
    "reactions.remove_reaction": Example(request={"message_id": MESSAGE}, answer=_SENT, others={202: _QUEUED}),
    "decisions.cancel": Example(answer={"status": "ok", "id": MESSAGE, "delivery_state": "cancelled"}),
    "decisions.resend": Example(answer={"status": "ok", "id": MESSAGE, "delivery_state": "queued"}),
    "decisions.discard": Example(answer={"status": "ok", "id": MESSAGE, "delivery_state": "cancelled"}),
    "media.check_media": Example(answer={"status": "ok", "total": 12, "stored": 11, "pending": 1, "lost": 0}),
    "uploads.upload": Example(
        answer={
            "id": "019ab8f4-6d20-7c31-9a55-0c4d8e21b7f3",
            "account_id": ACCOUNT,
            "kind": "image",
            "mime_type": "image/jpeg",
            "size": 182044,
            "sha256": "3a1f0c5de2b94786a0d1c2f38b7e6954f1029384756adbcef0918273645afbce",
            "name": "velo.jpg",
            "created_at": AT,
        }
    ),
    "shortcuts.send_media": Example(
        request={
            "conversation_id": CONVERSATION,
            "media_type": "image",
            "media_id": "1013859600285441",
            "caption": "Le vélo bleu",
        },
        answer=_SENT,
        others={202: _QUEUED, 409: MOVED},
    ),
    "shortcuts.send_interactive": Example(
        request={
            "conversation_id": CONVERSATION,
            "interactive_type": "button",
            "body_text": "Quel jour vous convient ?",
            "buttons": [{"id": "mon", "title": "Lundi"}, {"id": "tue", "title": "Mardi"}],
        },
        answer=_SENT,
        others={202: _QUEUED, 409: MOVED},
    ),
    "shortcuts.free_window": Example(
        answer={"is_free": True, "last_inbound_time": AT, "hours_elapsed": 1.5, "hours_remaining": 22.5}
    ),
    "shortcuts.price": Example(
        answer={
            "is_free": False,
            "price_usd": None,
            "price_eur": None,
            "currency": "USD",
            "category": "utility",
            "last_inbound_time": AT,
            "template_required": True,
        }
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
