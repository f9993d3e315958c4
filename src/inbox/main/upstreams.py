"""Clients, guards and circuits for other services, as the settings say."""

from collections.abc import Callable
from typing import Final

from inbox.adapters.messaging.cloud_api.errors import is_outage
from inbox.adapters.messaging.cloud_api.media import is_outage as is_media_outage
from inbox.kit.breaker import Breakers, Circuit, IsFailure
from inbox.kit.gauges import Gauges
from inbox.kit.http import ApiClient, Limits, Timeouts
from inbox.kit.resilience import Guard, Observation, Policy, provider_failed
from inbox.main.settings import Settings
from inbox.ports.messaging import MEDIA_OPENING_SECONDS

_SEND_KEEPALIVE: Final = 5.0
"""Seconds that an idle connection for sends is kept: stale ones make needless doubts."""
_MEDIA_ATTEMPTS: Final = 2
"""At most: WhatsApp locks a number out of its media for half an hour after 20 failures."""
_MEDIA_ATTEMPT_SECONDS: Final = 7.0


class Upstreams:
    """One per process. Each service has a client, and so connections, of its own."""

    def __init__(
        self, settings: Settings, breakers: Breakers, observe: Callable[[Observation], None], gauges: Gauges
    ) -> None:
        """`observe` is told of each attempt; `gauges` shows guards and pools."""
        self._settings = settings
        self._breakers = breakers
        self._observe = observe
        self._gauges = gauges

    def whatsapp_client(self) -> ApiClient:
        times = self._settings.whatsapp
        return self._client(
            "whatsapp",
            times.graph_url,
            timeouts=self._timeouts(times.connect_timeout, times.read_timeout),
            limits=self._limits(keepalive_for=_SEND_KEEPALIVE),
        )

    def whatsapp_guard(self) -> Guard:
        """One attempt: what may have left is never repeated."""
        total = self._settings.whatsapp.total_timeout
        policy = Policy(total=total, attempt=total)
        return self._guard("whatsapp", policy, is_outage)

    def media_client(self) -> ApiClient:
        times = self._settings.whatsapp
        return self._client(
            "media",
            times.graph_url,
            timeouts=self._timeouts(times.connect_timeout, times.media_read_timeout),
            limits=self._limits(body=64 * 1024),
            origins=frozenset(times.media_origins),
        )

    def media_guard(self) -> Guard:
        attempts = min(self._settings.outgoing.attempts, _MEDIA_ATTEMPTS)
        policy = Policy(total=MEDIA_OPENING_SECONDS, attempt=_MEDIA_ATTEMPT_SECONDS, attempts=attempts)
        return self._guard("media", policy, is_media_outage)

    def gemini_client(self) -> ApiClient:
        times = self._settings.gemini
        timeouts = self._timeouts(times.connect_timeout, times.read_timeout)
        return self._client("gemini", times.url, timeouts=timeouts, limits=self._limits(body=256 * 1024))

    def gemini_guard(self) -> Guard:
        times = self._settings.gemini
        attempts = self._settings.outgoing.attempts
        policy = Policy(total=times.total_timeout, attempt=times.read_timeout, attempts=attempts, wait_initial=0.5)
        return self._guard("gemini", policy)

    def supabase_client(self, url: str) -> ApiClient:
        times = self._settings.supabase
        timeouts = self._timeouts(times.connect_timeout, times.read_timeout)
        return self._client("supabase", url, timeouts=timeouts, limits=self._limits())

    def supabase_guard(self) -> Guard:
        total = self._settings.supabase.total_timeout
        policy = Policy(total=total, attempt=total, attempts=self._settings.outgoing.attempts)
        return self._guard("supabase", policy)

    def _client(
        self, name: str, url: str, *, timeouts: Timeouts, limits: Limits, origins: frozenset[str] = frozenset()
    ) -> ApiClient:
        client = ApiClient(name, url, timeouts=timeouts, limits=limits, origins=origins)
        self._gauges.connections[name] = client.connections
        return client

    def _guard(self, name: str, policy: Policy, is_failure: IsFailure = provider_failed) -> Guard:
        """With the circuit of the same name."""
        guard = Guard(name, policy, self._breakers, name, is_failure, self._observe)
        self._gauges.calls[name] = guard.load
        return guard

    def _timeouts(self, connect: float, read: float) -> Timeouts:
        return Timeouts(connect=connect, read=read, pool=self._settings.outgoing.pool_timeout)

    def _limits(self, *, keepalive_for: float = 30.0, body: int = 4 << 20) -> Limits:
        outgoing = self._settings.outgoing
        return Limits(
            connections=outgoing.connections, kept_alive=outgoing.kept_alive, keepalive_for=keepalive_for, body=body
        )


def circuits(settings: Settings) -> list[Circuit]:
    """In the order in which they are shown."""
    given = settings.breaker
    return [
        Circuit(
            name="gemini",
            threshold=given.gemini_threshold,
            stays_open=given.gemini_stays_open,
            shown_as="gemini_api",
        ),
        Circuit(
            name="whatsapp",
            threshold=given.whatsapp_threshold,
            stays_open=given.whatsapp_stays_open,
            shown_as="whatsapp_api",
        ),
        Circuit(name="supabase", threshold=given.supabase_threshold, stays_open=given.supabase_stays_open),
        Circuit(
            name="media",
            threshold=given.media_threshold,
            stays_open=given.media_stays_open,
            shown_as="whatsapp_media",
        ),
    ]
