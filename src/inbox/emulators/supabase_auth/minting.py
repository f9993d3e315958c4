"""Access tokens to order, honest ones and attacks, for tests of whoever verifies them."""

from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from inbox.emulators.supabase_auth.emulator import AuthEmulator
from inbox.emulators.supabase_auth.errors import no_such_user
from inbox.emulators.supabase_auth.keys import SigningKey, compact, signed_with_secret
from inbox.emulators.supabase_auth.records import Json, User


class Attack(StrEnum):
    """What is wrong with the header or the signature; wrong claims go into `claims`."""

    NONE = "none"
    ALG_NONE = "alg_none"
    HS256_PUBLIC_KEY = "hs256_public_key"  # algorithm confusion: HMAC with the public key's PEM as the secret
    NO_KID = "no_kid"
    UNKNOWN_KID = "unknown_kid"
    WRONG_KEY = "wrong_key"  # a known kid, another key's signature
    TAMPERED = "tampered"  # claims changed after signing


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One token. A user is named by `user_id` or `email`; `claims` overrides, null removes a claim.

    Each token gets a new auth session. `expires_in` in seconds, negative for the past.
    """

    user_id: UUID | None = None
    email: str = ""
    claims: dict[str, Any] = {}
    header: dict[str, Any] = {}
    expires_in: int | None = None
    attack: Attack = Attack.NONE


def mint(emulator: AuthEmulator, order: Order, issuer: str) -> Json:
    """`{"access_token", "claims"}`. Raises AuthError 404 for an unknown user."""
    user = emulator.find(order.email) if order.email else emulator.user(order.user_id)
    if user is None:
        raise no_such_user()
    claims = _claims(emulator, user, order, issuer)
    return {"access_token": _signed(emulator, claims, order), "claims": claims}


def _claims(emulator: AuthEmulator, user: User, order: Order, issuer: str) -> Json:
    claims = emulator.claims(user, emulator.start_session(user, "password"), issuer)
    if order.expires_in is not None:
        claims["exp"] = claims["iat"] + order.expires_in
    return {name: value for name, value in (claims | order.claims).items() if value is not None}


def _signed(emulator: AuthEmulator, claims: Json, order: Order) -> str:
    key = emulator.keys.current
    match order.attack:
        case Attack.NONE:
            return key.sign(claims, header=order.header) if order.header else emulator.keys.sign(claims)
        case Attack.ALG_NONE:
            return compact({"alg": "none", "typ": "JWT", "kid": key.kid} | order.header, claims, None)
        case Attack.HS256_PUBLIC_KEY:
            return signed_with_secret({"kid": key.kid} | order.header, claims, key.public_pem())
        case Attack.TAMPERED:
            return _tampered(key.sign(claims), claims)
        case attack:
            return _with_wrong_kid(key, claims, attack)


def _with_wrong_kid(key: SigningKey, claims: Json, attack: Attack) -> str:
    stranger = SigningKey.generate()
    match attack:
        case Attack.NO_KID:
            return key.sign(claims, with_kid=False)
        case Attack.WRONG_KEY:
            return stranger.sign(claims, header={"kid": key.kid})
        case _:
            return stranger.sign(claims)


def _tampered(token: str, claims: Json) -> str:
    """The signature of `claims` under claims that say service_role."""
    header, _, signature = token.split(".")
    payload = compact({}, claims | {"role": "service_role"}, None).split(".")[1]
    return f"{header}.{payload}.{signature}"
