"""Adam by rows: against Adam itself, row by row, and taken up again after a cut."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.teachers.sampled_softmax import SampledSoftmax, SampledSoftmaxConfig
from lightrec.training.checkpoint import Checkpoint, optimiser_tensors, restore_optimiser
from lightrec.training.loop import FitResult, Surroundings, Validation, fit
from lightrec.training.row_adam import RowAdam
from lightrec.training.user_batches import UserBatches

ROWS, WIDTH = 6, 3
MOMENTS = ("rows_seen", "exp_avg", "exp_avg_sq")


def table(seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed)))


def gradients(steps: int, *, every_row: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each step some rows, each once and in any order, and their gradients."""
    rng = np.random.default_rng(5)
    made = []
    for _ in range(steps):
        rows = rng.permutation(ROWS)[: ROWS if every_row else rng.integers(0, ROWS)]
        size = 10.0 ** rng.integers(-3, 2)
        made.append((rows, (size * rng.normal(size=(len(rows), WIDTH))).astype(np.float32)))
    return made


def move(optimiser: RowAdam, parameter: nn.Parameter, rows, values) -> None:
    parameter.grad = torch.sparse_coo_tensor(
        torch.from_numpy(rows)[None],
        torch.from_numpy(values),
        parameter.shape,
        check_invariants=True,
    )
    optimiser.step()


def adam_of_a_row(start, gradients, rates, fast=0.9, slow=0.999, eps=1e-8) -> np.ndarray:
    """Algorithm 1 of the paper, for one row and only the steps at which it has a gradient."""
    place = start.astype(np.float64)
    first, second = np.zeros(WIDTH), np.zeros(WIDTH)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        first = fast * first + (1 - fast) * gradient
        second = slow * second + (1 - slow) * gradient.astype(np.float64) ** 2
        unbiased = first / (1 - fast**t), second / (1 - slow**t)
        place = place - rate * unbiased[0] / (np.sqrt(unbiased[1]) + eps)
    return place


def test_with_a_gradient_on_every_row_it_is_adam() -> None:
    ours, theirs = table(), table()
    by_rows, adam = RowAdam([ours], lr=0.03), torch.optim.Adam([theirs], lr=0.03)
    for rows, values in gradients(60, every_row=True):
        move(by_rows, ours, rows, values)
        theirs.grad = torch.zeros(ROWS, WIDTH)
        theirs.grad[torch.from_numpy(rows)] = torch.from_numpy(values)
        adam.step()
        torch.testing.assert_close(ours.data, theirs.data, rtol=1e-5, atol=1e-6)
    for name in ("exp_avg", "exp_avg_sq"):
        torch.testing.assert_close(by_rows.state[ours][name], adam.state[theirs][name])


@pytest.mark.parametrize("rates", [{}, {"betas": (0.7, 0.9), "eps": 1e-2}])
def test_every_row_goes_its_own_way_with_the_rate_of_the_day(rates: dict) -> None:
    parameter = table()
    start = parameter.detach().numpy().copy()
    optimiser = RowAdam([parameter], lr=1.0, **rates)
    seen: list[list[tuple[np.ndarray, float]]] = [[] for _ in range(ROWS)]
    for step, (rows, values) in enumerate(gradients(80, every_row=False)):
        rate = optimiser.param_groups[0]["lr"] = 0.05 * 0.98**step
        move(optimiser, parameter, rows, values)
        for row, gradient in zip(rows.tolist(), values, strict=True):
            seen[row].append((gradient, rate))
    fast, slow = rates.get("betas", (0.9, 0.999))
    expected = [
        adam_of_a_row(start[row], *zip(*steps, strict=True), fast, slow, rates.get("eps", 1e-8))
        for row, steps in enumerate(seen)
    ]
    assert len({len(steps) for steps in seen}) > 3  # rows met more and less often
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert optimiser.state[parameter]["rows_seen"].ravel().tolist() == [len(s) for s in seen]


