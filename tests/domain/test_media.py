"""When a file is asked for again, and whether it is the one that WhatsApp announced."""

import base64
import hashlib
from datetime import timedelta

import pytest

from inbox.domain.media import MEDIA_ID_LIVES, is_same_hash, wait_after

DIGEST = hashlib.sha256(b"file").digest()


@pytest.mark.parametrize(
    "written",
    [
        DIGEST.hex(),
        DIGEST.hex().upper(),
        base64.b64encode(DIGEST).decode(),
        base64.b64encode(DIGEST).decode().rstrip("="),
    ],
)
def test_a_hash_is_known_in_every_way_that_meta_writes_it(written: str) -> None:
    assert is_same_hash(written, DIGEST)
    assert not is_same_hash(written, hashlib.sha256(b"another").digest())


@pytest.mark.parametrize("written", [None, "", "not a hash", "<base64>", "abcd", "z" * 64])
def test_what_is_no_hash_proves_nothing(written: str | None) -> None:
    assert is_same_hash(written, DIGEST)


def test_waits_grow_and_leave_many_tries_before_the_id_dies() -> None:
    waits = [wait_after(tries) for tries in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] <= timedelta(seconds=5)
    assert sum(waits[:20], timedelta()) < MEDIA_ID_LIVES
