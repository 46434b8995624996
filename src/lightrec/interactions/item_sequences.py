"""Cells of an items table that hold several values: lists in place of one text.

RecBole says so in its column names (`genre:token_seq`, `vector:float_seq`), with spaces between the
values; MovieLens's movies.csv has genres with `|` between. RecBole also calls running text so
(`movie_title:token_seq`): columns of tokens whose name says title, name, text, description,
abstract or summary stay text.
"""

from __future__ import annotations

import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.movielens_files import split_genres
from lightrec.interactions.read_tables import Table

_TOKENS, _NUMBERS = "token_seq", "float_seq"
_MOVIES = ("movieId", "title", "genres")
_RUNNING_TEXT = ("title", "name", "text", "description", "abstract", "summary")


def as_sequence(column: pl.Series, table: Table) -> pl.Series | None:
    """A text column as lists, List(String) or List(Float64) (n,); None if it holds single values.

    An empty cell is an empty list.

    Args:
        column: text cells, under the table's own name for the column.
        table: the text file that they come from.

    Raises:
        InputError: a value of a `float_seq` is not a number: which line.
    """
    if table.names == _MOVIES and column.name == "genres":
        return split_genres(column)
    name, _, kind = column.name.partition(":")
    running_text = kind == _TOKENS and any(word in name.casefold() for word in _RUNNING_TEXT)
    if kind not in (_TOKENS, _NUMBERS) or running_text:
        return None
    words = column.alias("cells").fill_null("").str.extract_all(r"[^ ]+")
    if kind == _TOKENS:
        return words
    numbers = words.list.eval(pl.element().cast(pl.Float64, strict=False))
    faulty = numbers.list.eval(pl.element().is_null()).list.any()
    if faulty.any():
        row = int(faulty.arg_max() or 0)
        raise InputError(
            f"{table.place(row)}, column {column.name!r}: {column[row]!r} is not a sequence of "
            "numbers with spaces between them; correct it, or declare the column as token_seq"
        )
    return numbers
