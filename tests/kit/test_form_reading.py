"""A form with a file is read piece by piece; what is not whole is never taken for a file."""

from collections.abc import AsyncIterator

import pytest

from inbox.domain.errors import Invalid
from inbox.kit.form_reading import one_file

EDGE = "----edge"
HEAD = 'Content-Disposition: form-data; name="{name}"'
FILE = f'--{EDGE}\r\n{HEAD.format(name="file")}; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
END = f"\r\n--{EDGE}--\r\n"


def field(name: str, value: str) -> str:
    return f"--{EDGE}\r\n{HEAD.format(name=name)}\r\n\r\n{value}\r\n"


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(form: str | bytes, size: int = 10_000) -> tuple[str, str | None, bytes]:
    data = form if isinstance(form, bytes) else form.encode()
    file = await one_file(EDGE, in_pieces(data, size), field="file")
    return file.name, file.mime_type, b"".join([chunk async for chunk in file.chunks])


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
async def test_the_bytes_are_the_same_however_they_come(size):
    content = b"\r\n--" + EDGE.encode()[:-1] + bytes(range(256)) + b"\r\n--\r\n"
    data = FILE.encode() + content + END.encode()
    assert await read(data, size) == ("a.png", "image/png", content)


async def test_a_file_comes_in_pieces_no_larger_than_those_of_the_body():
    data = FILE.encode() + bytes(100_000) + END.encode()
    file = await one_file(EDGE, in_pieces(data, 4_096), field="file")
    sizes = [len(chunk) async for chunk in file.chunks]
    assert max(sizes) <= 4_096 + len(EDGE) + 4
    assert sum(sizes) == 100_000


async def test_nothing_is_read_ahead():
    seen = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal seen
        yield FILE.encode()
        while seen < 100:
            seen += 1
            yield bytes(1_000)
        yield END.encode()

    file = await one_file(EDGE, body(), field="file")
    assert seen == 0
    await anext(aiter(file.chunks))
    assert seen == 1


@pytest.mark.parametrize(
    "form", [field("type", "x") + FILE + "PNG" + END, FILE + "PNG\r\n" + field("type", "x") + f"--{EDGE}--"]
)
async def test_other_parts_are_refused_before_and_behind(form):
    with pytest.raises(Invalid) as caught:
        await read(form)
    assert "nothing else" in caught.value.errors[0]["message"]


async def test_what_follows_the_end_of_the_form_does_not_matter():
    assert (await read(FILE + "PNG" + END + "\r\n\r\n", 50))[2] == b"PNG"


async def test_an_empty_file_is_a_file():
    assert (await read(FILE + END))[2] == b""


@pytest.mark.parametrize(
    "form",
    [
        "",
        f"--{EDGE}--\r\n",
        field("other", "x") + f"--{EDGE}--",
        field("file", "text") + f"--{EDGE}--",
    ],
)
async def test_a_form_without_a_file_is_refused(form):
    with pytest.raises(Invalid) as caught:
        await read(form)
    assert caught.value.errors[0]["path"].startswith("body")


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("form", [FILE, FILE + "PNG", FILE + "PNG\r\n--" + EDGE, FILE + "PNG\r\n" + field("a", "b")])
async def test_a_form_that_breaks_off_is_no_file(form, size):
    with pytest.raises(Invalid):
        await read(form, size)


@pytest.mark.parametrize("form", ["no form at all", FILE.replace("\r\n", "\n") + "PNG", "{}"])
async def test_what_is_no_form_is_refused(form):
    with pytest.raises(Invalid):
        await read(form)


async def test_a_second_file_is_refused_and_not_left_out():
    with pytest.raises(Invalid) as caught:
        await read(FILE + "ONE\r\n" + FILE + "TWO" + END)
    assert caught.value.errors == [{"path": "body.file", "message": "one file, and nothing else"}]


async def test_a_head_or_a_number_of_parts_without_end_is_refused():
    with pytest.raises(Invalid):
        await read(f"--{EDGE}\r\nX-Long: {'x' * 100_000}\r\n\r\n")
    with pytest.raises(Invalid):
        await read("".join(field(f"f{number}", "x") for number in range(20)) + FILE + "PNG" + END)


async def test_a_name_in_utf_8_is_read():
    assert (await read(FILE.replace("a.png", "devis été.png") + "PNG" + END))[0] == "devis été.png"


async def test_a_failure_of_the_body_is_not_hidden():
    async def body() -> AsyncIterator[bytes]:
        yield FILE.encode()
        raise TimeoutError

    file = await one_file(EDGE, body(), field="file")
    with pytest.raises(TimeoutError):
        await anext(aiter(file.chunks))
