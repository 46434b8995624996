"""Vectors and ids from files, and the files that are refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from lightrec.errors import InputError
from lightrec.read_vectors import read_ids, read_vectors

VALUES = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_numpy_files_of_every_float_type(tmp_path, dtype):
    np.save(tmp_path / "v.npy", VALUES.astype(dtype))
    read = read_vectors(tmp_path / "v.npy")
    assert read.values.dtype == np.float32
    assert read.values.flags.c_contiguous
    np.testing.assert_array_equal(read.values, VALUES.astype(dtype).astype(np.float32))
    assert read.ids is None


def test_column_major_arrays(tmp_path):
    np.save(tmp_path / "v.npy", np.asfortranarray(VALUES))
    np.testing.assert_array_equal(read_vectors(tmp_path / "v.npy").values, VALUES)


def test_a_single_vector_only_where_it_is_expected(tmp_path):
    np.save(tmp_path / "v.npy", VALUES[0])
    assert read_vectors(tmp_path / "v.npy", one=True).values.shape == (1, 3)
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        read_vectors(tmp_path / "v.npy")


def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "v.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no readable"):
        read_vectors(tmp_path / "v.npy")


def test_safetensors_with_one_array_or_a_named_one(tmp_path):
    save_file({"a": VALUES}, tmp_path / "one.safetensors", metadata={"made": "elsewhere"})
    np.testing.assert_array_equal(read_vectors(tmp_path / "one.safetensors").values, VALUES)
    save_file({"a": VALUES, "b": VALUES + 1}, tmp_path / "two.safetensors")
    with pytest.raises(InputError, match=r"'a', 'b'; choose one with --tensor"):
        read_vectors(tmp_path / "two.safetensors")
    read = read_vectors(tmp_path / "two.safetensors", tensor="b")
    np.testing.assert_array_equal(read.values, VALUES + 1)
    with pytest.raises(InputError, match="no array 'c'"):
        read_vectors(tmp_path / "two.safetensors", tensor="c")


def test_safetensors_of_integers_are_refused(tmp_path):
    save_file({"a": np.ones((2, 2), np.int64)}, tmp_path / "v.safetensors")
    with pytest.raises(InputError, match="I64; convert it to float32"):
        read_vectors(tmp_path / "v.safetensors")


@pytest.mark.parametrize("kind", ["list", "array", "columns"])
@pytest.mark.parametrize("id_name", ["item_id", "asin", "anything", None])
def test_parquet(tmp_path, kind, id_name):
    ids = {id_name: [f"i{row}" for row in range(5)]} if id_name else {}
    if kind == "columns":
        vectors = {f"d{place}": VALUES[:, place] for place in range(3)}
    else:
        dtype = pl.List(pl.Float32) if kind == "list" else pl.Array(pl.Float32, 3)
        vectors = {"vector": pl.Series(VALUES.tolist(), dtype=dtype)}
    pl.DataFrame({**ids, **vectors}).write_parquet(tmp_path / "v.parquet")
    read = read_vectors(tmp_path / "v.parquet")
    np.testing.assert_array_equal(read.values, VALUES)
    assert read.ids is None if id_name is None else read.ids.ids([4]) == ["i4"]
    by = "rows are numbered" if id_name is None else f"ids from {id_name!r}"
    assert f"{by}, vectors of 3 numbers from" in read.notes[0]


def test_columns_beside_the_lists_are_told(tmp_path):
    columns = {"sku": ["a"], "title": ["A"], "price": [1.5], "v": [[1.0, 2.0]]}
    pl.DataFrame(columns).write_parquet(tmp_path / "v.parquet")
    taken, unused = read_vectors(tmp_path / "v.parquet").notes
    assert taken.endswith("ids from 'sku', vectors of 2 numbers from lists in 'v'")
    assert unused.endswith("not used: 'title', 'price'")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"id": ["a", "b"], "v": [[1.0, 2.0], [3.0]]}, "row 2, column 'v': the list has 1 values"),
        ({"id": ["a", "b"], "v": [[1.0, 2.0], None]}, "row 2, column 'v': the vector is missing"),
        ({"id": ["a", "b"], "v": [None, [1.0, 2.0]]}, "row 1, column 'v': the vector is missing"),
        ({"id": ["a", "b"], "x": [1.0, 2.0], "row": [7, 9]}, "column 'row': is Int64"),
        ({"item": ["a", "b"], "asin": ["c", "d"], "x": [1.0, 2.0]}, "both could hold the ids"),
        ({"id": ["a", "b"], "v": [[1.0, 2.0], [3.0, None]]}, "row 2, column 'v': a value"),
        ({"id": ["a", "b"], "v": [["x"], ["y"]]}, "lists must hold floats"),
        ({"id": ["a", "b"], "v": [[1.0], [2.0]], "w": [[1.0], [2.0]]}, "several columns"),
        ({"id": ["a", "b"], "x": [1.0, None]}, "row 2, column 'x': a value is missing"),
        ({"id": ["a", "b"], "x": [1.0, 2.0], "t": ["p", "q"]}, "column 't'"),
        ({"id": ["a", "b"]}, "no vectors"),
        ({"id": ["a", "a"], "x": [1.0, 2.0]}, "'a' occurs more than once"),
        ({"id": ["a", None], "x": [1.0, 2.0]}, "missing"),
    ],
)
def test_unusable_parquet_is_refused(tmp_path, frame, said):
    pl.DataFrame(frame).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(InputError, match=r"v\.parquet") as refused:
        read_vectors(tmp_path / "v.parquet")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (np.nan, "nan is not a finite number"),
        (np.inf, "inf is not a finite number"),
        (-np.inf, "-inf is not a finite number"),
        (1e39, "beyond the 1e+15 that a model can keep"),
        (-2e15, "beyond the 1e+15 that a model can keep"),
    ],
)
def test_values_that_no_model_can_hold_are_named(tmp_path, bad, told):
    values = VALUES.astype(np.float64)
    values[3, 1] = bad
    np.save(tmp_path / "v.npy", values)
    with pytest.raises(InputError, match=r"v\.npy, row 4, dimension 2: ") as refused:
        read_vectors(tmp_path / "v.npy")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "array", [np.ones((2, 2), np.int32), np.ones(3), np.ones((0, 3)), np.ones((3, 0)), np.ones(())]
)
def test_other_arrays_are_refused(tmp_path, array):
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(InputError, match=r"v\.npy"):
        read_vectors(tmp_path / "v.npy")


@pytest.mark.parametrize("ending", [".npy", ".safetensors", ".parquet"])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused_with_the_file_named(tmp_path_factory, ending, data):
    path = tmp_path_factory.mktemp("bytes") / f"v{ending}"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"v{ending}"):
        read_vectors(path)


def test_the_best_name_of_an_id_column_is_taken(tmp_path):
    columns = {"id": [0, 1], "item_id": ["a", "b"], "v": [[1.0], [2.0]]}
    pl.DataFrame(columns).write_parquet(tmp_path / "v.parquet")
    assert read_vectors(tmp_path / "v.parquet").ids.ids([0, 1]) == ["a", "b"]


def test_ids_in_an_unknown_kind_of_file(tmp_path):
    (tmp_path / "ids.json").write_text("[1, 2]")
    with pytest.raises(InputError, match=r"'\.json'; use \.txt"):
        read_ids(tmp_path / "ids.json")


def test_truncated_files_are_refused(tmp_path):
    np.save(tmp_path / "v.npy", VALUES)
    save_file({"a": VALUES}, tmp_path / "v.safetensors")
    pl.DataFrame({"x": VALUES[:, 0]}).write_parquet(tmp_path / "v.parquet")
    for name in ("v.npy", "v.safetensors", "v.parquet"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(InputError, match=name):
            read_vectors(path)


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "v.npz", a=VALUES)
    (tmp_path / "v.npz").rename(tmp_path / "v.npy")
    with pytest.raises(InputError, match="npz"):
        read_vectors(tmp_path / "v.npy")
    (tmp_path / "v.pt").write_bytes(b"")
    with pytest.raises(InputError, match="unknown kind"):
        read_vectors(tmp_path / "v.pt")
    with pytest.raises(InputError, match="does not exist"):
        read_vectors(tmp_path / "nowhere.npy")


def test_ids_of_every_kind_of_file(tmp_path):
    (tmp_path / "a.txt").write_bytes("007\r\n 1.0\r\nnan\r\n😀\r\n".encode())
    assert read_ids(tmp_path / "a.txt").series.to_list() == ["007", " 1.0", "nan", "😀"]
    (tmp_path / "a.csv").write_text('item,title\n007,x\n"a,b",y\n')
    assert read_ids(tmp_path / "a.csv").series.to_list() == ["007", "a,b"]
    pl.DataFrame({"k": [5, 2**62], "x": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    assert read_ids(tmp_path / "a.parquet").series.to_list() == [5, 2**62]
    np.save(tmp_path / "a.npy", np.array([3, 1], np.int32))
    assert read_ids(tmp_path / "a.npy").series.to_list() == [3, 1]
    np.save(tmp_path / "b.npy", np.array(["x", "yy"]))
    assert read_ids(tmp_path / "b.npy").series.to_list() == ["x", "yy"]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"x\n\ny\n", "line 2"),
        ("a.txt", b"x\nx\n", "'x'"),
        ("a.txt", b"\xff\n", "UTF-8"),
        ("a.csv", b"item\n", "no rows"),
        ("a.npy", b"nonsense", "a.npy"),
        ("a.doc", b"x", "unknown kind"),
    ],
)
def test_unusable_ids_are_refused(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="a\\.") as refused:
        read_ids(tmp_path / name)
    assert said in str(refused.value)


def test_ids_that_are_floats_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="floating-point"):
        read_ids(tmp_path / "a.npy")
