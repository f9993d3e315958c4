"""The web application, made once and lent to one test after the other: its routes cost 0.3 s to register.

What belongs to a test is put into it anew each time: the container, the metrics, the door of webhooks.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from dishka import AsyncContainer
from litestar import Litestar

from inbox.entrypoints.http.webhook_door import WebhookDoor
from inbox.kit.telemetry import Metrics
from inbox.main.app import create_app
from inbox.main.settings import Settings


class Applications:
    """Those that nobody uses at the moment: none is lent twice at once."""

    def __init__(self) -> None:
        self._free: list[_Application] = []

    @asynccontextmanager
    async def lent(self, settings: Settings, container: AsyncContainer) -> AsyncIterator[Litestar]:
        """The application as production makes it, over this container."""
        metrics = await container.get(Metrics)
        # It knows no other parts of the settings: one that asks for more gets the standard of it here, and fails.
        known = Settings(http=settings.http, metrics=settings.metrics, supabase=settings.supabase)
        found = next((one for one in self._free if one.settings == known), None)
        if found is not None:
            self._free.remove(found)
        application = found or _Application(known, container, metrics)
        try:
            yield application.over(container, metrics)
        finally:
            application.restore()
            self._free.append(application)


def a_browser(app: Litestar) -> httpx.AsyncClient:
    """Calls the application in this process. What it raises becomes an answer, as in production."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://inbox")


class _Application:
    def __init__(self, settings: Settings, container: AsyncContainer, metrics: Metrics) -> None:
        self.settings = settings
        self._metrics = _Standing(metrics)
        self._app = create_app(settings, container, self._metrics)  # type: ignore[arg-type]
        self._door = self._app.door
        self._before_send = tuple(self._app.before_send)

    def over(self, container: AsyncContainer, metrics: Metrics) -> Litestar:
        self._metrics.inner = metrics
        self._app.state.dishka_container = container
        door = self._door
        self._app.door = WebhookDoor(door._app, container, metrics, paths=door._paths, max_bytes=door._max_bytes)
        return self._app

    def restore(self) -> None:
        """What a test has hung into it is taken out."""
        self._app.before_send[:] = self._before_send


class _Standing:
    """Stands for the metrics of the test that runs."""

    def __init__(self, inner: Metrics) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.fixture(scope="session")
def applications() -> Applications:
    return Applications()
