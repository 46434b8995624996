"""Items taken out of all answers, and back in, without touching the model."""

import gc
import threading

import numpy as np
import pytest

from lightrec.errors import ArgumentError, UnknownIdError
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.scan import make_scan
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


def test_blocks_of_a_model_that_was_replaced_know_of_items_hidden_since(make_model) -> None:
    old, new = make_model(), make_model(seed=1, item_ids=[f"i{row}" for row in range(30, 90)])
    rec = Recommender(old)
    blocks = rec.recommend_all(k=60, exclude_seen=False, users_per_block=1)
    assert "i40" in found(next(blocks))
    rec.replace_model(new)
    rec.set_available(["i40", "i80"], False)
    assert set(found(next(blocks))) == set(old.item_ids.series) - {"i40"}
    rec.set_available("i40", True)
    assert "i40" in found(next(blocks))
    rec.set_available("i40", False)
    rec.replace_model(make_model(seed=2))
    rec.set_available("i41", False)
    assert set(found(next(blocks))) == set(old.item_ids.series) - {"i40", "i41"}


def test_a_model_that_nobody_asks_any_more_is_let_go(make_model) -> None:
    rec = Recommender(make_model())
    rec.set_available("i1", False)
    rec.replace_model(make_model(seed=1))
    gc.collect()
    assert len(rec._state.availability._shelves) == 1


def test_an_item_stays_hidden_while_a_model_lacks_it(make_model) -> None:
    whole = make_model()
    without = make_model(seed=1, item_ids=[f"i{row}" for row in range(100, 160)])
    rec = Recommender(whole)
    rec.set_available(["i7", "i8", "i9"], False)
    rec.replace_model(without)
    assert len(found(rec.recommend(users="u1", k=60, exclude_seen=False))) == 60
    rec.set_available(["i8", "i100"], True)  # by its id, though it is not there
    with pytest.raises(UnknownIdError, match="unknown item id: 'i8'"):
        rec.set_available(["i8"], True)
    rec.set_available(["i9"], False)  # it is hidden already
    rec.replace_model(without)
    rec.replace_model(whole)
    answers = set(found(rec.recommend(users="u1", k=60, exclude_seen=False)))
    assert answers == set(whole.item_ids.series) - {"i7", "i9"}


def test_integers_and_their_spelling_are_one_id_across_models(make_model) -> None:
    integers, texts = (
        make_model(item_ids=list(range(60))),
        make_model(item_ids=[str(row) for row in range(59)] + ["007"]),
    )
    rec = Recommender(integers)
    rec.set_available([7, 59], False)
    rec.replace_model(texts)
    answers = found(rec.recommend(users="u1", k=60, exclude_seen=False))
    assert set(answers) == set(texts.item_ids.series) - {"7"}
    rec.set_available("007", False)
    rec.replace_model(integers)
    answers = found(rec.recommend(users="u1", k=60, exclude_seen=False))
    assert set(answers) == set(range(60)) - {7, 59}


def test_only_the_expected_model_is_replaced(make_model) -> None:
    first, second, third = make_model(), make_model(seed=1), make_model(seed=2)
    rec = Recommender(first)
    rec.replace_model(second, expected=first)
    with pytest.raises(ArgumentError, match="changed meanwhile"):
        rec.replace_model(third, expected=first)
    assert rec.model is second
    rec.replace_model(third)
    assert rec.model is third


def test_of_many_who_replace_one_model_one_does(make_model) -> None:
    first = make_model()
    rec, models = Recommender(first), [make_model(seed=seed) for seed in range(1, 9)]
    together, refused = threading.Barrier(len(models)), []

    def replace(model) -> None:
        together.wait()
        try:
            rec.replace_model(model, expected=first)
        except ArgumentError:
            refused.append(model)

    threads = [threading.Thread(target=replace, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (kept,) = (model for model in models if not any(model is other for other in refused))
    assert rec.model is kept


def test_a_function_makes_the_scan_of_every_model(make_model) -> None:
    class OwnScan(ReferenceScan):
        """One that `make_scan` never makes."""

    made = []

    def scan(item_codes) -> OwnScan:
        made.append(item_codes)
        return OwnScan(item_codes.codes, item_codes.num_codewords)

    old, new = make_model(), make_model(seed=1)
    rec = Recommender(old, scan=scan)
    rec.replace_model(new)
    assert made == [old.item_codes, new.item_codes]
    assert isinstance(rec._state.ranking._scan, OwnScan)
    rec.replace_model(old, scan=make_scan)
    rec.replace_model(new)
    assert not isinstance(rec._state.ranking._scan, OwnScan)


def test_a_scan_of_the_old_model_is_not_dropped_in_silence(make_model) -> None:
    old, new = make_model(), make_model(seed=1)
    own = [
        ReferenceScan(each.item_codes.codes, each.item_codes.num_codewords) for each in (old, new)
    ]
    rec = Recommender(old, scan=own[0])
    with pytest.raises(ArgumentError, match=r"scan=\.\.\."):
        rec.replace_model(new)
    assert rec.model is old
    rec.replace_model(new, scan=own[1])
    assert rec._state.ranking._scan is own[1]


def test_a_scan_of_another_catalogue_is_refused(make_model) -> None:
    codes = make_model().item_codes
    short = ReferenceScan(codes.codes[:40], codes.num_codewords)
    with pytest.raises(ArgumentError, match="searches 40 items, the model has 60"):
        Recommender(make_model(), scan=short)
