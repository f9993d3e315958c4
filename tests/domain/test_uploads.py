"""What people may upload for which kind of message, and what they are told otherwise."""

from uuid import UUID

import msgspec
import pytest

from inbox.domain.errors import Invalid, PayloadTooLarge
from inbox.domain.failure_cases import CASES
from inbox.domain.outgoing import Sendable, uploads
from inbox.domain.uploads import (
    MOST_BYTES,
    UploadKind,
    may_be_shown_as,
    plain_name,
    uses,
    whatsapp_type,
)
from sample_files import M4A, MP3, MP4, PDF, PNG, VORBIS, lossless_sticker, lossy_sticker, opus, sticker

ONE, TWO = UUID(int=1), UUID(int=2)
MB = 1024 * 1024


def judged(kind: str, found: str, head: bytes, size: int | None = None) -> str:
    return whatsapp_type(UploadKind(kind), found, len(head) if size is None else size, head)


def why_not(kind: str, found: str, head: bytes, size: int | None = None) -> str:
    with pytest.raises(Invalid) as caught:
        judged(kind, found, head, size)
    (fault,) = caught.value.errors
    assert fault["path"] == "body.file"
    return fault["message"]


@pytest.mark.parametrize(
    ("kind", "found", "head", "told"),
    [
        ("image", "image/png", PNG, "image/png"),
        ("image", "image/jpg", b"\xff\xd8\xff", "image/jpeg"),
        ("video", "video/mp4", MP4, "video/mp4"),
        ("audio", "audio/mpeg", MP3, "audio/mpeg"),
        ("audio", "audio/x-m4a", M4A, "audio/mp4"),
        ("audio", "video/mp4", M4A, "audio/mp4"),
        ("audio", "application/ogg", opus(), "audio/ogg"),
        ("voice", "audio/opus", opus(), "audio/ogg"),
        ("document", "application/pdf", PDF, "application/pdf"),
        ("document", "text/csv", b"a;b\n", "text/plain"),
        ("document", "image/png", PNG, "image/png"),
        ("sticker", "image/webp", sticker(), "image/webp"),
    ],
)
def test_a_file_goes_under_the_word_that_whatsapp_knows(kind, found, head, told):
    assert judged(kind, found, head) == told


@pytest.mark.parametrize(
    ("kind", "found", "head"),
    [
        ("image", "image/webp", sticker()),
        ("image", "application/pdf", PDF),
        ("video", "audio/mp4", M4A),
        ("audio", "image/png", PNG),
        ("document", "application/zip", b"PK\x03\x04"),
        ("document", "text/html", b"<html>"),
        ("sticker", "image/png", PNG),
    ],
)
def test_another_kind_of_file_is_refused_with_what_is_wanted_and_what_it_is(kind, found, head):
    message = why_not(kind, found, head)
    assert message.endswith(f"; this is {found}")
    assert " has to be " in message


@pytest.mark.parametrize(("found", "head"), [("audio/mpeg", MP3), ("audio/mp4", M4A), ("audio/amr", b"#!AMR\n")])
def test_a_voice_note_that_is_no_ogg_is_told_so(found, head):
    assert why_not("voice", found, head) == (
        f"a voice note has to be OGG with Opus, one channel; send other sound as audio; this is {found}"
    )


@pytest.mark.parametrize("kind", ["voice", "audio", "document"])
@pytest.mark.parametrize("head", [VORBIS, MP3, b"OggS"])
def test_ogg_without_opus_is_no_sound_for_whatsapp(kind, head):
    assert "without Opus" in why_not(kind, "audio/ogg", head)


def test_ogg_under_a_wrong_name_is_seen_through():
    assert "without Opus" in why_not("audio", "audio/mpeg", opus())


@pytest.mark.parametrize("kind", ["voice", "audio"])
def test_opus_with_two_channels_is_refused(kind):
    assert "mono" in why_not(kind, "audio/ogg", opus(channels=2))


@pytest.mark.parametrize(
    ("kind", "found", "head", "case", "words"),
    [
        *((kind, "image/gif", b"GIF89a", f"file_no_{kind}", "image/gif") for kind in UploadKind),
        ("voice", "audio/ogg", VORBIS, "file_no_voice", "audio/ogg"),
        ("document", "audio/ogg", VORBIS, "file_no_audio", "audio/ogg"),
        ("voice", "audio/ogg", opus(channels=2), "file_not_mono", ""),
        ("sticker", "image/webp", sticker(width=100), "file_no_sticker", ""),
        ("document", "text/plain", b"", "file_empty", ""),
    ],
)
def test_what_is_refused_has_a_text_for_people(kind, found, head, case, words):
    with pytest.raises(Invalid) as caught:
        judged(kind, found, head)
    assert (caught.value.case, caught.value.words) == (case, words)
    assert case in CASES


