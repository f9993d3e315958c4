"""The emulator's own HTTP client: webhook attempts, handshakes and fetches of linked media, each with a deadline."""

import asyncio
from typing import Final
from urllib.parse import urlencode, urlsplit

import aiohttp

CHALLENGE_SECONDS: Final = 10.0
FETCH_SECONDS: Final = 5.0
MAX_ANSWER: Final = 4096
LOCAL_HOSTS: Final = ("127.0.0.1", "::1", "localhost")
OK: Final = 200


class Outgoing:
    """Open between `start` and `stop`. A failure is an answer here, not an exception: it is what gets recorded."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def deliver(self, url: str, body: bytes, signature: str, seconds: float) -> int | str:
        """One webhook attempt: the HTTP status, or the name of what went wrong."""
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": signature,
            "User-Agent": "facebookexternalua",
        }
        try:
            async with (
                asyncio.timeout(seconds),
                self._client().post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                await response.content.read(MAX_ANSWER)
                return response.status
        except TimeoutError:
            return "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__

    async def challenge(self, url: str, verify_token: str, challenge: str) -> str:
        """The GET handshake (facts 1.1). Empty if the challenge came back with 200, otherwise what was wrong."""
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        whole = f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"
        try:
            async with (
                asyncio.timeout(CHALLENGE_SECONDS),
                self._client().get(whole, allow_redirects=False) as response,
            ):
                answer = await response.content.read(MAX_ANSWER)
        except TimeoutError:
            return "the callback did not answer in time"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__
        if response.status != OK:
            return f"HTTP Status Code = {response.status}"
        return "" if answer == challenge.encode() else "the challenge did not come back"

    async def fetch(self, link: str) -> bool:
        """Whether linked media could be had. Only this machine is asked; links elsewhere are taken as good."""
        if urlsplit(link).hostname not in LOCAL_HOSTS:
            return True
        try:
            async with asyncio.timeout(FETCH_SECONDS), self._client().get(link) as response:
                return response.status == OK
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return False

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the emulator is not running")
        return self._session
