"""The student: how its loss is composed, what it learns, and what it leaves alone."""

import numpy as np
import pytest
import torch

from lightrec.codes.additive_quantization import AdditiveQuantizationConfig, additive_quantization
from lightrec.codes.item_codes import ItemCodes
from lightrec.encoder.diversity import DIVERSITIES
from lightrec.encoder.recurrence import RECURRENCES
from lightrec.encoder.similarity import SIMILARITIES
from lightrec.encoder.student import Student, _distillation_weights
from lightrec.encoder.student_config import StudentConfig
from lightrec.encoder.user_forms import USER_FORMS
from lightrec.errors import ConfigError
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.settings import validated
from lightrec.training.loop import fit
from lightrec.training.negative_sampling import Batch, PairBatches

USERS, ITEMS, WIDTH = 12, 40, 4
SIZES = AdditiveQuantizationConfig(num_codebooks=2, num_codewords=8, rounds=2)


@pytest.fixture(scope="module")
def teacher() -> Factors:
    rng = np.random.default_rng(0)
    return Factors(*(rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (USERS, ITEMS)))


@pytest.fixture(scope="module")
def start(teacher: Factors) -> ItemCodes:
    return additive_quantization(teacher.items, SIZES, rng=np.random.default_rng(1))


# One item is a positive twice and a negative too; another a negative twice.
BATCH = Batch(
    torch.tensor([3, 0, 11]),
    torch.tensor([7, 2, 7]),
    torch.tensor([[2, 9], [31, 9], [15, 0]]),
)


def parts_by_hand(student: Student, teacher: Factors, config: StudentConfig) -> dict[str, float]:
    """Every loss from decoded vectors in plain loops."""
    decoded = student.item_codes().decode().astype(np.float64)
    users = student.user_vectors().astype(np.float64)
    bpr, l2, r_kd = [], 0.0, []
    weights = np.zeros(ITEMS)
    for user, positive, negatives in zip(
        BATCH.users.tolist(), BATCH.positives.tolist(), BATCH.negatives.tolist(), strict=True
    ):
        scores = decoded[[positive, *negatives]] @ users[user]
        bpr += [-np.log(1 / (1 + np.exp(-(scores[0] - score)))) for score in scores[1:]]
        l2 += 0.5 * (users[user] ** 2).sum() / 3
        l2 += 0.5 * (decoded[[positive, *negatives]] ** 2).sum() / 3
        powers = np.exp(teacher.items[negatives].astype(np.float64) @ teacher.users[user] / 0.5)
        soft = np.exp(scores[1:] / 0.5) / np.exp(scores[1:] / 0.5).sum()
        r_kd.append(-(powers / powers.sum() * np.log(soft)).sum())
        weights[positive] += config.distillation_on_positives / 3
        weights[negatives] += (1 - config.distillation_on_positives) / 6
    lost = teacher.items.astype(np.float64) - decoded
    scores_lost = teacher.items.astype(np.float64) @ teacher.users.T - decoded @ users.T
    return {
        "bpr": np.mean(bpr),
        "l2": l2,
        "e_kd": 0.5 * (weights * (lost**2).sum(axis=1)).sum(),
        "ip_kd": 0.5 * (weights * (scores_lost**2).mean(axis=1)).sum(),
        "r_kd": np.mean(r_kd),
    }


