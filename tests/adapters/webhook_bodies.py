"""Small webhooks in the shape of Meta's, for tests that say only what is special about theirs."""

import json
from typing import Any

NUMBER = "900111222333444"
CUSTOMER = "33600000001"
OTHER_CUSTOMER = "33600000002"
BSUID = "FR.40414243444546474849"
SENT_AT = 1_790_000_000

Json = dict[str, Any]


def a_message(kind: str = "text", /, **members: object) -> Json:
    """A message of one customer; a member that is None is left out."""
    message: Json = {"from": CUSTOMER, "id": "wamid.in.1", "timestamp": str(SENT_AT), "type": kind}
    if kind == "text":
        message["text"] = {"body": "Avez-vous encore des cerises ?"}
    return {key: value for key, value in {**message, **members}.items() if value is not None}


def a_status(word: str = "delivered", /, **members: object) -> Json:
    status = {"id": "wamid.out.1", "status": word, "timestamp": str(SENT_AT), "recipient_id": CUSTOMER, **members}
    return {key: value for key, value in status.items() if value is not None}


def a_contact(wa_id: str | None = CUSTOMER, name: str = "Camille", user_id: str | None = None) -> Json:
    contact = {"profile": {"name": name}, "wa_id": wa_id, "user_id": user_id}
    return {key: value for key, value in contact.items() if value is not None}


def a_value(
    *messages: object, statuses: object = (), contacts: object = (), number: str = NUMBER, **more: object
) -> Json:
    lists = {"messages": list(messages), "statuses": statuses, "contacts": contacts}
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "33190000000", "phone_number_id": number},
        **{name: items for name, items in lists.items() if items},
        **more,
    }


def an_envelope(*values: object, field: str = "messages") -> Json:
    """One entry with a change for each value."""
    changes = [{"field": field, "value": value} for value in values]
    return {"object": "whatsapp_business_account", "entry": [{"id": "800111", "changes": changes}]}


def a_body(*messages: object, **value: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(an_envelope(a_value(*messages, **value)), ensure_ascii=False).encode()
