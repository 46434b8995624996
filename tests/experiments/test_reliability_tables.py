"""Tables of damage and interruptions name all that was tried, and count all that came of it."""

from benchmarks.damaged_tables import MUTATIONS
from benchmarks.kill import ERRORS, FAULTS
from lightrec.experiments.reliability_tables import damaged_tables_table, ids_table, kill_table


def test_every_damage_to_a_table_has_a_line():
    counts = ("trials", "rejected", "accepted_unchanged", "accepted_changed", "uncaught", "crashed")
    rows = [
        {"fault": f"parquet table {kind}"} | {name: 1000 * n for n, name in enumerate(counts, row)}
        for row, kind in enumerate(MUTATIONS, 1)
    ]
    lines = damaged_tables_table({"rows": rows}).splitlines()
    assert len({line.split(" | ")[0] for line in lines[2:]}) == len(MUTATIONS)
    assert lines[2].endswith("| 1,000 | 2,000 | 3,000 | 4,000 | 5,000 | 6,000 |")


def test_how_the_models_of_ids_were_made_is_told():
    row = {"trials": 9000, "rejected": 2, "built": 3, "compressed": 4, "trained": 5}
    table = ids_table({"rows": [row | {"differences": 6}]})
    assert table.splitlines()[-1] == "| 9,000 | 2 | 3 | 4 | 5 | 6 |"


def test_every_interruption_has_a_line():
    faults = {*FAULTS, *(f"errno_{error}" for error in ERRORS)} - {"errors"}
    counts = dict.fromkeys(("trials", "lost", "mixed", "leftovers", "false_success"), 0)
    rows = [{"system": "lightrec", "fault": fault} | counts for fault in sorted(faults)]
    table = kill_table({"rows": rows})
    assert len(table.splitlines()) == 2 + len(faults)
    assert "| killed at every file or descriptor call |" in table
