"""New users of the forms `fitted` and `table`: fitted to the codes just as the stored users were.

A history is folded in against the teacher's items, which estimates the user that the teacher would
have had; that user is then fitted to the codes in the same rounds, on the same catalogue sample, as
`lightrec.codes.user_fit` fits users when a model is made. Only here, where queries come one by one
and items may lie on disk, the teacher's scores are computed user by user and block by block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit import vector_ridge
from lightrec.codes.user_fit_task import (
    BLOCK_BYTES,
    Effort,
    UserFitConfig,
    catalogue_sample,
    kernel_for,
    require_codes_of,
)
from lightrec.errors import ArgumentError, ConfigError
from lightrec.serving.item_vectors import FloatItems
from lightrec.settings import validated

MAX_SAMPLED = 1 << 22
"""Most rows of the catalogue sample, in all rounds: a forged model must not take all memory."""


class NewUserFit:
    """Fits users of the teacher's space to codes; for any arrays, not for a model alone.

    Fitting Q users costs one pass over the float items per 64 MiB of teacher scores (16 users of a
    million items, a thousand of 16,000), N T products a user for those scores, and then the rounds.
    Memory stays within twice those 64 MiB, whatever Q.

    Args:
        items: The teacher's items.
        item_codes: Their codes, and the codebooks that the users are to meet.
        config: Settings of the fit; the defaults when None.
        seed: Of the catalogue sample.
        threads: Threads of the kernel, 0 for all available cores; no effect on the answers.
    """

    def __init__(
        self,
        items: FloatItems,
        item_codes: ItemCodes,
        config: UserFitConfig | None = None,
        *,
        seed: int = 0,
        threads: int = 0,
    ) -> None:
        config, effort = config or UserFitConfig(), Effort(seed, threads)
        require_codes_of(items.num_items, item_codes)
        self._items, self._item_codes = items, item_codes
        self._kernel = kernel_for(item_codes)
        self._table_ridge = config.ridge
        self._vector_ridge = vector_ridge(config, item_codes)
        catalogue = catalogue_sample(items.num_items, config, config.rounds, effort.seed)
        self._vector_catalogue = catalogue[: config.rounds_of_vectors]
        self._settings = {
            **config.candidate_settings(items.num_items),
            "catalogue": catalogue,
            "threads": effort.cores,
        }

    def tables(self, users: np.ndarray, histories: Sequence[np.ndarray]) -> np.ndarray:
        """Score tables, as `fit_tables` gives them; the codebooks are in the teacher's space.

        Args:
            users: (Q, T) float32 vectors of the teacher's space.
            histories: For each the rows of its items, int32, ascending: they are not fitted to.

        Returns:
            (Q, B, W) float32, the same bits for one user as for many.

        Raises:
            ArgumentError: Numbers are so large that the fit is not finite.
        """
        tables = self._item_codes.score_tables(users)
        for block, settings in self._blocks(users, histories):
            tables[block] = self._kernel.fit_tables(
                **settings, ridge=self._table_ridge, start=tables[block]
            )
        _require_finite(tables)
        return tables

    def vectors(
        self, users: np.ndarray, histories: Sequence[np.ndarray], start: np.ndarray | None = None
    ) -> np.ndarray:
        """Vectors, as `fit_vectors` gives them.

        Args:
            users: (Q, T) float32 vectors of the teacher's space.
            histories: For each the rows of its items, int32, ascending: they are not fitted to.
            start: (Q, D) float32 vectors of the codebooks' space to start from: `users` under the
                model's map. `users` themselves when None, for which D must be T.

        Returns:
            (Q, D) float32, the same bits for one user as for many.

        Raises:
            ArgumentError: Numbers are so large that the fit is not finite.
        """
        vectors = np.array(users if start is None else start, np.float32, order="C")
        for block, settings in self._blocks(users, histories):
            vectors[block] = self._kernel.fit_vectors(
                **settings | {"catalogue": self._vector_catalogue},
                ridge=self._vector_ridge,
                start=vectors[block],
                codebooks=np.ascontiguousarray(self._item_codes.codebooks),
            )
        _require_finite(vectors)
        return vectors

    def _blocks(
        self, users: np.ndarray, histories: Sequence[np.ndarray]
    ) -> Iterator[tuple[slice, dict[str, Any]]]:
        """Users whose teacher scores fit the bound together, with the kernel's arguments."""
        size = max(1, BLOCK_BYTES // max(1, 4 * self._items.num_items))
        for begin in range(0, len(users), size):
            block = slice(begin, min(begin + size, len(users)))
            seen = histories[block]
            indptr = np.zeros(len(seen) + 1, np.int64)
            np.cumsum([len(rows) for rows in seen], out=indptr[1:])
            yield (
                block,
                {
                    **self._settings,
                    "teacher_scores": self._items.scores(users[block]),
                    "seen_indptr": indptr,
                    "seen_rows": np.concatenate([np.empty(0, np.int32), *seen]),
                },
            )


def fit_settings(config: Mapping[str, Any]) -> tuple[UserFitConfig, int]:
    """How a model's users were fitted: settings, and the seed of the catalogue sample.

    Args:
        config: `Model.config`; its `settings.users.fit` and `settings.seed` are used where they
            are there, else the defaults.

    Raises:
        ConfigError: They are there and are no settings of a fit.
    """
    settings = config.get("settings")
    settings = settings if isinstance(settings, Mapping) else {}
    users, seed = settings.get("users"), settings.get("seed")
    fit = users.get("fit", {}) if isinstance(users, Mapping) else {}
    if not isinstance(fit, Mapping):
        raise ConfigError(f"the model's config: users.fit must be a table of settings, not {fit!r}")
    read = validated(UserFitConfig, fit, "the model's config: users.fit")
    if read.rounds * max(read.catalogue_sample, 1) > MAX_SAMPLED:
        raise ConfigError(
            f"the model's config: users.fit: {read.rounds} rounds of {read.catalogue_sample} "
            f"sampled items are more than {MAX_SAMPLED:,}; no user can be fitted to a history"
        )
    return read, seed if type(seed) is int and seed >= 0 else 0


def _require_finite(fitted: np.ndarray) -> None:
    if not np.isfinite(fitted).all():
        raise ArgumentError(
            "a history cannot be fitted to the codes in finite numbers: the model's float items "
            "and codebooks are of too different sizes; ask by vector, or make the model again"
        )
