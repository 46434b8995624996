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
        variant: The users' form, where a model is shown in several.
    """

    model: str
    metrics: Mapping[str, float]
    bytes_per_item: float
    bytes_per_user: float | None = None
    microseconds: float | None = None
    variant: str = ""


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
        """The last row of a model, which is the shipped one; KeyError where there is none."""
        for row in reversed(self.rows):
            if row.model == model:
                return row
        raise KeyError(model)

    def with_times(self, microseconds: Mapping[str, float]) -> Comparison:
        """The same table with query times, by the names of models or of their variants."""

        def time_of(row: ComparisonRow) -> float | None:
            return microseconds.get(row.variant, microseconds.get(row.model, row.microseconds))

        return replace(
            self, rows=tuple(replace(row, microseconds=time_of(row)) for row in self.rows)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads them back."""
        return {"title": self.title, "rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Comparison:
        """The table that `to_json` wrote."""
        return cls(content["title"], tuple(ComparisonRow(**row) for row in content["rows"]))
