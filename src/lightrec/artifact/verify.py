"""Whether a model is sound: every size, range and finiteness, across all of its parts.

Loading relies on this and not on the digests: a model that passes gives finite scores and answers
as its own contents say, whoever wrote them. What a part can check alone it checks when it is made
(`ItemCodes`: codes within the codebooks; `IdMap`: ids unique; `History`: rows ascending and in
range).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.artifact.contents import Model, Selection, Users, layer_of
from lightrec.artifact.list_columns import flattened, is_taken, kind_of
from lightrec.artifact.manifest import (
    CODES,
    FLOAT_ITEMS,
    HISTORY,
    ITEM_TABLE,
    SELECTION,
    USER_TABLE,
    USERS,
)
from lightrec.artifact.parquet_limits import MAX_COLUMNS
from lightrec.codes.trained_selection import weight_shapes
from lightrec.errors import ArgumentError, ArtifactError, InputError

MAX_MAGNITUDE = 1e15
"""Bound of all vectors: the product of two is finite in float32 for any width below 10^8."""
MAX_TABLE_MAGNITUDE = 1e30
"""Bound of score tables: the sum of 256 entries is finite in float32."""
ITEM_ID, USER_ID, POPULARITY = "item_id", "user_id", "popularity"

_BLOCK_VALUES = 1 << 16
_MAX_ARRAYS = 64
_COLUMN_TYPES = (pl.Boolean, pl.String, pl.Float32, pl.Float64, pl.Date, pl.Datetime)


def verify(model: Model) -> None:
    """Checks a whole model.

    Raises:
        ArtifactError: Naming the file that holds, or would hold, the fault.
    """
    _check_floats(CODES, "codebooks", model.item_codes.codebooks, MAX_MAGNITUDE)
    _check(
        len(model.item_ids) == model.num_items,
        ITEM_TABLE,
        f"{len(model.item_ids)} ids for {model.num_items} items",
    )
    _check_columns(model.item_columns, model.num_items)
    _check(
        len(model.user_ids) == model.num_users,
        USER_TABLE,
        f"{len(model.user_ids)} ids for {model.num_users} users",
    )
    _check_users(model.users, model)
    if model.history is not None:
        sizes = model.history.num_users, model.history.num_items
        _check(
            sizes == (model.num_users, model.num_items),
            HISTORY,
            f"made for {sizes[0]} users and {sizes[1]} items, "
            f"where the model has {model.num_users} and {model.num_items}",
        )
    if model.float_items is not None:
        _check_shape(
            FLOAT_ITEMS, "float_items", model.float_items, (model.num_items, model.query_width)
        )
        _check_floats(FLOAT_ITEMS, "float_items", model.float_items, MAX_MAGNITUDE)
    if model.selection is not None:
        _check_selection(model.selection, model)


def can_keep(dtype: pl.DataType) -> bool:
    """Whether a model folder can keep a column of this type.

    Numbers, text, truths, dates, and lists of numbers or text.
    """
    flat = dtype.is_integer() or isinstance(dtype, _COLUMN_TYPES)
    return flat or kind_of(dtype) is not None


def check_item_columns(columns: pl.DataFrame, num_items: int) -> None:
    """Checks the table of item columns; worth calling before a long run that ends in `save`.

    Args:
        columns: The columns, without the ids.
        num_items: The rows that the table must have.

    Raises:
        ArtifactError: Naming the column at fault and the remedy.
    """
    _check_columns(columns, num_items)
    try:
        flattened(columns)
    except InputError as error:
        raise ArtifactError(f"{ITEM_TABLE}: {error}") from error


def _check_columns(columns: pl.DataFrame, num_items: int) -> None:
    """Checks all but what lists hold, which is checked when they are written or read."""
    _check(len(columns) == num_items, ITEM_TABLE, f"{len(columns)} rows for {num_items} items")
    few = len(columns.columns) < MAX_COLUMNS
    _check(few, ITEM_TABLE, f"more than {MAX_COLUMNS} columns; leave some of the items table out")
    _check(ITEM_ID not in columns.columns, ITEM_TABLE, f"column {ITEM_ID!r} is there twice")
    for name, dtype in columns.schema.items():
        _check(name != "", ITEM_TABLE, "a column has no name")
        _check(
            can_keep(dtype),
            ITEM_TABLE,
            f"column {name!r} of type {dtype} cannot be kept; cast it to text or numbers",
        )
        _check(
            not is_taken(name),
            ITEM_TABLE,
            f"the name of column {name!r} is one that lists are kept under; rename it",
        )
    counts = columns[POPULARITY] if POPULARITY in columns.columns else None
    _check(
        counts is not None and counts.dtype == pl.Int64 and not counts.null_count(),
        ITEM_TABLE,
        f"column {POPULARITY!r} must hold an Int64 for every item",
    )
    _check(
        counts is None or not bool((counts < 0).any()),
        ITEM_TABLE,
        f"column {POPULARITY!r} holds a negative number",
    )


def _check_users(users: Users, model: Model) -> None:
    codes, values = model.item_codes, users.values
    if users.form == "table":
        shape: tuple[int, ...] = len(model.user_ids), codes.num_codebooks, codes.num_codewords
        _check_shape(USERS, "values", values, shape)
        _check_floats(USERS, "values", values, MAX_TABLE_MAGNITUDE)
    elif users.form in ("identity", "linear", "mlp", "free", "fitted"):
        _check_shape(USERS, "values", values, (len(model.user_ids), codes.width))
        _check_floats(USERS, "values", values, MAX_MAGNITUDE)
    else:
        raise ArtifactError(f"{USERS}: the user form {users.form!r} is not known")
    needs_map = users.form in ("linear", "mlp")
    _check(
        bool(users.map_weights) == needs_map or users.form == "fitted",
        USERS,
        f"users of the form {users.form} have {'no map' if needs_map else 'a map'}",
    )
    if users.map_weights:
        _check_map(users, codes.width)


def _check_map(users: Users, width: int) -> None:
    """Checks that the layers follow one another and end at the width of the codewords."""
    weights = dict(users.map_weights or {})
    _check(len(weights) <= _MAX_ARRAYS, USERS, f"the map has more than {_MAX_ARRAYS} arrays")
    for name, array in weights.items():
        kind = re.fullmatch(r"(0|[1-9][0-9]{0,3})\.(weight|bias)", name)
        _check(kind is not None, USERS, f"the map has an array named {name!r}")
        _check_floats(USERS, f"map {name}", array, MAX_MAGNITUDE)
        _check(array.dtype == np.float32, USERS, f"map {name} must be float32, not {array.dtype}")
    _check(
        users.form != "fitted" or weights.keys() == {"0.weight"},
        USERS,
        f"a fitted map is 0.weight alone, not {', '.join(sorted(weights))}",
    )
    layers = sorted({layer_of(name) for name in weights})
    _check(
        (len(layers) == 1) == (users.form != "mlp"),
        USERS,
        f"a map of the form {users.form} cannot have {len(layers)} layers",
    )
    size = None
    for layer in layers:
        weight, bias = weights.get(f"{layer}.weight"), weights.get(f"{layer}.bias")
        _check(
            weight is not None
            and weight.ndim == 2
            and weight.size > 0
            and size in (None, weight.shape[1])
            and (bias is None or bias.shape == weight.shape[:1]),
            USERS,
            f"layer {layer} of the map does not fit the layer before it, or its bias",
        )
        size = None if weight is None else weight.shape[0]
    _check(size == width, USERS, f"the map gives vectors of width {size}, the codes need {width}")


def _check_selection(selection: Selection, model: Model) -> None:
    trained = selection.similarity is not None and selection.recurrence is not None
    by_cell = selection.centres is not None and selection.metrics is not None
    any_trained = selection.similarity is not None or selection.recurrence is not None
    any_cell = selection.centres is not None or selection.metrics is not None
    _check(
        (trained or by_cell) and not (any_trained and any_cell),
        SELECTION,
        "needs either a similarity and a recurrence, or centres and metrics",
    )
    for name, array in selection.weights.items():
        _check_floats(SELECTION, f"weights {name}", array, MAX_MAGNITUDE)
    if trained:
        _check_trained(selection, model)
    if selection.centres is not None and selection.metrics is not None:
        width = model.query_width
        num_cells = len(selection.centres) if selection.centres.ndim else 0
        rank = selection.metrics.shape[-1] if selection.metrics.ndim else 0
        _check(num_cells > 0 and rank > 0, SELECTION, "has no cells, or metrics of rank 0")
        _check_shape(SELECTION, "centres", selection.centres, (num_cells, width))
        _check_shape(SELECTION, "metrics", selection.metrics, (num_cells, width, rank))
        _check(selection.weights.keys() == {"floors"}, SELECTION, "needs the weights floors alone")
        floors = selection.weights["floors"]
        _check_shape(SELECTION, "weights floors", floors, (num_cells,))
        _check(bool((floors > 0).all()), SELECTION, "weights floors must be positive")
        _check_floats(SELECTION, "centres", selection.centres, MAX_MAGNITUDE)
        _check_floats(SELECTION, "metrics", selection.metrics, MAX_MAGNITUDE)


def _check_trained(selection: Selection, model: Model) -> None:
    """Checks that a trained encoder can encode, into the model's codebooks."""
    codebooks, trained = model.item_codes.codebooks, selection.trained
    assert trained is not None
    width = trained.state_width(codebooks.shape[2])
    try:
        wanted = weight_shapes(trained.similarity, trained.recurrence, width, codebooks.shape)
    except (ArgumentError, TypeError) as error:  # a name that is not even text
        raise ArtifactError(f"{SELECTION}: {error}") from None
    given = {name: array.shape for name, array in trained.weights.items()}
    _check(given == wanted, SELECTION, f"the weights are {given}, and {wanted} are needed")
    _check(
        width == model.query_width or model.users.form == "free",
        SELECTION,
        f"encodes items of width {width}, where queries have {model.query_width}",
    )


