"""What goes into a folder comes out of it, bit for bit."""

import dataclasses
import datetime
import errno
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightrec.artifact import (
    Model,
    Selection,
    Users,
    check_item_columns,
    check_target,
    read_manifest,
)
from lightrec.errors import ArtifactError
from lightrec.interactions.id_map import IdMap

NASTY = [
    "nan", "NA", "null", "None", "007", "7", "1.0", "1e5", "-1", "TRUE", "9223372036854775808",
    " ", " a", "a ", "é", "e\u0301", "\U0001f600", "\u202eright to left", "a\x00b", "a\nb\r\n",
    "=cmd()", '"', "\\", "x" * 10_000, "\ufeff", "\x7f", "../../etc/passwd",
]  # fmt: skip

MAP = np.eye(2, dtype=np.float32)


@pytest.mark.parametrize("form", ["identity", "linear", "mlp", "free", "fitted", "table"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("mapped", [False, True])
def test_every_user_form_comes_back(tmp_path, make_model, assert_same, form, dtype, mapped):
    model = make_model(form=form, mapped=mapped)
    users = dataclasses.replace(model.users, values=model.users.values.astype(dtype))
    model = dataclasses.replace(model, users=users)
    model.save(tmp_path / "model")
    assert_same(Model.load(tmp_path / "model"), model)


def test_parts_may_be_absent(tmp_path, make_model, assert_same):
    model = make_model(history=None, selection=None, float_items=None)
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert loaded.history is None
    assert loaded.selection is None
    assert loaded.float_items is None
    assert_same(loaded, model)


def test_history_can_be_left_out(tmp_path, make_model):
    make_model().save(tmp_path / "model", with_history=False)
    assert Model.load(tmp_path / "model").history is None
    assert not (tmp_path / "model" / "history.safetensors").exists()


def test_selection_by_cells_comes_back(tmp_path, make_model, assert_same):
    rng = np.random.default_rng(1)
    selection = Selection(
        centres=rng.normal(size=(3, 2)).astype(np.float32),
        metrics=rng.normal(size=(3, 2, 1)).astype(np.float16),
        weights={"floors": np.array([0.5, 1, 2], dtype=np.float32)},
    )
    model = make_model(selection=selection)
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert_same(loaded, model)
    assert loaded.selection.similarity is None


@pytest.mark.parametrize(("num_users", "num_items"), [(0, 5), (3, 0), (0, 0), (1, 1)])
def test_empty_sides_come_back(tmp_path, make_model, assert_same, num_users, num_items):
    model = make_model(num_users=num_users, num_items=num_items)
    model.save(tmp_path / "model")
    assert_same(Model.load(tmp_path / "model"), model)
    assert model.bytes_per_item.all_in >= 0


def test_nasty_ids_come_back_exactly(tmp_path, make_model, assert_same):
    model = make_model(num_users=len(NASTY), user_ids=IdMap(pl.Series(NASTY)))
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert loaded.user_ids.series.to_list() == NASTY
    assert list(loaded.user_ids.rows(NASTY)) == list(range(len(NASTY)))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    users=st.one_of(
        st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=9),
        st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=9),
    ),
    seed=st.integers(0, 1000),
)
def test_any_ids_come_back(tmp_path, make_model, assert_same, users, seed):
    dtype = pl.Int64 if users and isinstance(users[0], int) else pl.String
    model = make_model(seed, num_users=len(users), user_ids=IdMap(pl.Series(users, dtype=dtype)))
    model.save(tmp_path / "model")
    assert_same(Model.load(tmp_path / "model"), model)


def test_item_columns_of_every_kept_type_come_back(tmp_path, make_model, assert_same):
    columns = pl.DataFrame(
        {
            "popularity": pl.Series([0, 1, 2, 2**62, 4], dtype=pl.Int64),
            "title": ["a|b", None, "", "\U0001f600", "nan"],
            "price": [0.5, None, float("nan"), float("inf"), -0.0],
            "small": pl.Series([1, 2, None, 4, 255], dtype=pl.UInt8),
            "in stock": [True, False, None, True, True],
            "day": [datetime.date(1970, 1, 1), None, datetime.date(2026, 2, 28), None, None],
            "moment": pl.Series([0, 1, 2, None, 4], dtype=pl.Datetime("ms", "UTC")),
            "a.b\x00": ["a", "b", "c", "d", "e"],
        }
    )
    model = make_model(item_columns=columns)
    model.save(tmp_path / "model")
    assert_same(Model.load(tmp_path / "model"), model)


