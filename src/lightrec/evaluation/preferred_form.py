"""The rule by which one form of users is shipped where several were made."""

from __future__ import annotations

from collections.abc import Sequence

from lightrec.codes.coded_users import CodedUsers
from lightrec.evaluation.judging import judged_users, value_of
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer
from lightrec.interactions.history import History


def preferred_last(
    forms: Sequence[CodedUsers], pairs: History, held_out: History, tolerance: float
) -> tuple[CodedUsers, ...]:
    """The forms, with the one to be shipped last.

    The rule: of the forms whose Recall@100 + NDCG on the held-out pairs comes within `tolerance` of
    the best, the one with the fewest bytes a user; of equally many bytes, the better form.
    """
    users = judged_users(held_out)
    values = [
        value_of(
            evaluate_ranking(
                CodeScorer(each.item_codes, each.values), pairs, held_out, user_rows=users
            ).means
        )
        for each in forms
    ]
    good = [
        (each.bytes_per_user, -value, place)
        for place, (each, value) in enumerate(zip(forms, values, strict=True))
        if value >= (1.0 - tolerance) * max(values)
    ]
    shipped = forms[min(good)[-1]]
    return (*(each for each in forms if each is not shipped), shipped)
