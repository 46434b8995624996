"""A model that was edited and sealed again is refused, or answers as its own contents say."""

import io
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from lightrec.artifact import Model, Selection
from lightrec.errors import ArgumentError, ArtifactError
from lightrec.serving import Recommender


def _edit_tensors(folder, name, edit):
    content = load_tensors((folder / name).read_bytes())
    tensors = {key: array.copy() for key, array in content.items()}
    edit(tensors)
    content = {key: array.copy(order="C") for key, array in tensors.items()}
    (folder / name).write_bytes(save_tensors(content))


def _edit_header(folder, name, edit):
    data = (folder / name).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = edit(data[8 : 8 + size], data[8 + size :])
    (folder / name).write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])


def _edit_json(folder, edit):
    value = json.loads((folder / "config.json").read_bytes())
    edit(value)
    (folder / "config.json").write_text(json.dumps(value))


def _write_table(folder, name, table, **options):
    table.write_parquet(folder / name, **{"compression": "uncompressed", **options})


def _put(key, value):
    return lambda tensors: tensors.__setitem__(key, value)


def _change(key, change):
    return lambda tensors: tensors.__setitem__(key, change(tensors[key]))


def _at(index, value):
    def change(array):
        array[index] = value
        return array

    return change


CODES, USERS, HISTORY = "codes.safetensors", "users.safetensors", "history.safetensors"
SELECTION, FLOATS = "selection.safetensors", "float_items.safetensors"
ONES = np.ones(3, np.float32)

TENSOR_FORGERIES = {
    "code beyond the codebook": (CODES, _change("codes", _at((0, 0), 4))),
    "code of another type": (CODES, _change("codes", lambda a: a.astype(np.int32))),
    "codes of one dimension": (CODES, _change("codes", np.ravel)),
    "codes of other width": (CODES, _change("codes", lambda a: a[:, :1])),
    "fewer codes": (CODES, _change("codes", lambda a: a[:-1])),
    "no codes": (CODES, lambda tensors: tensors.pop("codes")),
    "codebook NaN": (CODES, _change("codebooks", _at((0, 0, 0), np.nan))),
    "codebook infinite": (CODES, _change("codebooks", _at((1, 3, 1), -np.inf))),
    "codebook enormous": (CODES, _change("codebooks", _at((0, 1, 0), 1e30))),
    "codebook float16": (CODES, _change("codebooks", lambda a: a.astype(np.float16))),
    "codebook float64": (CODES, _change("codebooks", lambda a: a.astype(np.float64))),
    "codebook flat": (CODES, _change("codebooks", lambda a: a.reshape(-1, 2))),
    "codebook narrower": (CODES, _change("codebooks", lambda a: a[:, :, :1])),
    "codebook empty": (CODES, _change("codebooks", lambda a: a[:, :0])),
    "one codebook more": (CODES, _change("codebooks", lambda a: np.concatenate([a, a]))),
    "extra tensor": (CODES, _put("extra", np.zeros(1, np.float32))),
    "user NaN": (USERS, _change("values", _at((2, 1), np.nan))),
    "user enormous": (USERS, _change("values", _at((2, 1), 3e38))),
    "user float64": (USERS, _change("values", lambda a: a.astype(np.float64))),
    "users narrower": (USERS, _change("values", lambda a: a[:, :1])),
    "users fewer": (USERS, _change("values", lambda a: a[:2])),
    "users as tables": (USERS, _change("values", lambda a: a[:, :, None])),
    "users as a number": (USERS, _put("values", np.array(1, np.float32))),
    "user map": (USERS, _put("map.0.weight", np.eye(2, dtype=np.float32))),
    "user extra": (USERS, _put("extra", np.zeros(1, np.float32))),
    "history row beyond": (HISTORY, _change("item_rows", _at(-1, 5))),
    "history row negative": (HISTORY, _change("item_rows", _at(0, -1))),
    "history unsorted": (HISTORY, _change("item_rows", lambda a: a[::-1].copy())),
    "history repeated": (HISTORY, _change("item_rows", lambda a: np.zeros_like(a))),
    "history cut": (HISTORY, _change("item_rows", lambda a: a[:-1])),
    "history int64": (HISTORY, _change("item_rows", lambda a: a.astype(np.int64))),
    "history of two dimensions": (HISTORY, _change("item_rows", lambda a: a[None])),
    "indptr int32": (HISTORY, _change("indptr", lambda a: a.astype(np.int32))),
    "indptr starts late": (HISTORY, _change("indptr", _at(0, 1))),
    "indptr descends": (HISTORY, _change("indptr", _at(1, 99))),
    "indptr negative": (HISTORY, _change("indptr", _at(1, -1))),
    "indptr wraps": (
        HISTORY,
        lambda tensors: tensors.update(
            indptr=np.array([0, 2**63 - 1, -2, len(tensors["item_rows"])], dtype=np.int64)
        ),
    ),
    "indptr empty": (HISTORY, _change("indptr", lambda a: a[:0])),
    "indptr longer": (HISTORY, _change("indptr", lambda a: np.append(a, a[-1]))),
    "selection NaN": (SELECTION, _change("weights.weight", _at((0, 0, 0), np.nan))),
    "selection narrower": (SELECTION, _change("weights.weight", lambda a: a[:, :, :1])),
    "selection wider": (SELECTION, _change("weights.weight", lambda a: np.hstack([a, a]))),
    "selection flat": (SELECTION, _change("weights.weight", np.ravel)),
    "selection of a number": (SELECTION, _put("weights.of_word", np.array(1, np.float32))),
    "selection lacks a part": (SELECTION, lambda tensors: tensors.pop("weights.of_word")),
    "selection has a part more": (SELECTION, _put("weights.of_state", np.eye(2, dtype=np.float32))),
    "selection other name": (SELECTION, _put("other", np.zeros(1, np.float32))),
    "selection bad name": (SELECTION, _put("weights.a/b", np.zeros(1, np.float32))),
    "selection with centres": (SELECTION, _put("centres", np.zeros((1, 2), np.float32))),
    "selection integers": (SELECTION, _put("weights.n", np.zeros(1, np.int32))),
    "selection crowded": (
        SELECTION,
        lambda tensors: tensors.update(
            {f"weights.n{row}": np.zeros(1, np.float32) for row in range(65)}
        ),
    ),
    "float items NaN": (FLOATS, _change("float_items", _at((0, 0), np.nan))),
    "float items fewer": (FLOATS, _change("float_items", lambda a: a[:-1])),
    "float items wider": (FLOATS, _change("float_items", lambda a: np.hstack([a, a]))),
    "float items int64": (FLOATS, _change("float_items", lambda a: a.astype(np.int64))),
}


