"""`inbox serve` or `inbox worker` with one part exchanged: `python -m ledger.mutated SIDE NAME PART... [--stops]`.

SIDE is `events`, `inbound` or `outbound`, NAME a mutant of it or `sound`, each PART is `web` or `worker`. With
`--stops` the process stands still after it has taken its first work of that side, until somebody sends SIGCONT.
"""

import argparse
from collections.abc import Mapping
from typing import Final

from inbox.main import serve
from inbox.main.starting import prepared_here, run_loop

from .events import mutants as events
from .inbound import mutants as inbound
from .mutating import SOUND, Mutation, Parts, Wrap
from .outbound import mutants as outbound

PARTS: Final = ("web", "worker")
_SIDES: Final[Mapping[str, tuple[Mapping[str, Parts], Wrap]]] = {
    "events": (events.MUTANTS, lambda inner: inner),
    "inbound": (inbound.MUTANTS, inbound.stops_after_reading),
    "outbound": (outbound.MUTANTS, outbound.stops_after_taking),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ledger.mutated", description=__doc__)
    parser.add_argument("side", choices=_SIDES)
    parser.add_argument("name", help=f"a mutant of that side, or {SOUND}")
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--stops", action="store_true")
    options = parser.parse_args()
    mutants, stops = _SIDES[options.side]
    parts = Parts() if options.name == SOUND else mutants[options.name]
    mutation = Mutation(parts, stops if options.stops else None)
    with prepared_here() as runtime:
        web, worker = (part in options.parts for part in PARTS)
        run_loop(serve.run(runtime, mutation, web=web, worker=worker, started=lambda: None))


if __name__ == "__main__":
    main()
