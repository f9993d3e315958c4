"""What a person reads of a run."""

from collections.abc import Sequence
from typing import Final

import click

from .resilience_figures import (
    AFTER,
    BEFORE,
    FIGURES,
    HIT,
    Round,
    Stats,
    after,
    against,
    before,
    during,
    middle,
    noise,
    of,
    ratio,
    stats,
)
from .resilience_plan import ENDPOINTS, READS, SEND, SHOWN, WEBHOOK, Sample

_PUBLISHED: Final = {"conversations": 800.0, "messages": 870.0, "me": 1000.0, WEBHOOK: 1100.0, SEND: 950.0}
"""Means of the existing system in production, in ms (published by its makers). For the rest it says 0.7 to 1.2 s."""


def fault_table(title: str, samples: Sequence[Sample], rounds: Sequence[Round], affected: frozenset[str]) -> None:
    """One row per endpoint and kind of stretch, all rounds in one heap. Judged is each round by itself."""
    click.echo(f"\n{title}")
    busy = ", ".join(f"{100 * each.hit.others:.0f} %" for each in rounds)
    click.echo(f"  {len(rounds)} round(s); processor time of strangers during the fault: {busy}")
    click.echo(
        f"  {'endpoint':<24} {'when':<8} {'count':>6} {'errors':>7} {'5xx':>5} {'p50':>8} {'p95':>8} {'p99':>8}"
        f" {'max':>8}   p50, p95, p99 against before"
    )
    for name in ENDPOINTS:
        mark = "*" if name in affected else " "
        _rows(f"{mark}{SHOWN[name]}", of(samples, [name]), rounds)
    calm = of(samples, [name for name in ENDPOINTS if name not in affected])
    if calm:
        _rows(" all unaffected", calm, rounds)
        for word, figure in FIGURES.items():
            found = against(calm, rounds, figure)
            click.echo(
                f"  {word} of all unaffected, during against quiet: {middle(found)}, of the rounds {_shown(found)} "
                f"(quiet after against quiet before: {_shown(noise(calm, rounds, figure))})"
            )
    if affected:
        click.echo("  * needs what is gone or slow")


def _rows(name: str, samples: Sequence[Sample], rounds: Sequence[Round]) -> None:
    usual = stats(before(samples, rounds))
    for when, some in ((BEFORE, before), (HIT, during), (AFTER, after)):
        found = usual if when == BEFORE else stats(some(samples, rounds))
        if found.count:
            click.echo(f" {_row(name, when, found, None if found is usual else usual)}")


def _shown(ratios: Sequence[float]) -> str:
    return ", ".join(f"{ratio:.2f}" for ratio in ratios)


def _row(name: str, when: str, found: Stats, first: Stats | None) -> str:
    times = " ".join(f"{value:8.1f}" for value in (found.p50, found.p95, found.p99, found.most))
    share = 100 * found.errors / found.count if found.count else 0.0
    row = f"{name:<25} {when:<8} {found.count:>6} {share:>6.2f}% {found.broken:>5} {times}"
    if first is None:
        return row
    pairs = ((found.p50, first.p50), (found.p95, first.p95), (found.p99, first.p99))
    return row + "   " + " ".join(f"{ratio(now, then) or 0:.2f}" for now, then in pairs)


def published_table(samples: Sequence[Sample]) -> None:
    """Ours in the scenario of the existing documents, against what they measured."""
    click.echo("\nour mean with 0.5 s and 20 % failures upstream, against the existing system's published figures")
    click.echo(
        f"  {'endpoint':<24} {'ours: mean':>11} {'p95':>9} {'5xx':>8}   {'published before: mean':<24} {'5xx':<12}"
        f" {'ratio':>6}   published after"
    )
    for name in (*READS, WEBHOOK, SEND):
        found = stats(of(samples, [name]))
        if not found.count:
            continue
        mean = _PUBLISHED.get(name)
        text = f"{mean:.0f} ms" if mean else "700 to 1200 ms"
        share = 100 * found.broken / found.count
        click.echo(
            f"  {SHOWN[name]:<24} {found.mean:>8.1f} ms {found.p95:>6.1f} ms {share:>7.3f}%   {text:<24}"
            f" {'10 to 20 %':<12} {found.mean / (mean or 700.0):>6.3f}   projection only"
        )
    click.echo(
        "  The published `after` are projections, not measurements: there is nothing to compare with. `ratio` is our\n"
        "  mean divided by the published one (its lower end where only a range is known). Another machine, other data."
    )
