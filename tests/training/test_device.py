"""Training on another device than the CPU, with a stand-in for one; on CUDA itself where it is."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from other_device import Elsewhere, OtherDevice

from lightrec.codes.additive_quantization import AdditiveQuantizationConfig, additive_quantization
from lightrec.encoder.recurrence import RECURRENCES
from lightrec.encoder.similarity import SIMILARITIES
from lightrec.encoder.student import Student
from lightrec.encoder.student_config import StudentConfig
from lightrec.encoder.user_forms import USER_FORMS
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.teachers.bpr import BprConfig, BprFactorization
from lightrec.teachers.sampled_softmax import (
    SampledSoftmax,
    SampledSoftmaxConfig,
    train_sampled_softmax,
)
from lightrec.training.device import device_of
from lightrec.training.loop import FitResult, Surroundings, Validation, fit
from lightrec.training.negative_sampling import PairBatches

THROUGH = {"start": "random", "selection": "straight_through"}
EVERY_LOSS = {
    "inner_product_distillation": 0.5,
    "ranking_distillation": 0.1,
    "diversity": "log_det",
    "loss": "softmax",
}
STUDENTS = [
    *(THROUGH | {"similarity": name} for name in SIMILARITIES),
    *(THROUGH | {"recurrence": name} for name in RECURRENCES),
    *(THROUGH | {"user_form": name} for name in USER_FORMS),
    THROUGH | {"items": "trained", "float_ranking_loss": 1.0, "revive_every": 1},
    THROUGH | {"similarity": "selector", "revive_every": 1},
    {"start": "random", "selection": "identity_straight_through", "items": "trained"},
    {"start": "random", "selection": "hard"},
    {"start": "aq", "selection": "joint"},
]


@pytest.fixture(autouse=True)
def dense_gradients(monkeypatch) -> None:
    """The stand-in holds no sparse tensors."""
    embedding = F.embedding

    def dense(rows, table, sparse=False):
        return embedding(rows, table)

    monkeypatch.setattr(F, "embedding", dense)


def teacher_of(history) -> Factors:
    rng = np.random.default_rng(0)
    return Factors(
        rng.normal(size=(history.num_users, 4)).astype(np.float32),
        rng.normal(size=(history.num_items, 4)).astype(np.float32),
    )


def trained(history, settings: dict, device: str, checkpoint=None) -> tuple[Student, FitResult]:
    config = StudentConfig(**EVERY_LOSS | settings, epochs=2, pool_size=None, batch_size=16)
    teacher, start = teacher_of(history), None
    if config.start == "aq":
        sizes = AdditiveQuantizationConfig(num_codebooks=2, num_codewords=8, rounds=1)
        start = additive_quantization(teacher.items, sizes, rng=np.random.default_rng(1))
    student = Student(teacher, start, config, num_codebooks=2, num_codewords=8, seed=0)
    batches = PairBatches(history, batch_size=16, num_negatives=5, pool_size=None, seed=0)

    def measure() -> dict[str, float]:
        codes, users = student.item_codes(), student.user_vectors()
        return {"recall@100": float(codes.decode().sum() + users.sum()), "ndcg": 0.0}

    surroundings = Surroundings(device=device, checkpoint=checkpoint)
    validation = Validation(measure)
    return student, fit(
        student, batches, config, name="student", validation=validation, surroundings=surroundings
    )


@pytest.mark.filterwarnings("ignore:.*to a meta parameter.*no-op")  # it is none elsewhere
@pytest.mark.parametrize("settings", STUDENTS, ids=str)
def test_a_student_learns_the_same_elsewhere(history, settings: dict, tmp_path) -> None:
    expected, told = trained(history, settings, "cpu")
    with OtherDevice():
        student, found = trained(history, settings, "meta", tmp_path)
        assert all(isinstance(value, Elsewhere) for value in student.parameters())
        codes, users = student.item_codes(), student.user_vectors()
    assert np.array_equal(codes.codes, expected.item_codes().codes)
    np.testing.assert_allclose(codes.codebooks, expected.item_codes().codebooks, atol=1e-5)
    np.testing.assert_allclose(users, expected.user_vectors(), atol=1e-5)
    assert found.epochs == told.epochs
    assert found.curve[-1][1]["recall@100"] == pytest.approx(
        told.curve[-1][1]["recall@100"], rel=1e-3, abs=1e-3
    )
    with OtherDevice():  # and from its checkpoint, which it has finished
        again, _ = trained(history, settings, "meta", tmp_path)
        assert np.array_equal(again.item_codes().codebooks, codes.codebooks)


def test_teachers_learn_the_same_elsewhere(history, monkeypatch) -> None:
    plain = torch.optim.Adam  # the stand-in has no fused one
    monkeypatch.setattr(torch.optim, "Adam", lambda values, lr, fused: plain(values, lr=lr))

    def bpr(device: str) -> Factors:
        config = BprConfig(width=4, epochs=2, batch_size=16)
        model = BprFactorization(history.num_users, history.num_items, config, seed=3)
        batches = PairBatches(history, batch_size=16, num_negatives=5, pool_size=None, seed=0)
        fit(model, batches, config, name="teacher", surroundings=Surroundings(device=device))
        return model.factors()

    def softmax(device: str) -> Factors:
        config = SampledSoftmaxConfig(width=4, epochs=2, num_negatives=20)
        model = SampledSoftmax(history, config, seed=0)
        surroundings = Surroundings(device=device)
        train_sampled_softmax(model, history, seed=0, surroundings=surroundings)
        return model.factors()

    for train in (bpr, softmax):
        expected = train("cpu")
        with OtherDevice():
            found = train("meta")
        np.testing.assert_allclose(found.users, expected.users, atol=1e-5)
        np.testing.assert_allclose(found.items, expected.items, atol=1e-5)


def test_the_stand_in_is_as_strict_as_an_accelerator() -> None:
    with OtherDevice():
        there = torch.ones(3).to("meta")
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(3)
        with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
            there.numpy()
        assert (there + 1.0).cpu().tolist() == [2.0, 2.0, 2.0]
        assert torch.ones(3)[torch.tensor([0])].tolist() == [1.0]


def test_the_device_is_one_that_is_there() -> None:
    assert device_of() == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_of("cpu") == "cpu"
    for missing in ("cuda:99", "no such thing"):
        with pytest.raises(ArgumentError, match=missing):
            device_of(missing)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_students_learn_about_the_same_on_cuda(history) -> None:
    for settings in STUDENTS:
        expected, _ = trained(history, settings, "cpu")
        student, _ = trained(history, settings, "cuda")
        np.testing.assert_allclose(student.user_vectors(), expected.user_vectors(), atol=0.05)
