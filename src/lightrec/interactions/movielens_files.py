"""MovieLens's `.dat` files: fields with `::` between them and no line of column names.

    ratings.dat   1::1193::5::978300760                    user, item, rating, time
    tags.dat      15::4973::excellent!::1215184630         user, item, tag, time
    movies.dat    1::Toy Story (1995)::Animation|Comedy    item, title, genres

The file's name tells tags from ratings and movies from ratings without times; the number of fields
tells the rest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.columns import ITEM, RATING, TIMESTAMP, USER
from lightrec.interactions.rows_read import RowsRead
from lightrec.interactions.text_lines import read_lines

SEPARATOR = "::"
_NO_GENRES = ("", "(no genres listed)")


def read_movielens(path: Path) -> RowsRead:
    """Reads a `.dat` file of MovieLens; every cell stays text, genres become lists of text.

    The 1M set's movies.dat is in ISO-8859-1; a file that is not UTF-8 is read as that, and a note
    says so.

    Raises:
        InputError: a line has another number of fields than the first; or the file is one of users.
    """
    notes = []
    try:
        lines = read_lines(path)
    except InputError as error:
        if "not UTF-8" not in str(error):
            raise
        lines = read_lines(path, "latin-1")
        notes.append("the file is not UTF-8 and was read as ISO-8859-1")
    numbers = np.flatnonzero((lines.str.strip_chars() != "").to_numpy()) + 1
    lines = lines.gather(numbers - 1)
    if not len(lines):
        raise InputError(f"{path} has no rows")
    separators = lines.str.count_matches(SEPARATOR, literal=True)
    uneven = separators != separators[0]
    if uneven.any():
        row = int(uneven.arg_max() or 0)
        raise InputError(
            f"{path}, line {numbers[row]}: {separators[row] + 1} fields, but the first line has "
            f"{separators[0] + 1}; complete the line ({SEPARATOR!r} stands between two fields)"
        )
    names = _columns(path, int(separators[0]) + 1)
    fields = lines.str.split_exact(SEPARATOR, len(names) - 1).struct.unnest()
    frame = fields.rename(dict(zip(fields.columns, names, strict=True)))
    if "genres" in names:
        frame = frame.with_columns(split_genres(frame["genres"]))
    notes.insert(0, f"recognised as a .dat file of MovieLens with {', '.join(names)}")
    return RowsRead(frame, numbers, tuple(notes))


def split_genres(genres: pl.Series) -> pl.Series:
    """`Animation|Comedy` as a list of two, List(String) (n,); no genres are an empty list."""
    none = genres.is_null() | genres.is_in(list(_NO_GENRES))
    split = genres.fill_null("").str.split("|")
    return (
        split.to_frame()
        .select(
            pl.when(pl.lit(none))
            .then(pl.lit([], dtype=pl.List(pl.String)))
            .otherwise(pl.first())
            .alias(genres.name)
        )
        .to_series()
    )


def _columns(path: Path, fields: int) -> tuple[str, ...]:
    stem = path.name.lower()
    if fields == 3 and stem.startswith("movies"):
        return (ITEM, "title", "genres")
    if fields == 4 and stem.startswith("tags"):
        return (USER, ITEM, "tag", TIMESTAMP)
    if fields in (3, 4) and not stem.startswith(("users", "movies", "tags")):
        return (USER, ITEM, RATING, TIMESTAMP)[:fields]
    raise InputError(
        f"{path}, line 1: {fields} fields with {SEPARATOR!r} between them are not those of "
        "MovieLens's ratings.dat, tags.dat or movies.dat; give one of these"
    )
