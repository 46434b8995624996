"""P2 in all its forms, and the Gram matrices that each keeps."""

import numpy as np
import pytest
import torch

from lightrec.encoder.user_forms import USER_FORMS, FreeUsers, IdentityUsers, LinearUsers, MlpUsers
from lightrec.encoder.user_grams import Grams, SampledGrams
from lightrec.errors import ArgumentError
from lightrec.serving.user_map import map_vectors
from lightrec.training.row_adam import RowAdam

USERS, WIDTH = 23, 5
GENERATOR = torch.Generator().manual_seed(0)
TEACHER = torch.randn(USERS, WIDTH, generator=GENERATOR)
ROWS = torch.tensor([3, 0, 11])


def randomised(users):
    with torch.no_grad():
        for parameter in users.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=GENERATOR))
    users.start_epoch()
    return users


@pytest.mark.parametrize("form", USER_FORMS)
def test_all_start_near_the_teacher(form: str) -> None:
    users = USER_FORMS[form](0.1 * TEACHER, WIDTH)
    torch.testing.assert_close(users.all(), 0.1 * TEACHER, rtol=0.05, atol=1e-3)
    torch.testing.assert_close(users.of(ROWS), users.all()[ROWS])


@pytest.mark.parametrize("form", ["free", "linear", "mlp"])
@pytest.mark.parametrize("width", [3, 8])
def test_another_width(form: str, width: int) -> None:
    users = USER_FORMS[form](TEACHER, width)
    assert users.all().shape == (USERS, width)
    assert users.of(ROWS).shape == (3, width)
    shared = min(width, WIDTH)
    if form != "mlp":
        torch.testing.assert_close(users.all()[:, :shared], TEACHER[:, :shared])


def test_identity_users_have_the_teachers_width() -> None:
    with pytest.raises(ArgumentError, match="width 5, codewords 3"):
        IdentityUsers(TEACHER, 3)


@pytest.mark.parametrize("form", ["identity", "free", "linear"])
def test_grams_are_those_of_all_users(form: str) -> None:
    users = randomised(USER_FORMS[form](TEACHER, WIDTH))
    found, right = users.grams(ROWS, users.of(ROWS)), Grams.of(TEACHER, users.all())
    torch.testing.assert_close(found.cross, right.cross, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.student, right.student, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.teacher, right.teacher)


def test_mlp_users_estimate_them_from_a_sample(monkeypatch) -> None:
    users = randomised(MlpUsers(TEACHER, WIDTH))
    found, right = users.grams(ROWS, users.of(ROWS)), Grams.of(TEACHER, users.all())
    torch.testing.assert_close(found.student, right.student)  # all of them, as they are so few
    monkeypatch.setattr(SampledGrams, "USERS", 9)
    users = randomised(MlpUsers(TEACHER, WIDTH))
    found = [users.grams(ROWS, users.of(ROWS)) for _ in range(2)]
    assert torch.equal(found[0].student, found[1].student)
    assert not torch.allclose(found[0].student, Grams.of(TEACHER, users.all()).student)
    assert torch.linalg.matrix_rank(found[0].teacher) == WIDTH


def loss_of(grams: Grams) -> torch.Tensor:
    weights = torch.linspace(-1, 1, WIDTH * WIDTH).view(WIDTH, WIDTH)
    return (weights * grams.cross).sum() + (weights * grams.student).sum()


def test_linear_users_have_the_whole_gradient() -> None:
    users = randomised(LinearUsers(TEACHER, WIDTH))
    loss_of(users.grams(ROWS, users.of(ROWS))).backward()
    found = [parameter.grad.clone() for parameter in users.parameters()]
    users.zero_grad()
    loss_of(Grams.of(TEACHER, users.all())).backward()
    for one, parameter in zip(found, users.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, rtol=1e-4, atol=1e-5)


def test_free_users_of_a_batch_have_their_whole_gradient_and_others_none() -> None:
    users = randomised(FreeUsers(TEACHER, WIDTH))
    loss_of(users.grams(ROWS, users.of(ROWS))).backward()
    found = users.vectors.grad.to_dense()
    users.vectors.grad = None
    loss_of(Grams.of(TEACHER, users.all())).backward()
    torch.testing.assert_close(found[ROWS], users.vectors.grad[ROWS], rtol=1e-4, atol=1e-6)
    assert not np.delete(found.numpy(), ROWS.numpy(), axis=0).any()


def test_grams_stay_right_while_free_users_move() -> None:
    users = FreeUsers(TEACHER, WIDTH)
    optimiser = RowAdam(users.parameters(), lr=0.1)
    for step in range(30):
        rows = torch.randperm(USERS, generator=GENERATOR)[: 1 + step % 7]
        grams = users.grams(rows, users.of(rows))
        right = Grams.of(TEACHER, users.all().detach())
        torch.testing.assert_close(grams.cross, right.cross, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(grams.student, right.student, rtol=1e-4, atol=1e-5)
        optimiser.zero_grad()
        (loss_of(grams) + users.of(rows).square().sum()).backward()
        optimiser.step()
        users.after_step()
    assert not torch.allclose(users.all(), TEACHER, atol=0.3)


@pytest.mark.parametrize("form", ["linear", "mlp"])
@pytest.mark.parametrize("width", [3, WIDTH])
def test_maps_are_what_serving_applies(form: str, width: int) -> None:
    users = randomised(USER_FORMS[form](TEACHER, width))
    mapped = map_vectors(users.map_weights(), TEACHER.numpy())
    np.testing.assert_allclose(mapped, users.all().detach(), rtol=1e-4, atol=1e-5)


def test_other_forms_have_no_map() -> None:
    for form in ("identity", "free"):
        assert USER_FORMS[form](TEACHER, WIDTH).map_weights() is None
