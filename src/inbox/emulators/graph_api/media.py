"""Media: upload, address, download, delete, and what a message may refer to (facts 4: Meta's media reference)."""

import hmac
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple

from inbox.emulators.graph_api import checks
from inbox.emulators.graph_api.calls import Answer, Call, success
from inbox.emulators.graph_api.checks import Json
from inbox.emulators.graph_api.errors import GraphError, parameter_required, unknown_object
from inbox.emulators.graph_api.objects import Media, Number
from inbox.emulators.graph_api.state import MEDIA_INBOUND_SECONDS, MEDIA_UPLOAD_SECONDS, World

URL_SECONDS: Final = 300
DOWNLOAD_PATH: Final = ("whatsapp_business", "attachments")
_MEGABYTE: Final = 1_048_576


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"


class _Rule(NamedTuple):
    types: frozenset[str]
    most: int


_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_RULES: Final[Mapping[MediaKind, _Rule]] = MappingProxyType(
    {
        MediaKind.IMAGE: _Rule(frozenset({"image/jpeg", "image/png"}), 5 * _MEGABYTE),
        MediaKind.VIDEO: _Rule(frozenset({"video/mp4", "video/3gpp"}), 16 * _MEGABYTE),
        MediaKind.AUDIO: _Rule(
            frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus"}), 16 * _MEGABYTE
        ),
        MediaKind.STICKER: _Rule(frozenset({"image/webp"}), 500 * 1024),
        MediaKind.DOCUMENT: _Rule(
            frozenset(
                {
                    "text/plain",
                    "application/pdf",
                    "application/msword",
                    "application/vnd.ms-excel",
                    "application/vnd.ms-powerpoint",
                    _OFFICE + "wordprocessingml.document",
                    _OFFICE + "spreadsheetml.sheet",
                    _OFFICE + "presentationml.presentation",
                }
            ),
            100 * _MEGABYTE,
        ),
    }
)
ACCEPTED_TYPES: Final = frozenset().union(*(rule.types for rule in _RULES.values()))


def check_reference(content: Json, kind: MediaKind, world: World, number: Number) -> None:
    """Exactly one of `id` and `link`; an id must exist, belong to the number and fit the kind."""
    media_id, link = content.get("id"), content.get("link")
    if (media_id is None) == (link is None):
        raise GraphError(100, f"Param {kind} needs exactly one of {kind}['id'] and {kind}['link'].")
    if link is not None:
        checks.web_url(link, f"{kind}['link']")
        return
    media = world.media.get(str(media_id))
    if media is None or media.number_id != number.id or world.clock.now() >= media.expires_at:
        raise GraphError(
            100,
            message=f"(#100) Param {kind}['id'] is not a valid whatsapp business account media attachment ID",
        )
    if kind is not MediaKind.DOCUMENT and media.mime_type.partition(";")[0] not in _RULES[kind].types:
        raise GraphError(131053, f"Param {kind}['id'] has the type {media.mime_type}, which is not for {kind}.")


def upload(world: World, number: Number, call: Call) -> Answer:
    """`POST /{phone}/media`: multipart with `messaging_product`, `type` and `file`."""
    parts = {part.name: part for part in call.parts()}
    product = parts.get("messaging_product")
    if product is None or product.data != b"whatsapp":
        raise parameter_required("messaging_product")
    file = parts.get("file")
    if file is None or file.filename is None:
        raise parameter_required("file")
    declared = parts["type"].data.decode("utf-8", "replace") if "type" in parts else file.content_type
    mime_type = declared.partition(";")[0].strip().lower()
    if mime_type not in ACCEPTED_TYPES:
        raise GraphError(
            100,
            message="(#100) Param file must be a file with one of the following types: "
            f"{', '.join(sorted(ACCEPTED_TYPES))}. Received file of type '{mime_type}'.",
        )
    most = max(rule.most for rule in _RULES.values() if mime_type in rule.types)
    if not file.data or len(file.data) > most:
        raise GraphError(131053, f"Param file has {len(file.data)} bytes. Min: 1, Max: {most}")
    media = store(world, number, mime_type, file.data, inbound=False, filename=file.filename)
    world.ledger.add("media", media_id=media.id, number=number.id, mime_type=mime_type, size=len(file.data))
    return Answer({"id": media.id})


def store(world: World, number: Number, mime_type: str, data: bytes, *, inbound: bool, filename: str = "") -> Media:
    """Keep bytes under a new media id: 30 days for an upload, 7 for what a user sent."""
    media = Media(
        id=world.ids.decimal("7"),
        number_id=number.id,
        mime_type=mime_type,
        data=data,
        sha256=sha256(data).hexdigest(),
        expires_at=world.clock.now() + (MEDIA_INBOUND_SECONDS if inbound else MEDIA_UPLOAD_SECONDS),
        filename=filename,
    )
    world.media.put(media)
    return media


def find(world: World, media_id: str) -> Media | None:
    media = world.media.get(media_id)
    return None if media is None or world.clock.now() >= media.expires_at else media


def describe(world: World, media: Media, call: Call) -> Answer:
    """`GET /{media}`: the URL holds for five minutes."""
    _check_number(media, call)
    return Answer(
        {
            "messaging_product": "whatsapp",
            "url": media_url(world, media, call.base_url),
            "mime_type": media.mime_type,
            "sha256": media.sha256,
            "file_size": len(media.data),
            "id": media.id,
        }
    )


def delete(world: World, media: Media, call: Call) -> Answer:
    _check_number(media, call)
    world.media.remove(media.id)
    return success()


def media_url(world: World, media: Media, base_url: str) -> str:
    expires = int(world.clock.now()) + URL_SECONDS
    path = "/".join(DOWNLOAD_PATH)
    return f"{base_url}/{path}/?mid={media.id}&ext={expires}&hash={_seal(world, media.id, str(expires))}"


def download(world: World, call: Call) -> Answer:
    """The bytes, for a bearer who may see them and an address that still holds; else 401 or 404 without a body."""
    token = call.bearer()
    if not token or token not in world.tokens:
        return Answer(status=401, content_type="text/html")
    media_id, expires = call.query.get("mid", ""), call.query.get("ext", "")
    sealed = hmac.compare_digest(_seal(world, media_id, expires).encode(), call.query.get("hash", "").encode())
    media = find(world, media_id)
    if media is None or not sealed or world.clock.now() >= int(expires):
        return Answer(status=404, content_type="text/html")
    if not world.authenticate(token).reaches((world.numbers[media.number_id].waba_id,)):
        return Answer(status=404, content_type="text/html")
    return Answer(content=media.data, content_type=media.mime_type)


def _check_number(media: Media, call: Call) -> None:
    number_id = call.query.get("phone_number_id")
    if number_id is not None and number_id != media.number_id:
        raise unknown_object(call.method, media.id)


def _seal(world: World, media_id: str, expires: str) -> str:
    return hmac.digest(world.app.secret.encode(), f"{media_id}/{expires}".encode(), "sha256").hex()[:32]