def test_users_without_rows_and_an_empty_table_are_refused(folder, seal):
    """The table of no user agrees with an array that has no rows to count."""
    _edit_tensors(folder, USERS, _put("values", np.array(1, np.float32)))
    empty = pl.DataFrame({"user_id": pl.Series([], dtype=pl.String)})
    _write_table(folder, "users.parquet", empty)
    _edit_json(folder, lambda config: config["sizes"].update(num_users=0))
    seal(folder)
    with pytest.raises(ArtifactError, match=r"users\.safetensors: values must hold a row"):
        Model.load(folder)


def test_arrays_that_numpy_cannot_make_are_refused(folder, seal):
    """Empty, so that shape and bytes agree, but of sizes whose product is too large."""
    wide = {"dtype": "F32", "shape": [0, 2**31 - 1, 2**31 - 1, 2**31 - 1], "data_offsets": [0, 0]}
    _edit_header(
        folder,
        USERS,
        _without_holes(lambda header, size: {**header, "map.0.weight": wide}),
    )
    seal(folder)
    with pytest.raises(ArtifactError, match="shape and bytes do not agree"):
        Model.load(folder)


@pytest.mark.parametrize("forgery", TENSOR_FORGERIES)
def test_forged_arrays_are_refused(folder, seal, forgery):
    name, edit = TENSOR_FORGERIES[forgery]
    _edit_tensors(folder, name, edit)
    seal(folder)
    with pytest.raises(ArtifactError, match=r"(safetensors|parquet|json): "):
        Model.load(folder)


def _without_holes(edit):
    """Edits the header as a JSON value."""
    return lambda header, body: json.dumps(edit(json.loads(header), len(body))).encode()


