"""`POST /{phone}/messages`: accept a message, mark one as read, show typing (facts 3)."""

from typing import Any, Final

from inbox.emulators.graph_api import checks
from inbox.emulators.graph_api.calls import Answer, Call, success
from inbox.emulators.graph_api.config import PayloadVersion, WindowRefusal
from inbox.emulators.graph_api.errors import GraphError, parameter_required
from inbox.emulators.graph_api.objects import Number, Persona, Send
from inbox.emulators.graph_api.rates import Rates
from inbox.emulators.graph_api.state import World
from inbox.emulators.graph_api.template_sends import check_parameters, find_template
from inbox.emulators.graph_api.validation import Sending, check_message, recipient

WINDOW_CLOSED: Final = 131047
_MEDIA_TYPES: Final = ("image", "video", "audio", "document", "sticker")


class Accepted:
    """The message that was taken, and the answer to its call."""

    __slots__ = ("answer", "send")

    def __init__(self, send: Send, answer: Answer) -> None:
        self.send = send
        self.answer = answer


def accept(world: World, rates: Rates, number: Number, call: Call, *, failed_code: int = 0) -> Accepted:
    """Check everything Meta checks before its 200, then store the message. Raises GraphError; then nothing is stored.

    `failed_code` makes the message fail later whatever it is.
    """
    message = call.json()
    _check_product(message)
    if number.status != "CONNECTED":
        raise GraphError(133010)
    user_ids = world.behaviour.payload_version is PayloadVersion.BSUID
    to, user_id = recipient(message, number, user_ids=user_ids)
    kind = check_message(message, Sending(world, number))
    persona = world.persona(to or user_id)
    is_group = message.get("recipient_type") == "group"
    address = to if is_group or not to else persona.address
    _check_recipient(number, to)
    category = _category(world, number, message) if kind == "template" else "service"
    late = failed_code or _late_failure(world, number, persona, message, category)
    if late == WINDOW_CLOSED and not failed_code and world.behaviour.window_refusal is WindowRefusal.SYNCHRONOUS:
        raise GraphError(WINDOW_CLOSED)
    rates.check_send(number, address or user_id)
    send = _store(world, number, message, kind, (address, user_id, category, late))
    return Accepted(send, _answer(message, send))


def mark_read(world: World, number: Number, call: Call) -> Answer:
    """`{"status": "read", "message_id"}`, with a typing indicator if asked for."""
    message = call.json()
    _check_product(message)
    checks.one_of(message.get("status"), {"read"}, "status")
    wamid = checks.text(message, "message_id", "message_id", most=512)
    typing = message.get("typing_indicator") is not None
    if typing:
        indicator = checks.obj(message, "typing_indicator", "typing_indicator")
        checks.one_of(indicator.get("type"), {"text"}, "typing_indicator['type']")
    if world.inbound.get(wamid) != number.id:
        raise GraphError(131009, "Invalid message id")
    world.ledger.add("read", number=number.id, wamid=wamid, typing=typing)
    return success()


def _check_product(message: dict[str, Any]) -> None:
    if message.get("messaging_product") is None:
        raise parameter_required("messaging_product")
    checks.one_of(message["messaging_product"], {"whatsapp"}, "messaging_product")


def _check_recipient(number: Number, to: str) -> None:
    if to == number.digits:
        raise GraphError(131021)
    if number.allowed is not None and to not in number.allowed:
        raise GraphError(131030)


def _category(world: World, number: Number, message: dict[str, Any]) -> str:
    content = message["template"]
    template = find_template(world.wabas[number.waba_id], content)
    check_parameters(world, number, template, content)
    return template.category.lower()


def _late_failure(world: World, number: Number, persona: Persona, message: dict[str, Any], category: str) -> int:
    """The code of a failure that shows only after the 200 (facts 7.2), or 0."""
    if message.get("recipient_type") == "group":
        return 0
    expected_hash = message.get("recipient_identity_key_hash")
    target = message["reaction"]["message_id"] if message.get("type") == "reaction" else None
    reasons = (
        (130403, persona.key in number.blocked),
        (131026, not persona.registered),
        (137000, expected_hash is not None and expected_hash != persona.identity_hash),
        (131050, category == "marketing" and persona.stopped_marketing),
        (WINDOW_CLOSED, category == "service" and not _window_is_open(world, number, persona)),
        (131009, target is not None and not _is_known(world, target)),
    )
    return next((code for code, applies in reasons if applies), 0)


def _window_is_open(world: World, number: Number, persona: Persona) -> bool:
    return not world.behaviour.check_window or world.window_is_open(number.id, persona.key)


def _is_known(world: World, wamid: str) -> bool:
    return wamid in world.inbound or wamid in world.sends


def _store(world: World, number: Number, message: dict[str, Any], kind: str, fate: tuple[str, str, str, int]) -> Send:
    to, user_id, category, failed_code = fate
    world.counts["sends"] += 1
    send = Send(
        serial=world.counts["sends"],
        wamid=world.ids.outbound_wamid(to or user_id),
        number=number,
        to=to,
        user_id=user_id,
        type=kind,
        op=message.get("biz_opaque_callback_data"),
        at=world.clock.now(),
        message=message,
        category=category,
        is_group=message.get("recipient_type") == "group",
        failed_code=failed_code,
    )
    world.sends.put(send.wamid, send)
    world.ledger.add(
        "send", wamid=send.wamid, number=number.id, to=to or user_id, type=kind, op=send.op, message=message
    )
    return send


def _answer(message: dict[str, Any], send: Send) -> Answer:
    contact: dict[str, str] = {"input": message.get("to") or send.user_id}
    if send.to:
        contact["wa_id"] = send.to
    if send.user_id:
        contact["user_id"] = send.user_id
    accepted: dict[str, str] = {"id": send.wamid}
    if send.type == "template":
        accepted["message_status"] = "accepted"
    return Answer({"messaging_product": "whatsapp", "contacts": [contact], "messages": [accepted]})


def link_of(send: Send) -> str | None:
    """The link of a media message, which Meta fetches after the 200."""
    if send.type not in _MEDIA_TYPES:
        return None
    link = send.message[send.type].get("link")
    return link if isinstance(link, str) else None
