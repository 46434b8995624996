"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lightrec.interactions import ColumnNames

_COLUMNS = "Columns of the table"

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the model.")]
InteractionsPath = Annotated[
    Path,
    typer.Argument(
        metavar="INTERACTIONS",
        help="Table of interactions: .csv, .tsv, .inter (also .gz) or .parquet.",
    ),
]
ModelOut = Annotated[Path, typer.Option("--out", metavar="MODEL", help="Folder for the model.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the log on standard error.")]

K = Annotated[int, typer.Option("-k", metavar="K", help="Items wanted; fewer where fewer exist.")]
UserIds = Annotated[
    list[str] | None,
    typer.Option("--user", metavar="ID", help="User of the model; may be repeated."),
]
HistoryIds = Annotated[
    list[str] | None,
    typer.Option(
        "--history",
        metavar="ID",
        help="Item that somebody liked, also somebody new; repeat it, or give ID,ID.",
    ),
]
VectorFile = Annotated[
    Path | None,
    typer.Option("--vector", metavar="FILE", help="Query vectors: .npy, .safetensors or .parquet."),
]
AllowedItems = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="ID|FILE", help="Return only these items: an id or a file of ids."
    ),
]
DeniedItems = Annotated[
    list[str] | None,
    typer.Option("--deny", metavar="ID|FILE", help="Never return these items."),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Return only items with this value. Several columns: all must hold; one column "
        "again: either value.",
    ),
]

UserColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column of user ids.", rich_help_panel=_COLUMNS),
]
ItemColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column of item ids.", rich_help_panel=_COLUMNS),
]
RatingColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column of ratings; '' for none.", rich_help_panel=_COLUMNS),
]
TimestampColumn = Annotated[
    str | None,
    typer.Option(
        "--timestamp-column",
        "--time-column",
        metavar="NAME",
        help="Column of times; '' for none.",
        rich_help_panel=_COLUMNS,
    ),
]
RatingAbove = Annotated[
    float | None,
    typer.Option(metavar="X", help="Keep rows rated strictly higher than X.", show_default="all"),
]
MinUserPairs = Annotated[
    int, typer.Option(metavar="N", help="Leave out users with fewer pairs than N.")
]


def column_names(
    user: str | None, item: str | None, rating: str | None, timestamp: str | None
) -> ColumnNames:
    """The four column options as one value."""
    from lightrec.interactions import ColumnNames

    return ColumnNames(user, item, rating, timestamp)
