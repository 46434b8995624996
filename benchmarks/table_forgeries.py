"""Forgeries of the Parquet files: other tables, other writers, and false declarations."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow.parquet

from benchmarks.hostile_values import Files, pick

COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4")
ENCODINGS = ("PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BINARY_PACKED")


def tables(rng: np.random.Generator, files: Files) -> None:
    """Another table: ids twice, missing or of another type, columns and rows too few or many."""
    file = str(pick(rng, [name for name in files if name.endswith(".parquet")]))
    table = pl.read_parquet(io.BytesIO(files[file]))
    first = table.columns[0]
    ids, rows = table[first], len(table)
    column = str(pick(rng, table.columns))
    changes: tuple[Callable[[], pl.DataFrame], ...] = (
        lambda: table.with_columns(pl.Series(first, [*ids[:-1], ids[0]])),
        lambda: table.with_columns(pl.Series(column, [None, *table[column][1:]])),
        lambda: table.with_columns(pl.col(first).cast(pl.Binary, strict=False)),
        lambda: table.with_columns(pl.col(column).cast(pl.Categorical, strict=False)),
        lambda: table.with_columns(pl.Series(first, np.arange(rows, dtype=np.int32))),
        lambda: table.with_columns(pl.Series(first, np.arange(rows) + 0.5)),
        lambda: table.with_columns(pl.Series(first, np.arange(rows))),
        lambda: table.with_columns(pl.Series(first, [f"\0{row}" for row in range(rows)])),
        lambda: table.with_columns(pl.Series(first, ["", *map(str, range(1, rows))])),
        lambda: table.with_columns(pl.Series(first, ["x" * 100_000, *map(str, range(1, rows))])),
        lambda: table.with_columns(pl.Series("tags", [[1]] * rows)),
        lambda: table.with_columns(pl.Series("tags", [{"a": 1}] * rows)),
        lambda: table.with_columns(pl.Series("price", [np.nan] * rows)),
        lambda: table.with_columns(
            pl.lit(1, dtype=pl.Int64).alias(f"c{row}") for row in range(int(rng.integers(1, 120)))
        ),
        lambda: table.with_columns(pl.Series(column, rng.integers(-9, 9, rows))),
        lambda: table.drop(column),
        lambda: table.rename({column: str(pick(rng, ("", "item_id ", "popularity", "x")))}),
        lambda: table.head(int(rng.integers(rows))),
        lambda: pl.concat([table, table.head(int(rng.integers(1, rows + 1)))]),
        lambda: table.sample(fraction=1, shuffle=True, seed=int(rng.integers(1 << 30))),
    )
    try:
        table = pick(rng, changes)()
    except pl.exceptions.PolarsError:  # a change that this table cannot take; then it is reversed
        table = table.reverse()
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="uncompressed")
    files[file] = buffer.getvalue()


def writers(rng: np.random.Generator, files: Files) -> None:
    """The same table, compressed or in the pages and encodings of another writer."""
    file = str(pick(rng, [name for name in files if name.endswith(".parquet")]))
    table = pl.read_parquet(io.BytesIO(files[file]))
    buffer = io.BytesIO()
    if rng.random() < 0.2:
        table.write_parquet(buffer, compression=pick(rng, COMPRESSIONS))
    else:
        texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
        encoding = str(pick(rng, ENCODINGS[:3]))
        numbers = str(pick(rng, (ENCODINGS[0], ENCODINGS[3])))
        encodings = {name: encoding if name in texts else numbers for name in table.columns}
        dictionary = bool(rng.random() < 0.5)
        pyarrow.parquet.write_table(
            table.to_arrow(),
            buffer,
            compression="none" if rng.random() < 0.8 else str(pick(rng, ("snappy", "gzip"))),
            use_dictionary=dictionary,
            column_encoding=None if dictionary else encodings,
            row_group_size=int(pick(rng, (1, 7, 1000))),
            data_page_size=int(pick(rng, (1, 64, 1 << 20))),
            data_page_version=str(pick(rng, ("1.0", "2.0"))),
            write_statistics=bool(rng.random() < 0.5),
        )
    files[file] = buffer.getvalue()


def table_declarations(rng: np.random.Generator, files: Files) -> None:
    """Bytes of a table's footer or of the heads of its pages, where sizes and places are told."""
    if rng.random() < 0.3:
        writers(rng, files)
    file = str(pick(rng, [name for name in files if name.endswith(".parquet")]))
    content = bytearray(files[file])
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(rng.integers(1, 5)):
        low, high = (footer, len(content)) if rng.random() < 0.8 else (4, min(64, len(content)))
        place = int(rng.integers(low, high))
        if rng.random() < 0.3:  # a varint of up to ten bytes
            size = int(rng.integers(1, 10))
            more = bytes([*rng.integers(128, 256, size, dtype=np.uint8), int(rng.integers(128))])
            content[place : place + (len(more) if rng.random() < 0.5 else 1)] = more
        else:
            content[place] = int(pick(rng, (0, 1, 2, 127, 128, 255, int(rng.integers(256)))))
    if rng.random() < 0.7 and footer < len(content) - 8:
        content[-8:-4] = (len(content) - 8 - footer).to_bytes(4, "little")
        content[-4:] = b"PAR1"
    files[file] = bytes(content)
