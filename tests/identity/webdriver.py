"""A browser to drive: the few calls of the WebDriver protocol that a test of a small page needs."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from main.command import free_port

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ENTER = "\ue007"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_PATIENCE_MS = 20_000


class Browser:
    """One window. Whatever is looked for is waited for."""

    def __init__(self, port: int, folder: Path, language: str) -> None:
        self._port = port
        options = {"args": [*FLAGS, f"--user-data-dir={folder}", f"--accept-lang={language}"]}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"implicit": _PATIENCE_MS},
        }
        self._path = ""
        begun = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._path = f"/session/{begun['sessionId']}"

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def url(self) -> str:
        return str(self._call("GET", "/url"))

    def find(self, xpath: str) -> str:
        """The element, as soon as it is there."""
        found = self._call("POST", "/element", {"using": "xpath", "value": xpath})
        return str(found[_ELEMENT])

    def text(self, xpath: str) -> str:
        return str(self._call("GET", f"/element/{self.find(xpath)}/text"))

    def type(self, xpath: str, text: str) -> None:
        """Into an emptied field."""
        element = self.find(xpath)
        self._call("POST", f"/element/{element}/clear", {})
        self._call("POST", f"/element/{element}/value", {"text": text})

    def click(self, xpath: str) -> None:
        self._call("POST", f"/element/{self.find(xpath)}/click", {})

    def run(self, script: str) -> Any:  # noqa: ANN401 - what the script returns
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    @contextmanager
    def preferring(self, languages: str) -> Iterator[None]:
        """As somebody set it up whose languages these are. What is opened in the block knows it."""
        before = self.run("return [navigator.userAgent, navigator.languages.join()]")
        self._prefer(before[0], languages)
        try:
            yield
        finally:
            self._prefer(*before)

    def _prefer(self, agent: str, languages: str) -> None:
        told = {"userAgent": agent, "acceptLanguage": languages}
        self._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setUserAgentOverride", "params": told})

    def complaints(self) -> list[str]:
        """What the console said since the last time, a script or style that was refused included."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def close(self) -> None:
        self._call("DELETE", "")

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, self._path + path, content, {"content-type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        assert not (isinstance(value, dict) and "error" in value), f"{value['error']}: {value['message']}"
        return value


def is_installed() -> bool:
    return bool(shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("google-chrome")))


@contextmanager
def browser(folder: Path, language: str) -> Iterator[Browser]:
    """Chromium with a fresh profile in `folder`."""
    port = free_port()
    with subprocess.Popen(
        [shutil.which("chromedriver") or "", f"--port={port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as driver:
        try:
            assert driver.stdout is not None
            while "started successfully" not in (line := driver.stdout.readline()):
                assert line, "chromedriver ended"
            opened = Browser(port, folder, language)
            try:
                yield opened
            finally:
                opened.close()
        finally:
            driver.terminate()
