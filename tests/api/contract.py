"""The answers of the REST contract, as shapes. What is ours beyond the contract is marked: front ends ignore it."""

from typing import Any, Final

from api.shapes import boolean, mapping, nullable, number, text, time, uuid

Shape = dict[str, Any]

PROBLEM: Final[Shape] = {"type": "about:blank", "title": text, "status": number, "detail": text, "request_id": text}

ROLE_OF_USER: Final[Shape] = {
    "id": uuid,
    "role_id": uuid,
    "role_slug": nullable(text),
    "role_name": nullable(text),
    "account_id": nullable(uuid),
}
OVERRIDE: Final[Shape] = {
    "id": uuid,
    "permission_code": text,
    "account_id": nullable(uuid),
    "is_allowed": boolean,
}
USER: Final[Shape] = {
    "user_id": uuid,
    "email": nullable(text),
    "display_name": nullable(text),
    "is_active": boolean,
    "created_at": time,
}
ACCOUNT: Final[Shape] = {
    "id": uuid,
    "name": text,
    "slug": text,
    "phone_number": nullable(text),
    "phone_number_id": text,
    # ours
    "read_receipts": boolean,
    "typing_indicators": boolean,
}
CONVERSATION: Final[Shape] = {
    "id": uuid,
    "contact_id": nullable(uuid),
    "account_id": uuid,
    "client_number": text,
    "is_group": boolean,
    "is_favorite": boolean,
    "unread_count": number,
    "status": "open",
    "updated_at": time,
    "bot_enabled": boolean,
    "bot_last_reply_at": nullable(time),
    # ours
    "window_expires_at": nullable(time),
    "handed_over_at": nullable(time),
    "handover_reason": nullable(text),
    "free_entry_until": nullable(time),
    "assignee_id": nullable(uuid),
    "bot_mode": lambda value: value in ("off", "suggest", "auto"),
    "preferences": mapping,
}
CONVERSATION_IN_LIST: Final[Shape] = CONVERSATION | {
    "contacts": {"display_name": nullable(text), "whatsapp_number": text}
}
MESSAGE: Final[Shape] = {
    "id": uuid,
    "conversation_id": uuid,
    "direction": lambda value: value in ("inbound", "outbound"),
    "content_text": nullable(text),
    "timestamp": time,
    "wa_message_id": nullable(text),
    "message_type": nullable(text),
    "status": lambda value: value in (None, "received", "pending", "sent", "delivered", "read", "failed"),
    "media_id": nullable(text),
    "media_mime_type": nullable(text),
    "media_filename": nullable(text),
    "error_message": nullable(text),
    # ours
    "actor": nullable(text),
    "client_id": nullable(text),
    "delivery_state": nullable(text),
    "reactions": [{"emoji": text, "from": text, "at": time}],
    "reply_to_wamid": nullable(text),
    "reply_to_message_id": nullable(uuid),
    "edited_at": nullable(time),
    "revoked_at": nullable(time),
    "content": nullable(mapping),
    "media_state": nullable(text),
    "scheduled_at": nullable(time),
    "context": nullable(mapping),
}
CONTACT: Final[Shape] = {
    "id": uuid,
    "whatsapp_number": text,
    "display_name": nullable(text),
    "created_at": time,
    # ours
    "preferences": [{"account_id": uuid, "category": text, "value": text, "changed_at": time}],
}
PERMISSION: Final[Shape] = {"code": text, "label": nullable(text), "description": nullable(text)}
ROLE: Final[Shape] = {
    "id": uuid,
    "slug": text,
    "name": text,
    "description": nullable(text),
    "created_at": time,
    "permissions": [text],
}

TEMPLATE: Final[Shape] = {
    "system_rules": dict.fromkeys(
        ("language", "tone", "role", "mission", "style", "priority", "response_policy", "security"), text
    ),
    "company": dict.fromkeys(("name", "address", "hours_block", "zone", "rendezvous", "activity"), text),
    "offers": [{"category": text, "content": text}],
    "procedures": [{"name": text, "steps": text}],
    "faq": [{"question": text, "answer": text}],
    "special_cases": [{"case": text, "response": text}],
    "conditions": dict.fromkeys(("zone", "payment", "engagement", "restrictions", "documents"), text),
    "links": dict.fromkeys(("site", "products", "form", "other"), text),
    "escalation": dict.fromkeys(("procedure", "contact", "hours"), text),
    "special_rules": text,
}
EMPTY_PROFILE: Final[Shape] = {
    "account_id": uuid,
    "business_name": nullable(text),
    "description": nullable(text),
    "address": nullable(text),
    "hours": nullable(text),
    "knowledge_base": nullable(text),
    "custom_fields": [{"id": text, "label": text, "value": text}],
    "template_config": TEMPLATE,
    # ours
    "behaviour": {
        "language": text,
        "model": nullable(text),
        "temperature": nullable(number),
        "min_confidence": nullable(number),
        "reads_images": boolean,
        "reads_voice": boolean,
        "link_domains": [text],
        "schedule": {"answers": text, "time_zone": text, "business_hours": [mapping]},
        "contact_budget": mapping,
        "account_budget": mapping,
        "auto_on": boolean,
    },
}
PROFILE: Final[Shape] = {"id": uuid, "updated_at": time} | EMPTY_PROFILE