@pytest.mark.parametrize(
    ("column", "named"),
    [
        (pl.Series("tags", [[["a"]], [["b"]], [], None, []]), "'tags'"),
        (pl.Series("tags", list("abcde"), dtype=pl.Categorical), "'tags'"),
        (pl.Series("popularity", [1, 2, 3, 4, None], dtype=pl.Int64), "'popularity'"),
        (pl.Series("popularity", [1, 2, 3, 4, -5], dtype=pl.Int64), "'popularity'"),
        (pl.Series("popularity", [1.0, 2, 3, 4, 5]), "'popularity'"),
        (pl.Series("item_id", list("abcde")), "'item_id'"),
        (pl.Series("", list("abcde")), "no name"),
    ],
)
def test_item_columns_that_cannot_be_kept_are_named(make_model, column, named):
    columns = make_model().item_columns.with_columns(column)
    with pytest.raises(ArtifactError, match=named):
        check_item_columns(columns, 5)


def test_same_model_gives_same_bytes(tmp_path, make_model):
    for name in ("first", "second"):
        make_model().save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert len(files) == 10
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert read_manifest(tmp_path / "first").digest == Model.load(tmp_path / "second").digest


def test_a_loaded_model_can_replace_the_folder_it_came_from(tmp_path, make_model, assert_same):
    model = make_model(num_items=2000)
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    for _ in range(3):
        loaded.save(tmp_path / "model")
    assert_same(loaded, model)  # its mapped float items outlive the files
    assert_same(Model.load(tmp_path / "model"), model)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_loaded_arrays_are_read_only_and_float_items_mapped(saved):
    model = Model.load(saved)
    for array in (model.item_codes.codes, model.users.values, model.float_items):
        assert not array.flags.writeable
        assert array.flags.aligned
    assert type(model.float_items.base).__name__ == "mmap"


def test_strange_layouts_are_stored_as_plain_ones(tmp_path, make_model, assert_same):
    model = make_model(width=4)
    values = np.asfortranarray(model.users.values)[:, ::-1]
    model = dataclasses.replace(
        model,
        users=Users("identity", values),
        float_items=model.float_items[::-1],
    )
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.users.values, values)
    np.testing.assert_array_equal(loaded.float_items, model.float_items)


def test_files_open_with_the_safetensors_library(saved):
    from safetensors.numpy import load_file

    model = Model.load(saved)
    stored = load_file(saved / "codes.safetensors")
    np.testing.assert_array_equal(stored["codes"], model.item_codes.codes)
    np.testing.assert_array_equal(stored["codebooks"], model.item_codes.codebooks)
    assert load_file(saved / "float_items.safetensors")["float_items"].dtype == np.float16


def test_a_map_of_fitted_users_comes_back_and_is_counted(tmp_path, make_model):
    make_model(form="fitted", mapped=True).save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert loaded.users.map_weights.keys() == {"0.weight"}
    assert loaded.query_width == loaded.float_items.shape[1] == 5
    assert loaded.bytes_per_user.map == 2 * 5 * 4 / 3
    assert "a user (`fitted`): vector and map" in (tmp_path / "model" / "README.md").read_text()


def test_the_card_says_that_tables_need_no_codebook(tmp_path, make_model):
    for form in ("table", "fitted"):
        make_model(form=form).save(tmp_path / form)
        card = (tmp_path / form / "README.md").read_text()
        assert ("no codebook is read for a known user" in card) == (form == "table")
    assert "| a user (`table`): score table | 32.00 |" in (tmp_path / "table/README.md").read_text()


