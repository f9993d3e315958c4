"""What goes wrong: one dependency at a time, from outside, and made good again."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

import httpx
import msgspec

from .resilience_plan import ENDPOINTS, SEND, SIGN_IN
from .resilience_stage import Stage

_RULE: Final = "bench"
DELAY: Final = 0.5
FAILING: Final = 0.2

_ANSWERED_TURN: Final = "select 1 from bot_turns where state = 'answered' and created_at > to_timestamp({at}) limit 1"
_SENT_MESSAGE: Final = """
select 1 from messages where direction = 'outbound' and author = 'human' and status in ('sent', 'delivered', 'read')
and created_at > to_timestamp({at}) limit 1
"""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """`during` in seconds; `affected` are the endpoints that need what is gone, the others must not notice.

    `recovered` is a statement that finds the first success of the pipeline behind the endpoints after the time `at`
    (seconds of the epoch). What is not `repeated` comes once.
    """

    name: str
    inject: Callable[[Stage], AbstractContextManager[None]]
    affected: frozenset[str]
    what: str
    during: float
    recovered: str | None = None
    repeated: bool = True


@contextmanager
def _gemini_hangs(stage: Stage) -> Iterator[None]:
    with _ruled(stage.gemini, {"knob": "timeout"}):
        yield


@contextmanager
def _whatsapp_503(stage: Stage) -> Iterator[None]:
    with _ruled(stage.graph, {"action": "http_error", "status": 503, "code": 2}):
        yield


@contextmanager
def _supabase_hangs(stage: Stage) -> Iterator[None]:
    with _ruled(stage.identity, {"knob": "timeout"}):
        yield


@contextmanager
def _redis_stopped(stage: Stage) -> Iterator[None]:
    assert stage.redis is not None
    stage.redis.hold()
    try:
        yield
    finally:
        stage.redis.release()


@contextmanager
def _postgres_paused(stage: Stage) -> Iterator[None]:
    """Every process of the server stands still: connections open, and nobody answers on them."""
    pids = stage.postgres_pids()
    _signal(pids[:1], signal.SIGSTOP)
    pids = stage.postgres_pids()
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


@contextmanager
def _shaky(stage: Stage) -> Iterator[None]:
    """Every upstream call takes half a second more, and one in five fails."""
    with (
        _ruled(
            stage.graph,
            {"action": "http_error", "status": 503, "code": 2, "probability": FAILING, "delay": DELAY},
            {"action": "delay", "delay": DELAY},
        ),
        _ruled(
            stage.gemini,
            {"knob": "503", "probability": FAILING, "delay": DELAY},
            {"knob": "slow", "delay": DELAY},
        ),
        _ruled(
            stage.identity,
            {"knob": "500", "probability": FAILING, "delay": DELAY},
            {"knob": "slow", "delay": DELAY},
        ),
    ):
        yield


@contextmanager
def _ruled(url: str, *rules: dict[str, object]) -> Iterator[None]:
    for rule in rules:
        httpx.post(f"{url}/_emu/faults", json={"name": _RULE, **rule}).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(f"{url}/_emu/faults", params={"name": _RULE}).raise_for_status()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


FAULTS: Final = (
    Fault(
        name="gemini_hang",
        inject=_gemini_hangs,
        affected=frozenset(),
        what="Gemini takes requests and never answers",
        during=18,
        recovered=_ANSWERED_TURN,
    ),
    Fault(
        name="whatsapp_503",
        inject=_whatsapp_503,
        affected=frozenset({SEND}),
        what="WhatsApp answers 503 to everything",
        during=12,
        recovered=_SENT_MESSAGE,
    ),
    Fault(
        name="redis_stopped",
        inject=_redis_stopped,
        affected=frozenset(),
        what="Redis stands still (SIGSTOP)",
        during=12,
    ),
    Fault(
        name="postgres_paused",
        inject=_postgres_paused,
        affected=frozenset(ENDPOINTS),
        what="every PostgreSQL process stands still (SIGSTOP)",
        during=10,
        repeated=False,
    ),
    Fault(
        name="supabase_down",
        inject=_supabase_hangs,
        affected=frozenset({SIGN_IN}),
        what="Supabase Auth takes requests and never answers",
        during=18,
    ),
)
TRANSIENT: Final = Fault(
    name="transient",
    inject=_shaky,
    affected=frozenset({SEND, SIGN_IN}),
    what="every upstream call takes 0.5 s more, one in five fails",
    during=18,
)
