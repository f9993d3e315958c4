"""A delivery of Meta arrives: verify, store, answer. Nothing of its meaning is looked at here."""

import hmac
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from inbox.domain.errors import (
    InvalidSignature,
    MissingSignature,
    SignatureNotConfigured,
    Undecodable,
    VerificationFailed,
)
from inbox.domain.inbound import AccountNotice, InboundEvent
from inbox.ports.database import Database
from inbox.ports.messaging import WebhookCodec
from inbox.ports.records import AppSecret
from inbox.services.rights import Rights

WITHIN_SECONDS: Final = 3.0
_SECRETS_SECONDS: Final = 60.0
_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""For times that Meta left out; only numbers are looked at here."""


class Intake:
    """The way in. A returned `accept` means that the body is committed: only then may 200 be answered."""

    def __init__(
        self,
        database: Database,
        codec: WebhookCodec,
        rights: Rights,
        *,
        verify_token: str | None,
        is_signed: bool,
        within: float = WITHIN_SECONDS,
    ) -> None:
        """`verify_token` is the one of the installation; accounts have their own. `is_signed` False is for tests.

        `within` is the time in seconds in which a delivery must be answered.
        """
        self.within = within
        self._database = database
        self._codec = codec
        self._rights = rights
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

        Raises `MissingSignature`, `InvalidSignature`, `SignatureNotConfigured`, `InvalidJson`, and what reading the
        secrets of accounts and storing raise: then Meta must deliver again.
        """
        if self._is_signed:
            await self._authenticate(signatures, body)
        self._codec.check_object(body)
        await self._database.deliveries.store(body, self._codec.lane(body))

    async def _authenticate(self, signatures: Sequence[bytes], body: bytes) -> None:
        """The secrets of accounts are asked for only where those of the installation do not settle it."""
        claimed = signatures[0] if len(signatures) == 1 else None
        if claimed is not None and self._codec.authentic(claimed, body):
            return
        secrets = () if self._codec.has_secret and claimed is None else await self._secrets_of_accounts()
        if not (self._codec.has_secret or secrets):
            raise SignatureNotConfigured
        if not signatures:
            raise MissingSignature
        if claimed is None or not self._is_of_account(claimed, body, secrets):
            raise InvalidSignature

    def _is_of_account(self, claimed: bytes, body: bytes, secrets: Sequence[AppSecret]) -> bool:
        """True if the secret of an account proves the body, and the body speaks of no other account."""
        proven = [own for own in secrets if self._codec.authentic(claimed, body, [own.secret])]
        try:
            events = self._codec.decode(body, _ANY_TIME) if proven else []
        except Undecodable:
            events = []  # set aside as a whole: it speaks of nobody
        numbers = {own.phone_number_id for own in proven}
        wabas = {own.waba_id for own in proven if own.waba_id}
        return bool(proven) and all(_is_about(event, numbers, wabas) for event in events)

    async def _secrets_of_accounts(self) -> Sequence[AppSecret]:
        async def load() -> Sequence[AppSecret]:
            return tuple(await self._database.queries.app_secrets())

        return await self._rights.remembered("app_secrets", "all", load, ttl=_SECRETS_SECONDS)


def _is_about(event: InboundEvent, numbers: Collection[str], wabas: Collection[str]) -> bool:
    """True if `event` speaks of one of these numbers, or of one of these WABAs, or of nobody.

    Without a number the WABA decides whose a notice is; what is said of templates goes by it in any case.
    """
    if event.phone_number_id is not None and event.phone_number_id not in numbers:
        return False
    if not isinstance(event, AccountNotice) or event.waba_id is None or event.waba_id in wabas:
        return True
    return event.phone_number_id is not None and event.template is None
