"""Access tokens of local accounts: issued and verified with ES256 keys that live in the database."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from inbox.adapters.identity.keys import KeyRing
from inbox.adapters.identity.tokens import ASYMMETRIC, Claims, Verifier, read_keys
from inbox.domain.errors import InvalidToken
from inbox.ports.database import Database
from inbox.ports.local_accounts import LocalSession, LocalUser, SigningKey

LIFETIME: Final = timedelta(hours=1)
_CURRENT: Final = "current"


def new_signing_key(kid: UUID) -> SigningKey:
    """A fresh ES256 key, to become the current one."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(private.public_key()))
    public |= {"kid": str(kid), "alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": True}
    return SigningKey(kid=kid, private_key_pem=pem, public_jwk=public, state=_CURRENT)


class LocalTokens:
    """Issues and verifies. One per process, shared by sign-in and identity."""

    def __init__(self, database: Database, issuer: str, *, clock: Callable[[], datetime]) -> None:
        """`issuer` is the public URL of our `/auth/v1`, written exactly so into every token."""
        self._database = database
        self._issuer = issuer
        self._clock = clock
        self._verifier = Verifier(issuers=[issuer], algorithms=ASYMMETRIC)
        self._ring = KeyRing(self._fetch)

    async def verify(self, token: str) -> Claims:
        """The claims of a genuine token. Raises `InvalidToken`, and what the database raises."""
        header = self._verifier.header(token)
        key = await self._ring.find(header.kid or "")
        if key is None:
            raise InvalidToken("The token's key is not known.")
        return self._verifier.claims(token, key, self._clock())

    async def signing_key(self) -> SigningKey:
        """The current key; made at the first call ever, once however many ask at the same time."""
        async with self._database.transaction() as tx:
            key = next((key for key in await tx.local_accounts.signing_keys() if key.state == _CURRENT), None)
            if key is not None:
                return key
            key = await tx.local_accounts.add_signing_key(new_signing_key(uuid4()))
        self._ring.expect_change()
        return key

    async def jwks(self) -> list[dict[str, Any]]:
        """The public parts of every key whose tokens are good: current, standby and retired ones."""
        await self.signing_key()
        async with self._database.transaction() as tx:
            return [key.public_jwk for key in await tx.local_accounts.signing_keys()]

    def issue(self, user: LocalUser, session: LocalSession, key: SigningKey, now: datetime) -> str:
        """An access token for `LIFETIME` from `now`. Its name and address are those of the moment."""
        claims = {
            "iss": self._issuer,
            "sub": str(user.id),
            "aud": "authenticated",
            "exp": int((now + LIFETIME).timestamp()),
            "iat": int(now.timestamp()),
            "email": user.email,
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": user.user_metadata,
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": session.method, "timestamp": int(session.created_at.timestamp())}],
            "session_id": str(session.id),
            "is_anonymous": False,
        }
        return jwt.encode(claims, key.private_key_pem, "ES256", {"kid": str(key.kid)})

    async def _fetch(self) -> Mapping[str, jwt.PyJWK]:
        async with self._database.transaction() as tx:
            return read_keys([key.public_jwk for key in await tx.local_accounts.signing_keys()])
