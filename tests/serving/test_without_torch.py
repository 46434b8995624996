"""The serving arm in a process where torch cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lightrec.artifact.contents import Model

PROGRAM = """
import sys
sys.modules["torch"] = None  # importing it fails from here on
from lightrec.serving import Recommender

loaded = Recommender.load(sys.argv[1])
answers = [
    loaded.recommend(["u1", "u2"], k=3),
    loaded.recommend(histories=[["i1"], []], k=3, where={"genre": "crime"}),
    loaded.recommend(vectors=[0.5] * loaded.model.query_width, k=3, post_ranking=9),
    loaded.similar_items("i1", k=3),
    *loaded.recommend_all(k=3),
]
for answer in answers:
    sys.stdout.write(answer.to_polars().write_csv())
heavy = {"scipy", "pandas", "pyarrow", "rich", "typer"}
if loaded.model.users.form == "identity":  # others read the settings of the fit of new users
    heavy.add("pydantic")
heavy &= set(sys.modules)
if heavy:
    sys.exit(f"serving imported {sorted(heavy)}")
"""


@pytest.mark.parametrize("form", ["identity", "fitted", "table"])
def test_a_saved_model_recommends_without_torch(
    make_model: Callable[..., Model], tmp_path: Path, form: str
) -> None:
    from lightrec.serving import Recommender

    model = make_model(form, mapped=True)
    model.save(tmp_path / "model")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    here = Recommender(model)
    expected = [
        here.recommend(["u1", "u2"], k=3),
        here.recommend(histories=[["i1"], []], k=3, where={"genre": "crime"}),
        here.recommend(vectors=[0.5] * model.query_width, k=3, post_ranking=9),
        here.similar_items("i1", k=3),
        *here.recommend_all(k=3),
    ]
    assert ran.stdout == "".join(answer.to_polars().write_csv() for answer in expected)
