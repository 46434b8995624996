"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    from lightrec.interactions import ColumnNames

_COLUMNS = "Columns of the table"
_MOST_BYTES = 64  # num_codebooks allows no more; said here, so that --help need not load its class
_OF_A_BYTE = 256  # codewords that one byte tells apart

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the model.")]
InteractionsPath = Annotated[
    Path,
    typer.Argument(
        metavar="INTERACTIONS",
        help="Table of interactions: .csv, .tsv, .inter (also .gz) or .parquet; ratings.dat of "
        "MovieLens, users.dat of CiteULike, train.txt of LightGCN.",
    ),
]
FormatOfFile = Annotated[
    Literal["csv", "tsv", "recbole", "parquet", "movielens", "lightgcn", "citeulike"] | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="What the table is, where its name does not tell: csv, tsv, recbole, parquet, "
        "movielens, lightgcn or citeulike.",
        show_default="by name and content",
    ),
]
ModelOut = Annotated[Path, typer.Option("--out", metavar="MODEL", help="Folder for the model.")]
BytesPerItem = Annotated[
    int | None,
    typer.Option(
        "--bytes",
        metavar="N",
        help="Bytes an item, 1 to 64, each an index into a codebook of 256 codewords; 2, 3, 4, 6, "
        "8 and 16 are usual. More keep more of the ranking where users are as they are (identity); "
        "the fast search is for 4: of any other size it scores every item.",
        show_default="4",
    ),
]
FormOfUsers = Annotated[
    Literal["identity", "linear", "mlp", "fitted", "table", "auto"] | None,
    typer.Option(
        "--user-form",
        metavar="FORM",
        help="How users meet the codes. identity: as they are; fitted: as vectors fitted to the "
        "codes; table: as score tables of their own; linear, mlp: through a map that comes near to "
        "fitted vectors, for towers whose users are not known yet; auto: identity, fitted or "
        "table, as held-out pairs favour.",
    ),
]
CodewordWidth = Annotated[
    int | None,
    typer.Option(
        "--codeword-width",
        metavar="N",
        help="Numbers in a codeword, for --user-form linear, mlp or fitted.",
        show_default="fitted: as in the user vectors; others: half of that",
    ),
]
KeepFloatItems = Annotated[
    bool,
    typer.Option(
        "--keep-float-items",
        help="Keep float16 item vectors too, 2 bytes a number: to re-rank the best by them, and to "
        "serve new users as well as known ones.",
    ),
]
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


def changed_settings(
    num_bytes: int | None,
    user_form: str | None,
    codeword_width: int | None = None,
    *,
    file: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """What `--bytes`, `--user-form` and `--codeword-width` say, as tables of the configuration.

    Args:
        num_bytes: Bytes an item.
        user_form: Form of the users.
        codeword_width: Numbers in a codeword.
        file: The file of settings given beside them.

    Raises:
        ArgumentError: Codes cannot have so many bytes.
        ConfigError: The file is not TOML.
    """
    changes: dict[str, dict[str, Any]] = {}
    if num_bytes is not None:
        _check_bytes(num_bytes, file)
        changes["codes"] = {"num_codebooks": num_bytes}
    if user_form is not None:
        changes["users"] = {"form": user_form}
    if codeword_width is not None:
        changes.setdefault("users", {})["codeword_width"] = codeword_width
    return changes


def _check_bytes(num_bytes: int, file: Path | None) -> None:
    """Refuses a number of bytes that codes cannot have, or would not fill."""
    if not 1 <= num_bytes <= _MOST_BYTES:
        raise ArgumentError(
            f"--bytes {num_bytes}: an item takes 1 to {_MOST_BYTES} bytes, one a codebook; "
            "2, 3, 4, 6, 8 and 16 are usual"
        )
    if file is None:
        return
    from lightrec.settings import read_toml

    codes = read_toml(file).get("codes", {})
    words = codes.get("num_codewords", _OF_A_BYTE) if isinstance(codes, dict) else _OF_A_BYTE
    if words != _OF_A_BYTE:
        raise ArgumentError(
            f"--bytes {num_bytes}: {_OF_A_BYTE} codewords fill a byte, and {file} asks for "
            f"codes.num_codewords = {words}; leave that out, or give codes.num_codebooks there "
            "instead of --bytes"
        )
