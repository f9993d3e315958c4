"""Who used the processor: what a process and its children spent, from /proc. Without /proc nothing is told."""

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class _Process(NamedTuple):
    parent: int
    seconds: float


class Processor:
    """Seconds of processor time since it was made, by role."""

    def __init__(self, roles: dict[str, list[int]]) -> None:
        """`roles` names processes; their children count with them."""
        self._roles = roles
        self._begun = time.perf_counter()
        self._then = {role: _spent(pids) for role, pids in roles.items()}
        self._all_then = _everybody()

    def told(self, events: float, unit: str) -> str:
        """Microseconds of each role for one of `events`, and how busy the machine was, with strangers and without."""
        took = time.perf_counter() - self._begun
        spent = {role: _spent(pids) - self._then[role] for role, pids in self._roles.items()}
        cores = (os.cpu_count() or 1) * took
        each = ", ".join(f"{role} {1e6 * seconds / max(events, 1):.0f}" for role, seconds in spent.items())
        strangers = max(0.0, _everybody() - self._all_then - sum(spent.values()))
        ours = sum(spent.values())
        return (
            f"processor, us for each {unit}: {each}; the cores were used to {100 * ours / cores:.0f} % by these and to "
            f"{100 * strangers / cores:.0f} % by strangers and the bench itself"
        )


def _spent(pids: list[int]) -> float:
    found = _processes()
    family = set(pids)
    grown = True
    while grown:
        grown = False
        for pid, process in found.items():
            if process.parent in family and pid not in family:
                family.add(pid)
                grown = True
    return sum(found[pid].seconds for pid in family if pid in found)


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        # proc_pid_stat(5), counted from `state`: ppid, and utime, stime, cutime, cstime.
        found[int(entry.parent.name)] = _Process(int(fields[1]), sum(map(int, fields[11:15])) / _TICKS)
    return found


def _everybody() -> float:
    """Of the machine, without idle time and waiting for disks."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _, _, *interrupts = map(int, stat.read_text().partition("\n")[0].split()[1:9])
    return (user + nice + system + sum(interrupts[:2])) / _TICKS
