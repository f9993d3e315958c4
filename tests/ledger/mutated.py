"""`inbox serve` or `inbox worker` with one part exchanged: `python -m ledger.mutated NAME PART... [--stops]`.

NAME is a mutant or `sound`, each PART is `web` or `worker`. With `--stops` the process stands still after it has read
its first page of deliveries, until somebody sends SIGCONT.
"""

import argparse
from typing import Final

from inbox.main import serve
from inbox.main.starting import prepared_here, run_loop

from .books import Fault
from .mutants import MUTANTS, SOUND, Mutant, Mutation

PARTS: Final = ("web", "worker")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ledger.mutated", description=__doc__)
    parser.add_argument("name", choices=[*MUTANTS, SOUND])
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--stops", action="store_true")
    options = parser.parse_args()
    mutation = Mutation(MUTANTS.get(options.name, Mutant(fault=Fault.LOST)), stops=options.stops)
    with prepared_here() as runtime:
        web, worker = (part in options.parts for part in PARTS)
        run_loop(serve.run(runtime, mutation, web=web, worker=worker, started=lambda: None))


if __name__ == "__main__":
    main()
