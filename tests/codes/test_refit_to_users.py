"""Codebooks refitted to users against dense least squares."""

from __future__ import annotations

import numpy as np
import pytest

from lightrec.codes import refit_to_users, user_fit_task
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.refit_to_users import refit_codebooks_to_users
from lightrec.codes.user_fit_task import Effort, UserFitConfig
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History

F = np.float32


@pytest.fixture(params=["as installed", "numpy"])
def path(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(user_fit_task, "KERNELS", None)


def random_codes(rng, items=50, books=3, words=6, width=4) -> ItemCodes:
    codes = rng.integers(0, words - 1, (items, books), dtype=np.uint8)  # the last word is unused
    return ItemCodes(codes, rng.normal(size=(books, words, width)).astype(F))


class Scene:
    """Vectors among arbitrary codebooks, and a teacher that they do not follow yet."""

    def __init__(self, seed=0, users=12, items=40):
        rng = np.random.default_rng(seed)
        self.codes = random_codes(rng, items, books=2, words=4, width=3)
        self.vectors = rng.normal(size=(users, 3)).astype(F)
        self.teacher = Factors(
            (rng.integers(-8, 9, (users, 5)) / 8).astype(F),
            (rng.integers(-8, 9, (items, 5)) / 8).astype(F),
        )
        pairs = np.argwhere(rng.uniform(size=(users, items)) < 0.2)
        self.seen = History.from_pairs(pairs[:, 0], pairs[:, 1], users, items)
        self.config = UserFitConfig(candidates=8, false_positives=6, catalogue_sample=0)

    def refit(self, **options):
        return refit_codebooks_to_users(
            self.vectors, self.teacher, self.codes, self.seen, self.config, **options
        )

    def equations(self):
        """Dense rows of the least squares, each user's intercept profiled out by centring."""
        scores = self.teacher.users @ self.teacher.items.T
        student = self.codes.scores(self.codes.score_tables(self.vectors))
        rows, targets = [], []
        for user, vector in enumerate(self.vectors):
            unseen = np.setdiff1d(np.arange(40), self.seen.of(user))
            best = unseen[np.argsort(-scores[user, unseen], kind="stable")[:8]]
            own = unseen[np.argsort(-student[user, unseen], kind="stable")[:6]]
            chosen = np.union1d(best, own)
            block = np.zeros((len(chosen), 2, 4, 3))
            for row, item in zip(block, chosen, strict=True):
                for book, word in enumerate(self.codes.codes[item].tolist()):
                    row[book, word] = vector
            block = block.reshape(len(chosen), -1)
            rows.append(block - block.mean(axis=0))
            targets.append(scores[user, chosen] - scores[user, chosen].mean())
        return np.concatenate(rows), np.concatenate(targets)


def test_a_refit_comes_close_to_the_dense_least_squares(path, monkeypatch):
    monkeypatch.setattr(refit_to_users, "RIDGE", 1e-9)
    scene = Scene()
    design, targets = scene.equations()

    def error(codebooks):
        return float(((design @ codebooks.ravel() - targets) ** 2).sum())

    least = float(((design @ np.linalg.lstsq(design, targets, rcond=None)[0] - targets) ** 2).sum())
    start = error(scene.codes.codebooks)
    assert least < 0.9 * start
    assert error(scene.refit()) - least <= 0.01 * (start - least)


def test_a_refit_keeps_what_fits_and_what_nobody_uses(path):
    scene = Scene()
    fitted = scene.refit()
    np.testing.assert_array_equal(fitted[:, -1], scene.codes.codebooks[:, -1])
    scene.teacher = Factors(scene.vectors, scene.codes.decode())
    np.testing.assert_allclose(scene.refit(), scene.codes.codebooks, atol=1e-5)


def test_threads_do_not_matter_and_numpy_agrees():
    scene = Scene(users=30)
    by_kernel = scene.refit(effort=Effort(threads=1))
    np.testing.assert_array_equal(scene.refit(effort=Effort(threads=3)), by_kernel)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_fit_task, "KERNELS", None)
        np.testing.assert_allclose(scene.refit(), by_kernel, atol=1e-3)


def test_blocks_and_the_number_of_users(path, monkeypatch):
    scene = Scene(users=9)
    whole = scene.refit()
    monkeypatch.setattr(refit_to_users, "_USERS_AT_ONCE", 4)
    np.testing.assert_allclose(scene.refit(), whole, atol=1e-4)
    monkeypatch.setattr(refit_to_users, "MOST_USERS", 5)
    drawn = np.sort(np.random.default_rng(0).permutation(9)[:5])
    some = scene.refit()
    scene.vectors = scene.vectors[drawn]
    np.testing.assert_array_equal(scene.refit(user_rows=drawn), some)


def test_residual_tables_of_given_candidates(path):
    rng = np.random.default_rng(3)
    codes = random_codes(rng)
    kind = (
        user_fit_task.NumpyUserFit
        if user_fit_task.KERNELS is None
        else user_fit_task.KERNELS.UserFit
    )
    fit = kind(codes.codes, codes.num_codewords)
    indptr = np.array([0, 4, 4, 9])
    rows = rng.integers(0, 50, 9).astype(np.int32)
    weights = rng.uniform(0.1, 2.0, 9).astype(F)
    targets = rng.normal(size=9).astype(F)
    tables = rng.normal(size=(3, 3, 6)).astype(F)
    for given in (targets, None):
        found = fit.residual_tables(
            indptr=indptr, rows=rows, targets=given, weights=weights, tables=tables, threads=1
        )
        expected = np.zeros((3, 3, 6))
        for user in range(3):
            own = range(indptr[user], indptr[user + 1])
            score = {
                j: sum(tables[user, b, codes.codes[rows[j], b]] for b in range(3)) for j in own
            }
            left = {j: (0.0 if given is None else given[j]) - score[j] for j in own}
            mean = sum(weights[j] * left[j] for j in own) / max(sum(weights[j] for j in own), 1e-9)
            for j in own:
                for book in range(3):
                    expected[user, book, codes.codes[rows[j], book]] += weights[j] * (
                        left[j] - mean
                    )
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_does_not_fit_is_refused(path):
    scene = Scene()
    scene.vectors = scene.vectors[:, :2]
    with pytest.raises(ArgumentError, match=r"vectors must be \(12, 3\)"):
        scene.refit()
    scene.vectors = np.full((12, 3), np.inf, F)
    with pytest.raises(ArgumentError, match=r"vectors row 0 .*not finite"):
        scene.refit()