def _entry(**changes):
    return _without_holes(lambda header, size: {**header, "codes": {**header["codes"], **changes}})


HEADER_FORGERIES = {
    "key twice": lambda header, body: (
        header.rstrip()[:-1] + b',"codes":{"dtype":"U8","shape":[0,2],"data_offsets":[0,0]}}'
    ),
    "field twice": lambda header, body: header.replace(b'"dtype"', b'"dtype":"U8","dtype"', 1),
    "metadata": _without_holes(lambda header, size: {**header, "__metadata__": {"a": "b"}}),
    "not an object": lambda header, body: b"[]",
    "not JSON": lambda header, body: b"{" * 100,
    "not UTF-8": lambda header, body: header.replace(b"codes", b"cod\xffs", 1),
    "deep": lambda header, body: b'{"codes":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge number": lambda header, body: header.replace(b"[5,2]", b"[" + b"9" * 5000 + b",2]"),
    "wrapped product": _entry(shape=[2**63, 2]),
    "wrapped product to fit": _entry(shape=[2**62 + 5, 2]),
    "negative shape": _entry(shape=[-5, -2]),
    "shape of booleans": _entry(shape=[True, 10]),
    "shape of floats": _entry(shape=[5.0, 2]),
    "shape of text": _entry(shape="52"),
    "no shape": _entry(shape=None),
    "nine dimensions": _entry(shape=[5, 2, 1, 1, 1, 1, 1, 1, 1]),
    "offsets beyond": _entry(data_offsets=[10**9, 10**9 + 10]),
    "offsets backwards": _entry(data_offsets=[10, 0]),
    "offsets of three": _entry(data_offsets=[0, 5, 10]),
    "offsets overlap": _entry(data_offsets=[0, 10]),
    "big endian": _entry(dtype="BE_U8"),
    "type a list": _entry(dtype=["U8"]),
    "boolean codes": _entry(dtype="BOOL"),
    "hole at the start": _without_holes(
        lambda header, size: {"codes": {**header["codes"], "data_offsets": [size - 10, size]}}
    ),
    "many arrays": _without_holes(
        lambda header, size: {
            **header,
            **{
                f"n{row}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                for row in range(10_000)
            },
        }
    ),
    "very many arrays": _without_holes(
        lambda header, size: {
            **header,
            **{
                f"n{row}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                for row in range(100_000)
            },
        }
    ),
}


@pytest.mark.parametrize("forgery", HEADER_FORGERIES)
def test_forged_headers_are_refused(folder, seal, forgery):
    _edit_header(folder, CODES, HEADER_FORGERIES[forgery])
    seal(folder)
    with pytest.raises(ArtifactError, match="codes"):
        Model.load(folder)


BODY_FORGERIES = {
    "tail": ([0, 64], [64, 74], 1, "belong to no array"),
    "hole": ([0, 64], [72, 82], 8, "overlap or leave a hole"),
    "late start": ([8, 72], [72, 82], 8, "overlap or leave a hole"),
    "overlap": ([0, 64], [54, 64], -10, "overlap or leave a hole"),
}


@pytest.mark.parametrize("forgery", BODY_FORGERIES)
def test_every_byte_belongs_to_one_array(folder, seal, forgery):
    codebooks, codes, more_bytes, told = BODY_FORGERIES[forgery]
    header = {
        "codebooks": {"dtype": "F32", "shape": [2, 4, 2], "data_offsets": codebooks},
        "codes": {"dtype": "U8", "shape": [5, 2], "data_offsets": codes},
    }
    text = json.dumps(header).encode()
    body = bytes(64 + 10 + more_bytes)
    (folder / CODES).write_bytes(len(text).to_bytes(8, "little") + text + body)
    seal(folder)
    with pytest.raises(ArtifactError, match=told):
        Model.load(folder)


def test_a_long_header_is_refused_unread(folder, seal):
    header = b"{" + b" " * (2 << 20) + b"}"
    (folder / CODES).write_bytes(len(header).to_bytes(8, "little") + header)
    seal(folder)
    with pytest.raises(ArtifactError, match="header that is too long"):
        Model.load(folder)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 7, b"\xff" * 8, b"\xff" * 64, (2**40).to_bytes(8, "little") + b"{}"]
)
@pytest.mark.parametrize("name", [CODES, FLOATS])
def test_files_that_are_no_safetensors_are_refused(folder, seal, name, content):
    (folder / name).write_bytes(content)
    seal(folder)
    with pytest.raises(ArtifactError, match=name):
        Model.load(folder)


