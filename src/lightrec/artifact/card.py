"""The model card: `README.md` in a model folder, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lightrec.artifact.contents import Model

_FORMS = {
    "identity": "the teacher's vectors",
    "linear": "a linear map of the teacher's vectors",
    "mlp": "a multi-layer map of the teacher's vectors",
    "free": "vectors trained beside the codes",
    "fitted": "vectors fitted to the codes",
    "table": "a score table of each user's own",
}


def model_card(model: Model, file_sizes: Mapping[str, int]) -> str:
    """Markdown that tells what a model is, how large it is, how good it is and how to load it.

    Args:
        model: The model; how good it is comes from its `config["comparison"]` (what `train` and
            `compress` measured) or its `config["metrics"]` (metrics by model name, or numbers by
            metric).
        file_sizes: Bytes by file name.
    """
    codes, per_item, per_user = model.item_codes, model.bytes_per_item, model.bytes_per_user
    stores_tables = model.users.form == "table"
    values = "score table" if stores_tables else "vector"
    lines = [
        "# A LightRec model",
        "",
        f"A recommender of {model.num_items:,} items for {model.num_users:,} users. An item is "
        f"{codes.num_codebooks} bytes, each an index into a codebook of {codes.num_codewords} "
        f"codewords of width {codes.width}; its score is the sum of {codes.num_codebooks} entries "
        f"of the user's score table. The users are {_FORMS[model.users.form]} "
        f"(`{model.users.form}`)"
        f"{', and no codebook is read for a known user' if stores_tables else ''}.",
        "",
        "## Size",
        "",
        "| | bytes |",
        "|---|---:|",
        f"| an item: codes | {per_item.codes:.2f} |",
        f"| an item: codes and codebooks | {per_item.all_in:.2f} |",
        f"| an item: external id | {per_item.ids:.2f} |",
        f"| a user (`{model.users.form}`): {values}{' and map' if per_user.map else ''} "
        f"| {per_user.all_in:.2f} |",
        f"| a user: external id | {per_user.ids:.2f} |",
        *(f"| `{name}` | {size:,} |" for name, size in file_sizes.items()),
        "",
    ]
    lines += _quality(model.config)
    lines += [
        "## Use",
        "",
        "```python",
        "import lightrec",
        "",
        'recommender = lightrec.Recommender.load("path/of/this/folder")',
        "```",
        "",
        "`MANIFEST.json` holds the SHA-256 of every file but this one, which may be edited; saving "
        "a model to this folder again replaces it.",
        "",
    ]
    return "\n".join(lines)


def _quality(config: Mapping[str, Any]) -> list[str]:
    """The section on what was measured; empty where nothing was."""
    try:
        comparison = config["comparison"]
        title = [_cell(comparison["title"]), ""]
        metrics: Any = {
            _label(row): {**row["metrics"], "bytes per item": row["bytes_per_item"]}
            | _bytes_per_user(row)
            for row in comparison["rows"]
        }
    except (AttributeError, KeyError, TypeError):  # a config is any JSON
        title, metrics = [], config.get("metrics")
    return ["## Quality", "", *title, *_metrics_table(metrics), ""] if metrics else []


def _bytes_per_user(row: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing where a model has none for a user."""
    bytes_per_user = row.get("bytes_per_user")
    return {} if bytes_per_user is None else {"bytes per user": bytes_per_user}


def _label(row: Mapping[str, Any]) -> str:
    variant = row.get("variant")
    return f"{row['model']} ({variant})" if variant else str(row["model"])


def _metrics_table(metrics: Any) -> list[str]:  # noqa: ANN401
    """A Markdown table: a row per model and a column per metric, or a row per metric."""
    if not isinstance(metrics, Mapping):
        return ["```json", json.dumps(metrics, indent=1), "```"]
    if all(isinstance(row, Mapping) for row in metrics.values()):
        names = list(dict.fromkeys(name for row in metrics.values() for name in row))
        table = [["model", *names]]
        table += [[model, *(row.get(name, "") for name in names)] for model, row in metrics.items()]
    else:
        table = [["metric", "value"], *([name, value] for name, value in metrics.items())]
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in table]
    return [rows[0], "|---" * len(table[0]) + "|", *rows[1:]]


def _cell(value: Any) -> str:  # noqa: ANN401
    text = str(value)
    if isinstance(value, float):
        text = f"{value:.4f}" if abs(value) < 1 else f"{value:,.2f}"
    return text.replace("|", "\\|").replace("\n", " ")
