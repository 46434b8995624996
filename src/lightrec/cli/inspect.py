"""`lightrec inspect`: what is in a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightrec.cli.comparison_table import show_comparison
from lightrec.cli.options import Json, ModelPath
from lightrec.cli.terminal import show, show_json, show_table
from lightrec.errors import ArtifactError

if TYPE_CHECKING:
    from lightrec.artifact import Manifest, Model
    from lightrec.evaluation.comparison import Comparison, ComparisonRow


def inspect(model: ModelPath, as_json: Json = False) -> None:
    """Show what is in a model: sizes, bytes per item and per user, codebook health, digests.

    MODEL is a folder that train or compress wrote. Every byte of it is checked
    on the way.

    Examples:
      lightrec inspect model
      lightrec inspect model --json | jq .bytes_per_item
    """
    from lightrec.artifact import load_model_and_manifest

    loaded, manifest = load_model_and_manifest(model)
    contents = describe(loaded, manifest)
    if as_json:
        show_json(contents)
        return
    comparison = _comparison_in(loaded, model)
    for name, value in contents.items():
        if name == "files":
            show()
            rows = [(file, entry["bytes"], entry["sha256"]) for file, entry in value.items()]
            show_table(("file", "bytes", "SHA-256"), rows)
        elif comparison is not None and name == "comparison":
            show()
            show_comparison(comparison)
        elif isinstance(value, Mapping):
            parts = (f"{_words(key)} {_short(part)}" for key, part in value.items())
            show(f"{_words(name)}: {', '.join(parts)}")
        else:
            show(f"{_words(name)}: {_short(value)}")


def describe(model: Model, manifest: Manifest) -> dict[str, Any]:
    """Everything that `inspect` tells, as JSON values."""
    codes, per_item, per_user = model.item_codes, model.bytes_per_item, model.bytes_per_user
    config = dict(model.config)
    contents: dict[str, Any] = {
        "items": model.num_items,
        "users": model.num_users,
        "codes": {
            "num_codebooks": codes.num_codebooks,
            "num_codewords": codes.num_codewords,
            "width": codes.width,
            "bits_per_item": codes.bits_per_item,
        },
        "bytes_per_item": {
            "codes": per_item.codes,
            "codebooks": per_item.codebooks,
            "all_in": per_item.all_in,
            "ids": per_item.ids,
            "all_in_with_ids": per_item.all_in + per_item.ids,
        },
        "bytes_per_user": {
            "form": model.users.form,
            "values": per_user.values,
            "map": per_user.map,
            "all_in": per_user.all_in,
            "ids": per_user.ids,
            "all_in_with_ids": per_user.all_in + per_user.ids,
            "codebooks_read_for_known_users": model.users.form != "table",
        },
        "user_form": model.users.form,
        "codebook_health": {
            "codewords_used": list(codes.health.used),
            "perplexity": list(codes.health.perplexity),
            "items_sharing_a_code": codes.health.collisions,
        },
        "item_columns": model.item_columns.columns,
        "training_pairs_kept": None if model.history is None else len(model.history),
        "float_items_kept": model.float_items is not None,
        "lightrec": config.get("lightrec"),
        "data_digest": config.get("data_digest"),
        "config_digest": _digest(config.get("settings")),
        "model_digest": manifest.digest,
        "notes": config.get("notes", []),
    }
    if "comparison" in config:
        contents["comparison"] = config["comparison"]
    contents["files"] = {
        name: {"bytes": file.num_bytes, "sha256": file.sha256}
        for name, file in manifest.files.items()
    }
    return contents


def _comparison_in(model: Model, path: object) -> Comparison | None:
    """The table of held-out results that a model tells; a model's config may hold any JSON.

    Raises:
        ArtifactError: It is not the table that `train` and `compress` write.
    """
    from lightrec.evaluation.comparison import Comparison

    told = model.config.get("comparison")
    if told is None:
        return None
    try:
        comparison = Comparison.from_json(told)
    except (KeyError, TypeError):
        comparison = None
    if comparison is None or not all(map(_can_be_shown, comparison.rows)):
        raise ArtifactError(
            f"{path}: config.json: comparison is not a table as lightrec train writes it; "
            "lightrec inspect --json shows it as it is, or train again"
        )
    return comparison


def _can_be_shown(row: ComparisonRow) -> bool:
    from lightrec.evaluation.comparison import SHOWN_METRICS

    if not isinstance(row.metrics, Mapping):
        return False
    numbers = (row.bytes_per_item, *(row.metrics.get(name) for name in SHOWN_METRICS))
    return (
        all(isinstance(text, str) for text in (row.model, row.variant))
        and all(isinstance(number, int | float) for number in numbers)
        and all(
            isinstance(number, int | float | None)
            for number in (row.bytes_per_user, row.microseconds)
        )
    )


def _digest(settings: object) -> str | None:
    """SHA-256 of the run's settings in canonical JSON, as `RunConfig.digest` makes it."""
    import hashlib
    import json

    if settings is None:
        return None
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _words(name: str) -> str:
    return name.replace("_", " ")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}".removesuffix(".00")
    if isinstance(value, list):
        between = ", " if any(isinstance(each, str) for each in value) else "/"
        return between.join(map(_short, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