def _check(sound: bool, file: str, fault: str) -> None:
    if not sound:
        raise ArtifactError(f"{file}: {fault}")


def _check_shape(file: str, what: str, array: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    _check(array.shape == shape, file, f"{what} must be of shape {shape}, not {array.shape}")


def _check_floats(file: str, what: str, array: npt.NDArray[Any], limit: float) -> None:
    """Checks type and magnitude, by the bits: those of NaN and infinity exceed any bound's."""
    if array.dtype == np.float32:
        integers: type[np.unsignedinteger[Any]] = np.uint32
        bound = int(np.float32(limit).view(np.uint32))
    elif array.dtype == np.float16:
        integers, bound = np.uint16, int(np.finfo(np.float16).max.view(np.uint16))
    else:
        raise ArtifactError(f"{file}: {what} must be float32 or float16, not {array.dtype}")
    if not array.size:
        return
    rows = np.atleast_1d(array)
    without_sign = integers(np.iinfo(integers).max >> 1)
    step = max(1, _BLOCK_VALUES * len(rows) // rows.size)
    for start in range(0, len(rows), step):
        block = np.ascontiguousarray(rows[start : start + step]).view(integers)
        if int((block & without_sign).max()) > bound:
            raise ArtifactError(
                f"{file}: {what} hold a value that is not finite or is beyond {limit:g}"
            )
