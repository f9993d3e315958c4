"""From samples to figures."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from .resilience_plan import ENDPOINTS, NO_ANSWER, SEND, Sample

BEFORE, HIT, AFTER = "before", "during", "after"
_BROKEN: Final = 500
_OK: Final = 200
SETTLED: Final = 5.0
"""Seconds."""
_CALM_WINDOWS: Final = 3
_ENOUGH: Final = 100
"""Quiet calls of an endpoint that make a P99 mean something."""
_SLOW: Final = 0.05
_NORMAL: Final = 2.0
"""P95 counts as normal again below this multiple of the one before, or below `_NORMAL_S` more than it."""
_NORMAL_S: Final = 0.05


class Phase(msgspec.Struct, frozen=True):
    """A stretch of time on the monotonic clock. `others` is the share of the machine that strangers used."""

    name: str
    begun: float
    ended: float
    others: float


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """A fault, the quiet before it, and what came after its end.

    `pipeline` is the first success behind the endpoints, in seconds after the end; None: it never came or is not asked.
    """

    before: Phase
    hit: Phase
    after: Phase
    pipeline: float | None = None

    def settled(self) -> Phase:
        """What comes `SETTLED` seconds after the fault, or after the first success: the quiet before the next round."""
        return Phase(BEFORE, self.after.begun + (self.pipeline or 0.0) + SETTLED, self.after.ended, self.after.others)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds. `errors` counts 5xx and requests without an answer."""

    count: int
    errors: int
    broken: int
    p50: float
    p95: float
    p99: float
    mean: float
    most: float


Figure: TypeAlias = Callable[[Stats], float]


def stats(samples: Iterable[Sample]) -> Stats:
    found = list(samples)
    took = sorted(sample.took * 1000 for sample in found)
    return Stats(
        count=len(found),
        errors=sum(is_error(sample) for sample in found),
        broken=sum(sample.status >= _BROKEN for sample in found),
        p50=_percentile(took, 0.50),
        p95=_percentile(took, 0.95),
        p99=_percentile(took, 0.99),
        mean=statistics.fmean(took) if took else 0.0,
        most=took[-1] if took else 0.0,
    )


FIGURES: Final[Mapping[str, Figure]] = {
    "p50": lambda found: found.p50,
    "p95": lambda found: found.p95,
    "p99": lambda found: found.p99,
}


def is_error(sample: Sample) -> bool:
    return sample.status >= _BROKEN or sample.status == NO_ANSWER


def within(samples: Iterable[Sample], phase: Phase) -> list[Sample]:
    """What began in the phase; what met the fault at all belongs to `during`."""
    if phase.name == HIT:
        return [sample for sample in samples if sample.at < phase.ended and sample.at + sample.took > phase.begun]
    if phase.name == BEFORE:
        return [sample for sample in samples if phase.begun <= sample.at and sample.at + sample.took <= phase.ended]
    return [sample for sample in samples if phase.begun <= sample.at < phase.ended]


def of(samples: Iterable[Sample], names: Iterable[str]) -> list[Sample]:
    wanted = {ENDPOINTS.index(name) for name in names}
    return [sample for sample in samples if sample.endpoint in wanted]


def ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole else None


def before(samples: Sequence[Sample], rounds: Iterable[Round]) -> list[Sample]:
    """The quiet before each fault."""
    return [sample for each in rounds for sample in within(samples, each.before)]


def during(samples: Sequence[Sample], rounds: Iterable[Round]) -> list[Sample]:
    return [sample for each in rounds for sample in within(samples, each.hit)]


def after(samples: Sequence[Sample], rounds: Iterable[Round]) -> list[Sample]:
    """All that came after each fault, from its first moment."""
    return [sample for each in rounds for sample in within(samples, each.after)]


def against(samples: Sequence[Sample], rounds: Sequence[Round], figure: Figure) -> list[float]:
    """Each round: the figure while the fault lasted, divided by the same of the quiet on both its sides.

    Rounds, because the machine is up to twice as fast in one minute as in the next: what drifts is about the same for a
    fault and its neighbours. Each endpoint is held against itself, and counts as often as it was called (geometric
    mean): in one heap the P99 of all would be that of the one slow endpoint which makes up two in a hundred of the
    calls. Endpoints that are called too seldom to have a P99 are left out.
    """
    return _each(
        (within(samples, each.hit), [*within(samples, each.before), *within(samples, each.settled())], figure)
        for each in rounds
    )


