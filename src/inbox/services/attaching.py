"""Uploads that a message shows: whether they may be shown, and that they stay."""

from typing import Final

from inbox.domain.errors import Invalid
from inbox.domain.outgoing import Sendable
from inbox.domain.outgoing_files import File
from inbox.domain.uploads import may_be_shown_as, uses
from inbox.ports.database import Transaction
from inbox.ports.records import NewMessage

_AT: Final = "body.content"


async def attach(tx: Transaction, new: NewMessage) -> None:
    """Ties a stored message of ours to its uploads: they are kept for good, and its file is shown like a customer's.

    Raises `Invalid` for an upload that its account does not have, or that came as another kind of file: then nothing of
    the message may be kept.
    """
    named = list(uses(new.content)) if isinstance(new.content, Sendable) else []
    if not named:
        return
    found = {upload.id: upload for upload in await tx.uploads.use(new.account_id, {use.upload_id for use in named})}
    faults = []
    for use in named:
        upload = found.get(use.upload_id)
        if upload is None:
            faults.append((f"{_AT}.{use.path}", "an upload of the account of this conversation"))
        elif not may_be_shown_as(upload.kind, use.kind):
            faults.append((f"{_AT}.{use.path}", f"uploaded as {use.kind}: this one came as {upload.kind}"))
    if faults:
        error = Invalid(*faults[0])
        error.errors = [{"path": path, "message": message} for path, message in faults]
        raise error
    if isinstance(new.content, File):
        await tx.uploads.show(new.account_id, new.id, named[0].upload_id)
