"""Examples of calls about message templates."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_inbox import MOVED
from inbox.entrypoints.http.examples_values import ACCOUNT, AT, MESSAGE, Example

TEMPLATE_ID: Final = "0192a1b2-3c4d-7e5f-8a6b-7c8d9e0f1a55"
_BODY: Final = {
    "type": "BODY",
    "text": "Bonjour {{1}}, votre vélo est prêt.",
    "example": {"body_text": [["Léa"]]},
}
_TEMPLATE: Final = {
    "id": TEMPLATE_ID,
    "account_id": ACCOUNT,
    "meta_id": "900880000000001",
    "name": "velo_pret",
    "language": "fr",
    "category": "UTILITY",
    "status": "APPROVED",
    "reason": None,
    "details": None,
    "quality": "GREEN",
    "parameter_format": "POSITIONAL",
    "components": [_BODY],
    "created_at": AT,
    "synced_at": AT,
}
_VALUES: Final = [{"type": "body", "parameters": [{"type": "text", "text": "Léa"}]}]
_PENDING: Final = {**_TEMPLATE, "status": "PENDING", "quality": None, "synced_at": None}

TEMPLATES: Final[Mapping[str, Example]] = {
    "templates.list_templates": Example(answer=[_TEMPLATE]),
    "templates.create_template": Example(
        request={
            "name": "velo_pret",
            "language": "fr",
            "category": "UTILITY",
            "components": [
                {
                    "type": "HEADER",
                    "format": "IMAGE",
                    "example": {"header_handle": ["4::aW1hZ2UvanBlZw==:EXAMPLE_HANDLE"]},
                },
                _BODY,
                {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Je viens"}]},
            ],
        },
        answer=_PENDING,
    ),
    "templates.sync_templates": Example(answer={"templates": 12, "synced_at": AT, "status": "ok"}),
    "templates.upload_sample": Example(
        request={"upload_id": "0192a1b2-3c4d-7e5f-8a6b-7c8d9e0f1a56"},
        answer={"header_handle": "4::aW1hZ2UvanBlZw==:EXAMPLE_HANDLE"},
    ),
    "templates.get_template": Example(answer=_TEMPLATE),
    "templates.edit_template": Example(request={"components": [_BODY]}, answer=_PENDING),
    "templates.delete_template": Example(answer={"template_id": TEMPLATE_ID, "status": "deleted"}),
    "templates.preview_template": Example(
        request={"components": _VALUES},
        answer={
            "header_format": None,
            "header": None,
            "body": "Bonjour Léa, votre vélo est prêt.",
            "footer": None,
            "buttons": [],
            "text": "Bonjour Léa, votre vélo est prêt.",
            "missing": [],
        },
    ),
    "template_shortcuts.offered_templates": Example(
        answer={
            "templates": [
                {
                    "id": "900880000000001",
                    "name": "velo_pret",
                    "language": "fr",
                    "category": "UTILITY",
                    "status": "APPROVED",
                    "quality": "GREEN",
                    "parameter_format": "POSITIONAL",
                    "components": [_BODY],
                    "price_usd": None,
                    "price_eur": None,
                    "header_media_url": None,
                    "header_media_type": None,
                }
            ]
        }
    ),
    "template_shortcuts.send_template": Example(
        request={"template_name": "velo_pret", "components": _VALUES},
        answer={"status": "sent", "message_id": "wamid.INVENTED0002", "id": MESSAGE},
        others={202: {"status": "queued", "message_id": None, "id": MESSAGE}, 409: MOVED},
    ),
}
