"""Two hundred mistakes at the command line: one line of error, its exit code, no traceback."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from lightrec.compress import CompressConfig, compress

TABLE = Path(__file__).with_name("mistakes.txt")
MISTAKES = [
    tuple(cell.strip() for cell in line.split("|"))
    for line in TABLE.read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]

TEXTS = {
    "empty.csv": "",
    "header_only.csv": "user_id,item_id\n",
    "one_column.csv": "user_id\nu1\n",
    "ragged.csv": "user_id,item_id\nu1,1\nu1,2,3\n",
    "missing_id.csv": "user_id,item_id\nu1,1\nu1,\n",
    "open_quote.csv": 'user_id,item_id\n"u1,1\n',
    "nan_rating.csv": "user_id,item_id,rating\nu1,1,nan\n",
    "bad_time.csv": "user_id,item_id,timestamp\nu1,1,yesterday\n",
    "no_times.csv": "user_id,item_id\nu1,1001\nu1,1002\nu2,1001\nu2,1002\n",
    "one_user.csv": "user_id,item_id\nu1,1\n",
    "other_items.csv": "item_id,title\nx,X\ny,Y\n",
    "twice_items.csv": "item_id,title\nx,X\nx,Y\n",
    "empty_txt.txt": "",
    "user_list.txt": "u1\nu2\n",
    "item_list.txt": "1001\n",
    "nameless_items.csv": "1001\n1002\n",
    "nameless_users.csv": "u1\nu2\n",
    "twice_list.txt": "a\na\n",
    "gap_list.txt": "a\n\nb\n",
    "toml.toml": "seed = 1\n",
    "broken_toml.toml": "seed = = 1\n",
    "unknown_key.toml": '[teacher]\nkind = "ials"\ndepth = 3\n',
    "wrong_type.toml": 'seed = "one"\n',
    "nan_setting.toml": '[teacher]\nkind = "ials"\nl2 = nan\n',
    "broken_parquet.parquet": "PAR1 and then nothing",
    "broken_npy.npy": "\x93NUMPY and then nothing",
    "broken_tensors.safetensors": "nothing",
    "folder_in_use.txt": "mine\n",
}


def _arrays(folder: Path) -> dict[str, Path]:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((300, 4), dtype=np.float32)
    spoiled = {name: vectors[:5].copy() for name in ("nan", "inf", "huge")}
    spoiled["nan"][1, 2], spoiled["inf"][0, 0], spoiled["huge"][0, 0] = np.nan, np.inf, 1e30
    arrays = {
        "items_npy": vectors,
        "users_npy": vectors[:20],
        "query": vectors[:1],
        "few_npy": vectors[:5],
        "wide_npy": rng.standard_normal((3, 9), dtype=np.float32),
        "flat_npy": vectors[:, 0],
        "no_rows_npy": vectors[:0],
        "integer_npy": np.arange(8).reshape(2, 4),
        "text_npy": np.array([["a", "b"]]),
        **{f"{name}_npy": array for name, array in spoiled.items()},
    }
    paths = {name: folder / f"{name}.npy" for name in (*arrays, "pickled_npy", "archive_npy")}
    for name, array in arrays.items():
        np.save(paths[name], array)
    np.save(paths["pickled_npy"], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with paths["archive_npy"].open("wb") as file:
        np.savez(file, vectors=vectors)
    paths["two_tensors"] = folder / "two_tensors.safetensors"
    save_file({"a": vectors, "b": vectors}, paths["two_tensors"])
    paths["uneven_parquet"] = folder / "uneven.parquet"
    pl.DataFrame({"id": [1, 2], "vector": [[1.0, 2.0], [1.0]]}).write_parquet(
        paths["uneven_parquet"]
    )
    return paths


def _models(model: Path, folder: Path) -> dict[str, Path]:
    """Copies of a model, each spoiled in its own way."""
    names = ("flipped", "cut", "part_missing", "no_manifest", "newer", "folder_in_place", "linked")
    copies = {name: Path(shutil.copytree(model, folder / name)) for name in names}
    codes = {name: copy / "codes.safetensors" for name, copy in copies.items()}
    data = bytearray(codes["flipped"].read_bytes())
    data[-1] ^= 1
    codes["flipped"].write_bytes(data)
    codes["cut"].write_bytes(codes["cut"].read_bytes()[:-8])
    (copies["part_missing"] / "users.parquet").unlink()
    (copies["no_manifest"] / "MANIFEST.json").unlink()
    manifest = copies["newer"] / "MANIFEST.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"format": 999}))
    codes["folder_in_place"].unlink()
    codes["folder_in_place"].mkdir()
    codes["linked"].unlink()
    codes["linked"].symlink_to(model / "codes.safetensors")
    return copies


@pytest.fixture(scope="session")
def places(tmp_path_factory, model, model_folder, bare_model_folder, ratings):
    """What the {names} of the table stand for."""
    folder = tmp_path_factory.mktemp("mistakes")
    places = {name.partition(".")[0]: folder / name for name in TEXTS}
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="latin-1")
    (folder / "latin1.csv").write_bytes("user_id,item_id\né,1\n".encode("latin-1"))
    pairs = [model.user_ids.ids([row])[0] for row in range(3)]
    seen = [model.item_ids.ids(model.history.of(row)[:1])[0] for row in range(3)]
    unseen = [
        next(item for item in range(1000, 1060) if item - 1000 not in model.history.of(row))
        for row in range(3)
    ]
    for name, items in (("seen_test", seen), ("test", unseen)):
        lines = [f"{user},{item}" for user, item in zip(pairs, items, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(["user_id,item_id", *lines]) + "\n")
    for name in ("folder", "folder_csv.csv", "own", "demo/model"):
        (folder / name).mkdir(parents=True)
    (folder / "demo" / "model" / "mine.txt").write_text("mine")
    shutil.copy(ratings, folder / "own" / "train.csv")
    compress(np.load(_arrays(folder)["items_npy"]), config=CompressConfig()).save(folder / "only")
    return {
        **places,
        **_arrays(folder),
        **_models(model_folder, folder / "models"),
        "model": model_folder,
        "bare": bare_model_folder,
        "vectors_only": folder / "only",
        "ratings": ratings,
        "ratings_folder": ratings.parent,
        "latin1": folder / "latin1.csv",
        "test": folder / "test.csv",
        "seen_test": folder / "seen_test.csv",
        "folder": folder / "folder",
        "folder_csv": folder / "folder_csv.csv",
        "own_folder": folder / "own",
        "own_train": folder / "own" / "train.csv",
        "demo_in_use": folder / "demo",
        "nowhere": folder / "nowhere",
        "new": folder / "new",
        "new_csv": folder / "new.csv",
    }


def test_the_table_holds_two_hundred_mistakes_of_every_command():
    assert len(MISTAKES) >= 200
    assert len({command for _, command, _ in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(("code", "command", "said"), MISTAKES, ids=[row[1] for row in MISTAKES])
def test_a_mistake(cli, places, code, command, said):
    words, said = shlex.split(command.format(**places)), said.format(**places)
    outcome = cli(*words)
    *before, line = outcome.err.splitlines()
    assert line.startswith("lightrec: error: ")
    assert said in line
    assert outcome.code == int(code), line
    assert not before or not words, before  # without any word, the help comes before
    assert not places["new"].exists()
