"""Items taken out of all answers, and back in, without touching the model."""

import numpy as np
import pytest

from lightrec.errors import UnknownIdError
from lightrec.serving import Recommender


def found(answers) -> list:
    return answers.item_ids.to_list()


@pytest.mark.parametrize("form", ["identity", "table"])
def test_unavailable_items_leave_every_kind_of_answer(make_model, form: str) -> None:
    model = make_model(form)
    rec, ids = Recommender(model), model.item_ids.series.to_list()
    user = model.user_ids.series[0]
    plain = found(rec.recommend(users=user, k=60, exclude_seen=False))
    gone = [*plain[:7], ids[40]]
    rec.set_available(gone, False)
    left = [item for item in plain if item not in gone]
    assert found(rec.recommend(users=user, k=60, exclude_seen=False)) == left
    assert found(rec.recommend(users=[user, user], k=60, exclude_seen=False)) == left * 2
    assert found(rec.recommend(users=user, k=9, exclude_seen=False, allow=plain[:9])) == [
        item for item in plain[:9] if item not in gone
    ]
    denied = rec.recommend(users=user, k=60, exclude_seen=False, deny=left[0])
    assert found(denied) == left[1:]
    poetry = [item for item in left if ids.index(item) % 3 == 1]
    assert found(
        rec.recommend(users=user, k=60, exclude_seen=False, where={"genre": "poetry"})
    ) == (poetry)
    popular = rec.recommend(histories=[[]], k=60)
    assert sorted(found(popular)) == sorted(left)
    similar = rec.similar_items(left[0], k=60)
    assert sorted(found(similar)) == sorted(left[1:])

    rec.set_available(gone, True)
    assert found(rec.recommend(users=user, k=60, exclude_seen=False)) == plain


def test_it_concerns_this_recommender_only(make_model) -> None:
    model = make_model()
    first, second = Recommender(model), Recommender(model)
    best = found(first.recommend(users=model.user_ids.series[0], k=1))
    first.set_available(best[0], False)
    assert found(first.recommend(users=model.user_ids.series[0], k=1)) != best
    assert found(second.recommend(users=model.user_ids.series[0], k=1)) == best


def test_later_blocks_of_all_users_know_of_it(make_model) -> None:
    model = make_model()
    rec = Recommender(model)
    blocks = rec.recommend_all(k=60, exclude_seen=False, users_per_block=1)
    assert len(found(next(blocks))) == 60
    gone = model.item_ids.series[7]
    rec.set_available(gone, False)
    assert gone not in found(next(blocks))


def test_generators_of_ids_serve_every_block(make_model) -> None:
    model = make_model()
    rec, ids = Recommender(model), model.item_ids.series.to_list()
    for asked in ({"deny": ids[:20]}, {"allow": ids[20:]}):
        ((name, listed),) = asked.items()
        generator = {name: (item for item in listed)}
        for block in rec.recommend_all(k=60, exclude_seen=False, users_per_block=2, **generator):
            assert set(found(block)) == set(ids[20:])


def test_post_ranking_recalls_available_items_only(make_model) -> None:
    model = make_model()
    rec, user = Recommender(model), np.ones(6, np.float32)
    plain = found(rec.recommend(vectors=user, k=5, post_ranking=60))
    rec.set_available(plain[:3], False)
    assert found(rec.recommend(vectors=user, k=2, post_ranking=57)) == plain[3:]


def test_unknown_items_are_named(make_model) -> None:
    rec = Recommender(make_model())
    with pytest.raises(UnknownIdError, match="nothing like it"):
        rec.set_available(["nothing like it"], False)


def test_a_model_in_the_place_of_another_keeps_items_hidden(make_model) -> None:
    old, new = make_model(), make_model(seed=1, item_ids=[f"i{row}" for row in range(30, 90)])
    rec = Recommender(old)
    rec.set_available(["i1", "i40", "i50"], False)
    blocks = rec.recommend_all(k=60, exclude_seen=False, users_per_block=1)
    rec.replace_model(new)
    assert rec.model is new
    answers = found(rec.recommend(users="u1", k=60, exclude_seen=False))
    plain = found(Recommender(new).recommend(users="u1", k=60, exclude_seen=False))
    assert answers == [item for item in plain if item not in ("i40", "i50")]
    assert {int(item[1:]) for item in found(next(blocks))} < set(range(60))  # the old catalogue