def test_memory_per_item_and_user(make_model):
    model = make_model(form="linear")
    per_item, per_user = model.bytes_per_item, model.bytes_per_user
    assert per_item.codes == 2
    assert per_item.codebooks == 2 * 4 * 2 * 4 / 5
    assert per_item.all_in == per_item.codes + per_item.codebooks
    assert per_item.ids == 8
    assert per_user.values == 8
    assert per_user.map == (5 * 2 + 2) * 4 / 3
    assert per_user.ids == len("user 0-0")
    assert model.query_width == 5


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": {"learning_rate": float("nan")}}, "JSON"),
        ({"config": {1: "a", "1": "b"}}, "twice"),
        ({"config": {"array": np.zeros(2)}}, "JSON"),
        ({"float_items": np.zeros((5, 3), np.float32)}, "float_items"),
        ({"float_items": np.full((5, 2), 1e16, np.float32)}, "float_items"),
        ({"float_items": np.full((5, 2), np.inf, np.float16)}, "float_items"),
        ({"float_items": np.zeros((5, 2), np.float64)}, "float_items"),
        ({"users": Users("identity", np.full((3, 2), np.nan, np.float32))}, "users"),
        ({"users": Users("identity", np.full((3, 2), -1e16, np.float32))}, "users"),
        ({"users": Users("table", np.zeros((3, 2), np.float32))}, "users"),
        ({"users": Users("linear", np.zeros((3, 2), np.float32))}, "no map"),
        (
            {"users": Users("identity", np.zeros((3, 2), np.float32), {"0.weight": MAP})},
            "identity have a map",
        ),
        (
            {"users": Users("table", np.zeros((3, 2, 4), np.float32), {"0.weight": MAP})},
            "table have a map",
        ),
        (
            {"users": Users("fitted", np.zeros((3, 2), np.float32), {"1.weight": MAP})},
            r"0\.weight alone",
        ),
        ({"users": Users("new", np.zeros((3, 2), np.float32))}, "'new'"),
        ({"user_ids": IdMap(pl.Series(["a"]))}, "users.parquet"),
        ({"selection": Selection(similarity="bilinear")}, "selection"),
        ({"selection": Selection(centres=np.zeros((1, 2), np.float32))}, "selection"),
    ],
)
def test_an_unsound_model_is_not_saved(tmp_path, make_model, changes, named):
    make_model(seed=1).save(tmp_path / "model")
    with pytest.raises(ArtifactError, match=named):
        make_model(**changes).save(tmp_path / "model")
    assert Model.load(tmp_path / "model").config["seed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("what", ["a file", "other files", "a folder with a manifest and more"])
def test_nothing_but_a_model_is_replaced(tmp_path, make_model, what):
    target = tmp_path / "model"
    if what == "a file":
        target.write_text("precious")
    else:
        target.mkdir()
        (target / "precious.txt").write_text("precious")
        if "manifest" in what:
            (target / "MANIFEST.json").write_text("{}")
            (target / ".git").mkdir()
    with pytest.raises(ArtifactError, match="model"):
        make_model().save(target)
    assert (target if what == "a file" else target / "precious.txt").read_text() == "precious"


def test_a_web_app_and_a_thesis_are_not_replaced(tmp_path, make_model):
    target = tmp_path / "app"
    target.mkdir()
    (target / "MANIFEST.json").write_text('{"name": "my web app"}')
    with pytest.raises(ArtifactError, match=r"MANIFEST\.json is damaged, or not LightRec's"):
        make_model().save(target)
    for name in ("thesis.tex", "a", "b", "c", "d"):
        (target / name).write_text("precious")
    with pytest.raises(ArtifactError, match="deleted: 'a', 'b', 'c' and 2 more; give the name"):
        check_target(target)
    assert len(list(target.iterdir())) == 6


def test_a_file_of_somebody_in_a_model_is_not_deleted(folder, make_model):
    (folder / "thesis.tex").write_text("precious")
    with pytest.raises(ArtifactError, match=r"deleted: 'thesis\.tex'; give the name of a new"):
        make_model().save(folder)
    assert (folder / "thesis.tex").read_text() == "precious"
    (folder / "thesis.tex").unlink()
    for name in (".DS_Store", ".nfs00000000deadbeef"):  # left by systems, worth nothing
        (folder / name).touch()
    (folder / "README.md").write_text("edited")
    make_model(seed=1).save(folder)
    assert Model.load(folder).config["seed"] == 1


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_model_with_a_damaged_manifest_is_refused_with_the_remedy(folder, make_model, length):
    manifest = (folder / "MANIFEST.json").read_bytes()
    os.truncate(folder / "MANIFEST.json", length % len(manifest) if length else 0)
    if length == -1:
        (folder / "MANIFEST.json").write_bytes(manifest[:300] + b"\0" * 99 + manifest[399:])
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ArtifactError, match=r"damaged.*give the name of a new folder, or delete"):
        make_model().save(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_other_damage_does_not_keep_a_model_from_being_replaced(folder, make_model, seal):
    (folder / "codes.safetensors").write_bytes(b"damaged")
    (folder / "users.parquet").unlink()
    make_model(seed=1).save(folder)
    assert Model.load(folder).config["seed"] == 1
    seal(folder, format_version=2)
    make_model(seed=2).save(folder)
    assert Model.load(folder).config["seed"] == 2


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, make_model, monkeypatch):
    """Also where permissions promise it, as they do to the superuser everywhere."""
    if os.path.isdir("/proc/self"):
        for path in ("/proc/model", "/proc/new/model"):
            with pytest.raises(ArtifactError, match="cannot be written"):
                check_target(path)
    make_model().save(tmp_path / "model")

    def fail(path, mode=0o777):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", fail)
        for name in ("model", "new", "new/parents"):
            with pytest.raises(ArtifactError, match="Read-only file system"):
                check_target(tmp_path / name)
    for name in ("model", "new", "new/parents"):
        check_target(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_empty_folder_and_missing_parents_are_taken(tmp_path, make_model):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "a/b/c"):
        make_model().save(tmp_path / name)
        assert Model.load(tmp_path / name).num_items == 5


