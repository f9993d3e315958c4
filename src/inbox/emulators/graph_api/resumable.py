"""Resumable uploads: `POST /{app}/uploads`, then the bytes to `upload:<id>` (facts 4: Meta's resumable upload API)."""

import hmac
from base64 import urlsafe_b64encode
from typing import Final

import msgspec

from inbox.emulators.graph_api import checks
from inbox.emulators.graph_api.calls import Answer, Call
from inbox.emulators.graph_api.errors import GraphError, parameter_required, unknown_object
from inbox.emulators.graph_api.state import Recent, World

PREFIX: Final = "upload:"
TYPES: Final = ("application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4")
MAX_BYTES: Final = 104_857_600
KEPT: Final = 1_000


class Upload(msgspec.Struct, kw_only=True):
    """A session and what has come of its file."""

    id: str
    mime_type: str
    length: int
    data: bytes = b""

    @property
    def handle(self) -> str:
        return f"4::{urlsafe_b64encode(self.mime_type.encode()).decode()}:{self.id}"


class Uploads:
    """The sessions of one emulator, the newest ones."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.reset()

    def reset(self) -> None:
        self._sessions: Recent[str, Upload] = Recent(KEPT)

    def begin(self, call: Call) -> Answer:
        """`POST /{app}/uploads?file_name=&file_length=&file_type=`."""
        given = call.parameters()
        length = str(given.get("file_length", ""))
        if not length.isdigit() or not 1 <= int(length) <= MAX_BYTES:
            raise parameter_required("file_length")
        mime_type = checks.one_of(given.get("file_type"), TYPES, "file_type")
        name = urlsafe_b64encode(f"attachment:{self._world.ids.decimal('6')}".encode()).decode()
        upload = Upload(id=name, mime_type=mime_type, length=int(length))
        self._sessions.put(name, upload)
        return Answer({"id": f"{PREFIX}{name}?sig={self._sig(name)}"})

    def find(self, call: Call) -> Upload:
        """The session of `upload:<id>?sig=`."""
        name = call.segments[0].removeprefix(PREFIX)
        upload = self._sessions.get(name)
        if upload is None or not hmac.compare_digest(call.query.get("sig", ""), self._sig(name)):
            raise unknown_object(call.method, f"{PREFIX}{name}")
        return upload

    def take(self, call: Call) -> Answer:
        """The bytes from `file_offset` on; the handle when all are there."""
        upload = self.find(call)
        if not call.headers.get("authorization", "").startswith("OAuth "):
            raise GraphError(190)
        if call.headers.get("file_offset") != str(len(upload.data)):
            raise GraphError(100, f"file_offset must be {len(upload.data)}.")
        if len(upload.data) + len(call.body) > upload.length:
            raise GraphError(100, "More bytes than file_length.")
        was_whole = len(upload.data) == upload.length
        upload.data += call.body
        if len(upload.data) < upload.length:
            return self.progress(call)
        if not was_whole:
            self._world.ledger.add("sample", mime_type=upload.mime_type, size=upload.length, handle=upload.handle)
        return Answer({"h": upload.handle})

    def progress(self, call: Call) -> Answer:
        """`GET upload:<id>`: how far it is."""
        upload = self.find(call)
        return Answer({"id": f"{PREFIX}{upload.id}?sig={self._sig(upload.id)}", "file_offset": len(upload.data)})

    def _sig(self, name: str) -> str:
        return hmac.digest(self._world.app.secret.encode(), name.encode(), "sha256").hex()[:24]
