"""Whether a model answers as its own files say: brute force, and a reader that is not ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load as read_tensors

from lightrec.artifact import Model
from lightrec.serving import Recommender

K = 10
MOST_USERS = 30
EPSILON = float(np.finfo(np.float32).eps)
TINIEST = 1e-30  # products below this may become zero


def check_answers(folder: Path) -> str:
    """Loads a folder and asks for the best items of a few users, seen ones too.

    Args:
        folder: Of the model.

    Returns:
        What is wrong with the answers; empty where nothing is.

    Raises:
        ArtifactError: The folder was refused.
    """
    model = Model.load(folder)
    count = model.num_users
    rows = sorted({*range(min(count, MOST_USERS - 1)), *range(max(count - 1, 0), count)})
    wrong = _other_arrays(model, folder)
    if wrong or not rows:
        return wrong
    scores, errors = _by_brute_force(model, rows)
    place = {name: row for row, name in enumerate(model.item_ids.series.to_list())}
    found = Recommender(model, threads=1).recommend(
        model.user_ids.series.gather(rows).to_list(), k=K, exclude_seen=False
    )
    for query, ranked in enumerate(found):
        items = [place.get(item, -1) for item in ranked.items]
        if min(items, default=0) < 0 or len(set(items)) != min(K, model.num_items):
            return f"user {rows[query]}: unknown, repeated or missing items"
        told, exact, error = ranked.scores, scores[query], errors[query]
        if not np.isfinite(told).all() or (np.diff(told) > 0).any():
            return f"user {rows[query]}: scores that are not finite or do not fall"
        if (np.abs(told - exact[items]) > error[items]).any():
            return f"user {rows[query]}: other scores than by brute force"
        left = np.delete(np.arange(model.num_items), items)
        if len(left) and (exact[left] - error[left]).max() > (exact[items] + error[items]).min():
            return f"user {rows[query]}: a better item was left out"
    return ""


def _by_brute_force(model: Model, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (Q, N) in float64, and how far sums in float32 may be from them."""
    codes, codebooks = model.item_codes.codes, model.item_codes.codebooks.astype(np.float64)
    values = model.users.values[rows].astype(np.float64)
    if model.users.form == "table":
        tables, sizes = values, np.abs(values)
    else:
        tables = np.einsum("qd,bwd->qbw", values, codebooks)
        sizes = np.einsum("qd,bwd->qbw", np.abs(values), np.abs(codebooks))
    books = np.arange(codes.shape[1])
    steps = codebooks.shape[0] + codebooks.shape[2] + 2
    scores, size = (table[:, books, codes].sum(axis=2) for table in (tables, sizes))
    unknown = ~values.reshape(len(rows), -1).any(axis=1)  # they get the most popular items
    scores[unknown] = model.item_columns["popularity"].to_numpy()
    return scores, steps * EPSILON * size + TINIEST


def _other_arrays(model: Model, folder: Path) -> str:
    """What the safetensors package reads otherwise."""
    users = {f"map.{name}": array for name, array in (model.users.map_weights or {}).items()}
    ours: dict[str, dict[str, np.ndarray]] = {
        "codes": {"codes": model.item_codes.codes, "codebooks": model.item_codes.codebooks},
        "users": {"values": model.users.values, **users},
    }
    if model.history is not None:
        ours["history"] = {"indptr": model.history.indptr, "item_rows": model.history.item_rows}
    if model.float_items is not None:
        ours["float_items"] = {"float_items": model.float_items}
    for name, arrays in ours.items():
        theirs = read_tensors((folder / f"{name}.safetensors").read_bytes())
        if theirs.keys() != arrays.keys() or any(
            array.dtype != theirs[key].dtype
            or array.shape != theirs[key].shape
            or array.tobytes() != theirs[key].tobytes()
            for key, array in arrays.items()
        ):
            return f"{name}.safetensors: other arrays than the safetensors package reads"
    return ""
