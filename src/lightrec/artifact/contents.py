"""What a model folder holds, in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.trained_selection import TrainedSelection
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap

if TYPE_CHECKING:  # metrics read settings with pydantic, which serving does without
    from lightrec.codes.cell_metrics import CellMetrics
    from lightrec.codes.item_metric import ItemMetric

UserForm = Literal["identity", "linear", "mlp", "free", "fitted", "table"]
FloatArray = npt.NDArray[np.float32] | npt.NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Users:
    """The users, in the form in which they meet the codes.

    Attributes:
        form: `identity` the teacher's vectors; `linear`, `mlp` a map of them; `free` vectors
            trained by gradient; `fitted` vectors fitted to the codes, whose codebooks may have been
            fitted to them in turn; `table` a score table of each user's own.
        values: Float32 or float16; vectors (M, D), or score tables (M, B, W) when the form is
            `table`.
        map_weights: The map from the teacher's space to the codebooks', which query vectors go
            through: float32 arrays `K.weight` (out, in) and, if there is one, `K.bias` (out,), for
            the layers in ascending K. `linear` and `mlp` always have it. `fitted` users have
            `0.weight` (D, T) alone where the codebooks are no longer in the teacher's space, and
            None where they are. None for the other forms.
    """

    form: UserForm
    values: FloatArray
    map_weights: Mapping[str, npt.NDArray[np.float32]] | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """How an item's vector was encoded, so that new items can be encoded alike, without torch.

    Either as a trained encoder does (`similarity` and `recurrence`, see
    `lightrec.codes.trained_selection`) or by the metric of the item's cell (`centres` and
    `metrics`, with `floors` among the weights), in the teacher's space.

    Attributes:
        similarity: Name of the similarity between a vector and a codeword (Eq. 5, Table 5).
        recurrence: Name of the recurrence between codebooks (Eq. 7, Table 4).
        weights: Float32 or float16 arrays by name: those of the trained encoder, or `floors`.
        centres: (K, T) float32 or float16; an item belongs to the cell of the nearest centre.
        metrics: (K, T, R) float32 or float16; F of each cell, whose metric is F F' + floor I.
    """

    similarity: str | None = None
    recurrence: str | None = None
    weights: Mapping[str, FloatArray] = field(default_factory=dict)
    centres: FloatArray | None = None
    metrics: FloatArray | None = None

    @classmethod
    def by_cells(cls, items: np.ndarray, metric: ItemMetric | None) -> Selection | None:
        """The selection of codes that were quantised in a metric; None where there is none.

        Args:
            items: (N, T) float32 teacher vectors.
            metric: How their errors were measured.
        """
        if metric is None:
            return None
        from lightrec.codes.cell_metrics import CellMetrics

        cells = CellMetrics.of(items, metric)
        return cls(weights={"floors": cells.floors}, centres=cells.centres, metrics=cells.factors)

    @classmethod
    def as_trained(cls, trained: TrainedSelection) -> Selection:
        """The selection of codes that a trained encoder chose."""
        return cls(trained.similarity, trained.recurrence, trained.weights)

    @property
    def trained(self) -> TrainedSelection | None:
        """What encodes as the trained encoder did, where one did."""
        if self.similarity is None or self.recurrence is None:
            return None
        weights = {name: array.astype(np.float32) for name, array in self.weights.items()}
        return TrainedSelection(self.similarity, self.recurrence, weights)

    @property
    def cells(self) -> CellMetrics | None:
        """The cells' metrics, where items were encoded by them."""
        if self.centres is None or self.metrics is None:
            return None
        from lightrec.codes.cell_metrics import CellMetrics

        return CellMetrics(
            self.centres.astype(np.float32), self.metrics, self.weights["floors"].astype(np.float32)
        )


@dataclass(frozen=True)
class BytesPerItem:
    """Memory per item.

    Attributes:
        codes: One byte a codebook.
        codebooks: The float32 codebooks, shared out over the items.
        ids: The external ids (8 bytes an integer, the UTF-8 bytes of a text); not part of `all_in`.
    """

    codes: float
    codebooks: float
    ids: float

    @property
    def all_in(self) -> float:
        """Codes and codebooks."""
        return self.codes + self.codebooks


