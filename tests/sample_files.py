"""The beginnings of files, as far as anybody looks at them."""

import struct

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x64" + bytes(400)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(64)
M4A = b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42" + bytes(64)


def ogg(packet: bytes) -> bytes:
    """The first page of an Ogg stream (RFC 3533)."""
    page = struct.pack("<4sBBqIIIB", b"OggS", 0, 2, 0, 1, 0, 0, 1)
    return page + bytes([len(packet)]) + packet + bytes(200)


def opus(channels: int = 1) -> bytes:
    return ogg(struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, 312, 48_000, 0, 0))


VORBIS = ogg(b"\x01vorbis" + bytes(23))


def webp(form: bytes, data: bytes, *, size: int = 0) -> bytes:
    body = b"WEBP" + form + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body + bytes(max(0, size - len(body) - 8))


def sticker(*, moves: bool = False, width: int = 512, height: int = 512, size: int = 0) -> bytes:
    flags = 0x02 if moves else 0
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(b"VP8X", bytes([flags, 0, 0, 0]) + canvas, size=size)


def lossless_sticker(width: int = 512, height: int = 512) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(8))


def lossy_sticker(width: int = 512, height: int = 512) -> bytes:
    return webp(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(8))
