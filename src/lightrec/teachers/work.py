"""Work of a training run: counted, not timed, so that it is the same on every machine."""

from __future__ import annotations

from lightrec.evaluation.judging import JUDGED_USERS
from lightrec.interactions.history import History
from lightrec.teachers.fit import SingleConfig
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig

PRODUCTS_PER_MINUTE = 3.0e12
"""Multiply-adds of small matrix products that two cores do in a minute, about."""
UPDATES_PER_MINUTE = 1.0e10
"""Numbers that Adam updates in a minute, about: it is bound by memory."""
RANKED_PER_MINUTE = 1.5e12
"""Multiply-adds of scores that are ranked too, about: ranking takes as long as they do."""


def estimated_minutes(pairs: History, config: SingleConfig) -> float:
    """Work of a whole training run, in minutes of two cores; validation left out."""
    users, items, width = pairs.num_users, pairs.num_items, config.width
    if isinstance(config, IalsConfig):
        products = 2.0 * len(pairs) * width**2 + (users + items) * width**3 / 8
        return config.sweeps * products / PRODUCTS_PER_MINUTE
    if isinstance(config, SampledSoftmaxConfig):
        steps = max(1, -(-_active_users(pairs) // config.batch_size))
        met = min(items, config.num_negatives + len(pairs) / steps)
        products = 3.0 * config.batch_size * met * width
        updates = (config.batch_size + met) * width
    else:
        steps = -(-len(pairs) // config.batch_size)
        products = 3.0 * config.batch_size * (config.num_negatives + 1) * width
        updates = (users + items) * width
    minutes = products / PRODUCTS_PER_MINUTE + updates / UPDATES_PER_MINUTE
    return config.epochs * steps * minutes


def validation_minutes(pairs: History, config: SingleConfig) -> float:
    """Work of all validations of a training run that is not stopped early, likewise."""
    rounds = config.sweeps if isinstance(config, IalsConfig) else config.epochs
    judged = min(_active_users(pairs), JUDGED_USERS)
    scores = judged * pairs.num_items * config.width / RANKED_PER_MINUTE
    return -(-rounds // config.evaluate_every) * scores


def _active_users(pairs: History) -> int:
    return int((pairs.user_degrees() > 0).sum())