def _items(folder):
    return pl.read_parquet((folder / "items.parquet").read_bytes())


def _with(column):
    return lambda table: table.with_columns(column)


TABLE_FORGERIES = {
    "duplicate ids": _with(pl.Series("item_id", [1, 2, 3, 4, 1])),
    "missing id": _with(pl.Series("item_id", [1, 2, 3, 4, None])),
    "ids as floats": _with(pl.Series("item_id", [1.0, 2, 3, 4, 5])),
    "ids of 32 bits": _with(pl.Series("item_id", [1, 2, 3, 4, 5], dtype=pl.Int32)),
    "ids as bytes": _with(pl.Series("item_id", [b"1", b"2", b"3", b"4", b"5"])),
    "ids as lists": _with(pl.Series("item_id", [[1], [2], [3], [4], [5]])),
    "no ids": lambda table: table.drop("item_id"),
    "a row less": lambda table: table.head(4),
    "a row more": lambda table: pl.concat(
        [table, table.head(1).with_columns(item_id=pl.lit(99, dtype=pl.Int64))]
    ),
    "no rows": lambda table: table.head(0),
    "no popularity": lambda table: table.drop("popularity"),
    "negative popularity": _with(pl.Series("popularity", [-1, 0, 0, 0, 0])),
    "missing popularity": _with(pl.Series("popularity", [None, 0, 0, 0, 0], dtype=pl.Int64)),
    "popularity of 32 bits": _with(pl.Series("popularity", [0] * 5, dtype=pl.Int32)),
    "a list column": _with(pl.Series("tags", [[1], [2], [3], [4], [5]])),
    "a struct column": _with(pl.Series("tags", [{"a": 1}] * 5)),
    "a categorical column": _with(pl.Series("tags", list("abcde"), dtype=pl.Categorical)),
    "101 columns": lambda table: table.with_columns(
        pl.lit(1, dtype=pl.Int64).alias(f"c{row}") for row in range(98)
    ),
}


@pytest.mark.parametrize("forgery", TABLE_FORGERIES)
def test_forged_tables_are_refused(folder, seal, forgery):
    _write_table(folder, "items.parquet", TABLE_FORGERIES[forgery](_items(folder)))
    seal(folder)
    with pytest.raises(ArtifactError, match=r"items\.parquet"):
        Model.load(folder)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4"])
def test_compressed_tables_are_refused(folder, seal, compression):
    _write_table(folder, "items.parquet", _items(folder), compression=compression)
    seal(folder)
    with pytest.raises(ArtifactError, match="has compressed columns"):
        Model.load(folder)


def test_a_text_that_grows_in_memory_is_refused(folder, seal):
    """One long text, repeated by front coding; with many rows, a small file would be huge."""
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        _items(folder).with_columns(title=pl.lit("x" * 10_000)).to_arrow(),
        folder / "items.parquet",
        compression="none",
        use_dictionary=False,
        column_encoding={"title": "DELTA_BYTE_ARRAY"},
    )
    seal(folder)
    with pytest.raises(ArtifactError, match="encoding 7"):
        Model.load(folder)


def test_a_list_that_grows_in_memory_is_refused(tmp_path, make_model, seal):
    """One long text of one-letter elements, which the file holds once and the table in each row."""
    folder = tmp_path / "model"
    make_model(num_items=60).save(folder)
    table = _items(folder).with_columns(pl.lit("a\x1f" * 500_000).alias("g[text]"))
    _write_table(folder, "items.parquet", table)
    assert (folder / "items.parquet").stat().st_size < 1_100_000
    seal(folder)
    with pytest.raises(ArtifactError, match=r"items\.parquet: column 'g\[text\]' makes the lists"):
        Model.load(folder)


def test_tables_of_other_writers_are_read_when_plain(folder, seal, make_model, assert_same):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(_items(folder).to_arrow(), folder / "items.parquet", compression="none")
    seal(folder)
    assert_same(Model.load(folder), make_model())