def test_rows_without_a_gradient_stay_as_they_are() -> None:
    parameter = table()
    optimiser = RowAdam([parameter], lr=0.1)
    for rows, values in gradients(9, every_row=True):  # moments that would go on moving the rows
        move(optimiser, parameter, rows, values)
    before = {name: optimiser.state[parameter][name].clone() for name in MOMENTS}
    place = parameter.detach().clone()
    met, left = [4, 1], [0, 2, 3, 5]
    move(optimiser, parameter, np.array(met), np.ones((2, WIDTH), np.float32))
    for name in MOMENTS:
        after = optimiser.state[parameter][name]
        assert torch.equal(after[left], before[name][left])
        assert not torch.equal(after[met], before[name][met])
    assert torch.equal(parameter[left], place[left])
    assert (parameter[met] != place[met]).all()


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    parameters = [table(0), table(1)]
    before = parameters[1].detach().clone()
    optimiser = RowAdam(parameters, lr=0.1)
    move(optimiser, parameters[0], np.array([2]), np.ones((1, WIDTH), np.float32))
    assert torch.equal(parameters[1], before)
    assert not optimiser.state[parameters[1]]["rows_seen"].any()


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_the_state_comes_back_from_a_checkpoint(tmp_path, cut: int) -> None:
    steps = gradients(15, every_row=False)
    whole = table()
    optimiser = RowAdam([whole], lr=0.1)
    for place, (rows, values) in enumerate(steps):
        if place == cut:
            tensors = {"objective.table": whole.data, **optimiser_tensors(optimiser)}
            Checkpoint({}, {}, tensors).save(tmp_path / "run")
        move(optimiser, whole, rows, values)
    found = Checkpoint.load(tmp_path / "run", {}).tensors
    assert {f"optimiser.0.{name}" for name in MOMENTS} <= found.keys()
    again = nn.Parameter(found["objective.table"])
    resumed = RowAdam([again], lr=0.1)
    restore_optimiser(resumed, found)
    for rows, values in steps[cut:]:
        move(resumed, again, rows, values)
    assert torch.equal(again, whole)
    for name in MOMENTS:
        assert torch.equal(resumed.state[again][name], optimiser.state[whole][name])


class Cut(Exception):
    """The power goes."""


CONFIG = SampledSoftmaxConfig(
    width=4,
    epochs=3,
    batch_size=6,
    num_negatives=12,
    evaluate_every=1,
    evaluate_start=True,
    patience=3,
)
STEPS = 4  # 20 users, 6 at a time


def trained(history, folder=None, cut: int | None = None) -> tuple[SampledSoftmax, FitResult]:
    """A whole run, or one whose power goes at its (cut + 1)-th batch."""
    model = SampledSoftmax(history, CONFIG, seed=3)
    batches = UserBatches(history, users_per_batch=6, num_negatives=12, seed=7)
    calls, forward = [], model.forward

    def failing(batch):
        if len(calls) == cut:
            raise Cut
        calls.append(batch)
        return forward(batch)

    def total() -> dict[str, float]:
        return {"total": float(model.factors().users.astype(np.float64).sum())}

    model.forward = failing
    surroundings = Surroundings(checkpoint=folder, checkpoint_seconds=0)
    result = fit(
        model,
        batches,
        CONFIG,
        name="run",
        validation=Validation(total, lambda metrics: metrics["total"]),
        surroundings=surroundings,
    )
    return model, result


@pytest.mark.parametrize("cut", [0, 1, STEPS - 1, STEPS, 2 * STEPS + 1, 3 * STEPS - 1])
def test_a_run_cut_at_any_step_ends_with_the_same_bytes(history, tmp_path, sha, cut: int) -> None:
    whole, expected = trained(history)
    assert len(expected.curve) == 4
    with pytest.raises(Cut):
        trained(history, tmp_path / "run", cut)
    again, result = trained(history, tmp_path / "run")
    assert sha(again) == sha(whole)
    assert json.dumps([result.epochs, result.curve]) == json.dumps(
        [expected.epochs, expected.curve]
    )


