"""How the catalogue is encoded while the student learns."""

import numpy as np
import pytest
import torch

from lightrec.codes.item_metric import ItemMetric
from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.item_encoding import ItemEncoding, JointEncoding, RecurrentEncoding
from lightrec.encoder.recurrence import Keep
from lightrec.encoder.selection import Hard
from lightrec.encoder.similarity import SIMILARITIES

ITEMS, WIDTH, BOOKS, WORDS = 40, 6, 3, 8


@pytest.fixture
def items() -> torch.Tensor:
    return torch.randn(ITEMS, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def encoder() -> CompositeEncoder:
    generator = torch.Generator().manual_seed(2)
    return CompositeEncoder(WIDTH, BOOKS, WORDS, selection=Hard(), generator=generator)


def joint(encoder, items, metric=None, beam: int = 8, icm_sweeps: int = 1) -> JointEncoding:
    codes = np.random.default_rng(0).integers(0, WORDS, (ITEMS, BOOKS), dtype=np.uint8)
    return JointEncoding(
        encoder,
        items,
        codes,
        metric=metric or ItemMetric.euclidean(WIDTH),
        beam=beam,
        icm_sweeps=icm_sweeps,
    )


def test_recurrent_encodes_rows_of_the_catalogue(encoder, items) -> None:
    encoding = RecurrentEncoding(encoder, items)
    rows = torch.tensor([5, 0, 39, 5])
    assert torch.equal(encoding(rows).vectors, encoder(items[rows]).vectors)
    codes = encoding.item_codes()
    torch.testing.assert_close(
        encoding(rows).vectors.detach(), torch.from_numpy(codes.decode(rows.numpy()))
    )
    before = codes.codes.copy()
    encoding.start_epoch(0, 1)
    assert np.array_equal(encoding.item_codes().codes, before)


def test_frozen_items_are_no_part_of_the_state(encoder, items) -> None:
    encoding = RecurrentEncoding(encoder, items)
    assert not any("items" in name for name in encoding.state_dict())
    assert torch.equal(encoding(torch.tensor([4])).items, items[[4]])


def test_trained_items_move_where_the_batch_is(items) -> None:
    generator = torch.Generator().manual_seed(2)
    encoder = CompositeEncoder(WIDTH, BOOKS, WORDS, generator=generator)
    encoding = RecurrentEncoding(encoder, items, trained=True)
    rows = torch.tensor([5, 0, 39])
    encoding(rows).vectors.square().sum().backward()
    gradient = encoding.items.grad
    assert gradient.is_sparse
    assert sorted(gradient.coalesce().indices()[0].tolist()) == [0, 5, 39]
    assert "items" in encoding.state_dict()
    assert encoding.items.data_ptr() != items.data_ptr()  # the teacher's stay


def test_unused_codewords_are_revived_when_that_is_due(encoder, items) -> None:
    with torch.no_grad():
        encoder.codebooks[:, 2:] += 100.0  # nobody's
    encoding = RecurrentEncoding(encoder, items, revive_every=2)
    for epoch in (0, 1):
        encoding.start_epoch(epoch, 9)
        assert encoding.item_codes().health.used == (2,) * BOOKS
    encoding.start_epoch(2, 9)
    health = encoding.item_codes().health
    assert min(health.used) > 2
    assert encoding.revived == BOOKS * (WORDS - 2)
    lost = (items - encoding(torch.arange(ITEMS)).vectors).square().sum(dim=1)
    assert lost.mean() < 0.7 * items.square().sum(dim=1).mean()


@pytest.mark.parametrize(
    "similarity", ["bilinear", "plain_bilinear", "biased_bilinear", "selector"]
)
@pytest.mark.parametrize("word_width", [WIDTH, 3])
def test_codewords_that_do_not_live_among_items_are_revived_beside_others(
    items, similarity: str, word_width: int
) -> None:
    generator = torch.Generator().manual_seed(2)
    encoder = CompositeEncoder(
        WIDTH,
        BOOKS,
        WORDS,
        word_width=word_width,
        similarity=SIMILARITIES[similarity],
        recurrence=Keep,
        generator=generator,
    )
    with torch.no_grad():  # only two codewords of a book can be chosen
        encoder.codebooks[:, 2:] = 0.0
        for module in encoder.similarities:
            if hasattr(module, "bias"):
                module.bias[2:] = -100.0
            if similarity == "selector":
                module.weight[:, 2:] = 0.0
    encoding = RecurrentEncoding(encoder, items, revive_every=1)
    assert max(encoding.item_codes().health.used) <= 3  # with one of those that are all alike
    encoding.start_epoch(1, 9)
    assert min(encoding.item_codes().health.used) > 3
    assert encoding.revived >= BOOKS * (WORDS - 3)


def test_fewer_items_than_unused_codewords(encoder, items) -> None:
    with torch.no_grad():
        encoder.codebooks[:, 1:] += 100.0
    assert encoder.revive(items[:4], torch.Generator().manual_seed(0)) == BOOKS * 4


def test_joint_decodes_fixed_codes(encoder, items) -> None:
    encoding = joint(encoder, items)
    rows = torch.tensor([5, 0, 39, 5])
    decoded = encoding.item_codes().decode(rows.numpy())
    np.testing.assert_array_equal(encoding(rows).vectors.detach(), decoded)


def test_joint_moves_only_codewords_in_use(encoder, items) -> None:
    encoding = joint(encoder, items)
    encoding(torch.tensor([3])).vectors.sum().backward()
    used = encoding.item_codes().codes[3]
    touched = encoder.codebooks.grad.abs().sum(dim=2) > 0
    assert touched.sum() == BOOKS
    assert touched[torch.arange(BOOKS), torch.from_numpy(used).long()].all()


@pytest.mark.parametrize(("beam", "icm_sweeps"), [(8, 1), (0, 2), (1, 0)])
def test_refresh_worsens_no_item_and_moves_no_codeword(encoder, items, beam, icm_sweeps) -> None:
    users = np.random.default_rng(3).normal(size=(30, WIDTH)) * np.geomspace(3, 0.3, WIDTH)
    metric = ItemMetric.user_gram(users.astype(np.float32))
    encoding = joint(encoder, items, metric, beam, icm_sweeps)
    before = encoding.item_codes()
    encoding.start_epoch(0, 1)
    after = encoding.item_codes()
    assert np.array_equal(after.codebooks, before.codebooks)
    lost = [metric.errors(items.numpy() - codes.decode()) for codes in (before, after)]
    assert (lost[1] <= lost[0] * (1 + 1e-5) + 1e-5).all()
    assert lost[1].mean() < 0.7 * lost[0].mean()


def test_codes_stay_between_refreshes(encoder, items) -> None:
    codes = np.zeros((ITEMS, BOOKS), np.uint8)
    metric, effort = ItemMetric.euclidean(WIDTH), {"beam": 4, "icm_sweeps": 1}
    for every, moved in ((0, set()), (1, {0, 1, 2, 3}), (2, {0, 2})):
        encoding = JointEncoding(
            encoder, items, codes, metric=metric, refresh_every=every, **effort
        )
        for epoch in range(4):
            encoding.get_buffer("codes").zero_()
            encoding.start_epoch(epoch, 4)
            assert encoding.item_codes().codes.any() == (epoch in moved)


def test_a_weak_search_does_not_undo_a_good_one(encoder, items) -> None:
    strong = joint(encoder, items, beam=64, icm_sweeps=3)
    strong.start_epoch(0, 1)
    good = strong.item_codes()
    weak = JointEncoding(
        encoder, items, good.codes, metric=ItemMetric.euclidean(WIDTH), beam=1, icm_sweeps=0
    )
    weak.start_epoch(0, 1)
    assert np.array_equal(weak.item_codes().codes, good.codes)


def test_the_given_codes_stay_as_they_are(encoder, items) -> None:
    codes = np.zeros((ITEMS, BOOKS), np.uint8)
    encoding = JointEncoding(
        encoder, items, codes, metric=ItemMetric.euclidean(WIDTH), beam=8, icm_sweeps=1
    )
    encoding.start_epoch(0, 1)
    assert encoding.item_codes().codes.any()
    assert not codes.any()


def test_joint_codes_belong_to_the_state(encoder, items) -> None:
    """Checkpoints and early stopping restore codes and codebooks together."""
    encoding = joint(encoder, items)
    state = {name: value.clone() for name, value in encoding.state_dict().items()}
    before = encoding.item_codes()
    encoding.start_epoch(0, 1)
    with torch.no_grad():
        encoder.codebooks.mul_(2.0)
    encoding.load_state_dict(state)
    assert np.array_equal(encoding.item_codes().codes, before.codes)
    assert np.array_equal(encoding.item_codes().codebooks, before.codebooks)


def test_exported_codes_do_not_follow_later_training(encoder, items) -> None:
    encoding = joint(encoder, items)
    exported = encoding.item_codes()
    copies = exported.codes.copy(), exported.codebooks.copy()
    with torch.no_grad():
        encoder.codebooks.mul_(2.0)
    encoding.start_epoch(0, 1)
    assert np.array_equal(exported.codes, copies[0])
    assert np.array_equal(exported.codebooks, copies[1])


def test_an_encoding_must_say_how() -> None:
    with pytest.raises(NotImplementedError):
        ItemEncoding()(torch.tensor([0]))
    with pytest.raises(NotImplementedError):
        ItemEncoding().item_codes()
