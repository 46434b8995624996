"""`lightrec split`: a table of interactions, cut into one to train on and one to test on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lightrec.cli.options import (
    FormatOfFile,
    InteractionsPath,
    ItemColumn,
    MinUserPairs,
    RatingAbove,
    RatingColumn,
    TimestampColumn,
    UserColumn,
    column_names,
)
from lightrec.cli.terminal import in_words, show, show_next
from lightrec.cli.write_tables import write_table
from lightrec.errors import ArgumentError


def split(
    interactions: InteractionsPath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the two files.")],
    by: Annotated[
        Literal["time", "last", "paper"],
        typer.Option(
            help="time: one moment for everybody, later pairs are for testing. "
            "last: each user's latest pair. paper: a random share of each user's pairs."
        ),
    ] = "time",
    seed: Annotated[int, typer.Option(min=0, help="Of the split 'paper'.")] = 0,
    test_share: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Of the pairs, in 0..1; for 'time' and 'paper'."),
    ] = 0.2,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    rating_column: RatingColumn = None,
    timestamp_column: TimestampColumn = None,
    rating_above: RatingAbove = None,
    min_user_pairs: MinUserPairs = 1,
    file_format: FormatOfFile = None,
) -> None:
    """Split a table of interactions into train and test.

    INTERACTIONS has one row an interaction, with columns user_id and item_id,
    and for --by time or last a timestamp:

      user_id,item_id,rating,timestamp
      anna,0345339681,5,1136073600

    The folder gets train and test in the format of the input (Parquet where that
    has no column names), with all of its columns and every cell as it was; rows
    of the same pair are merged.

    Examples:
      lightrec split ratings.csv --out parts
      lightrec split ratings.csv --out parts --by paper --seed 1 --rating-above 3
    """
    from lightrec.interactions.filters import PairFilter
    from lightrec.interactions.read_tables import open_table
    from lightrec.interactions.split_tables import split_table

    if not 0 < test_share < 1:
        raise ArgumentError(f"--test-share must lie between 0 and 1, not {test_share:g}")
    table = open_table(interactions, file_format)
    ending = _ending(interactions) if table.text else ".parquet"
    train_file, test_file = out / f"train{ending}", out / f"test{ending}"
    for target in (train_file, test_file):
        if target.exists() and target.samefile(interactions):
            raise ArgumentError(f"--out {out}: {target} is the table to split; name another folder")
    tables = split_table(
        table,
        by,
        columns=column_names(user_column, item_column, rating_column, timestamp_column),
        pair_filter=PairFilter(rating_above, min_user_pairs),
        seed=seed,
        test_share=test_share,
    )
    separator = table.text.separator if table.text else None
    earlier = ", in the place of earlier ones" if train_file.exists() or test_file.exists() else ""
    write_table(tables.train, train_file, separator=separator)
    write_table(tables.test, test_file, separator=separator)
    show(tables.split.train.report.describe())
    show(tables.split.describe())
    show(f"written: {train_file}, {test_file}{earlier}")
    named = {"--user-column": user_column, "--item-column": item_column}
    named |= {"--rating-column": rating_column, "--timestamp-column": timestamp_column}
    again = "".join(f" {name} {in_words(value)}" for name, value in named.items() if value)
    show_next(
        f"lightrec train {in_words(train_file)} --out model{again}",
        f"lightrec evaluate model {in_words(test_file)}{again}",
    )


def _ending(path: Path) -> str:
    """`.csv`, or `.csv.gz` where the file is compressed."""
    last = path.suffix
    return path.with_suffix("").suffix + last if last.lower() == ".gz" else last
