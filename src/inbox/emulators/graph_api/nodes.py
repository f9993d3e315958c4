"""WABAs, phone numbers, the app and tokens: what can be read and set (facts 1.5 and 6: Meta's reference)."""

from datetime import UTC, datetime
from typing import Any, Final

from inbox.emulators.graph_api import checks
from inbox.emulators.graph_api.calls import Answer, Call, success
from inbox.emulators.graph_api.emulator import Emulator
from inbox.emulators.graph_api.errors import GraphError, parameter_required
from inbox.emulators.graph_api.objects import ALL_FIELDS, Number, Waba
from inbox.emulators.graph_api.state import World

MAX_OVERRIDE: Final = 200
BUSINESS_ID: Final = "900700800900001"
_NUMBER_DEFAULTS: Final = (
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "last_onboarded_time",
    "webhook_configuration",
)
_WABA_DEFAULTS: Final = ("name", "timezone_id", "message_template_namespace")
_STANDARD_THROUGHPUT: Final = 80


def waba_object(emulator: Emulator, waba: Waba, call: Call) -> Answer:
    """`GET /{waba}`."""
    whole = {
        "name": waba.name,
        "currency": "USD",
        "timezone_id": "1",
        "message_template_namespace": f"00000000_1111_2222_3333_{waba.id[-12:]:0>12}",
        "account_review_status": "APPROVED",
        "business_verification_status": "verified",
        "health_status": _health(emulator.world, (("WABA", waba.id),)),
    }
    return Answer({**_selected(whole, call, _WABA_DEFAULTS), "id": waba.id})


def phone_numbers(emulator: Emulator, waba: Waba, call: Call) -> Answer:
    """`GET /{waba}/phone_numbers`, all on one page."""
    numbers = [emulator.world.numbers[number_id] for number_id in waba.number_ids]
    data = [_number(emulator.world, number, call) for number in numbers]
    if not data:
        return Answer({"data": []})
    return Answer({"data": data, "paging": {"cursors": {"before": "first", "after": "last"}}})


def number_object(emulator: Emulator, number: Number, call: Call) -> Answer:
    """`GET /{phone}`, also with `fields=health_status`."""
    return Answer(_number(emulator.world, number, call))


async def change_number(emulator: Emulator, number: Number, call: Call) -> Answer:
    """`POST /{phone}`: a pin, or a webhook override, which the callback must confirm; an empty one removes it."""
    given = call.json()
    if "webhook_configuration" in given:
        configuration = checks.obj(given, "webhook_configuration", "webhook_configuration")
        url = configuration.get("override_callback_uri")
        if url == "":
            number.override = None
        else:
            name = "webhook_configuration['override_callback_uri']"
            checked = checks.web_url(url, name, most=MAX_OVERRIDE)
            number.override = await emulator.handshake(checked, _verify_token(configuration))
    elif "pin" in given:
        pin = given["pin"]
        if not isinstance(pin, str) or len(pin) != len("123456") or not pin.isdigit():
            raise checks.invalid("pin", "must be 6 digits.")
    else:
        raise parameter_required("pin")
    emulator.world.ledger.add("account", method="POST", node=number.id)
    return success()


def subscriptions_of(emulator: Emulator, waba: Waba, _: Call) -> Answer:
    """`GET /{waba}/subscribed_apps`."""
    if not waba.subscribed:
        return Answer({"data": []})
    app = emulator.world.app
    entry: dict[str, Any] = {
        "whatsapp_business_api_data": {
            "id": app.id,
            "link": f"https://www.facebook.com/games/?app_id={app.id}",
            "name": app.name,
        }
    }
    if waba.override is not None:
        entry["override_callback_uri"] = waba.override.url
    return Answer({"data": [entry]})


async def subscribe(emulator: Emulator, waba: Waba, call: Call) -> Answer:
    """`POST /{waba}/subscribed_apps`: with an override it must answer the handshake; without a body it is removed."""
    given = call.parameters()
    url = given.get("override_callback_uri")
    override = None
    if url:
        checked = checks.web_url(url, "override_callback_uri", most=MAX_OVERRIDE)
        override = await emulator.handshake(checked, _verify_token(given))
    waba.subscribed = True
    waba.override = override
    emulator.world.ledger.add("account", method="POST", node=waba.id, edge="subscribed_apps")
    return success()


def unsubscribe(emulator: Emulator, waba: Waba, _: Call) -> Answer:
    """`DELETE /{waba}/subscribed_apps`."""
    waba.subscribed = False
    waba.override = None
    emulator.world.ledger.add("account", method="DELETE", node=waba.id, edge="subscribed_apps")
    return success()