@pytest.mark.parametrize("selection", ["joint", "hard", "straight_through"])
def test_the_loss_is_the_weighted_sum_of_its_parts(teacher, start, selection: str) -> None:
    config = StudentConfig(
        selection=selection,
        ranking_loss=0.7,
        l2=0.01,
        embedding_distillation=0.3,
        inner_product_distillation=2.0,
        ranking_distillation=0.5,
        distillation_on_positives=0.25,
    )
    student = Student(teacher, start, config, seed=0)
    with torch.no_grad():  # P2 differs from P1
        student.users.vectors.mul_(1.1)
    student.users.start_epoch()
    parts = parts_by_hand(student, teacher, config)
    found = {name: value.item() for name, value in student(BATCH).items()}
    for name in ("bpr", "e_kd", "ip_kd", "r_kd"):
        assert found[name] == pytest.approx(parts[name], rel=1e-4), name
    expected = (
        0.7 * parts["bpr"]
        + 0.01 * parts["l2"]
        + 0.3 * parts["e_kd"]
        + 2.0 * parts["ip_kd"]
        + 0.5 * parts["r_kd"]
    )
    assert found["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_weight_of_zero_leaves_a_loss_out(teacher, start) -> None:
    config = StudentConfig(embedding_distillation=0, l2=0)
    losses = Student(teacher, start, config, seed=0)(BATCH)
    assert losses.keys() == {"loss", "bpr"}
    assert losses["loss"] == losses["bpr"]


@pytest.mark.parametrize("on_positives", [0.0, 1 / 6, 0.5, 1.0])
def test_distillation_weights_sum_to_one(on_positives: float) -> None:
    places = torch.tensor([[0, 1, 2], [0, 2, 2], [3, 1, 4]])
    weights = _distillation_weights(places, 5, on_positives)
    assert weights.sum().item() == pytest.approx(1.0)
    positive, negative = torch.tensor([2, 0, 0, 1, 0]) / 3, torch.tensor([0, 2, 3, 0, 1]) / 6
    torch.testing.assert_close(weights, on_positives * positive + (1 - on_positives) * negative)


def test_one_positive_and_five_negatives_weigh_alike_at_a_sixth() -> None:
    places = torch.arange(12).view(2, 6)  # the paper's sum over the items of a batch
    weights = _distillation_weights(places, 12, 1 / 6)
    torch.testing.assert_close(weights, torch.full((12,), 1 / 12))


def test_a_student_before_its_first_step_is_its_start(teacher, start) -> None:
    student = Student(teacher, start, StudentConfig(selection="joint"), seed=0)
    assert np.array_equal(student.item_codes().codes, start.codes)
    assert np.array_equal(student.item_codes().codebooks, start.codebooks)
    assert np.array_equal(student.user_vectors(), teacher.users)


def test_random_codebooks_follow_the_seed(teacher) -> None:
    def made(seed: int) -> ItemCodes:
        config = StudentConfig(start="random", selection="straight_through", similarity="bilinear")
        sizes = {"num_codebooks": 3, "num_codewords": 5}
        return Student(teacher, None, config, seed=seed, **sizes).item_codes()

    assert made(1).codebooks.shape == (3, 5, WIDTH)
    assert np.array_equal(made(1).codebooks, made(1).codebooks)
    assert np.array_equal(made(1).codes, made(1).codes)
    assert not np.array_equal(made(1).codebooks, made(2).codebooks)


@pytest.mark.parametrize("selection", ["joint", "hard", "straight_through"])
def test_the_selection_decides_which_codewords_learn(teacher, start, selection: str) -> None:
    student = Student(teacher, start, StudentConfig(selection=selection, l2=0.0), seed=0)
    student(BATCH)["loss"].backward()
    learned = student.encoding.encoder.codebooks.grad.abs().sum(dim=2) > 0
    rows = torch.cat([BATCH.positives, BATCH.negatives.ravel()]).numpy()
    chosen = np.zeros((2, 8), bool)
    for book in range(2):
        chosen[book, student.item_codes().codes[rows, book]] = True
    assert not chosen.all()
    if selection == "straight_through":
        assert learned.all()
    else:
        assert np.array_equal(learned, chosen)


def test_identity_users_never_move(teacher, start) -> None:
    student = Student(teacher, start, StudentConfig(user_form="identity"), seed=0)
    student(BATCH)["loss"].backward()
    assert [name for name, _ in student.named_parameters()] == ["encoding.encoder.codebooks"]
    assert np.array_equal(student.user_vectors(), teacher.users)


def made_history() -> History:
    rng = np.random.default_rng(5)
    picks = [rng.permutation(ITEMS)[:6] for _ in range(USERS)]
    return History.from_pairs(np.repeat(np.arange(USERS), 6), np.concatenate(picks), USERS, ITEMS)


@pytest.mark.parametrize(
    ("selection", "similarity", "user_form"),
    [
        ("joint", "euclidean", "free"),
        ("hard", "euclidean", "identity"),
        ("straight_through", "euclidean", "free"),
        ("straight_through", "biased_bilinear", "free"),
        ("straight_through", "selector", "identity"),
    ],
)
def test_training_lowers_the_loss_and_leaves_the_teacher_alone(
    teacher, start, selection: str, similarity: str, user_form: str
) -> None:
    config = StudentConfig(
        selection=selection,
        similarity=similarity,
        user_form=user_form,
        epochs=15,
        batch_size=24,
        learning_rate=0.01,
        pool_size=None,
        beam=4,
    )
    before = teacher.users.copy(), teacher.items.copy()
    student = Student(teacher, start, config, seed=0)
    batches = PairBatches(made_history(), batch_size=24, num_negatives=5, pool_size=None, seed=0)
    whole = PairBatches(made_history(), batch_size=72, num_negatives=5, pool_size=None, seed=9)

    def loss() -> float:
        return student(whole.batch(0, 0))["loss"].item()

    at_start = loss()
    fit(student, batches, config, name="student")
    assert loss() < 0.98 * at_start
    assert np.array_equal(teacher.users, before[0])
    assert np.array_equal(teacher.items, before[1])
    moved = not np.array_equal(student.user_vectors(), teacher.users)
    assert moved == (user_form == "free")


def test_exported_users_do_not_follow_later_training(teacher, start) -> None:
    student = Student(teacher, start, StudentConfig(), seed=0)
    exported = student.user_vectors()
    with torch.no_grad():
        student.users.vectors.zero_()
    assert np.array_equal(exported, teacher.users)


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0}, {"ranking_loss": -1}, {"selection": "soft"}, {"num_negative": 5}],
)
def test_refuses_settings_out_of_range(settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        validated(StudentConfig, settings, "run.toml")


THROUGH = {"start": "random", "selection": "straight_through"}
IDENTITY = THROUGH | {"selection": "identity_straight_through", "items": "trained"}
TWO_WIDTHS = THROUGH | {
    "codeword_width": 3,
    "similarity": "bilinear",
    "recurrence": "w_subtract_w",
    "embedding_distillation": 0.0,
    "inner_product_distillation": 1.0,
}


@pytest.mark.parametrize(
    "settings",
    [
        *(THROUGH | {"similarity": name} for name in SIMILARITIES),
        *(THROUGH | {"recurrence": name} for name in RECURRENCES),
        *(THROUGH | {"user_form": name} for name in USER_FORMS),
        *(THROUGH | {"diversity": name} for name in DIVERSITIES),
        THROUGH | {"loss": "softmax", "loss_temperature": 0.5},
        THROUGH | {"items": "trained", "float_ranking_loss": 1.0},
        IDENTITY,
        IDENTITY | {"recurrence": "subtract_w"},
        THROUGH | {"final_temperature": 0.3, "revive_every": 1},
        THROUGH | {"similarity": "selector", "revive_every": 1},
        {"start": "random", "selection": "hard", "recurrence": "none"},
        *(TWO_WIDTHS | {"user_form": name} for name in ("free", "linear", "mlp")),
        TWO_WIDTHS | {"similarity": "selector", "recurrence": "none", "revive_every": 1},
    ],
)
def test_every_form_trains_all_of_its_parameters(teacher, settings: dict) -> None:
    # Without L2, which would move every parameter for its own sake.
    given = {"inner_product_distillation": 0.5, "ranking_distillation": 0.1, "l2": 0.0} | settings
    config = StudentConfig(**given, epochs=12, learning_rate=0.01, pool_size=None)
    student = Student(teacher, None, config, num_codebooks=2, num_codewords=8, seed=0)
    start = {name: value.detach().clone() for name, value in student.named_parameters()}
    batches = PairBatches(made_history(), batch_size=24, num_negatives=5, pool_size=None, seed=0)
    whole = PairBatches(made_history(), batch_size=72, num_negatives=5, pool_size=None, seed=9)
    at_start = student(whole.batch(0, 0))["loss"].item()
    student.after_step()
    fit(student, batches, config, name="student")
    assert student(whole.batch(0, 0))["loss"].item() < 0.99 * at_start
    for name, value in student.named_parameters():
        assert torch.equal(value, start[name]) != value.requires_grad, name
        if "layers" in name:  # every unit learns, of those too that nothing listened to at first
            moved = (value != start[name]).reshape(len(value), -1)
            assert moved.any(dim=1).all(), name
            assert moved.any(dim=0).all(), name
    books = student.encoding.encoder.codebooks.detach() - start["encoding.encoder.codebooks"]
    assert (books.abs().amax(dim=(1, 2)) > 1e-3).all()
    codes = student.item_codes()
    assert codes.codebooks.shape == (2, 8, config.codeword_width or WIDTH)
    assert student.user_vectors().shape == (USERS, codes.width)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recurrence": "w_subtract_w"}, "does not have"),
        ({"selection": "hard", "recurrence": "subtract_w"}, "does not have"),
        ({"recurrence": "none"}, "no recurrence but"),
        ({"items": "trained"}, "gradient through the choice"),
        (THROUGH | {"float_ranking_loss": 1.0}, "items = 'trained'"),
        ({"final_temperature": 0.5}, "straight_through"),
        ({"codeword_width": 3}, "start = 'random'"),
        (TWO_WIDTHS | {"similarity": "dot"}, "similarity one of bilinear"),
        ({"selection": "hard", "similarity": "bilinear"}, "gradient of the choice"),
        ({"selection": "straight_through", "similarity": "dot"}, "with start = 'aq' take one"),
        ({"similarity": "dot"}, "leave similarity"),
        ({"start": "metric"}, "set refresh_every = 0"),
        ({"revive_every": 2}, "step by step"),
        (IDENTITY | {"items": "frozen"}, "items = 'trained'"),
        (IDENTITY | {"recurrence": "subtract_w", "commitment": 0.0}, "commitment must be positive"),
        (IDENTITY | {"commitment_weight": 0.0}, "commitment_weight"),
        (THROUGH | {"ranking_distillation": 0.1, "num_negatives": 1}, "2 or more"),
        (TWO_WIDTHS | {"recurrence": "subtract"}, "recurrence than"),
        (TWO_WIDTHS | {"embedding_distillation": 0.3}, "embedding_distillation = 0"),
        (TWO_WIDTHS | {"user_form": "identity"}, "user_form than"),
    ],
)
def test_refuses_parts_that_do_not_fit_together(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validated(StudentConfig, settings, "run.toml")


def test_the_softmax_loss_is_a_pairs_cross_entropy_among_its_negatives(teacher, start) -> None:
    config = StudentConfig(loss="softmax", loss_temperature=0.5, embedding_distillation=0, l2=0)
    student = Student(teacher, start, config, seed=0)
    decoded, users = student.item_codes().decode(), student.user_vectors()
    expected = []
    for user, positive, negatives in zip(
        BATCH.users.tolist(), BATCH.positives.tolist(), BATCH.negatives.tolist(), strict=True
    ):
        powers = np.exp(decoded[[positive, *negatives]].astype(float) @ users[user] / 0.5)
        expected.append(-np.log(powers[0] / powers.sum()))
    found = student(BATCH)
    assert found["loss"].item() == pytest.approx(np.mean(expected), rel=1e-4)
    assert found["softmax"] == found["loss"]


def test_joint_learning_trains_the_items_on_their_own_scores(teacher) -> None:
    config = StudentConfig(
        **THROUGH,
        items="trained",
        float_ranking_loss=1.0,
        ranking_loss=0.0,
        embedding_distillation=0.0,
        l2=0.0,
    )
    student = Student(teacher, None, config, num_codebooks=2, num_codewords=8, seed=0)
    student(BATCH)["loss"].backward()
    moved = student.encoding.items.grad.coalesce().to_dense().abs().sum(dim=1) > 0
    rows = torch.cat([BATCH.positives, BATCH.negatives.ravel()]).unique()
    assert moved.nonzero().ravel().tolist() == rows.tolist()
    assert not student.encoding.encoder.codebooks.grad.any()
