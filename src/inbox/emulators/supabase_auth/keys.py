"""Signing keys: made at the start, rotated and revoked on demand, published as a JWKS."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from inbox.emulators.supabase_auth.config import Signing
from inbox.emulators.supabase_auth.errors import bad_jwt

Json = dict[str, Any]
MAX_RETIRED: Final = 16


class SigningKey(msgspec.Struct, frozen=True):
    """An ES256 key pair and its id."""

    kid: str
    private: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> "SigningKey":
        return cls(str(uuid4()), ec.generate_private_key(ec.SECP256R1()))

    def public_jwk(self) -> Json:
        jwk: Json = json.loads(ECAlgorithm.to_jwk(self.private.public_key()))
        return jwk | {"kid": self.kid, "alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": True}

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims: Json, *, with_kid: bool = True, header: Json | None = None) -> str:
        headers = ({"kid": self.kid} if with_kid else {}) | (header or {})
        return jwt.encode(claims, self.private, algorithm="ES256", headers=headers)


class KeyRing:
    """One current key, one standby, the retired ones that still verify; and the shared secret, if there is one."""

    def __init__(self, signing: Signing, secret: str) -> None:
        self.signing = signing
        self.secret = secret.encode()
        self.current = SigningKey.generate()
        self.standby = SigningKey.generate()
        self.retired: list[SigningKey] = []
        self._secret_kid = str(uuid4())

    def jwks(self) -> Json:
        if self.signing is Signing.HS256:
            return {"keys": []}
        return {"keys": [key.public_jwk() for key in (self.current, self.standby, *self.retired)]}

    def rotate(self) -> SigningKey:
        """The standby key becomes current; the old one is retired and goes on verifying. Returns the new current."""
        self.retired = [self.current, *self.retired][:MAX_RETIRED]
        self.current, self.standby = self.standby, SigningKey.generate()
        return self.current

    def revoke(self, kid: str) -> bool:
        """Remove a key at once; its tokens no longer verify. Revoking the current key rotates first."""
        if kid == self.current.kid:
            self.rotate()
        elif kid == self.standby.kid:
            self.standby = SigningKey.generate()
            return True
        kept = [key for key in self.retired if key.kid != kid]
        removed = len(kept) < len(self.retired)
        self.retired = kept
        return removed

    def sign(self, claims: Json) -> str:
        if self.signing is Signing.HS256:
            return signed_with_secret({"kid": self._secret_kid}, claims, self.secret)
        return self.current.sign(claims)

    def verify(self, token: str) -> Json:
        """The claims of a token whose signature holds; times are not looked at. Raises AuthError 403 `bad_jwt`."""
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = self._key_for(header)
            claims: Json = jwt.decode(token, key, algorithms=[algorithm], options=_SIGNATURE_ONLY)
        except jwt.InvalidSignatureError as error:
            raise bad_jwt("token signature is invalid: signature is invalid") from error
        except jwt.PyJWTError as error:
            raise bad_jwt("token is malformed: token could not be decoded") from error
        return claims

    def _key_for(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        algorithm = header.get("alg")
        if algorithm == "HS256" and self.secret:
            return self.secret, "HS256"
        if algorithm != "ES256" or self.signing is Signing.HS256:
            raise bad_jwt(f"token signature is invalid: signing method {algorithm} is invalid")
        for key in (self.current, self.standby, *self.retired):
            if key.kid == header.get("kid"):
                return key.private.public_key(), "ES256"
        raise bad_jwt("token is unverifiable: error while executing keyfunc: unrecognized JWT kid for algorithm ES256")


def signed_with_secret(header: Json, claims: Json, secret: bytes) -> str:
    """An HS256 token made by hand: also with a public key as the secret, which libraries refuse for good reason."""
    return compact({"alg": "HS256", "typ": "JWT"} | header, claims, secret)


def compact(header: Json, claims: Json, secret: bytes | None) -> str:
    """JWS compact serialisation (RFC 7515); without a secret the signature is empty."""
    content = f"{_segment(header)}.{_segment(claims)}"
    signature = b"" if secret is None else hmac.digest(secret, content.encode(), hashlib.sha256)
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _segment(value: Json) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


_SIGNATURE_ONLY: Final[Any] = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
