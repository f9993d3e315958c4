"""Signatures of webhooks.

Meta signs the raw bytes of each delivery with the app secret: `X-Hub-Signature-256: sha256=<hex of HMAC-SHA256>`
(Meta, "Webhooks: Validating Payloads"). Verify before parsing, over the bytes as received.
"""

import hmac
import re
from collections.abc import Sequence

_FORMAT = re.compile(rb"sha256=([0-9a-f]{64})")


def sign(secret: bytes, body: bytes) -> bytes:
    """The header value that Meta would send for `body`."""
    return b"sha256=" + hmac.digest(secret, body, "sha256").hex().encode()


def verify_meta_signature(secrets: Sequence[bytes], header: bytes | None, body: bytes) -> bool:
    """True if one of `secrets` signed `body`.

    Several secrets are allowed while one is being replaced. An empty secret never matches, so an installation that is
    not configured accepts nothing. All secrets are compared, in constant time, on bytes.
    """
    if header is None or (match := _FORMAT.fullmatch(header)) is None:
        return False
    claimed = match.group(1)
    is_genuine = False
    for secret in secrets:
        if secret:
            expected = hmac.digest(secret, body, "sha256").hex().encode()
            is_genuine |= hmac.compare_digest(expected, claimed)
    return is_genuine
