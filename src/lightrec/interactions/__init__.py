"""Interactions: who liked what, read from any table, numbered, filtered and split.

Start with `Interactions.from_table`. Ids stay as they are in the table; row numbers are internal.
"""

from lightrec.interactions.columns import ColumnNames
from lightrec.interactions.filters import PairFilter
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.public_datasets import (
    PUBLIC_DATASETS,
    data_digest,
    load_public,
    load_public_items,
    load_source_split,
    public_dataset,
)
from lightrec.interactions.read_items import read_items
from lightrec.interactions.read_report import ReadReport
from lightrec.interactions.read_tables import read_table
from lightrec.interactions.split_tables import SplitTables, split_table
from lightrec.interactions.splits import (
    Split,
    leave_last_out,
    paper_split,
    time_split,
    validation_split,
)
from lightrec.interactions.synthetic import SyntheticData, synthetic_catalogue

__all__ = [
    "PUBLIC_DATASETS",
    "ColumnNames",
    "History",
    "IdMap",
    "Interactions",
    "PairFilter",
    "ReadReport",
    "Split",
    "SplitTables",
    "SyntheticData",
    "data_digest",
    "leave_last_out",
    "load_public",
    "load_public_items",
    "load_source_split",
    "paper_split",
    "public_dataset",
    "read_items",
    "read_table",
    "split_table",
    "synthetic_catalogue",
    "time_split",
    "validation_split",
]
