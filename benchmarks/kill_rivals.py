"""Other writers in the harness of `benchmarks.kill`: random kills, and a full disk.

    python -m benchmarks.kill_rivals          # a few minutes; the full disk needs root

What they lose is no fault of this project, so it is kept apart, in
`benchmarks/results/kill_rivals.json`. Kills land as each save's length has it: compare with none,
not with one another.
"""

from __future__ import annotations

import argparse
import logging

from benchmarks.kill import rows_of, source_of
from benchmarks.results import write_results
from benchmarks.writers import rivals

NAME = "kill_rivals"
FAULTS = ("kill_random", "disk_full")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, injects the faults and counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300, help="random kills per system")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    told = source_of(NAME)
    rows = []
    for writer in rivals():
        for row in rows_of(writer, FAULTS, asked.kills, asked.seed):
            del row["strange_errors"]  # none of theirs is one of LightRec's
            rows.append(row | told)
    write_results(
        NAME, f"python -m benchmarks.kill_rivals --kills {asked.kills} --seed {asked.seed}", rows
    )


if __name__ == "__main__":
    main()
