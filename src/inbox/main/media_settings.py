"""Where files of messages are kept: a folder, or a bucket that speaks S3."""

from typing import Annotated

from msgspec import Meta, Struct

from inbox.main.secret import Secret
from inbox.ports.messaging import MEDIA_OPENING_SECONDS
from inbox.services.uploads import MOST_UPLOADS


class Media(Struct, frozen=True, forbid_unknown_fields=True):
    """Files of messages. Without a bucket they lie in the data folder. `fetches` at a time come from WhatsApp.

    `uploads` at a time come from people, each within `upload_seconds`; WhatsApp takes one within `handover_timeout`.

    `readers` people at a time read files that are not ours yet. A file begins within `opening_timeout` seconds, tried
    up to `attempts` times: WhatsApp locks a number out of its media for half an hour after 20 failures.
    """

    fetches: Annotated[int, Meta(ge=1, le=100)] = 4
    readers: Annotated[int, Meta(ge=1, le=1000)] = 64
    uploads: Annotated[int, Meta(ge=1, le=100)] = MOST_UPLOADS
    upload_seconds: Annotated[float, Meta(gt=0, le=3600)] = 600.0
    handover_timeout: Annotated[float, Meta(gt=0, le=600)] = 120.0
    opening_timeout: Annotated[float, Meta(gt=0, le=60)] = MEDIA_OPENING_SECONDS
    attempt_timeout: Annotated[float, Meta(gt=0, le=60)] = 7.0
    attempts: Annotated[int, Meta(ge=1, le=3)] = 2
    bucket: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]+$")] = "us-east-1"
    endpoint: Annotated[str, Meta(pattern=r"^https?://[^\s?#@]+$")] | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
