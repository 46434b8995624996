"""The honest table: every model of a run side by side, measured on the same pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

SHOWN_METRICS = ("recall@20", "recall@100", "ndcg@100", "ndcg")


@dataclass(frozen=True)
class ComparisonRow:
    """One model.

    Attributes:
        model: `popularity`, `teacher`, `rvq`, `aq`, `lightrec`.
        metrics: Means over the users, by the names of `evaluation.metrics`.
        bytes_per_item: All in: codes and codebooks, or the float vector.
        bytes_per_user: The user's vector or table; None where there is none.
        microseconds: Median time of one top-100 query, where it was measured.
    """

    model: str
    metrics: Mapping[str, float]
    bytes_per_item: float
    bytes_per_user: float | None = None
    microseconds: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Models measured on the same pairs.

    Attributes:
        title: What they were measured on.
        rows: The models, from the simplest to the one that is shipped.
    """

    title: str
    rows: tuple[ComparisonRow, ...] = field(default_factory=tuple)

    def row(self, model: str) -> ComparisonRow:
        """The row of a model; KeyError where there is none."""
        for row in self.rows:
            if row.model == model:
                return row
        raise KeyError(model)

    def with_times(self, microseconds: Mapping[str, float]) -> Comparison:
        """The same table with query times for the models named."""
        rows = (
            replace(row, microseconds=microseconds.get(row.model, row.microseconds))
            for row in self.rows
        )
        return replace(self, rows=tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
        return {"title": self.title, "rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Comparison:
        """The table that `to_json` wrote."""
        return cls(content["title"], tuple(ComparisonRow(**row) for row in content["rows"]))
