"""Fitted users against dense normal equations, a numpy twin, and what has to hold of any fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lightrec.codes import user_fit_task
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit import fit_tables, fit_vectors
from lightrec.codes.user_fit_task import Effort, UserFitConfig, catalogue_sample
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History

F = np.float32


@pytest.fixture(params=["as installed", "numpy"])
def path(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(user_fit_task, "KERNELS", None)


class Problem:
    """Users and items of a teacher, arbitrary codes, and what the users have seen."""

    def __init__(self, seed, users=3, items=60, books=3, words=8, width=5, seen=0.2):
        rng = np.random.default_rng(seed)
        # In eighths: the teacher's scores are exact, however the products are blocked.
        self.users = (rng.integers(-8, 9, (users, width)) / 8).astype(F)
        self.items = (rng.integers(-8, 9, (items, width)) / 8).astype(F)
        self.codes = ItemCodes(
            rng.integers(0, words, (items, books), dtype=np.uint8),
            (rng.normal(size=(books, words, width)) / books).astype(F),
        )
        pairs = np.argwhere(rng.uniform(size=(users, items)) < seen)
        self.seen = History.from_pairs(pairs[:, 0], pairs[:, 1], users, items)
        self.scores = self.users @ self.items.T

    @property
    def teacher(self):
        return Factors(self.users, self.items)

    def design(self):
        """(N, B W): a one where an item reads an entry of a flat score table."""
        codes, words = self.codes.codes, self.codes.num_codewords
        matrix = np.zeros((len(codes), codes.shape[1] * words))
        for item, code in enumerate(codes.tolist()):
            for book, word in enumerate(code):
                matrix[item, book * words + word] = 1.0
        return matrix

    def candidates(self, user, student_scores, config, catalogue):
        """Rows and weights of one round, from the definition."""
        unseen = [i for i in range(len(self.items)) if i not in set(self.seen.of(user).tolist())]
        best = sorted(unseen, key=lambda i: (-self.scores[user, i], i))[: config.candidates]
        own = sorted(unseen, key=lambda i: (-student_scores[i], i))[: config.false_positives]
        rows = sorted({*best, *own})
        ranks = {item: rank for rank, item in enumerate(best)}
        ranks = [ranks.get(item, config.candidates) for item in rows]
        weights = [1 + config.top_weight / (1 + rank / config.top_ranks) for rank in ranks]
        for item in catalogue:
            if item in unseen:
                rows.append(item)
                weights.append(config.catalogue_weight / config.catalogue_sample)
        return np.array(rows, dtype=int), np.array(weights)


def solved(design, targets, weights, ridge, start, intercept=False):
    """Minimiser of the weighted squares plus a ridge on the step, by the normal equations."""
    penalty = np.full(len(start), float(ridge))
    start = start.astype(np.float64)
    if intercept:
        design = np.hstack([design, np.ones((len(design), 1))])
        penalty, start = np.append(penalty, 0.0), np.append(start, 0.0)
    normal = design.T @ (weights[:, None] * design) + np.diag(penalty)
    right = design.T @ (weights * (targets - design @ start))
    found = start + np.linalg.solve(normal, right)
    return found[:-1] if intercept else found


SIZES = [(3, 8), (4, 16), (1, 7), (6, 2), (4, 256), (9, 3)]
CONFIGS = [
    UserFitConfig(candidates=10, false_positives=0, catalogue_sample=0, top_weight=0.0),
    UserFitConfig(
        candidates=10,
        false_positives=10,
        catalogue_sample=0,
        top_weight=2.0,
        ridge=0.5,
        vector_ridge=0.3,
    ),
    UserFitConfig(candidates=7, false_positives=5, catalogue_sample=25, catalogue_weight=4.0),
    UserFitConfig(candidates=500, false_positives=500, catalogue_sample=9, top_ranks=3.0),
]


def assert_solves(found, start, design, targets, weights, ridge, intercept):
    """As good as the exact minimiser, up to where conjugate gradients stop."""
    exact = solved(design, targets, weights, ridge, start, intercept)

    def objective(unknowns):
        left = design @ unknowns - targets
        if intercept:
            left -= (weights * left).sum() / weights.sum()
        return (weights * left**2).sum() + ridge * ((unknowns - start) ** 2).sum()

    assert np.linalg.norm(found - exact) <= 0.02 * np.linalg.norm(exact - start)
    assert objective(found) - objective(exact) <= 1e-4 * (objective(start) - objective(exact))


@pytest.mark.parametrize("books, words", SIZES)
@pytest.mark.parametrize("config", CONFIGS)
def test_a_round_of_tables_solves_the_normal_equations(path, books, words, config):
    problem = Problem([books, words], books=books, words=words)
    start = problem.codes.score_tables(problem.users)
    student = problem.codes.scores(start)
    found = fit_tables(
        problem.teacher, problem.codes, problem.seen, config, rounds=1, effort=Effort(5)
    )
    for user in range(len(problem.users)):
        rows, weights = problem.candidates(
            user, student[user], config, drawn_catalogue(problem, config)
        )
        begun, targets = start[user].ravel().astype(np.float64), problem.scores[user, rows]
        design = problem.design()[rows]
        assert_solves(found[user].ravel(), begun, design, targets, weights, config.ridge, False)


@pytest.mark.parametrize("width", [3, 8, 19])
@pytest.mark.parametrize("config", CONFIGS)
def test_a_round_of_vectors_solves_the_normal_equations(path, width, config):
    problem = Problem(width, width=width, books=4, words=16)
    ridge = config.vector_ridge * problem.codes.decode().var(axis=0).sum()
    student = problem.codes.scores(problem.codes.score_tables(problem.users))
    found = fit_vectors(
        problem.teacher, problem.codes, problem.seen, config, rounds=1, effort=Effort(5)
    )
    decoded = problem.codes.decode().astype(np.float64)
    for user, vector in enumerate(problem.users.astype(np.float64)):
        rows, weights = problem.candidates(
            user, student[user], config, drawn_catalogue(problem, config)
        )
        targets = problem.scores[user, rows]
        assert_solves(found[user], vector, decoded[rows], targets, weights, ridge, True)


def drawn_catalogue(problem, config, seed=5):
    drawn = catalogue_sample(len(problem.items), config, 1, seed)
    assert drawn.shape == (1, config.catalogue_sample)
    return drawn[0].tolist()


@pytest.mark.parametrize("fit", [fit_tables, fit_vectors])
def test_later_rounds_pick_candidates_anew(path, fit):
    problem = Problem(3, items=80, books=4, words=16)
    config = UserFitConfig(
        candidates=8, false_positives=8, catalogue_sample=0, ridge=0.5, vector_ridge=0.5
    )
    by_rounds = fit(problem.teacher, problem.codes, problem.seen, config, rounds=3)
    begun = None
    for _ in range(3):
        begun = fit(problem.teacher, problem.codes, problem.seen, config, rounds=1, start=begun)
    np.testing.assert_allclose(by_rounds, begun, atol=1e-4)


def test_a_representable_table_is_recovered(path):
    problem = Problem(1, items=200, books=4, words=8, width=6)
    everything = UserFitConfig(candidates=200, catalogue_sample=0, ridge=1e-3)
    zeros = np.zeros((3, 4, 8), F)
    teacher = Factors(problem.users, problem.codes.decode())
    found = fit_tables(teacher, problem.codes, problem.seen, everything, start=zeros)
    expected = problem.users @ problem.codes.decode().T
    np.testing.assert_allclose(problem.codes.scores(found), expected, atol=2e-3)


def test_a_representable_vector_is_recovered_and_kept(path):
    problem = Problem(1, items=200, books=4, words=8, width=6)
    everything = UserFitConfig(candidates=200, catalogue_sample=0, vector_ridge=1e-3)
    teacher = Factors(problem.users, problem.codes.decode())
    args = (teacher, problem.codes, problem.seen, everything)
    found = fit_vectors(*args, start=np.zeros((3, 6), F))
    np.testing.assert_allclose(found, problem.users, atol=2e-3)
    np.testing.assert_allclose(fit_vectors(*args), problem.users, atol=1e-5)


def test_an_intercept_changes_no_vector(path):
    problem = Problem(8, width=6)
    shifted_users = np.hstack([problem.users, np.ones((3, 1), F)])
    shifted_items = np.hstack([problem.items, np.full((60, 1), 5.0, F)])
    begun = problem.users
    plain = fit_vectors(problem.teacher, problem.codes, problem.seen, start=begun)
    shifted = fit_vectors(
        Factors(shifted_users, shifted_items), problem.codes, problem.seen, start=begun
    )
    np.testing.assert_allclose(plain, shifted, atol=1e-4)


@pytest.mark.parametrize("fit", [fit_tables, fit_vectors])
def test_seen_items_never_matter(path, fit):
    problem = Problem(4, users=1, seen=0.3)
    config = UserFitConfig(candidates=15, false_positives=15, catalogue_sample=30)
    found = fit(problem.teacher, problem.codes, problem.seen, config, rounds=4)
    items = problem.items.copy()
    items[problem.seen.of(0)] = 100.0
    np.testing.assert_array_equal(
        fit(Factors(problem.users, items), problem.codes, problem.seen, config, rounds=4), found
    )
    unseen = fit(Factors(problem.users, items), problem.codes, None, config, rounds=4)
    assert not np.allclose(unseen, found)


@pytest.mark.parametrize("fit", [fit_tables, fit_vectors])
def test_threads_blocks_and_other_users_do_not_matter(path, fit, monkeypatch):
    problem = Problem(6, users=21, items=300, books=4, words=32)
    args = (problem.teacher, problem.codes, problem.seen)
    config = UserFitConfig(candidates=20, false_positives=20, catalogue_sample=50, rounds=3)
    whole = fit(*args, config, effort=Effort(threads=1))
    np.testing.assert_array_equal(fit(*args, config, effort=Effort(threads=5)), whole)
    rows = np.array([20, 3, 3, 11])
    np.testing.assert_array_equal(
        fit(*args, config, user_rows=rows, effort=Effort(threads=2)), whole[rows]
    )
    monkeypatch.setattr(user_fit_task, "BLOCK_BYTES", 4 * 300 * 4)
    np.testing.assert_array_equal(fit(*args, config), whole)
    monkeypatch.setattr(user_fit_task, "BLOCK_BYTES", 1)
    np.testing.assert_array_equal(fit(*args, config), whole)
    assert not np.array_equal(fit(*args, config, effort=Effort(1)), whole)


@given(
    books=st.integers(1, 8),
    words=st.sampled_from([1, 2, 31, 100, 256]),
    items=st.sampled_from([1, 5, 64, 130]),
    users=st.integers(1, 9),
    sample=st.sampled_from([0, 40]),
    vectors=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_kernel_and_numpy_agree(books, words, items, users, sample, vectors, seed):
    if user_fit_task.KERNELS is None:
        pytest.skip("the compiled kernels are not in use")
    assume(words > 1 or not vectors)  # of equal items there is nothing to fit but rounding
    problem = Problem(seed, users=users, items=items, books=books, words=words)
    config = UserFitConfig(candidates=12, false_positives=12, catalogue_sample=sample, rounds=1)
    fit = fit_vectors if vectors else fit_tables
    start = problem.users if vectors else problem.codes.score_tables(problem.users)
    by_kernel = fit(problem.teacher, problem.codes, problem.seen, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_fit_task, "KERNELS", None)
        by_numpy = fit(problem.teacher, problem.codes, problem.seen, config)
    assert by_kernel.dtype == by_numpy.dtype == F
    # Where rounding lets one stop a step before the other, they differ by what is left to do then.
    for one, other, begun in zip(by_kernel, by_numpy, start, strict=True):
        moved = np.linalg.norm(one - begun)
        # Where there is next to nothing to do, that is the rounding of scores of about this size.
        assert np.linalg.norm(one - other) <= 1e-2 * moved + 3e-5 * (1 + np.linalg.norm(begun))


def one_word_each(items: int) -> ItemCodes:
    """One codebook in which every item has a codeword of its own: the table is the scores."""
    return ItemCodes(np.arange(items, dtype=np.uint8)[:, None], np.zeros((1, items, 1), F))


def test_equal_teacher_scores_go_by_row(path):
    seen = History.from_pairs(np.array([0]), np.array([1]), 1, 6)
    config = UserFitConfig(candidates=3, false_positives=0, catalogue_sample=0, ridge=1.0)
    users, items, start = np.ones((1, 1), F), np.ones((6, 1), F), np.zeros((1, 1, 6), F)
    found = fit_tables(Factors(users, items), one_word_each(6), seen, config, start=start)
    np.testing.assert_array_equal(found[0, 0] > 0.5, [True, False, True, True, False, False])
    assert (found[0, 0, [1, 4, 5]] == 0.0).all()


def test_a_false_positive_is_pushed_down(path):
    teacher = np.array([[5.0], [4.0], [1.0], [0.0]], F)
    start = np.array([[[5.0, 4.0, 0.5, 9.0]]], F)  # the last is the teacher's worst
    half_way = {0.0: 4.5, 3.0: 3.0}  # a weight of 1 against a ridge of 1, or of 1 + 3 / (1 + 2 / 2)
    for top_weight, expected in half_way.items():
        config = UserFitConfig(
            candidates=2,
            top_weight=top_weight,
            top_ranks=1.0,
            false_positives=1,
            catalogue_sample=0,
            ridge=1.0,
            rounds=1,
        )
        found = fit_tables(
            Factors(np.ones((1, 1), F), teacher), one_word_each(4), None, config, start=start
        )
        np.testing.assert_allclose(found[0, 0], [5.0, 4.0, 0.5, expected], atol=1e-5)


@pytest.mark.parametrize("fit", [fit_tables, fit_vectors])
def test_nothing_to_fit_to_leaves_the_start(path, fit):
    problem = Problem(0, users=2, items=12, seen=1.1)
    found = fit(problem.teacher, problem.codes, problem.seen)
    begun = problem.users if fit is fit_vectors else problem.codes.score_tables(problem.users)
    np.testing.assert_array_equal(found, begun)
    nobody = np.empty(0, np.int64)
    assert fit(problem.teacher, problem.codes, None, user_rows=nobody).shape[0] == 0


def test_vectors_take_the_width_of_the_codebooks(path):
    problem = Problem(0, width=5)
    other = ItemCodes(
        problem.codes.codes, np.random.default_rng(0).normal(size=(3, 8, 9)).astype(F)
    )
    start = np.zeros((3, 9), F)
    assert fit_vectors(problem.teacher, other, problem.seen, start=start).shape == (3, 9)
    for fit in (fit_tables, fit_vectors):
        with pytest.raises(ArgumentError, match="give start"):
            fit(problem.teacher, other, problem.seen)


def with_nan(array, row):
    broken = array.copy()
    broken[row] = np.nan
    return broken


@pytest.mark.parametrize("fit", [fit_tables, fit_vectors])
def test_what_does_not_fit_is_refused(path, fit):
    problem = Problem(0)
    users, items, codes, seen = problem.users, problem.items, problem.codes, problem.seen
    begun = fit(problem.teacher, codes, seen, rounds=1)

    def refused(match, users=users, items=items, seen=seen, **options):
        with pytest.raises(ArgumentError, match=match):
            fit(Factors(users, items), codes, seen, **options)

    refused("start row 2 .*not finite", start=with_nan(begun, 2))
    refused("the teacher has 59 items", items=items[1:])
    refused("seen holds 3 users and 61 items", seen=History.from_pairs([0], [0], 3, 61))
    refused("start must be", start=begun[:, 1:])
    refused("start must be", start=begun.astype(np.float64))
    refused("user_rows reach from 0 to 3", user_rows=np.array([0, 3]))
    refused("user_rows must be", user_rows=np.array([0.0]))
    refused("rounds", rounds=0)
    refused("teacher_scores", users=users * F(1e20), items=items * F(1e15))


def test_seed_and_threads_are_not_negative():
    for effort in ({"seed": -1}, {"threads": -1}):
        with pytest.raises(ArgumentError, match="must be at least 0"):
            Effort(**effort)


def test_the_compiled_class_checks_what_it_is_given():
    if user_fit_task.KERNELS is None:
        pytest.skip("the compiled kernels are not in use")
    problem = Problem(0)
    fit = user_fit_task.KERNELS.UserFit(problem.codes.codes, 8)
    given = {
        "teacher_scores": problem.scores,
        "seen_indptr": problem.seen.indptr,
        "seen_rows": problem.seen.item_rows,
        "catalogue": np.zeros((1, 2), np.int32),
        "rank_weights": np.array([3, 2, 1.5, 1], F),
        "false_positives": 3,
        "catalogue_weight": 1.0,
        "ridge": 1.0,
        "start": np.zeros((3, 3, 8), F),
        "threads": 1,
    }
    assert fit.fit_tables(**given).shape == (3, 3, 8)
    for name, value, match in [
        ("teacher_scores", problem.scores[:, 1:].copy(), "one column for each item"),
        ("seen_indptr", problem.seen.indptr[1:].copy(), "exclude_indptr"),
        ("seen_rows", problem.seen.item_rows[::-1].copy(), "ascending"),
        ("catalogue", np.array([[3, 2]], np.int32), "ascend"),
        ("catalogue", np.array([[3, 60]], np.int32), "rows of items"),
        ("rank_weights", np.ones(1, F), "one candidate of the teacher's"),
        ("rank_weights", np.zeros(3, F), "above 0"),
        ("rank_weights", np.full(3, np.nan, F), "above 0"),
        ("ridge", 0.0, "ridge"),
        ("start", np.zeros((3, 3, 9), F), "tables must be"),
    ]:
        with pytest.raises(ArgumentError, match=match):
            fit.fit_tables(**{**given, name: value})
    with pytest.raises(ArgumentError, match="index 7"):
        user_fit_task.KERNELS.UserFit(problem.codes.codes, 7)
