"""`lightrec bench`: how long a query takes on this machine, against brute force."""

from __future__ import annotations

from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.options import Json, ModelPath
from lightrec.cli.terminal import flush_output, show, show_json, show_table
from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.cli.search_times import Searches, SearchTime

_KS = (10, 100)
_WAYS = {
    "codes": "lightrec: a query vector, by the codes",
    "table": "lightrec: a user's stored score table",
    "seen": "lightrec: what the user has seen left out",
    "recommend": "lightrec: Recommender.recommend, ids in and out",
    "post_ranking": "lightrec: the best {candidates} ordered by float items",
    "numpy": "numpy: float32 vectors",
    "float_scan": "compiled scan of float32 vectors",
}


def bench(
    model: ModelPath,
    k: Annotated[
        list[int] | None,
        typer.Option(
            "-k", metavar="K", help="Items wanted; may be repeated.", show_default="10 and 100"
        ),
    ] = None,
    queries: Annotated[
        int, typer.Option(metavar="N", help="Different queries, asked one after the other.")
    ] = 200,
    as_json: Json = False,
) -> None:
    """Measure how long a query takes on this machine, against brute force.

    Times the exact search of MODEL by its codes and, where the model has what
    it takes: from users' stored score tables, without what they have seen, as
    Recommender.recommend answers, and with post-ranking by float items. Beside
    it stands brute force over the decoded float vectors, in numpy and compiled.

    Everything runs on one thread, in turns. A query counts with the fastest of
    its passes; how many times faster a search is compares medians.

    Examples:
      lightrec bench model
      lightrec bench model -k 1 -k 50 --queries 1000
      lightrec bench model --json | jq .rows
    """
    from lightrec.artifact import load_model
    from lightrec.cli.search_times import Searches, one_blas_thread

    wanted = list(k or _KS)
    if min(wanted) < 1:
        raise ArgumentError(f"-k {min(wanted)}: ask for at least one item")
    if queries < 1:
        raise ArgumentError(f"--queries {queries}: ask at least one query")
    loaded = load_model(model)
    if not loaded.num_items:
        raise ArgumentError(f"{model}: the model holds no items to search")
    wanted = list(dict.fromkeys(min(each, loaded.num_items) for each in wanted))
    with one_blas_thread() as held:
        searches = Searches.of(loaded, queries)
        facts = describe(loaded, searches, numpy_on_one_thread=held)
        if not as_json:
            _show_machine(facts)
        rows = [row for each in wanted for row in searches.times(each)]
    if as_json:
        show_json({**facts, "rows": [asdict(row) for row in rows]})
        return
    show_table(
        ("k", "search", "queries", "median µs", "p95 µs", "times faster than numpy"),
        [(row.k, _words(row, facts), *astuple(row)[2:]) for row in rows],
        decimals={"median µs": 1, "p95 µs": 1, "times faster than numpy": 1},
    )
    for line in _remarks(facts):
        show(line)


def describe(model: Model, searches: Searches, *, numpy_on_one_thread: bool) -> dict[str, Any]:
    """What the times were measured with, as JSON values."""
    from lightrec.cli.search_times import CANDIDATES_PER_RESULT, NUMPY
    from lightrec.experiments.provenance import machine

    here = machine()
    return {
        "cpu": here["cpu"],
        "blas": here["blas"],
        "numpy_on_one_thread": numpy_on_one_thread,
        "instruction_set": searches.instruction_set,
        "layout": searches.layout,
        "items": model.num_items,
        "width": model.item_codes.width,
        "num_codebooks": model.item_codes.num_codebooks,
        "user_form": model.users.form,
        "query_vectors": "users" if searches.from_users else "decoded items",
        "scan_bytes_per_item": searches.bytes_per_item,
        "candidates_per_result": CANDIDATES_PER_RESULT,
        "float_bytes": searches.float_bytes,
        "floats_measured": NUMPY in searches.ways,
    }


def _show_machine(facts: dict[str, Any]) -> None:
    kept, layout = facts["scan_bytes_per_item"], facts["layout"]
    parts = [
        facts["cpu"] or "unknown processor",
        f"instruction set {facts['instruction_set']}{f' ({layout})' if layout else ''}",
        f"{facts['items']:,} items",
        "codes read in place" if kept is None else f"{kept:,.1f} bytes an item kept by the scan",
    ]
    show(", ".join(parts))
    flush_output()


def _remarks(facts: dict[str, Any]) -> list[str]:
    """What a reader must know to trust the table."""
    said = []
    if facts["query_vectors"] != "users":
        said.append("(the model keeps no vectors of users: decoded items are the query vectors)")
    if facts["instruction_set"] == "none":
        said.append(
            "(the compiled kernels are not installed: the codes are searched by the numpy "
            "reference, which is slow)"
        )
    if not facts["floats_measured"]:
        from lightrec.cli.search_times import MOST_FLOAT_BYTES

        said.append(
            f"(float vectors are not measured: they would take {facts['float_bytes'] / 2**30:,.1f} "
            f"GiB, more than {MOST_FLOAT_BYTES / 2**30:g} GiB)"
        )
    elif not facts["numpy_on_one_thread"]:
        said.append(
            "(numpy may have used several threads, the others one: pip install threadpoolctl to "
            "hold it to one)"
        )
    return said


def _words(row: SearchTime, facts: dict[str, Any]) -> str:
    candidates = min(facts["candidates_per_result"] * row.k, facts["items"])
    return _WAYS[row.search].format(candidates=f"{candidates:,}")
