"""Training again from an earlier model: its choices repeated, its codes kept where they still fit.

A code says which items are alike, and that changes less from one training to the next than the
teacher's vectors, which turn and drift as a whole. So the old codes are taken as they are,
codebooks are fitted to the new vectors under them, and an item gets another code only where that
lowers its error by a good part. What people keep by code stays valid for items that kept theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter, ValidationError

from lightrec.artifact.contents import Model
from lightrec.codes.additive_quantization import encode, popularity_weights, relative_error
from lightrec.codes.coded_users import MADE, UserForm
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.ranking_quantization import RankedCodes, metric_for_quantization
from lightrec.codes.refit_codebooks import refit_codebooks
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.matching_ids import matching_rows
from lightrec.run_config import RunConfig
from lightrec.teachers.fit import AnyTeacherConfig, FittedTeacher, TeacherConfig
from lightrec.training.run_log import RunLog

STABILITY = 0.3
ROUNDS = 3


@dataclass(frozen=True, eq=False)
class WarmStart:
    """What is taken over from an earlier model.

    Attributes:
        teacher: Settings and epochs of its teacher; the vectors are made anew.
        form: The form of its users.
        codes: (N, B) uint8, the earlier code of each item of the new catalogue.
        known: (N,) bool; False for items that the earlier model lacks, whose codes mean nothing.
        stability: How much smaller, as a share, an item's error must get before its code changes;
            1 keeps all codes, 0 the fewest.
    """

    teacher: FittedTeacher
    form: UserForm
    codes: np.ndarray
    known: np.ndarray
    stability: float = STABILITY

    @classmethod
    def of(
        cls, model: Model, items: IdMap, config: RunConfig, stability: float = STABILITY
    ) -> WarmStart:
        """Reads an earlier model.

        Args:
            model: The model.
            items: The new catalogue.
            config: Of the new run; its sizes must be those of the model.
            stability: As above.

        Raises:
            ArgumentError: The model was not made by `train`, was trained by gradient, has other
                sizes or other ids, or the stability is out of range.
        """
        if not 0 <= stability <= 1:
            raise ArgumentError(f"stability must lie in 0..1, not {stability}")
        by_gradient = model.config.get("student_epochs") is not None
        if config.student is not None or by_gradient or model.users.form not in MADE:
            raise ArgumentError(
                "a warm start repeats quantisation; models trained by gradient are trained anew"
            )
        sizes = config.codes.num_codebooks, config.codes.num_codewords
        own = model.item_codes.num_codebooks, model.item_codes.num_codewords
        if sizes != own:
            raise ArgumentError(
                f"the earlier model has {own[0]} codebooks of {own[1]} codewords, and {sizes[0]} "
                f"of {sizes[1]} are asked for; ask for the same, or train without it"
            )
        rows = matching_rows(items, model.item_ids)
        known = rows >= 0
        if not known.any():
            raise ArgumentError("the earlier model knows none of the items; check the ids")
        codes = np.where(known[:, None], model.item_codes.codes[rows], np.uint8(0))
        form = config.users.form if config.users.form != "auto" else model.users.form
        return cls(_teacher_of(model), form, codes, known, stability)


def requantize(
    pairs: History,
    teacher: Factors,
    config: RunConfig,
    warm: WarmStart,
    log: RunLog | None = None,
) -> RankedCodes:
    """Codes in the metric of the ranking, changed from the earlier ones as little as it takes.

    Args:
        pairs: Training pairs.
        teacher: The new vectors.
        config: The run's configuration.
        warm: The earlier codes.
        log: Where rounds are told.
    """
    log = log or RunLog()
    items, degrees = teacher.items, pairs.item_degrees()
    rng = np.random.default_rng(config.seed)
    metric = metric_for_quantization(
        items, teacher.users, config.ranking, seen=pairs, degrees=degrees, rng=rng
    )
    weights = popularity_weights(degrees, config.ranking.popularity_power)
    codes = _first_codes(items, warm, metric, weights, config)
    for number in range(1, ROUNDS + 1):
        found = encode(
            items,
            codes.codebooks,
            metric=metric,
            beam=config.ranking.beam,
            icm_sweeps=config.codes.icm_sweeps,
            start=codes.codes,
        )
        before, after = (metric.errors(items - each.decode()) for each in (codes, found))
        better = after < (1.0 - warm.stability) * before
        better |= ~warm.known & (after < before)
        chosen = np.where(better[:, None], found.codes, codes.codes)
        books = refit_codebooks(
            items, ItemCodes(chosen, codes.codebooks), weights=weights, metric=metric
        )
        codes = ItemCodes(chosen, books)
        log.event(
            "round",
            of="the warm start",
            round=number,
            relative_error=relative_error(items, codes, weights=weights, metric=metric),
            changed=int(((chosen != warm.codes).any(axis=1) & warm.known).sum()),
        )
    return RankedCodes(codes, metric)


def _first_codes(
    items: np.ndarray,
    warm: WarmStart,
    metric: ItemMetric,
    weights: np.ndarray,
    config: RunConfig,
) -> ItemCodes:
    """The earlier codes with codebooks for the new vectors; new items encoded with these."""
    rows = np.flatnonzero(warm.known)
    sizes = config.codes.num_codebooks, config.codes.num_codewords, items.shape[1]
    earlier = ItemCodes(warm.codes[rows], np.zeros(sizes, np.float32))
    books = refit_codebooks(items[rows], earlier, weights=weights[rows])
    books = refit_codebooks(
        items[rows],
        ItemCodes(earlier.codes, books),
        weights=weights[rows],
        metric=metric.of_items(rows),
    )
    codes = warm.codes.copy()
    new = np.flatnonzero(~warm.known)
    if len(new):
        codes[new] = encode(items[new], books, metric=metric.of_items(new)).codes
    return ItemCodes(codes, books)


def _teacher_of(model: Model) -> FittedTeacher:
    """The choice of teacher that the model tells."""
    told = model.config
    nothing = Factors(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))
    try:
        teacher: AnyTeacherConfig = TypeAdapter(TeacherConfig).validate_python(told["teacher"])
        epochs = tuple(int(number) for number in told["teacher_epochs"])
    except (KeyError, TypeError, ValueError, ValidationError):
        raise ArgumentError(
            "the earlier model does not tell which teacher it was made from, as models of "
            "lightrec train do; train without it"
        ) from None
    return FittedTeacher(nothing, teacher, epochs, {})
