"""A delivery of Meta arrives: verify, store, answer. Nothing of its meaning is looked at here."""

import hmac
from collections.abc import Sequence

from inbox.domain.errors import InvalidSignature, MissingSignature, SignatureNotConfigured, VerificationFailed
from inbox.ports.database import Database
from inbox.ports.messaging import WebhookCodec


class Intake:
    """The way in. A returned `accept` means that the body is committed: only then may 200 be answered."""

    def __init__(self, database: Database, codec: WebhookCodec, *, verify_token: str | None, is_signed: bool) -> None:
        """`verify_token` is the one of the installation; accounts have their own. `is_signed` False is for tests."""
        self._database = database
        self._codec = codec
        self._verify_token = verify_token
        self._is_signed = is_signed

    async def verify(self, mode: str | None, token: str | None) -> None:
        """Meta's handshake (Meta, webhooks: verification requests). Raises `VerificationFailed`."""
        if mode != "subscribe" or not token:
            raise VerificationFailed
        if self._verify_token and hmac.compare_digest(token.encode(), self._verify_token.encode()):
            return
        if await self._database.queries.account_by_verify_token(token) is None:
            raise VerificationFailed

    async def accept(self, signatures: Sequence[bytes], body: bytes) -> None:
        """Stores one POST. `signatures` are the values of `X-Hub-Signature-256`, normally one.

        Raises `MissingSignature`, `InvalidSignature`, `SignatureNotConfigured`, `InvalidJson`, and what storing raises:
        then Meta must deliver again.
        """
        if self._is_signed:
            self._authenticate(signatures, body)
        self._codec.check_object(body)
        await self._database.deliveries.store(body, self._codec.lane(body))

    def _authenticate(self, signatures: Sequence[bytes], body: bytes) -> None:
        if not self._codec.has_secret:
            raise SignatureNotConfigured
        if not signatures:
            raise MissingSignature
        if len(signatures) != 1 or not self._codec.authentic(signatures[0], body):
            raise InvalidSignature
