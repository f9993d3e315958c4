"""Names and types of strangers' files, made harmless."""

import base64
import hashlib
import re
import unicodedata
from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.kit.disposition import content_disposition, is_hash, may_be_inline, plain_type, safe_name

HASH = base64.b64encode(hashlib.sha256(b"file").digest()).decode()


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("facture.pdf", "facture.pdf"),
        ("Reçu nº 5.pdf", "Reçu nº 5.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\lea\\photo.jpg", "photo.jpg"),
        ("a\r\nset-cookie: x=1.txt", "a set-cookie_ x=1.txt"),
        ('he said "hi".txt', "he said _hi_.txt"),
        ("nul\x00l.txt", "null.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("zero\u200bwidth\u2066.txt", "zerowidth.txt"),
        ("lone\ud800.txt", "lone.txt"),
        ("NUL", "_NUL"),
        ("con.txt", "_con.txt"),
        ("Lpt1.tar.gz", "_Lpt1.tar.gz"),
        ("console.txt", "console.txt"),
        ("  .hidden.  ", "hidden"),
        ("日本語.png", "日本語.png"),
        ("a\u2028b.txt", "a b.txt"),
        (HASH, None),
        (hashlib.sha256(b"file").hexdigest(), None),
        ("", None),
        ("..", None),
        ("folder/", None),
        ("\x00\u202e", None),
        (None, None),
    ],
)
def test_a_name_keeps_what_is_harmless(given_name, name):
    assert safe_name(given_name) == name


@pytest.mark.parametrize("name", ["facture.pdf", "A" * 43 + ".", HASH[:-1], base64.b64encode(b"x" * 31).decode()])
def test_what_only_resembles_a_hash_is_a_name(name):
    assert not is_hash(name)


def test_a_long_name_is_cut_and_keeps_its_suffix():
    name = safe_name("é" * 5_000 + ".docx")
    assert name is not None
    assert name.endswith("é.docx")
    assert len(name.encode()) <= 180


def test_a_long_suffix_is_no_suffix():
    assert safe_name("a." + "b" * 5_000) == "a." + "b" * 178


def test_a_header_has_the_name_in_ascii_and_as_it_is():
    assert content_disposition("Reçu 100%.pdf", is_inline=True) == (
        "inline; filename=\"Recu 100_.pdf\"; filename*=UTF-8''Re%C3%A7u%20100%25.pdf"
    )
    assert content_disposition("日本.png", is_inline=False) == (
        "attachment; filename=\"__.png\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.png"
    )


@given(st.text(st.characters(), max_size=400) | st.text('\r\n\0"\\/;%:.*\u202e ACONnul1', max_size=60))
def test_whatever_a_name_is_the_header_is_one_harmless_line_with_one_file_name(given_name):
    name = safe_name(given_name)
    if name is None:
        return
    header = content_disposition(name, is_inline=False)
    assert re.fullmatch(r"attachment; filename=\"[^\"\\%\x00-\x1f\x7f-\uffff]*\"; filename\*=UTF-8''[\w.~%-]+", header)
    assert unquote(header.rpartition("''")[2]) == name
    assert len(name.encode()) <= 181
    assert not re.search(r'[/\\<>:"|?*]', name)
    assert {unicodedata.category(character) for character in name}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert name.strip(" .") == name
    parsed = Message()
    parsed["content-disposition"] = header
    assert parsed.get_content_disposition() == "attachment"


@given(st.text(max_size=400))
def test_what_was_made_harmless_stays_as_it_is(given_name):
    name = safe_name(given_name)
    assert name is None or safe_name(name) in (name, None)


@pytest.mark.parametrize(
    ("given_type", "found"),
    [
        ("image/jpeg", "image/jpeg"),
        (" Audio/OGG; codecs=opus", "audio/ogg"),
        ("application/vnd.ms-excel", "application/vnd.ms-excel"),
        ("text/html\r\nx-evil: 1", None),
        ("image", None),
        ("image/", None),
        ("image/j peg", None),
        ("image/jpég", None),
        ("a/b/c", None),
        ("*/*", None),
        ("image/" + "x" * 200, None),
        ("image/png\x00", None),
        ("", None),
        (None, None),
    ],
)
def test_a_type_is_a_plain_one_or_none(given_type, found):
    assert plain_type(given_type) == found


@pytest.mark.parametrize("kind", ["image/jpeg", "image/webp", "audio/ogg", "video/mp4", "application/pdf"])
def test_what_browsers_only_show_may_be_inline(kind):
    assert may_be_inline(kind, "file.bin")
    assert not may_be_inline(kind, "file.html")
    assert not may_be_inline(kind, "file.SVG")


@pytest.mark.parametrize(
    "kind",
    [
        "image/svg+xml",
        "image/svg",
        "image/foo+xml",
        "text/html",
        "text/xml",
        "text/plain",
        "application/xhtml+xml",
        "application/xml",
        "application/octet-stream",
        "application/msword",
        "application/pdfx",
        "model/gltf+json",
        "images/png",
    ],
)
def test_anything_else_is_an_attachment(kind):
    assert not may_be_inline(kind, "file.pdf")