def test_the_texts_name_the_limits():
    assert {kind.value: CASES[f"{kind}_too_large"].what.en for kind in UploadKind} == {
        "image": "A picture has at most 5 MB.",
        "video": "A video has at most 16 MB.",
        "audio": "An audio file has at most 16 MB.",
        "voice": "A voice note has at most 16 MB.",
        "document": "A document has at most 100 MB.",
        "sticker": "A sticker that does not move has at most 100 KB, one that moves 500 KB.",
    }
    assert CASES["image_too_large"].what.fr == "Une image ne peut pas dépasser 5 Mo."


@pytest.mark.parametrize("kind", list(UploadKind))
def test_a_file_of_as_many_bytes_as_allowed_passes_and_one_more_does_not(kind):
    found, head = {
        "image": ("image/png", PNG),
        "video": ("video/mp4", MP4),
        "audio": ("audio/mpeg", MP3),
        "voice": ("audio/ogg", opus()),
        "document": ("application/pdf", PDF),
        "sticker": ("image/webp", sticker(moves=True)),
    }[kind]
    assert judged(kind, found, head, MOST_BYTES[kind]) == found
    with pytest.raises(PayloadTooLarge):
        judged(kind, found, head, MOST_BYTES[kind] + 1)


def test_a_picture_that_is_sent_as_a_document_is_held_to_the_limit_of_pictures():
    assert judged("document", "image/png", PNG, 5 * MB) == "image/png"
    with pytest.raises(PayloadTooLarge) as caught:
        judged("document", "image/png", PNG, 5 * MB + 1)
    assert caught.value.case == "image_too_large"


def test_nothing_is_no_file():
    assert why_not("document", "text/plain", b"") == "not empty"


@pytest.mark.parametrize("head", [sticker(), sticker(moves=True), lossless_sticker(), lossy_sticker()])
def test_a_sticker_has_512_pixels_each_way(head):
    assert judged("sticker", "image/webp", head) == "image/webp"


@pytest.mark.parametrize(
    "head", [sticker(width=511), sticker(height=1), lossless_sticker(600), lossy_sticker(512, 100), b"RIFF    WEBP"]
)
def test_a_sticker_of_another_size_is_refused(head):
    assert "512 x 512" in why_not("sticker", "image/webp", head)


def test_only_a_sticker_that_moves_has_more_than_100_kb():
    assert judged("sticker", "image/webp", sticker(moves=True), 500 * 1024) == "image/webp"
    assert judged("sticker", "image/webp", sticker(), 100 * 1024) == "image/webp"
    assert "100 KB" in why_not("sticker", "image/webp", sticker(), 100 * 1024 + 1)


def test_what_came_as_a_voice_note_can_be_sent_as_sound_and_everything_as_a_document():
    allowed = {(kind, wanted) for kind in UploadKind for wanted in UploadKind if may_be_shown_as(kind, wanted)}
    same = {(kind, kind) for kind in UploadKind}
    documents = {(kind, UploadKind.DOCUMENT) for kind in UploadKind}
    assert allowed == same | documents | {(UploadKind.VOICE, UploadKind.AUDIO)}


CAROUSEL = {
    "type": "carousel",
    "body": "Voilà",
    "cards": [
        {
            "type": "cta_url",
            "header": {"type": "image", "upload_id": str(ONE)},
            "display_text": "Voir",
            "url": "https://a.example",
        },
        {
            "type": "cta_url",
            "header": {"type": "video", "upload_id": str(TWO)},
            "display_text": "Voir",
            "url": "https://a.example",
        },
    ],
}
TEMPLATE = {
    "type": "template",
    "name": "ready",
    "language": "fr",
    "components": [
        {
            "type": "header",
            "parameters": [{"type": "document", "document": {"upload_id": str(ONE), "filename": "a.pdf"}}],
        }
    ],
}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"type": "text", "body": "Bonjour"}, []),
        ({"type": "image", "media_id": "7"}, []),
        ({"type": "voice", "upload_id": str(ONE)}, [("upload_id", "voice", ONE)]),
        (
            {"type": "buttons", "body": "?", "buttons": [], "header": {"type": "video", "upload_id": str(ONE)}},
            [("header.upload_id", "video", ONE)],
        ),
        (CAROUSEL, [("cards[0].header.upload_id", "image", ONE), ("cards[1].header.upload_id", "video", TWO)]),
        (TEMPLATE, [("components[0].parameters[0].document.upload_id", "document", ONE)]),
    ],
)
def test_every_upload_of_a_message_is_found_with_its_path_and_as_what_it_is_shown(content, found):
    typed: Sendable = msgspec.convert(content, Sendable)
    assert [(use.path, use.kind, use.upload_id) for use in uses(typed)] == found
    assert {use.upload_id for use in uses(typed)} == uploads(typed)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Devis n° 12.pdf", "Devis n° 12.pdf"),
        (r"C:\Users\me\photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nb\x00.png", "ab.png"),
        ("\u202egpj.exe", "gpj.exe"),
        ("", None),
        ("dossier/", None),
        (None, None),
        ("é" * 300 + ".pdf", "é" * 236 + ".pdf"),
        ("x" * 300, "x" * 240),
        ("x." + "y" * 300, "x." + "y" * 238),
    ],
)
def test_a_name_is_a_name_and_not_a_path(given, name):
    assert plain_name(given) == name
