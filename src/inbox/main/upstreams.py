"""Clients, guards and circuits for other services, as the settings say."""

import ssl
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from inbox.adapters.llm.answering import NextModel
from inbox.adapters.llm.answering import is_outage as is_model_outage
from inbox.adapters.messaging.cloud_api.errors import is_outage
from inbox.adapters.messaging.cloud_api.media import is_outage as is_media_outage
from inbox.domain.errors import InboxError
from inbox.kit.breaker import Breakers, Circuit, IsFailure
from inbox.kit.gauges import Gauges
from inbox.kit.http import ApiClient, Limits, Timeouts
from inbox.kit.resilience import Guard, Observation, Policy, provider_failed
from inbox.main.llm_settings import Gemini, OpenAi, circuit_of
from inbox.main.settings import Settings

_SEND_KEEPALIVE: Final = 5.0
"""Seconds that an idle connection for sends is kept: stale ones make needless doubts."""
_RECEIPT_SECONDS: Final = 5.0
"""Nobody waits for a receipt."""
_TEMPLATE_CALLS: Final = 8
_SAMPLE_SECONDS: Final = 60.0
"""For a file of some megabytes, with what is interrupted and goes on."""
_MODEL_BACKOFF: Final = 0.5
"""Seconds at least: who is overloaded is not asked again at once."""
_MODEL_EARLY_TRIAL_SECONDS: Final = 4.0
"""An overloaded Gemini still describes its model, so that early trials may hang."""
_MODEL_TRIES: Final = 3
_FIRST_MODELS_SHARE: Final = 0.6
"""Of the time for an answer: a first model that hangs leaves the rest to the other one."""
_LARGEST_ANSWER: Final = 256 * 1024
_LARGEST_VECTORS: Final = 16 << 20
"""Bytes: a hundred vectors of the largest size, as text."""


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
        self._tls = ssl.create_default_context()  # one for all: reading the authorities takes 20 ms

    def whatsapp_client(self) -> ApiClient:
        times = self._settings.whatsapp
        return self._client(
            "whatsapp",
            times.graph_url,
            timeouts=self._timeouts(times.connect_timeout, times.read_timeout),
            limits=self._limits(keepalive_for=_SEND_KEEPALIVE, least=2 * self._settings.worker.sends),
        )

    def whatsapp_guard(self) -> Guard:
        """One attempt: what may have left is never repeated. Every send that the worker begins has a slot.

        Twice as many as it works on, as there are connections: those that are begun as they are stored come on top once
        (`services/hands.py`).
        """
        total = self._settings.whatsapp.total_timeout
        policy = self._policy(total, total)
        slots = max(policy.concurrency, 2 * self._settings.worker.sends)
        return self._guard("whatsapp", msgspec.structs.replace(policy, concurrency=slots), is_outage)

    def receipts_client(self) -> ApiClient:
        """Receipts take neither connections nor slots from sends."""
        times = self._settings.whatsapp
        timeouts = self._timeouts(times.connect_timeout, times.read_timeout)
        return self._client("receipts", times.graph_url, timeouts=timeouts, limits=self._limits(body=64 * 1024))

    def receipts_guard(self) -> Guard:
        """One attempt: the lane of a receipt comes again, a sign of writing does not.

        The circuit of the sends keeps receipts off; what becomes of them neither opens nor closes it.
        """
        policy = self._policy(_RECEIPT_SECONDS, _RECEIPT_SECONDS)
        return self._guard("receipts", policy, is_failure=None, circuit="whatsapp")

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
        media = self._settings.media
        attempts = min(self._settings.outgoing.attempts, media.attempts)
        policy = self._policy(media.opening_timeout, media.attempt_timeout, attempts)
        return self._guard("media", policy, is_media_outage)

    def upload_client(self) -> ApiClient:
        """Apart from the one of sends: a large file holds a connection for long."""
        times = self._settings.whatsapp
        return self._client(
            "uploads",
            times.graph_url,
            timeouts=self._timeouts(times.connect_timeout, times.media_read_timeout),
            limits=self._limits(body=64 * 1024, least=self._settings.worker.sends),
        )

    def upload_guard(self) -> Guard:
        """One attempt: the message that shows the file comes again. Every send that the worker begins has a slot."""
        timeout = self._settings.media.handover_timeout
        policy = self._policy(timeout, timeout)
        slots = max(policy.concurrency, self._settings.worker.sends)
        policy = msgspec.structs.replace(policy, concurrency=slots)
        guard = Guard("uploads", policy, self._breakers, "media", is_outage, self._observe)
        self._gauges.calls["uploads"] = guard.load
        return guard

    def templates_client(self) -> ApiClient:
        """Apart from the one of sends: nobody who reads a long list takes a connection from them."""
        times = self._settings.whatsapp
        timeouts = self._timeouts(times.connect_timeout, times.read_timeout)
        return self._client("templates", times.graph_url, timeouts=timeouts, limits=self._limits())

    def templates_guard(self, *, samples: bool = False) -> Guard:
        """One attempt: changes are never repeated, lists are read again later. It moves no circuit: sends have theirs.

        `samples` is for their upload.
        """
        total = _SAMPLE_SECONDS if samples else self._settings.whatsapp.total_timeout
        policy = msgspec.structs.replace(self._policy(total, total), concurrency=_TEMPLATE_CALLS)
        name = "template_samples" if samples else "templates"
        guard = Guard(name, policy, observe=self._observe)
        self._gauges.calls[name] = guard.load
        return guard

    def gemini_client(self) -> ApiClient:
        return self._model_client("gemini", self._settings.gemini, _LARGEST_ANSWER)

    def gemini_guard(self) -> Guard:
        return self._model_guard("gemini", self._settings.gemini)

    def openai_client(self) -> ApiClient:
        return self._model_client("openai", self._settings.openai, _LARGEST_ANSWER)

    def openai_guard(self) -> Guard:
        return self._model_guard("openai", self._settings.openai)

    def embeddings_client(self, vendor: Literal["gemini", "openai"]) -> ApiClient:
        served = self._settings.gemini if vendor == "gemini" else self._settings.openai
        return self._model_client("embeddings", served, _LARGEST_VECTORS)

    def embeddings_guard(self, vendor: Literal["gemini", "openai"]) -> Guard:
        """The circuit of the answers keeps them off; what becomes of them neither opens nor closes it."""
        times = self._settings.gemini if vendor == "gemini" else self._settings.openai
        attempts = min(self._settings.outgoing.attempts, _MODEL_TRIES)
        policy = self._policy(times.total_timeout, times.read_timeout, attempts, backoff=_MODEL_BACKOFF)
        return self._guard("embeddings", policy, is_failure=None, circuit=vendor)

    def _model_client(self, name: str, served: Gemini | OpenAi, largest: int) -> ApiClient:
        timeouts = self._timeouts(served.connect_timeout, served.read_timeout)
        return self._client(name, served.url, timeouts=timeouts, limits=self._limits(body=largest))

    def _model_guard(self, name: str, times: Gemini | OpenAi) -> Guard:
        attempt, attempts = times.read_timeout, min(self._settings.outgoing.attempts, _MODEL_TRIES)
        if self._settings.llm.fallback_model is not None:
            attempt, attempts = min(attempt, _FIRST_MODELS_SHARE * times.total_timeout), max(attempts, 2)
        policy = self._policy(times.total_timeout, attempt, attempts, backoff=_MODEL_BACKOFF)
        policy = msgspec.structs.replace(policy, early_trial=_MODEL_EARLY_TRIAL_SECONDS)
        return self._guard(name, policy, is_model_outage, elsewhere=(NextModel,))

    def supabase_client(self, url: str) -> ApiClient:
        times = self._settings.supabase
        timeouts = self._timeouts(times.connect_timeout, times.read_timeout)
        return self._client("supabase", url, timeouts=timeouts, limits=self._limits())

    def supabase_guard(self) -> Guard:
        total = self._settings.supabase.total_timeout
        policy = self._policy(total, total, self._settings.outgoing.attempts)
        return self._guard("supabase", policy)

    def _client(
        self, name: str, url: str, *, timeouts: Timeouts, limits: Limits, origins: frozenset[str] = frozenset()
    ) -> ApiClient:
        client = ApiClient(name, url, timeouts=timeouts, limits=limits, origins=origins, tls=self._tls)
        self._gauges.connections[name] = client.connections
        return client

    def _guard(
        self,
        name: str,
        policy: Policy,
        is_failure: IsFailure | None = provider_failed,
        *,
        circuit: str | None = None,
        elsewhere: tuple[type[InboxError], ...] = (),
    ) -> Guard:
        """With the circuit of the same name, unless another one is named."""
        guard = Guard(name, policy, self._breakers, circuit or name, is_failure, self._observe, elsewhere)
        self._gauges.calls[name] = guard.load
        return guard

    def _policy(self, total: float, attempt: float, attempts: int = 1, *, backoff: float = 0.0) -> Policy:
        """`backoff` is the least in seconds."""
        outgoing = self._settings.outgoing
        return Policy(
            total=total,
            attempt=attempt,
            attempts=attempts,
            concurrency=outgoing.concurrency,
            waiting=outgoing.waiting,
            wait_initial=max(backoff, outgoing.backoff),
            wait_max=outgoing.backoff_max,
            retry_after_max=outgoing.retry_after_max,
        )

    def _timeouts(self, connect: float, read: float) -> Timeouts:
        return Timeouts(connect=connect, read=read, pool=self._settings.outgoing.pool_timeout)

    def _limits(self, *, keepalive_for: float = 30.0, body: int = 4 << 20, least: int = 0) -> Limits:
        """`least` connections at least, all of them kept."""
        outgoing = self._settings.outgoing
        return Limits(
            connections=max(outgoing.connections, least),
            kept_alive=max(outgoing.kept_alive, least),
            keepalive_for=keepalive_for,
            body=body,
        )


def circuits(settings: Settings) -> list[Circuit]:
    """In the order in which they are shown."""
    given = settings.breaker
    model = circuit_of(settings.llm)
    is_gemini = model == "gemini"
    return [
        Circuit(
            name=model,
            threshold=given.gemini_threshold if is_gemini else given.openai_threshold,
            stays_open=given.gemini_stays_open if is_gemini else given.openai_stays_open,
            shown_as=f"{model}_api",
            early_trial=given.probe_seconds,
        ),
        Circuit(
            name="whatsapp",
            threshold=given.whatsapp_threshold,
            stays_open=given.whatsapp_stays_open,
            shown_as="whatsapp_api",
            early_trial=given.probe_seconds,
        ),
        Circuit(
            name="supabase",
            threshold=given.supabase_threshold,
            stays_open=given.supabase_stays_open,
            early_trial=given.probe_seconds,
        ),
        Circuit(
            name="media",
            threshold=given.media_threshold,
            stays_open=given.media_stays_open,
            shown_as="whatsapp_media",
            early_trial=given.probe_seconds,
        ),
    ]
