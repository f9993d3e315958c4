"""The page that sets a password, as it is served. What it does in a browser: `tests/identity/test_set_password.py`."""

import re
from importlib import resources

import httpx
import pytest

PATHS = {
    "/auth/set-password": "text/html; charset=utf-8",
    "/auth/set-password.js": "text/javascript; charset=utf-8",
    "/auth/set-password.css": "text/css; charset=utf-8",
}


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("path", PATHS)
async def test_the_page_is_open_to_everybody_and_may_load_nothing_from_elsewhere(
    client: httpx.AsyncClient, prefix: str, path: str
) -> None:
    answer = await client.get(prefix + path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, PATHS[path])
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_page_names_its_files_relatively_and_holds_no_script_or_style(client: httpx.AsyncClient) -> None:
    text = (await client.get("/auth/set-password")).text
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["set-password.css", "set-password.js"]
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=", text)


async def test_no_other_file_is_served(client: httpx.AsyncClient) -> None:
    for path in ("set_password.py", "set-password.html", "../web/docs.html", "%2e%2e/web/docs.html", "docs.js"):
        assert (await client.get(f"/auth/{path}")).status_code == 404


def test_every_text_is_there_in_both_languages() -> None:
    script = resources.files("inbox.entrypoints.web").joinpath("set-password.js").read_text("utf-8")
    english, french = (re.findall(r"^    (\w+):", block, re.MULTILINE) for block in script.split("  fr: {")[:2])
    french = french[: len(english)]
    assert english == french
    assert len(english) > 10