async def set_callback(emulator: Emulator, call: Call) -> Answer:
    """`POST /{app}/subscriptions` with the app's own token: stored only after the handshake."""
    world = emulator.world
    if call.bearer() != f"{world.app.id}|{world.app.secret}":
        raise GraphError(15, message="(#15) This method must be called with an app access_token.", status=400)
    given = call.parameters()
    checks.one_of(given.get("object"), {"whatsapp_business_account"}, "object")
    url = checks.web_url(given.get("callback_url"), "callback_url")
    raw = given.get("fields", "messages")
    fields = raw if isinstance(raw, list) else [field.strip() for field in str(raw).split(",") if field.strip()]
    for field in fields:
        checks.one_of(field, ALL_FIELDS, "fields")
    world.app.callback = await emulator.handshake(url, _verify_token(given))
    world.app.fields = frozenset(fields)
    world.ledger.add("account", method="POST", node=world.app.id, edge="subscriptions")
    return success()


def debug_token(emulator: Emulator, call: Call) -> Answer:
    """`GET /debug_token?input_token=`: what a token is good for."""
    world = emulator.world
    if not call.query.get("input_token"):
        raise parameter_required("input_token")
    token = world.tokens.get(call.query["input_token"])
    if token is None:
        error = {"code": 190, "message": "Invalid OAuth access token."}
        return Answer({"data": {"app_id": world.app.id, "error": error, "is_valid": False, "scopes": []}})
    expired = bool(token.expires_at) and world.clock.now() >= token.expires_at
    scopes = sorted(scope.value for scope in token.scopes)
    targets = {} if token.waba_ids is None else {"target_ids": sorted(token.waba_ids)}
    data = {
        "app_id": world.app.id,
        "type": "SYSTEM_USER",
        "application": world.app.name,
        "data_access_expires_at": 0,
        "expires_at": int(token.expires_at),
        "is_valid": not expired,
        "issued_at": int(token.issued_at),
        "scopes": scopes,
        "granular_scopes": [{"scope": scope, **targets} for scope in scopes],
        "user_id": "900600700800902",
    }
    return Answer({"data": data})


def _number(world: World, number: Number, call: Call) -> dict[str, Any]:
    callbacks = (
        ("phone_number", number.override),
        ("whatsapp_business_account", world.wabas[number.waba_id].override),
        ("application", world.app.callback),
    )
    onboarded = datetime.fromtimestamp(number.onboarded_at, UTC).strftime("%Y-%m-%dT%H:%M:%S%z")
    whole = {
        "verified_name": number.verified_name,
        "code_verification_status": "VERIFIED",
        "display_phone_number": number.display,
        "quality_rating": number.quality_rating,
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD" if number.throughput <= _STANDARD_THROUGHPUT else "HIGH"},
        "last_onboarded_time": onboarded,
        "webhook_configuration": {level: callback.url for level, callback in callbacks if callback is not None},
        "status": number.status,
        "name_status": "APPROVED",
        "whatsapp_business_manager_messaging_limit": "TIER_2K",
        "account_mode": "LIVE" if number.allowed is None else "SANDBOX",
        "is_on_biz_app": False,
        "health_status": _health(world, (("PHONE_NUMBER", number.id), ("WABA", number.waba_id)), number),
    }
    return {**_selected(whole, call, _NUMBER_DEFAULTS), "id": number.id}


def _health(world: World, entities: tuple[tuple[str, str], ...], number: Number | None = None) -> dict[str, Any]:
    def state(kind: str) -> str:
        return "BLOCKED" if kind == "PHONE_NUMBER" and number and number.status != "CONNECTED" else "AVAILABLE"

    whole = (*entities, ("BUSINESS", BUSINESS_ID), ("APP", world.app.id))
    described = [{"entity_type": kind, "id": node, "can_send_message": state(kind)} for kind, node in whole]
    worst = "BLOCKED" if any(one["can_send_message"] == "BLOCKED" for one in described) else "AVAILABLE"
    return {"can_send_message": worst, "entities": described}


def _selected(whole: dict[str, Any], call: Call, defaults: tuple[str, ...]) -> dict[str, Any]:
    wanted = [field.strip() for field in call.query.get("fields", "").split(",") if field.strip()] or defaults
    for field in wanted:
        if field != "id" and field not in whole:
            raise GraphError(100, message=f"(#100) Tried accessing nonexisting field ({field})")
    return {field: whole[field] for field in wanted if field != "id"}


def _verify_token(given: dict[str, Any]) -> str:
    return checks.text(given, "verify_token", "verify_token", most=1000)