def test_a_user_table_holds_ids_alone(folder, seal):
    table = pl.read_parquet((folder / "users.parquet").read_bytes())
    _write_table(folder, "users.parquet", table.with_columns(name=pl.col("user_id")))
    seal(folder)
    with pytest.raises(ArtifactError, match=r"users\.parquet"):
        Model.load(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"sizes": {}, "user_form": "identity", "selection": null, "config": {}}',
        '{"sizes": {}, "sizes": {}, "user_form": "identity", "selection": null, "config": {}}',
        '{"config": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"config": NaN}',
        '{"config": 1e999}',
        '{"config": ' + "9" * 5000 + "}",
        '{"config": "\\ud800"}',
        '{"config": "\ufffe',
    ],
)
def test_forged_config_is_refused(folder, seal, text):
    (folder / "config.json").write_text(text)
    seal(folder)
    with pytest.raises(ArtifactError, match=r"config\.json"):
        Model.load(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.update(user_form="table"),
        lambda config: config.update(user_form="unheard of"),
        lambda config: config.update(user_form=["identity"]),
        lambda config: config.update(user_form=None),
        lambda config: config.update(user_form="linear"),
        lambda config: config.update(extra=1),
        lambda config: config.update(config=[]),
        lambda config: config.update(selection=None),
        lambda config: config.update(selection="bilinear"),
        lambda config: config.update(selection={"similarity": 3, "recurrence": "subtract_w"}),
        lambda config: config.update(selection={"similarity": None, "recurrence": None}),
        lambda config: config.update(selection={"similarity": ["dot"], "recurrence": "none"}),
        lambda config: config.update(selection={"similarity": "bilinear", "recurrence": "none"}),
        lambda config: config.update(selection={"similarity": "../x", "recurrence": "subtract_w"}),
        lambda config: config["sizes"].update(num_items=6),
        lambda config: config["sizes"].update(width=3),
        lambda config: config["sizes"].update(extra=3),
        lambda config: config.pop("sizes"),
    ],
)
def test_config_must_agree_with_the_arrays(folder, seal, edit):
    _edit_json(folder, edit)
    seal(folder)
    with pytest.raises(ArtifactError):
        Model.load(folder)


MAP_FORGERIES = {
    "no weight": lambda tensors: tensors.pop("map.0.weight"),
    "wrong name": _put("map.first.weight", np.zeros((2, 2), np.float32)),
    "leading zero": _put("map.00.bias", np.zeros(7, np.float32)),
    "wrong bias": _put("map.0.bias", np.zeros(3, np.float32)),
    "wrong chain": _put("map.2.weight", np.zeros((2, 6), np.float32)),
    "a layer less": lambda tensors: (tensors.pop("map.2.weight"), tensors.pop("map.2.bias")),
    "wrong end": lambda tensors: tensors.update(
        {"map.2.weight": np.zeros((3, 7), np.float32), "map.2.bias": np.zeros(3, np.float32)}
    ),
    "float16": _change("map.0.weight", lambda a: a.astype(np.float16)),
    "NaN": _change("map.0.weight", _at((0, 0), np.nan)),
    "flat": _change("map.0.weight", np.ravel),
    "empty": lambda tensors: tensors.update(
        {"map.0.weight": np.zeros((7, 0), np.float32), "map.0.bias": np.zeros(7, np.float32)}
    ),
    "none": lambda tensors: [tensors.pop(n) for n in list(tensors) if n != "values"],
}


@pytest.mark.parametrize("forgery", MAP_FORGERIES)
def test_forged_maps_are_refused(tmp_path, make_model, seal, forgery):
    folder = tmp_path / "model"
    make_model(form="mlp").save(folder)
    _edit_tensors(folder, USERS, MAP_FORGERIES[forgery])
    seal(folder)
    with pytest.raises(ArtifactError):
        Model.load(folder)