def test_a_run_cut_at_every_step_gets_there_all_the_same(history, tmp_path, sha) -> None:
    whole, _ = trained(history)
    for _ in range(3 * STEPS - 1):
        with pytest.raises(Cut):
            trained(history, tmp_path / "run", cut=1)
    assert sha(trained(history, tmp_path / "run")[0]) == sha(whole)


def test_sampled_softmax_moves_only_the_rows_of_its_batch(history) -> None:
    model = SampledSoftmax(history, CONFIG, seed=3)
    optimiser = model.optimiser(0.05)
    assert isinstance(optimiser, RowAdam)
    assert optimiser.param_groups[0]["lr"] == 0.05
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    batch = UserBatches(history, users_per_batch=2, num_negatives=3, seed=0).batch(0, 0)
    model(batch)["loss"].backward()
    optimiser.step()
    for name, rows in (("users", batch.users), ("items", batch.items)):
        moved = (model.get_parameter(name) != before[name]).any(dim=1)
        assert sorted(rows.tolist()) == torch.nonzero(moved).ravel().tolist()


compiled = pytest.mark.skipif(KERNELS is None, reason="needs the compiled kernels")


@compiled
def test_the_kernel_moves_rows_as_torch_does(monkeypatch) -> None:
    results = []
    for kernels in (KERNELS, None):
        monkeypatch.setattr("lightrec.training.row_adam.KERNELS", kernels)
        parameter = table()
        optimiser = RowAdam([parameter], lr=0.03)
        for rows, values in gradients(80, every_row=False):
            move(optimiser, parameter, rows, values)
        results.append((parameter.detach(), *optimiser.state[parameter].values()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@compiled
def test_the_kernel_gives_the_same_bytes_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    rows, size = rng.permutation(3000)[:2000], (3000, 5)
    gradient = rng.normal(size=(2000, 5)).astype(np.float32)
    seen = []
    for threads in (1, 2, 5):
        tables = [np.ones(size, np.float32), np.zeros((3000, 1), np.float32)]
        tables += [np.zeros(size, np.float32), np.zeros(size, np.float32)]
        for _ in range(3):
            KERNELS.row_adam(*tables, rows, gradient, 0.1, 0.9, 0.999, 1e-8, threads=threads)
        seen.append([array.tobytes() for array in tables])
    assert seen[0] == seen[1] == seen[2]
    assert tables[1].sum() == 6000


@compiled
@pytest.mark.parametrize(
    ("rows", "gradient", "what"),
    [
        ([0, 6], np.zeros((2, WIDTH)), "rows of the parameters"),
        ([-1], np.zeros((1, WIDTH)), "rows of the parameters"),
        ([2, 2], np.zeros((2, WIDTH)), "repeated"),
        ([2], np.zeros((2, WIDTH)), "one row for each"),
        ([2], np.zeros((1, WIDTH + 1)), "one row for each"),
    ],
)
def test_the_kernel_refuses_what_does_not_fit(rows, gradient, what: str) -> None:
    tables = [np.zeros((ROWS, width), np.float32) for width in (WIDTH, 1, WIDTH, WIDTH)]
    with pytest.raises(ArgumentError, match=what):
        KERNELS.row_adam(
            *tables,
            np.array(rows, np.int64),
            gradient.astype(np.float32),
            *(0.1, 0.9, 0.999, 1e-8),
            threads=1,
        )


@compiled
def test_the_kernel_refuses_moments_of_another_shape() -> None:
    tables = [np.zeros((ROWS, width), np.float32) for width in (WIDTH, 1, WIDTH, WIDTH + 1)]
    with pytest.raises(ArgumentError, match="shape of the parameters"):
        KERNELS.row_adam(
            *tables,
            np.zeros(1, np.int64),
            np.zeros((1, WIDTH), np.float32),
            *(0.1, 0.9, 0.999, 1e-8),
            threads=1,
        )
