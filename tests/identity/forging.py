"""Makes access tokens, good ones and all sorts of bad ones, with a key of its own."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from inbox.adapters.identity.local_tokens import new_signing_key
from inbox.ports.local_accounts import SigningKey


class Gone(Enum):
    GONE = "gone"


GONE = Gone.GONE
"""A claim or header member that is left out."""


class Forger:
    """Signs what it is told to, as the issuer `issuer`, at the time `now`."""

    alg = "ES256"
    elsewhere = "https://evil.example"
    """Where an attacker would like us to look for keys."""

    def __init__(self, issuer: str, now: datetime, key: SigningKey | None = None) -> None:
        self.issuer = issuer
        self.now = int(now.timestamp())
        self.key = key or new_signing_key(uuid4())
        self.kid = str(self.key.kid)
        private = load_pem_private_key(self.key.private_key_pem.encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        self.private = private
        self.user_id = uuid4()
        self.session_id = uuid4()

    def claims(self, **changes: object) -> dict[str, Any]:
        claims = {
            "iss": self.issuer,
            "sub": str(self.user_id),
            "aud": "authenticated",
            "exp": self.now + 3600,
            "iat": self.now,
            "email": "Ana@Faro.example",
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {"full_name": "Ana Ruiz", "email_verified": True},
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": self.now}],
            "session_id": str(self.session_id),
            "is_anonymous": False,
        }
        return _changed(claims, changes)

    def header(self, **changes: object) -> dict[str, Any]:
        return _changed({"alg": self.alg, "kid": self.kid, "typ": "JWT"}, changes)

    def token(self, header: dict[str, Any] | None = None, **claims: object) -> str:
        return self.sign(json.dumps(header or self.header()), json.dumps(self.claims(**claims)))

    def sign(self, header: str | bytes, payload: str | bytes) -> str:
        """Any two texts, properly signed with the key."""
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(ECAlgorithm(ECAlgorithm.SHA256).sign(signed.encode(), self.private))}"

    def hmac_token(self, secret: bytes, alg: str = "HS256", **claims: object) -> str:
        signed = f"{b64(json.dumps(self.header(alg=alg)))}.{b64(json.dumps(self.claims(**claims)))}"
        return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"

    def public(self, encoding: Encoding, form: PublicFormat) -> bytes:
        return self.private.public_key().public_bytes(encoding, form)

    def jwk(self) -> dict[str, Any]:
        return self.key.public_jwk


def _changed(members: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not GONE}


def b64(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def _with_twice(forger: Forger, name: str, value: object) -> str:
    text = json.dumps(forger.claims())
    return f'{text[:-1]}, "{name}": {json.dumps(value)}}}'


def _rs256(forger: Forger) -> str:
    private = rsa.generate_private_key(65537, 2048)
    return jwt.encode(forger.claims(), private, "RS256", {"kid": forger.kid})


def _embedded_key(forger: Forger) -> str:
    other = Forger(forger.issuer, datetime.fromtimestamp(forger.now).astimezone())
    return other.token(forger.header(jwk=other.jwk()))


def other_key(forger: Forger, **header: object) -> str:
    other = Forger(forger.issuer, datetime.fromtimestamp(forger.now).astimezone())
    return other.token(forger.header(**header))


def cut(token: str, part: int) -> str:
    parts = token.split(".")
    parts[part] = ""
    return ".".join(parts)


def _flipped(token: str, part: int) -> str:
    parts = token.split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    return ".".join(parts)


def _unsigned(forger: Forger, alg: str) -> str:
    return cut(forger.token(forger.header(alg=alg)), 2)


def _renamed(forger: Forger, alg: str) -> str:
    return forger.token(forger.header(alg=alg))


_FOREIGN_ALGORITHMS = (
    "none", "None", "ES384", "ES512", "ES256K", "EdDSA", "PS256", "RS256", "HS256", "es256", "ES256 ",
)  # fmt: skip

Attack = Callable[[Forger], str]

PEM, DER = Encoding.PEM, Encoding.DER
SPKI = PublicFormat.SubjectPublicKeyInfo

SIGNATURE_ATTACKS: dict[str, Attack] = {
    **{f"alg {alg!r} without signature": partial(_unsigned, alg=alg) for alg in ("none", "None", "NONE", "nOnE", "")},
    **{f"alg {alg!r} with a signature": partial(_renamed, alg=alg) for alg in _FOREIGN_ALGORITHMS},
    "alg missing": lambda f: f.token(f.header(alg=GONE)),
    "alg null": lambda f: f.token(f.header(alg=None)),
    "alg a list": lambda f: f.token(f.header(alg=["ES256"])),
    "alg a number": lambda f: f.token(f.header(alg=256)),
    "HS256 with the public key as PEM": lambda f: f.hmac_token(f.public(PEM, SPKI)),
    "HS256 with the public key as PEM without line end": lambda f: f.hmac_token(f.public(PEM, SPKI).strip()),
    "HS256 with the public key as DER": lambda f: f.hmac_token(f.public(DER, SPKI)),
    "HS256 with the public point": lambda f: f.hmac_token(f.public(Encoding.X962, PublicFormat.UncompressedPoint)),
    "HS256 with the JWK": lambda f: f.hmac_token(json.dumps(f.jwk()).encode()),
    "HS256 with x": lambda f: f.hmac_token(f.jwk()["x"].encode()),
    "HS256 with an empty key": lambda f: f.hmac_token(b""),
    "HS256 with a guessable key": lambda f: f.hmac_token(b"super-secret-jwt-token-with-at-least-32-characters-long"),
    "HS512 with the public key": lambda f: f.hmac_token(f.public(PEM, SPKI), alg="HS512"),
    "ES256 in name, HMAC in truth": lambda f: f.hmac_token(f.public(PEM, SPKI), alg="ES256"),
    "RS256 with another key": _rs256,
    "another key under our kid": other_key,
    "another key, embedded as jwk": _embedded_key,
    "another key, jku": lambda f: other_key(f, jku=f"{f.elsewhere}/jwks.json"),
    "another key, x5u": lambda f: other_key(f, x5u=f"{f.elsewhere}/cert.pem"),
    "kid missing": lambda f: f.token(f.header(kid=GONE)),
    "kid null": lambda f: f.token(f.header(kid=None)),
    "kid a number": lambda f: f.token(f.header(kid=1)),
    "kid a list": lambda f: f.token(f.header(kid=[f.kid])),
    "kid empty": lambda f: f.token(f.header(kid="")),
    "kid a path": lambda f: f.token(f.header(kid="../../../../dev/null")),
    "kid SQL": lambda f: f.token(f.header(kid="' or '1'='1")),
    "kid a URL": lambda f: f.token(f.header(kid="http://127.0.0.1:1/jwks.json")),
    "kid NUL": lambda f: f.token(f.header(kid="\x00")),
    "kid in capitals": lambda f: f.token(f.header(kid=f.kid.upper() + " ")),
    "kid of 10 kB": lambda f: f.token(f.header(kid="k" * 10_000)),
    "crit unknown": lambda f: f.token(f.header(crit=["exp"])),
    "crit empty": lambda f: f.token(f.header(crit=[])),
    "crit b64": lambda f: f.token(f.header(crit=["b64"], b64=True)),
    "b64 false": lambda f: f.token(f.header(b64=False)),
    "header a list": lambda f: f.sign("[]", json.dumps(f.claims())),
    "header a string": lambda f: f.sign('"ES256"', json.dumps(f.claims())),
    "header empty": lambda f: f.sign("{}", json.dumps(f.claims())),
    "header not JSON": lambda f: f.sign("{", json.dumps(f.claims())),
    "header not UTF-8": lambda f: f.sign(b'{"alg":"%b","kid":"\xff"}' % f.alg.encode(), json.dumps(f.claims())),
    "header with alg twice": lambda f: f.sign(
        f'{{"alg":"none","alg":"{f.alg}","kid":"{f.kid}"}}', json.dumps(f.claims())
    ),
    "header nested deep": lambda f: f.sign(f'{{"alg":"{f.alg}","kid":"{f.kid}","x":{_deep(1500)}}}', "{}"),
    "signature missing": lambda f: cut(f.token(), 2),
    "signature of zeros": lambda f: f"{f.token().rpartition('.')[0]}.{b64(bytes(64))}",
    "signature cut": lambda f: f.token()[:-8],
    "signature changed": lambda f: _flipped(f.token(), 2),
    "signature in DER": lambda f: f"{f.token().rpartition('.')[0]}.{b64(b'0' * 70)}",
    "signature of another token": lambda f: f.token(aal="aal2").rpartition(".")[0] + "." + f.token().rpartition(".")[2],
    "payload changed": lambda f: _flipped(f.token(), 1),
    "payload missing": lambda f: cut(f.token(), 1),
    "header missing": lambda f: cut(f.token(), 0),
    "four parts": lambda f: f"{f.token()}.x",
    "five parts, like an encrypted token": lambda f: f"{f.token()}.x.x",
    "padding": lambda f: f"{f.token()}==",
    "a space before": lambda f: f" {f.token()}",
    "a line end after": lambda f: f"{f.token()}\n",
    "standard base64 instead of base64url": lambda f: f.token()[:-2] + "+/",
}
"""Tokens whose form or signature is wrong (`security.md`, S17 and S19)."""

CLAIM_ATTACKS: dict[str, Attack] = {
    "expired": lambda f: f.token(exp=f.now - 11),
    "expired long ago": lambda f: f.token(exp=0),
    "exp negative": lambda f: f.token(exp=-1),
    "exp missing": lambda f: f.token(exp=GONE),
    "exp null": lambda f: f.token(exp=None),
    "exp a text": lambda f: f.token(exp=str(f.now + 3600)),
    "exp true": lambda f: f.token(exp=True),
    "exp infinite": lambda f: f.sign(json.dumps(f.header()), json.dumps(f.claims(exp=float("inf")))),
    "exp no number": lambda f: f.sign(json.dumps(f.header()), json.dumps(f.claims(exp=float("nan")))),
    "exp beyond all numbers": lambda f: f.sign(
        json.dumps(f.header()), json.dumps(f.claims(exp=7)).replace('"exp": 7', '"exp": 1e999')
    ),
    "iat in the future": lambda f: f.token(iat=f.now + 60),
    "iat missing": lambda f: f.token(iat=GONE),
    "nbf in the future": lambda f: f.token(nbf=f.now + 60),
    "nbf a text": lambda f: f.token(nbf="tomorrow"),
    "iss of another project": lambda f: f.token(iss="https://other.supabase.co/auth/v1"),
    "iss with a slash more": lambda f: f.token(iss=f.issuer + "/"),
    "iss longer": lambda f: f.token(iss=f.issuer + ".evil.example"),
    "iss in capitals": lambda f: f.token(iss=f.issuer.upper()),
    "iss of the legacy keys": lambda f: f.token(iss="supabase"),
    "iss a list": lambda f: f.token(iss=[f.issuer]),
    "iss missing": lambda f: f.token(iss=GONE),
    "aud of another service": lambda f: f.token(aud="anon"),
    "aud of an id token": lambda f: f.token(aud="0b7c1f0e-client"),
    "aud a list": lambda f: f.token(aud=["authenticated", "other"]),
    "aud missing": lambda f: f.token(aud=GONE),
    "role anon": lambda f: f.token(role="anon"),
    "role service_role": lambda f: f.token(role="service_role"),
    "role supabase_admin": lambda f: f.token(role="supabase_admin"),
    "role empty": lambda f: f.token(role=""),
    "role missing": lambda f: f.token(role=GONE),
    "the legacy anon key": lambda f: f.sign(
        json.dumps(f.header()),
        json.dumps({"iss": "supabase", "ref": "abc", "role": "anon", "iat": f.now, "exp": f.now + 9999}),
    ),
    "the legacy service key": lambda f: f.sign(
        json.dumps(f.header()),
        json.dumps({"iss": "supabase", "ref": "abc", "role": "service_role", "iat": f.now, "exp": f.now + 9999}),
    ),
    "sub missing": lambda f: f.token(sub=GONE),
    "sub empty": lambda f: f.token(sub=""),
    "sub no UUID": lambda f: f.token(sub="ana"),
    "sub SQL": lambda f: f.token(sub="'; drop table app_users; --"),
    "sub a number": lambda f: f.token(sub=1),
    "anonymous": lambda f: f.token(is_anonymous=True),
    "anonymous in words": lambda f: f.token(is_anonymous="yes"),
    "session missing": lambda f: f.token(session_id=GONE),
    "session empty": lambda f: f.token(session_id=""),
    "session null": lambda f: f.token(session_id=None),
    "session no UUID": lambda f: f.token(session_id="1"),
    "issued to another application": lambda f: f.token(client_id=str(UUID(int=7))),
    "client_id a list": lambda f: f.token(client_id=["x"]),
    "e-mail a number": lambda f: f.token(email=7),
    "e-mail a lone surrogate": lambda f: f.token(email="\ud800@faro.example"),
    "more than 8 kB": lambda f: f.token(user_metadata={"full_name": "x" * 9000}),
    "payload a list": lambda f: f.sign(json.dumps(f.header()), "[]"),
    "payload no JSON": lambda f: f.sign(json.dumps(f.header()), "hello"),
    "payload not UTF-8": lambda f: f.sign(json.dumps(f.header()), b'{"iss":"\xff"}'),
    "payload nested deep": lambda f: f.sign(json.dumps(f.header()), f'{{"x":{_deep(1500)}}}'),
    "sub twice": lambda f: f.sign(json.dumps(f.header()), _with_twice(f, "sub", str(UUID(int=7)))),
    "role twice": lambda f: f.sign(json.dumps(f.header()), _with_twice(f, "role", "authenticated")),
    "exp twice": lambda f: f.sign(json.dumps(f.header()), _with_twice(f, "exp", f.now + 10**6)),
}
"""Tokens with a good signature and content that must not pass (`security.md`, S18)."""

GARBAGE = [
    "", " ", ".", "..", "...", "a", "a.b", "a.b.c", "Bearer a.b.c", "null", "undefined", "eyJ", "{}.{}.{}",
    "\x00", "é.é.é", "\ud800.a.b",
    "\u0661.\u0662.\u0663", "a" * 8193, "a" * 100_000, f"{'a' * 4000}.{'b' * 4000}.{'c' * 4000}",
    "e30.e30.e30", "bnVsbA.e30.e30", "W10.e30.e30", "user:", "user:1", "' or 1=1 --", "sb_publishable_x",
]  # fmt: skip
"""Texts that are no tokens at all."""


class SecretForger(Forger):
    """Somebody who holds the shared secret of a project: every claim is theirs to choose, properly signed."""

    alg = "HS256"
    secret = b""

    def sign(self, header: str | bytes, payload: str | bytes) -> str:
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(hmac.digest(self.secret, signed.encode(), hashlib.sha256))}"


def rsa_key(kid: str, bits: int = 2048) -> tuple[rsa.RSAPrivateKey, dict[str, Any]]:
    private = rsa.generate_private_key(65537, bits)
    jwk: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(private.public_key()))
    return private, jwk | {"kid": kid, "alg": "RS256", "use": "sig"}