FITTED_MAP_FORGERIES = {
    "a bias": _put("map.0.bias", np.zeros(2, np.float32)),
    "a second layer": _put("map.1.weight", np.eye(2, dtype=np.float32)),
    "another layer": lambda tensors: tensors.update(
        {"map.1.weight": tensors.pop("map.0.weight").copy()}
    ),
    "another name": lambda tensors: tensors.update(
        {"map.weight": tensors.pop("map.0.weight").copy()}
    ),
    "a bias alone": lambda tensors: tensors.update(
        {"map.0.bias": tensors.pop("map.0.weight")[:, 0].copy()}
    ),
    "float16": _change("map.0.weight", lambda a: a.astype(np.float16)),
    "infinite": _change("map.0.weight", _at((1, 4), np.inf)),
    "enormous": _change("map.0.weight", _at((1, 4), 1e30)),
    "transposed": _change("map.0.weight", np.transpose),
    "flat": _change("map.0.weight", np.ravel),
    "empty": _change("map.0.weight", lambda a: a[:, :0]),
    "another width than float items": _change("map.0.weight", lambda a: a[:, :4]),
    "none beside float items of its width": lambda tensors: tensors.pop("map.0.weight"),
}


@pytest.mark.parametrize("forgery", FITTED_MAP_FORGERIES)
def test_forged_maps_of_fitted_users_are_refused(fitted_folder, seal, forgery):
    _edit_tensors(fitted_folder, USERS, FITTED_MAP_FORGERIES[forgery])
    seal(fitted_folder)
    with pytest.raises(ArtifactError, match=r"(users|float_items)\.safetensors: "):
        Model.load(fitted_folder)


@pytest.mark.parametrize("form", ["identity", "free", "mlp", "table"])
def test_a_map_of_fitted_users_belongs_to_no_other_form(fitted_folder, seal, form):
    _edit_json(fitted_folder, lambda config: config.update(user_form=form))
    seal(fitted_folder)
    with pytest.raises(ArtifactError, match=r"users\.safetensors: "):
        Model.load(fitted_folder)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_random_edits_of_fitted_users_are_refused_or_answer(saved_fitted, tmp_path, seal, data):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for path in saved_fitted.iterdir():
        content = bytearray(path.read_bytes())
        for _ in range(2 if path.name == USERS else 0):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
        (folder / path.name).write_bytes(content)
    seal(folder)
    try:
        model = Model.load(folder)
    except ArtifactError:
        return
    assert model.query_width == 5
    recommender = Recommender(model)
    users = model.user_ids.ids(range(model.num_users))
    history = model.item_ids.ids([0, 3])
    for query in ({"users": users}, {"vectors": [[1, -2, 3, 4, 5]]}, {"histories": [history]}):
        try:
            for ranked in recommender.recommend(**query, k=5):
                assert np.isfinite(ranked.scores).all()
        except ArgumentError as error:  # a map that takes vectors out of bounds
            assert "after the model's user map" in str(error) or "finite numbers" in str(error)


@pytest.mark.parametrize(
    ("centres", "metrics", "floors"),
    [
        (np.zeros((0, 2), np.float32), np.zeros((0, 2, 2), np.float32), ONES),
        (np.zeros((3, 2), np.float32), np.zeros((2, 2, 2), np.float32), ONES),
        (np.zeros((3, 1), np.float32), np.zeros((3, 1, 1), np.float32), ONES),
        (np.zeros((3, 2), np.float32), np.zeros((3, 2, 0), np.float32), ONES),
        (np.zeros((3, 2), np.float32), np.full((3, 2, 2), np.inf, np.float32), ONES),
        (np.zeros((3, 2), np.int32), np.zeros((3, 2, 2), np.float32), ONES),
        (np.zeros(3, np.float32), np.zeros((3, 2, 2), np.float32), ONES),
        (np.zeros((), np.float32), np.zeros((), np.float32), ONES),
        (np.zeros((3, 2), np.float32), np.zeros((3, 2, 2), np.float32), ONES[:2]),
        (np.zeros((3, 2), np.float32), np.zeros((3, 2, 2), np.float32), 0 * ONES),
        (np.zeros((3, 2), np.float32), np.zeros((3, 2, 2), np.float32), None),
    ],
)
def test_forged_cells_are_refused(tmp_path, make_model, seal, centres, metrics, floors):
    folder = tmp_path / "model"
    cells = Selection(
        centres=np.zeros((3, 2), np.float32),
        metrics=np.zeros((3, 2, 2), np.float32),
        weights={"floors": ONES},
    )
    make_model(selection=cells).save(folder)
    tensors = {"centres": centres, "metrics": metrics, "weights.floors": floors}
    tensors = {name: array for name, array in tensors.items() if array is not None}
    (folder / SELECTION).write_bytes(save_tensors(tensors))
    seal(folder)
    with pytest.raises(ArtifactError, match="selection"):
        Model.load(folder)


