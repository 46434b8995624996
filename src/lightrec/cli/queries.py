"""What the command line asks a recommender, read from its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightrec.errors import ArgumentError, InputError

if TYPE_CHECKING:
    import polars as pl

    from lightrec.artifact import Model
    from lightrec.interactions import IdMap

_ID_FILES = frozenset({".txt", ".csv", ".tsv", ".parquet", ".npy"})
_NAMED_BY_A_LINE = frozenset({".csv", ".tsv"})
Query = dict[str, Any]
"""One of `users`, `histories` and `vectors`, as `Recommender` takes them."""


def read_query(
    model: Model,
    *,
    users: Sequence[str] | None,
    users_file: Path | None = None,
    history: Sequence[str] | None,
    vector: Path | None,
) -> Query:
    """The one kind of query that was given.

    Raises:
        ArgumentError: none was given, or several kinds.
        InputError: a file cannot be read.
    """
    given = [bool(users) or users_file is not None, bool(history), vector is not None]
    if sum(given) != 1:
        raise ArgumentError("give one of --user ID, --history ID and --vector FILE")
    if vector is not None:
        from lightrec.read_vectors import read_vectors

        return {"vectors": read_vectors(vector, "user", one=True).values}
    if history:
        return {"histories": [read_ids_given(history, model.item_ids)]}
    asked = read_ids_given(users or (), model.user_ids)
    if users_file is None:
        return {"users": asked}
    listed = _ids_of_file(users_file, model.user_ids, "user")
    return {"users": [*asked, *listed] if asked else listed}


def read_ids_given(texts: Sequence[str], id_map: IdMap, *, or_files: bool = False) -> list[Any]:
    """Ids from the texts of an option that may be repeated.

    A text is an id that the model knows, else (with `or_files`) the name of a file of ids, else
    several ids with commas between, else an id that the recommender will refuse as unknown.
    """
    ids: list[Any] = []
    for text in texts:
        value = id_map.parse(text)
        known = id_map.find([value])[0] >= 0
        if not known and or_files and Path(text).is_file():
            ids.extend(_ids_of_file(Path(text), id_map, "item"))
        elif not known and or_files and Path(text).suffix in _ID_FILES:
            raise InputError(f"{text} does not exist, and is no id that the model knows")
        elif not known and "," in text:
            ids += [id_map.parse(part) for part in text.split(",") if part]
        else:
            ids.append(value)
    return ids


def read_filters(
    model: Model,
    allow: Sequence[str] | None,
    deny: Sequence[str] | None,
    where: Sequence[str] | None,
) -> dict[str, Any]:
    """The options --allow, --deny and --where as `Recommender` takes them."""
    return {
        "allow": read_ids_given(allow, model.item_ids, or_files=True) if allow else None,
        "deny": read_ids_given(deny, model.item_ids, or_files=True) if deny else None,
        "where": read_conditions(where, model.item_columns) if where else None,
    }


def read_conditions(texts: Sequence[str], columns: pl.DataFrame) -> dict[str, list[Any]]:
    """Conditions on item columns, from texts such as `category=Crime`.

    Raises:
        ArgumentError: a text is no condition, names no column, its value does not fit, or it is a
            text that no item has.
    """
    conditions: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ArgumentError(f"--where {text}: write COLUMN=VALUE, such as --where year=1999")
        if name not in columns.columns:
            raise ArgumentError(
                f"--where {text}: the items have no column {name!r}; there are "
                f"{', '.join(columns.columns)}"
            )
        conditions.setdefault(name, []).append(_value(value, columns[name], text))
    return conditions


def read_item_columns(texts: Sequence[str] | None, columns: Sequence[str]) -> list[str] | None:
    """The item columns that --item-columns names, each once.

    Args:
        texts: each a name, else several with commas between; empty text names none.
        columns: the names that exist.

    Returns:
        The names, in the order given; None where the option is not.

    Raises:
        ArgumentError: there is no such column.
    """
    if not texts:
        return None
    names: list[str] = []
    for text in texts:
        names += [text] if text in columns else [part for part in text.split(",") if part]
    for name in names:
        if name not in columns:
            raise ArgumentError(
                f"--item-columns {name}: the items have no column {name!r}; there are "
                f"{', '.join(columns)}"
            )
    return list(dict.fromkeys(names))


def _value(text: str, column: pl.Series, option: str) -> Any:  # noqa: ANN401
    """The value that a text stands for in a column."""
    import polars as pl

    dtype = getattr(column.dtype, "inner", None) or column.dtype  # of lists: any element matches
    read: Callable[[str], Any] = str
    if dtype.is_integer():
        read = int
    elif dtype.is_float():
        read = float
    elif dtype == pl.Boolean:
        read = {"true": True, "false": False}.__getitem__
    elif dtype == pl.Date:
        read = date.fromisoformat
    elif dtype == pl.Datetime:
        read = datetime.fromisoformat
    try:
        value = read(text)
    except (ValueError, KeyError):
        raise ArgumentError(
            f"--where {option}: column {column.name!r} holds {dtype}, and {text!r} is none"
        ) from None
    if dtype == pl.String:
        _check_is_a_value(value, column, option)
    return value


def _check_is_a_value(value: str, column: pl.Series, option: str) -> None:
    """Refuses a text that no item has in a column of texts or of lists of them."""
    import polars as pl

    values = column.explode() if isinstance(column.dtype, pl.List | pl.Array) else column
    if (values == value).any():
        return
    known = values.drop_nulls().unique().sort().to_list()
    near = get_close_matches(value.lower(), [text.lower() for text in known[:10_000]], n=1)
    similar = [text for text in known if near and text.lower() == near[0]]
    told = f"did you mean {similar[0]!r}?" if similar else f"there are {', '.join(known[:10])}"
    more = " ..." if not similar and len(known) > 10 else ""
    raise ArgumentError(f"--where {option}: no item has that {column.name!r}; {told}{more}")


def _ids_of_file(path: Path, id_map: IdMap, what: str) -> pl.Series | list[Any]:
    """The ids in a file, each once, as `IdMap.parse` reads them; a column if they are of one type.

    A file may name all users, and a Python object for each takes several times their column.

    Raises:
        InputError: the file cannot be read, or an id stands where the name of its column should.
    """
    import polars as pl

    from lightrec.read_vectors import read_id_column

    column = read_id_column(path, what)
    if path.suffix.lower() in _NAMED_BY_A_LINE and id_map.knows(column.name):
        raise InputError(
            f"{path}: its first line, {column.name!r}, is one of the {what} ids; put the name of "
            f"the column before it, such as {what}_id, or call the file .txt"
        )
    ids = column.unique(maintain_order=True)
    if id_map.dtype_name == "str":
        return ids.cast(pl.String)
    if ids.dtype == pl.Int64:
        return ids
    numbers = ids.cast(pl.Int64, strict=False)
    if numbers.cast(pl.String).eq_missing(ids).all():
        return numbers
    return [id_map.parse(text) for text in ids.to_list()]