def noise(samples: Sequence[Sample], rounds: Sequence[Round], figure: Figure) -> list[float]:
    """Each round: the quiet after the fault against the one before it. What a fault does is told apart from this only
    where it lies outside."""
    return _each((within(samples, each.settled()), within(samples, each.before), figure) for each in rounds)


def middle(ratios: Sequence[float]) -> float | None:
    """The median of the rounds: a disk that stalls in one of them does not decide."""
    return round(statistics.median(ratios), 3) if ratios else None


def _each(compared: Iterable[tuple[Sequence[Sample], Sequence[Sample], Figure]]) -> list[float]:
    found = (_compared(part, whole, figure) for part, whole, figure in compared)
    return [ratio for ratio in found if ratio is not None]


def _compared(part: Sequence[Sample], whole: Sequence[Sample], figure: Figure) -> float | None:
    logs = []
    for place in range(len(ENDPOINTS)):
        ours, theirs = ([s for s in samples if s.endpoint == place] for samples in (part, whole))
        if len(theirs) >= _ENOUGH and ours and (base := figure(stats(theirs))):
            logs.append((len(theirs), math.log(figure(stats(ours)) / base)))
    weight = sum(count for count, _ in logs)
    return round(math.exp(sum(count * log for count, log in logs) / weight), 3) if weight else None


class Second(msgspec.Struct, frozen=True):
    """A window of a second: requests, those that failed or were put off, and those slower than normal."""

    at: float
    count: int
    bad: int
    slow: int


def seconds(samples: Sequence[Sample], before: Phase, phase: Phase) -> list[Second]:
    """The windows of a phase. Each request is held against what its own endpoint took before the fault."""
    usual = within(samples, before)
    limits = {place: _normal([s for s in usual if s.endpoint == place]) for place in range(len(ENDPOINTS))}
    found = []
    for number in range(int(phase.ended - phase.begun)):
        begun = phase.begun + number
        window = [sample for sample in samples if begun <= sample.at < begun + 1]
        bad = sum(is_error(sample) or _is_put_off(sample) for sample in window)
        slow = sum(sample.took > limits[sample.endpoint] for sample in window)
        found.append(Second(float(number), len(window), bad, slow))
    return found


def recovery(before: Sequence[Second], after: Sequence[Second]) -> float | None:
    """Seconds after the end of the fault from which on `_CALM_WINDOWS` in a row are as before; None if that never came.

    As before: no error, and no more slow requests than one in twenty, or than in the worst second before the fault. A
    send counts as normal when WhatsApp took it within the wait, not when it was put off with 202.
    """
    most = max([_SLOW, *(window.slow / window.count for window in before if window.count)])
    calm = [window.count > 0 and not window.bad and window.slow <= most * window.count for window in after]
    for place in range(len(calm) - _CALM_WINDOWS + 1):
        if all(calm[place : place + _CALM_WINDOWS]):
            return after[place].at
    return None


def _normal(usual: Sequence[Sample]) -> float:
    """Seconds that a request may take: twice the P95 before the fault, or a little more than it where that is small."""
    p95 = stats(usual).p95 / 1000
    return max(_NORMAL * p95, p95 + _NORMAL_S)


def _is_put_off(sample: Sample) -> bool:
    return ENDPOINTS[sample.endpoint] == SEND and sample.status != _OK


def _percentile(sorted_values: Sequence[float], share: float) -> float:
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


class Machine:
    """Whose processor time it was, from /proc. `ours` gives the pids of the bench at this moment."""

    def __init__(self, ours: Callable[[], Iterable[int]]) -> None:
        self._ours = ours
        self._last = self._read()

    def others(self) -> float:
        """The share of the machine that went to strangers since the last question."""
        (total, busy, mine), before = self._read(), self._last
        self._last = (total, busy, mine)
        # A process that came or went meanwhile counts as a stranger: its time cannot be told apart.
        ours = sum(max(0, ticks - before[2].get(pid, ticks)) for pid, ticks in mine.items())
        passed = total - before[0]
        return min(1.0, max(0.0, (busy - before[1] - ours) / passed)) if passed else 0.0

    def _read(self) -> tuple[int, int, dict[int, int]]:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return sum(fields), sum(fields) - fields[3] - fields[4], {pid: _ticks(pid) for pid in self._ours()}


def _ticks(pid: int) -> int:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # it has ended
    return int(words[11]) + int(words[12])  # utime and stime (proc_pid_stat(5))