def test_a_link_to_a_model_is_followed_and_kept(tmp_path, make_model):
    make_model(seed=1).save(tmp_path / "one")
    (tmp_path / "current").symlink_to("one")
    make_model(seed=2).save(tmp_path / "current")
    assert (tmp_path / "current").is_symlink()
    assert Model.load(tmp_path / "current").config["seed"] == 2
    assert Model.load(tmp_path / "one").config["seed"] == 2


def test_permissions_of_the_folder_are_kept(tmp_path, make_model):
    make_model().save(tmp_path / "model")
    (tmp_path / "model").chmod(0o750)
    make_model().save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o750


def test_other_files_are_ignored_on_load(folder, make_model, assert_same):
    for name in ("README.md~", ".nfs0001", "notes.tmp", ".codes.safetensors.swp"):
        (folder / name).write_text("x")
    (folder / "README.md").write_text("edited")
    assert_same(Model.load(folder), make_model())
    (folder / "README.md").unlink()
    assert_same(Model.load(folder), make_model())


def test_the_card_tells_sizes_and_metrics(saved, make_model, tmp_path):
    card = (saved / "README.md").read_text()
    assert "5 items" in card
    assert "| lightrec | 0.2500 |" in card
    make_model(config={"metrics": {"a|b": 0.5, "line\nbreak": 1}}).save(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| a\\|b | 0.5000 |" in card
    assert "| line break | 1 |" in card
    row = {"model": "teacher", "metrics": {"ndcg": 0.125}, "bytes_per_item": 128.0}
    comparison = {"title": "held-out pairs", "rows": [row]}
    make_model(config={"comparison": comparison}).save(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "held-out pairs" in card
    assert "| teacher | 0.1250 | 128.00 |" in card
    comparison["rows"] = [row | {"bytes_per_user": 256.0}]
    make_model(config={"comparison": comparison}).save(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| teacher | 0.1250 | 128.00 | 256.00 |" in card
    for odd in ([3], {"title": "held-out pairs", "rows": [3]}, {"title": 1, "rows": {"a": 1}}):
        make_model(config={"comparison": odd}).save(tmp_path / "model")
        assert "Quality" not in (tmp_path / "model" / "README.md").read_text()


def test_long_ids_are_counted_in_more_than_32_bits(make_model):
    class LongIds:
        dtype_name = "str"
        series = pl.Series(["x" * 1_000_000]).gather([0] * 5_000)

    assert make_model(item_ids=LongIds()).bytes_per_item.ids == 5e9 / 5


def test_import_is_light():
    code = (
        "import sys, lightrec.artifact; "
        "heavy = {'torch', 'scipy', 'pandas', 'pyarrow', 'pydantic', 'rich'} & set(sys.modules); "
        "sys.exit(' '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