@pytest.mark.parametrize(
    ("needs", "told"),
    [("lightrec >= 7.1", r"needs lightrec >= 7\.1"), ("rm -rf", "a newer lightrec"), (3, "newer")],
)
def test_a_newer_format_says_what_it_needs(folder, seal, needs, told):
    seal(folder, format_version=2, needs=needs)
    with pytest.raises(ArtifactError, match=told) as caught:
        Model.load(folder)
    assert "train again" not in str(caught.value)


MANIFESTS = {
    "older": lambda body: body.update(format_version=0),
    "version true": lambda body: body.update(format_version=True),
    "version a text": lambda body: body.update(format_version="1"),
    "outside name": lambda body: body["files"].update({"../x": body["files"]["config.json"]}),
    "absolute name": lambda body: body["files"].update({"/etc/passwd": {"bytes": 1, "sha256": ""}}),
    "unknown name": lambda body: body["files"].update({"x.py": {"bytes": 1, "sha256": ""}}),
    "negative length": lambda body: body["files"]["config.json"].update(bytes=-1),
    "float length": lambda body: body["files"]["config.json"].update(bytes=1e3),
    "no length": lambda body: body["files"]["config.json"].pop("bytes"),
    "more to a file": lambda body: body["files"]["config.json"].update(mode=7),
    "digest a number": lambda body: body["files"]["config.json"].update(sha256=7),
    "files a list": lambda body: body.update(files=list(body["files"])),
    "no users": lambda body: body["files"].pop("users.safetensors"),
    "no files": lambda body: body.update(files={}),
    "no selection": lambda body: body["files"].pop("selection.safetensors"),
    "more": lambda body: body.update(more=1),
}


@pytest.mark.parametrize("forgery", MANIFESTS)
def test_forged_manifests_are_refused(folder, seal, forgery):
    body = json.loads((folder / "MANIFEST.json").read_bytes())
    body.pop("digest")
    (folder.parent / "x").write_bytes((folder / "config.json").read_bytes())
    MANIFESTS[forgery](body)
    seal(folder, **body)
    told = "config.json" if forgery in ("no selection", "digest a number") else "MANIFEST.json"
    with pytest.raises(ArtifactError, match=f"{told}: "):
        Model.load(folder)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b'{"format_version": 1}', b"{" * 10_000, b" " * 100_000]
)
def test_other_texts_are_no_manifest(folder, content):
    (folder / "MANIFEST.json").write_bytes(content)
    with pytest.raises(ArtifactError, match="MANIFEST"):
        Model.load(folder)


def test_seal_makes_a_valid_manifest(folder, seal, make_model, assert_same):
    """The forger's tool of these tests works, so what they refuse, they refuse for its content."""
    seal(folder)
    assert_same(Model.load(folder), make_model())


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_random_edits_are_refused_or_answer_as_their_contents_say(saved, tmp_path, seal, data):
    name = data.draw(st.sampled_from(sorted(p.name for p in saved.iterdir() if p.suffix != ".md")))
    name = "config.json" if name == "MANIFEST.json" else name
    content = bytearray((saved / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for path in saved.iterdir():
        (folder / path.name).write_bytes(content if path.name == name else path.read_bytes())
    seal(folder)
    try:
        model = Model.load(folder)
    except ArtifactError:
        return
    scores = model.users.values.astype(np.float32) @ model.item_codes.decode().T
    assert np.isfinite(scores).all()
    assert model.item_codes.codes.max() < model.item_codes.num_codewords
    assert model.item_ids.series.n_unique() == model.num_items
    for user in range(model.num_users):
        rows = model.history.of(user)
        assert (np.diff(rows) > 0).all()
        assert ((rows >= 0) & (rows < model.num_items)).all()
    buffer = io.BytesIO()
    model.item_columns.write_parquet(buffer)
