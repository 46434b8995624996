"""The forms of users: what each stores, and that fitting brings the students' lists nearer."""

from __future__ import annotations

import numpy as np
import pytest

from lightrec.codes import alternation
from lightrec.codes.additive_quantization import AdditiveQuantizationConfig, additive_quantization
from lightrec.codes.coded_users import (
    FORMS,
    MADE,
    CodedUsers,
    UsersConfig,
    users_in_form,
    users_in_forms,
)
from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit import fit_tables
from lightrec.codes.user_fit_task import Effort, UserFitConfig
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History

USERS, ITEMS, WIDTH, TOP = 60, 400, 12, 20
CONFIG = UsersConfig(
    alternations=1,
    fit=UserFitConfig(
        candidates=40, top_weight=0.0, false_positives=40, catalogue_sample=50, rounds=6
    ),
)


@pytest.fixture(scope="module")
def teacher() -> Factors:
    rng = np.random.default_rng(3)
    return Factors(
        rng.normal(size=(USERS, WIDTH)).astype(np.float32),
        rng.normal(size=(ITEMS, WIDTH)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def seen() -> History:
    rng = np.random.default_rng(4)
    items = np.concatenate([rng.choice(ITEMS, 5, replace=False) for _ in range(USERS)])
    return History.from_pairs(np.repeat(np.arange(USERS), 5), items, USERS, ITEMS)


@pytest.fixture(scope="module")
def codes(teacher) -> ItemCodes:
    config = AdditiveQuantizationConfig(num_codebooks=3, num_codewords=16, rounds=2)
    return additive_quantization(teacher.items, config, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def forms(teacher, codes, seen) -> dict[str, CodedUsers]:
    return {
        form: users_in_form(form, teacher, codes, seen, CONFIG, effort=Effort(2)) for form in FORMS
    }


def kept(users: CodedUsers, teacher, seen: History) -> float:
    """Share of the teacher's unseen top items that are the student's too."""
    scores = teacher.users @ teacher.items.T
    values = users.values.astype(np.float32)
    tables = values if values.ndim == 3 else users.item_codes.score_tables(values)
    own = users.item_codes.scores(tables)
    shares = []
    for user in range(USERS):
        scores[user, seen.of(user)] = own[user, seen.of(user)] = -np.inf
        best = [set(np.argsort(-rows[user])[:TOP].tolist()) for rows in (scores, own)]
        shares.append(len(best[0] & best[1]) / TOP)
    return float(np.mean(shares))


def test_identity_stores_the_teachers_vectors_and_codes_as_they_are(forms, teacher, codes) -> None:
    users = forms["identity"]
    assert users.values is teacher.users
    assert users.item_codes is codes
    assert users.query_map is None
    assert users.bytes_per_user == 4 * WIDTH


def test_tables_are_the_fitted_ones_in_half_precision(forms, teacher, codes, seen) -> None:
    users = forms["table"]
    expected = fit_tables(teacher, codes, seen, CONFIG.fit, effort=Effort(2))
    assert np.array_equal(users.values, expected.astype(np.float16))
    assert users.item_codes is codes
    assert users.bytes_per_user == 2 * 3 * 16


def test_fitted_users_keep_the_codes_and_have_codebooks_and_a_map_of_their_own(
    forms, codes
) -> None:
    users = forms["fitted"]
    assert users.item_codes.codes is codes.codes
    assert users.item_codes.codebooks.shape == codes.codebooks.shape
    assert not np.array_equal(users.item_codes.codebooks, codes.codebooks)
    assert users.values.shape == (USERS, WIDTH)
    assert users.query_map is not None
    assert users.query_map["0.weight"].shape == (WIDTH, WIDTH)
    assert users.query_map["0.weight"].dtype == np.float32


def test_fitting_brings_the_lists_nearer_to_the_teachers(forms, teacher, seen) -> None:
    shares = {form: kept(users, teacher, seen) for form, users in forms.items()}
    assert shares["identity"] < shares["fitted"] < shares["table"]
    assert shares["table"] > shares["identity"] + 0.05


def test_a_mapped_vector_ranks_about_as_it_did_among_the_teachers_codebooks(
    forms, teacher, codes
) -> None:
    users = forms["fitted"]
    mapped = teacher.users @ users.query_map["0.weight"].T
    new = users.item_codes.scores(users.item_codes.score_tables(mapped))
    old = codes.scores(codes.score_tables(teacher.users))
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(new, old, strict=True)]
    assert np.median(correlations) > 0.8


@pytest.mark.parametrize("form", ["linear", "mlp"])
def test_mapped_users_have_the_codebooks_of_fitted_ones_and_store_no_more_than_the_map_gives(
    form, teacher, codes, seen
) -> None:
    users = users_in_form(form, teacher, codes, seen, CONFIG, effort=Effort(2))
    assert users.item_codes.width == WIDTH // 2
    assert users.values.shape == (USERS, WIDTH // 2)
    layers = dict(users.query_map)
    mapped = teacher.users @ layers.pop("0.weight").T
    if form == "mlp":
        mapped = np.tanh(mapped + layers.pop("0.bias")) @ layers.pop("2.weight").T
        mapped = mapped + layers.pop("2.bias")
    assert not layers
    np.testing.assert_allclose(users.values, mapped, atol=2e-3 * np.abs(mapped).max())
    fitted = users_in_form(
        *("fitted", teacher, codes, seen),
        CONFIG.model_copy(update={"codeword_width": 6}),
        effort=Effort(2),
    )
    np.testing.assert_allclose(fitted.item_codes.codebooks, users.item_codes.codebooks, atol=1e-4)


def test_the_width_of_codewords_may_be_said_up_to_the_teachers() -> None:
    said, unsaid = UsersConfig(codeword_width=8), UsersConfig()
    assert [said.width_of(form, 12) for form in ("linear", "mlp", "fitted")] == [8, 8, 8]
    assert [unsaid.width_of(form, 12) for form in ("linear", "mlp", "fitted")] == [6, 6, 12]
    assert said.width_of("linear", 5) == said.width_of("fitted", 5) == 5
    assert unsaid.width_of("linear", 1) == 1


def test_the_same_seed_gives_the_same_bytes(teacher, codes, seen, forms) -> None:
    again = users_in_form("fitted", teacher, codes, seen, CONFIG, effort=Effort(2))
    assert np.array_equal(again.values, forms["fitted"].values)
    assert np.array_equal(again.item_codes.codebooks, forms["fitted"].item_codes.codebooks)


@pytest.mark.parametrize("sample", [10_000, 40])
def test_forms_made_together_share_one_fit_of_tables(
    teacher, codes, seen, forms, monkeypatch, sample: int
) -> None:
    monkeypatch.setattr(alternation, "CODEBOOK_USERS", sample)
    calls = []

    def counted(*args, **kwargs):
        calls.append(kwargs["user_rows"])
        return fit_tables(*args, **kwargs)

    monkeypatch.setattr(alternation, "fit_tables", counted)
    together = users_in_forms(FORMS, teacher, codes, seen, CONFIG, effort=Effort(2))
    assert calls == [None]
    assert [each.form for each in together] == list(FORMS)
    for each in together:
        alone = users_in_form(each.form, teacher, codes, seen, CONFIG, effort=Effort(2))
        np.testing.assert_allclose(each.values, alone.values, rtol=1e-3, atol=1e-3)
    assert np.array_equal(together[2].values, forms["table"].values)


def test_tables_beyond_half_precision_stay_in_float32(teacher, codes, seen) -> None:
    loud = Factors(teacher.users * np.float32(1e3), teacher.items * np.float32(1e3))
    large = ItemCodes(codes.codes, codes.codebooks * np.float32(1e3))
    tables = users_in_form("table", loud, large, seen, CONFIG).values
    assert tables.dtype == np.float32
    assert np.isfinite(tables).all()


def test_every_form_that_is_compared_can_be_made() -> None:
    assert set(FORMS) < set(MADE) == {"identity", "linear", "mlp", "fitted", "table"}


def test_a_form_that_needs_a_gradient_is_refused(teacher, codes, seen) -> None:
    with pytest.raises(ArgumentError, match="'free'"):
        users_in_form("free", teacher, codes, seen, CONFIG)


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1.0, np.float16), (1e-8, np.float32), (1e6, np.float32), (0, np.float16)]
)
def test_half_precision_is_taken_where_nothing_that_counts_is_lost(scale, dtype) -> None:
    values = (scale * np.linspace(-3, 3, 41)).astype(np.float32)
    kept = half_precision(values)
    assert kept.dtype == dtype
    np.testing.assert_allclose(kept.astype(np.float32), values, rtol=1e-3, atol=2e-3 * scale)
    assert half_precision(np.empty((0, 4), np.float32)).dtype == np.float16