@dataclass(frozen=True)
class BytesPerUser:
    """Memory per user.

    Attributes:
        values: The user's vector or score table.
        map: The map of `linear`, `mlp` and `fitted`, shared out over the users.
        ids: The external ids; not part of `all_in`.
    """

    values: float
    map: float
    ids: float

    @property
    def all_in(self) -> float:
        """Values and map."""
        return self.values + self.map


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained model: what `train` and `compress` return, and a folder keeps.

    Attributes:
        config: JSON values by key: the settings of the run, data digest, versions, metrics.
        item_codes: Codes and codebooks of the N items.
        users: Vectors or score tables of the M users.
        user_ids: External ids of the users, in row order.
        item_ids: External ids of the items, in row order.
        item_columns: N rows; `popularity` (Int64), and any further columns such as `title`; lists
            of numbers or text too.
        history: The training pairs, if they are kept.
        selection: How new items are encoded, if that is known.
        float_items: (N, T) float32 or float16 teacher vectors, for post-ranking and to fit new
            users as the stored ones were, if they are kept. Their width T is that of query
            vectors. Memory-mapped in a loaded model.
        digest: Digest of the manifest that the model was loaded from; None for a new model.
    """

    config: Mapping[str, Any]
    item_codes: ItemCodes
    users: Users
    user_ids: IdMap
    item_ids: IdMap
    item_columns: pl.DataFrame
    history: History | None = None
    selection: Selection | None = None
    float_items: FloatArray | None = None
    digest: str | None = None

    def __repr__(self) -> str:
        codes = self.item_codes
        return (
            f"<Model: {self.num_items:,} items, {codes.num_codebooks} codebooks of "
            f"{codes.num_codewords} codewords of {codes.width} numbers, {self.num_users:,} users "
            f"({self.users.form})>"
        )

    @property
    def num_items(self) -> int:
        """N."""
        return self.item_codes.num_items

    @property
    def num_users(self) -> int:
        """M."""
        return len(self.users.values)

    @property
    def query_width(self) -> int:
        """Width of a query by vector: the teacher's, before any map."""
        weights = self.users.map_weights
        if not weights:
            return self.item_codes.width
        first = min((name for name in weights if name.endswith(".weight")), key=layer_of)
        return int(weights[first].shape[1])

    @property
    def item_width(self) -> int:
        """Width of the vectors that new items are encoded from: the teacher's."""
        trained = None if self.selection is None else self.selection.trained
        return self.query_width if trained is None else trained.state_width(self.item_codes.width)

    @property
    def bytes_per_item(self) -> BytesPerItem:
        """Memory per item, from the arrays' sizes."""
        codes, num_items = self.item_codes, max(self.num_items, 1)
        return BytesPerItem(
            codes=float(codes.num_codebooks),
            codebooks=codes.codebooks.nbytes / num_items,
            ids=_id_bytes(self.item_ids) / num_items,
        )

    @property
    def bytes_per_user(self) -> BytesPerUser:
        """Memory per user, from the arrays' sizes."""
        weights, num_users = self.users.map_weights or {}, max(self.num_users, 1)
        return BytesPerUser(
            values=self.users.values.nbytes / num_users,
            map=sum(array.nbytes for array in weights.values()) / num_users,
            ids=_id_bytes(self.user_ids) / num_users,
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        with_history: bool = True,
        expected: str | None = None,
    ) -> None:
        """Writes the model to a folder; see `lightrec.artifact.save.save_model`."""
        from lightrec.artifact.save import save_model

        save_model(self, path, with_history=with_history, expected=expected)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Reads a model from its folder; see `lightrec.artifact.load.load_model`."""
        from lightrec.artifact.load import load_model

        return load_model(path)


def layer_of(name: str) -> int:
    """The number of the layer that an array of `Users.map_weights` belongs to."""
    return int(name.partition(".")[0])


def _id_bytes(ids: IdMap) -> int:
    if ids.dtype_name == "int":
        return 8 * len(ids)
    return int(ids.series.str.len_bytes().cast(pl.Int64).sum())  # 32 bits would wrap at 4 GiB
